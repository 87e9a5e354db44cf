"""Remove what is ours, whatever builds have done to it; links are never followed."""

from __future__ import annotations

import contextlib
import os
import shutil

__all__ = ["make_writable", "remove", "remove_all_but"]


def remove(directory: str) -> None:
    """Remove *directory*, or what can be removed of it; no error if it is gone.

    Whatever else is there stays: a link, a file.
    """
    shutil.rmtree(directory, ignore_errors=True)
    if os.path.isdir(directory) and not os.path.islink(directory):
        # Projects make read-only directories, and orphans of a killed build write on.
        make_writable(directory)
        shutil.rmtree(directory, ignore_errors=True)


def remove_all_but(kept: set[str], directory: str) -> None:
    """Remove what is in *directory*, but not the paths *kept*.

    Raises:
        OSError: a file cannot be removed.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.path in kept:
                continue
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
            elif any(path.startswith(entry.path + os.sep) for path in kept):
                remove_all_but(kept, entry.path)
            else:
                remove(entry.path)


def make_writable(directory: str) -> None:
    """Let this user write to *directory* and to all that is below it, where it may.

    To the files too where these cannot be removed otherwise (Windows).
    """
    with contextlib.suppress(OSError):
        os.chmod(directory, 0o700)
        for entry in os.scandir(directory):
            if entry.is_dir(follow_symlinks=False):
                make_writable(entry.path)
            elif os.name == "nt":
                os.chmod(entry.path, 0o600)
