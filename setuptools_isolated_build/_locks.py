"""Locks between processes: the only place that knows fasteners.

fasteners' `InterProcessLock` is ``lockf``, which belongs to the *process*: a second
lock on the same file in the same process succeeds, and closing any descriptor of that
file drops it. So this module also keeps one table of the files that this process
holds, and never opens a file that is in it.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from fasteners import InterProcessLock  # noqa: TID251  # this is its room

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Lock", "LocksUnavailableError", "acquire", "hold"]

_held: set[str] = set()
_held_changed = threading.Condition()


class LocksUnavailableError(Exception):
    """The file system that should hold the lock file has no locks (ENOLCK, ENOSYS)."""


class Lock:
    """A lock that this process holds, until `release` or the end of the process.

    The lock file stays when the lock is released: whoever unlinks a lock file lets two
    others hold "the" lock, one on each inode (filelock#574).
    """

    def __init__(self, path: str, lock: InterProcessLock) -> None:
        self._path = path
        self._lock = lock

    def release(self) -> None:
        """Let the next one in."""
        self._lock.release()
        _forget(self._path)


def acquire(path: str, timeout: float) -> Lock | None:
    """Lock the file *path*, which is created when it is missing.

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
    with _held_changed:
        if not _held_changed.wait_for(lambda: path not in _held, timeout):
            return None
        _held.add(path)
    lock = InterProcessLock(path)
    try:
        # Opened here, since fasteners would follow a link and use the umask's mode.
        lock.lockfile = _open(path)
        acquired = lock.acquire(
            blocking=timeout > 0,
            delay=0.002,
            max_delay=0.05,
            timeout=max(deadline - time.monotonic(), 0.0),
        )
    except threading.ThreadError as exc:
        _close(lock)
        _forget(path)
        raise LocksUnavailableError(exc) from exc
    except BaseException:
        _close(lock)
        _forget(path)
        raise
    if not acquired:
        _close(lock)
        _forget(path)
        return None
    return Lock(path, lock)


@contextmanager
def hold(path: str, timeout: float) -> Iterator[bool]:
    """Hold the lock *path* for the block; the block is told whether it has it.

    Raises what `acquire` raises.
    """
    lock = acquire(path, timeout)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def _open(path: str) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o600), "r+b")


def _close(lock: InterProcessLock) -> None:
    if lock.lockfile is not None:
        lock.lockfile.close()


def _forget(path: str) -> None:
    with _held_changed:
        _held.discard(path)
        _held_changed.notify_all()


def _forget_all() -> None:
    # A forked child holds none of its parent's locks; an entry left here would make it
    # wait for a release that only the parent can see.
    global _held_changed
    _held.clear()
    _held_changed = threading.Condition()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
