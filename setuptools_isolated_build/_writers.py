"""Who else can write to a directory, or exchange what is in it."""

from __future__ import annotations

import os
import stat

__all__ = ["take_back", "why_replaceable"]

if os.name == "posix":

    def why_replaceable(directory: str) -> str | None:
        """Return why others can exchange what is in *directory*, or None."""
        info = os.stat(directory)
        if info.st_mode & stat.S_ISVTX:
            return None  # only owners rename and remove what is in it
        who = _who_else(info)
        if who is not None:
            return f"{who} can write to it"
        if info.st_uid not in {os.geteuid(), 0}:
            return "owned by another user"
        return None

    def take_back(path: str) -> bool:
        """Take a directory of this user's, which others can read, for this user alone.

        Somebody removes a root while a build is running. The build fails, but distutils
        makes missing directories, with the umask of the user: by then the root is there
        again, and open. Nobody else could write to it, or it is not taken.

        Raises:
            OSError: it is no directory, or a link, or cannot be opened.
        """
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            info = os.fstat(number)
            if info.st_uid != os.geteuid() or _who_else(info) is not None:
                return False
            os.fchmod(number, stat.S_IRWXU)
            return True
        finally:
            os.close(number)

    def _who_else(info: os.stat_result) -> str | None:
        if info.st_mode & stat.S_IWOTH:
            return "every user"
        if info.st_mode & stat.S_IWGRP and not _is_own_group(info.st_gid):
            return "other users of its group"
        return None

    def _is_own_group(gid: int) -> bool:
        import grp

        try:
            return gid == os.getegid() and not grp.getgrgid(gid).gr_mem
        except KeyError:
            return False

else:

    def why_replaceable(directory: str) -> str | None:
        """Return why others can exchange what is in *directory*, or None."""
        return None if os.access(directory, os.W_OK) else "not writable"

    def take_back(path: str) -> bool:  # noqa: ARG001
        """Return False: there are no modes on this system."""
        return False
