"""Where locks are: in one place for all builds of a user on a machine.

They are about things that all these builds share, however each is set up: the source
tree, a link tree, a result directory.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Callable

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._places import NAME, private_directory, user

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["acquire", "key", "lock_paths", "lock_place", "sweep"]

_MOST_ATTEMPTS = 20


def acquire(path: str, timeout: float) -> _lock.Lock | None:
    """Lock the file *path*, as `lock.acquire` does, in the place of all locks.

    A cleaner may have removed that directory since it was made, when it was not in use
    for as long as the cleaner's age: then it is made again.
    """
    for _ in range(_MOST_ATTEMPTS):
        try:
            return _lock.acquire(path, timeout)
        except FileNotFoundError as exc:  # noqa: PERF203
            reason = private_directory(os.path.dirname(path))
            if reason is not None:
                raise PermissionError(exc.errno, reason, path) from None
    return _lock.acquire(path, timeout)


def key(source_dir: str) -> str:
    """Return what stands for *source_dir* in the names of lock files."""
    import hashlib

    tree = os.path.realpath(source_dir)
    return hashlib.sha256(os.fsencode(tree)).hexdigest()[:16]


def sweep(place: str, prefix: str, suffix: str = "") -> None:
    """Remove the lock files of such names that killed builds have left.

    Only for those whose holders unlink them at their end: others may be waited for.
    """
    for name in os.listdir(place):
        if not (name.startswith(prefix) and name.endswith(suffix)):
            continue
        with contextlib.suppress(OSError, _lock.LocksUnavailableError):
            found = _lock.acquire(os.path.join(place, name), timeout=0)
            if found is not None:
                found.release(unlink=True)


def lock_place(tell: Callable[[str], None]) -> str | None:
    """Return the directory for the locks of all of this user's builds on the machine.

    Whatever TMPDIR says: two builds that are to exclude one another may have been
    started with different ones.

    Args:
        tell: says in the build's output if it is not the usual one, and why.
    """
    reasons: list[str] = []
    for path in lock_paths():
        try:
            reason = private_directory(path)
        except OSError as exc:
            reason = exc.strerror or str(exc)
        if reason is None:
            if reasons:
                tell(f"locks are in {path}, not in the usual place ({reasons[0]})")
            return path
        reasons.append(f"{path}: {reason}")
    tell(f"no directory can hold locks ({'; '.join(reasons)}): building without locks")
    return None


def lock_paths() -> Iterator[str]:
    """Return where that directory may be, the usual place first."""
    for parent in map(os.path.realpath, _lock_parents()):
        yield os.path.join(parent, f"{NAME}-{user()}-locks")


if os.name == "posix":
    import pwd

    def _lock_parents() -> Iterator[str]:
        yield "/tmp"  # noqa: S108  # what is in it is looked at
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            home = os.environ.get("HOME", "")
        if os.path.isdir(home):
            cache = os.path.join(home, ".cache")
            with contextlib.suppress(OSError):
                os.mkdir(cache, 0o700)
            yield cache
        with contextlib.suppress(OSError):
            yield tempfile.gettempdir()

else:

    def _lock_parents() -> Iterator[str]:
        local = os.environ.get("LOCALAPPDATA")
        if local:
            yield os.path.join(local, "Temp")
        yield tempfile.gettempdir()
