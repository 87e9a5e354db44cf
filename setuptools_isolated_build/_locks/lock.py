"""Locks between processes: the only place that knows fasteners.

On POSIX fasteners' `InterProcessLock` is ``lockf``: such a lock belongs to the process
and is gone when the process closes *any* descriptor of the file, as a copy of the
directory does. Here it is given BSD locks (``flock``). They belong to the open file:
copies, threads and forked children do no harm, a child that was forked shares its
parent's, and a directory can have one too. systemd-tmpfiles leaves a directory with a
BSD lock alone, and all that is below it (tmpfiles.d(5)).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

from fasteners import InterProcessLock  # noqa: TID251  # this is its room

__all__ = [
    "LOCK_FILE",
    "Lock",
    "LocksUnavailableError",
    "acquire",
    "acquire_directory",
    "acquire_open",
    "read_note",
]

LOCK_FILE = "lock"  # in a directory, where a directory itself cannot be locked
_MOST_ATTEMPTS = 1000
_CLEANING = 5.0  # seconds: whoever cleans a directory has done so by then
_NOTE = 4096  # bytes
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class LocksUnavailableError(Exception):
    """The file system that should hold the lock has no locks (ENOLCK, ENOSYS)."""


class _Descriptor:
    """An open file or directory, as fasteners expects one."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.closed = False

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._number)


if os.name == "posix":
    import fcntl

    class _Exclusive(InterProcessLock):  # type: ignore[misc]
        kind = fcntl.LOCK_EX

        def trylock(self) -> None:
            fcntl.flock(self.lockfile, self.kind | fcntl.LOCK_NB)

        def unlock(self) -> None:
            fcntl.flock(self.lockfile, fcntl.LOCK_UN)

    class _Shared(_Exclusive):
        kind = fcntl.LOCK_SH

    def _guard(directory: str) -> _Shared | None:
        """Keep cleaners that respect locks out of *directory*, if that can be had."""
        guard = _Shared("")
        with contextlib.suppress(OSError, threading.ThreadError):
            guard.lockfile = _open_directory(directory)
            if guard.acquire(delay=0.002, max_delay=0.05, timeout=_CLEANING):
                return guard
        _close(guard)
        return None

    def _open_directory(path: str) -> _Descriptor:
        flags = os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW
        return _Descriptor(os.open(path, flags))

    def _lock_directory(path: str) -> Lock | None:
        try:
            return _locked(path, _open_directory(path), 0.0)
        except LocksUnavailableError:  # NFS locks what is open for writing only
            return acquire(os.path.join(path, LOCK_FILE), 0.0)

else:
    _FAR = 1 << 30  # bytes: what is locked cannot be read, and the note is to be

    class _Exclusive(InterProcessLock):  # type: ignore[misc,no-redef]
        def trylock(self) -> None:
            os.lseek(self.lockfile.fileno(), _FAR, os.SEEK_SET)
            super().trylock()

        def unlock(self) -> None:
            os.lseek(self.lockfile.fileno(), _FAR, os.SEEK_SET)
            super().unlock()

    def _guard(directory: str) -> None:  # type: ignore[misc]
        """Do nothing: what is open cannot be removed on this system."""

    def _lock_directory(path: str) -> Lock | None:
        return acquire(os.path.join(path, LOCK_FILE), 0.0)


class Lock:
    """A lock that this process has taken.

    It lasts until `release`, or until the process and the children that it has forked
    since have ended or have all closed it.
    """

    def __init__(self, path: str, lock: InterProcessLock) -> None:
        self._path = path
        self._lock = lock
        self._guarded = _guard(os.path.dirname(path))

    def is_current(self) -> bool:
        """Whether what is locked is still what is found at the path."""
        try:
            there, here = os.stat(self._path), os.fstat(self._lock.lockfile.fileno())
        except OSError:
            return False
        return os.path.samestat(there, here)

    def release(self, *, unlink: bool = False) -> None:
        """Let the next one in, also where a forked child still has the file open.

        Args:
            unlink: remove the file. Whoever waits for it notices: see `acquire`.
        """
        if unlink and os.name == "posix" and self.is_current():
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._lock.release()
        if unlink and os.name != "posix":
            with contextlib.suppress(OSError):  # another one has it open
                os.unlink(self._path)
        self._unguard()

    def close(self) -> None:
        """Let the next one in when no forked child has the file open any more."""
        _close(self._lock)
        self._unguard()

    def write_note(self, text: str) -> None:
        """Write *text* into the locked file, for those who wait: see `read_note`."""
        number = self._lock.lockfile.fileno()
        with contextlib.suppress(OSError):
            os.lseek(number, 0, os.SEEK_SET)
            # In its old block: taking a new one is slow, and a full disk has none.
            size = os.write(number, text.encode("utf-8", "surrogateescape")[:_NOTE])
            os.ftruncate(number, size)

    def _unguard(self) -> None:
        if self._guarded is not None:
            _close(self._guarded)


def acquire(path: str, timeout: float) -> Lock | None:
    """Lock the file *path*, which is created when it is missing.

    One that was unlinked is noticed after locking, and the new one is locked:
    otherwise two could hold "the" lock, one on each inode (filelock#574).

    Args:
        path: the lock file, spelled alike by everyone (a real path). Its directory
            must be one that only this user can write to.
        timeout: how long to wait, in seconds; 0 to try once.

    Returns:
        The lock, or None if others hold it all that time.

    Raises:
        LocksUnavailableError: the file system cannot lock.
        OSError: the lock file cannot be opened.
    """
    deadline = time.monotonic() + timeout
    for _ in range(_MOST_ATTEMPTS):
        flags = os.O_RDWR | os.O_CREAT | _NO_FOLLOW
        opened = _Descriptor(os.open(path, flags, 0o600))
        lock = _locked(path, opened, max(deadline - time.monotonic(), 0.0))
        if lock is None or lock.is_current():
            return lock
        lock.release()
    return None


def acquire_directory(path: str) -> Lock | None:
    """Lock the directory *path*, without waiting.

    Returns:
        The lock, or None if others hold it, or if there is no such directory.

    Raises:
        LocksUnavailableError: the file system cannot lock.
        OSError: the directory cannot be opened, or is a link.
    """
    try:
        lock = _lock_directory(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if lock is not None and not lock.is_current():
        lock.release()
        return None
    return lock


def acquire_open(path: str, number: int, timeout: float) -> Lock | None:
    """Lock the file of the descriptor *number*, which stays open; as `acquire`."""
    return _locked(path, _Descriptor(os.dup(number)), timeout)


def read_note(path: str) -> str:
    """Return what the last one that held the lock *path* has written into it."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(_NOTE)
    except OSError:
        return ""


def _locked(path: str, opened: _Descriptor, timeout: float) -> Lock | None:
    lock = _Exclusive("")  # of a path, fasteners makes the directory each time
    lock.lockfile = opened
    acquired = False
    try:
        acquired = lock.acquire(
            blocking=timeout > 0, delay=0.002, max_delay=0.05, timeout=timeout
        )
    except threading.ThreadError as exc:
        raise LocksUnavailableError(exc) from exc
    finally:
        if not acquired:
            opened.close()
    if not acquired:
        return None
    with contextlib.suppress(OSError, TypeError, NotImplementedError):
        os.utime(opened.fileno())  # cleaners go by age
    return Lock(path, lock)


def _close(lock: InterProcessLock) -> None:
    if lock.lockfile is not None:
        lock.lockfile.close()
