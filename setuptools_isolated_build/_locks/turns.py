"""Turns: builds of one source tree that go one after the other.

Commands that leave their product in the tree (``setup.py build``) take them, setup.py
under our backend does, and with ``take-turns = true`` whole builds do. There is one
lock for each tree, keyed by its real path: builds of different trees may run inside
each other. A build that a build of the same tree has started is in that one's turn.
"""

from __future__ import annotations

import os
import time
from typing import Callable

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import places, processes
from setuptools_isolated_build.errors import TurnError

__all__ = ["PREFIX", "Turn", "begin", "lock_path", "wait"]

_LOOK = 5.0  # seconds until it is seen that another one has the turn now
PREFIX, _SUFFIX = "turn-", ".lock"
_MOMENT = 1.0  # seconds: whoever has got a lock has written its note by then


class Turn:
    """The turn of this process in one source tree, with all that are inside it.

    Attributes:
        inside: the builds of this process that are in the turn; the last one ends it.
        goes_on: whether it has not ended.
    """

    is_presence = False

    def __init__(self, lock: _lock.Lock | None, token: str) -> None:
        self.inside: set[object] = set()
        self.goes_on = True
        self._lock = lock
        self._token = token
        self._since = processes.now()
        self._process = os.getpid()

    def say(self, what: str) -> None:
        """Say *what* is built in the turn, to those who wait for it."""
        if self._lock is not None and self._process == os.getpid():
            note = processes.note(what, self._token, self._since)
            self._lock.write_note(note)

    def end(self) -> None:
        """Let the next build in; nothing in a child that was forked during the turn."""
        self.goes_on = False
        lock, self._lock = self._lock, None
        if lock is None or self._process != os.getpid():
            return
        processes.disinherit(self._token)
        lock.write_note("")
        lock.release(unlink=True)


def lock_path(source_dir: str, place: str) -> str:
    """Return the path of the lock file for the turns in *source_dir*."""
    return os.path.join(place, f"{PREFIX}{places.key(source_dir)}{_SUFFIX}")


def begin(
    source_dir: str,
    place: str,
    what: str,
    timeout: float,
    tell: Callable[[str], None],
) -> Turn:
    """Wait for the turn, and begin it.

    Args:
        source_dir: the source tree.
        place: the directory for the lock file.
        what: what this build does, for those who wait.
        timeout: how long one other build may keep the turn, in seconds.
        tell: says in the build's output that there is somebody to wait for.

    Raises:
        TurnError: another build has kept the turn for longer than *timeout*.
        LocksUnavailableError: the file system of *place* has no locks.
        OSError: the lock file cannot be opened.
    """
    path = lock_path(source_dir, place)
    lock = places.acquire(path, timeout=0)
    if lock is None:
        holder = _holder(path)
        if processes.is_ours(holder):
            return Turn(None, "")
        if holder.token in processes.inherited():
            # Of a killed build: somebody else has it now, or our own copy of it does,
            # since this process was forked in that turn.
            lock = places.acquire(path, timeout=_MOMENT)
            if lock is None and _holder(path).token == holder.token:
                return Turn(None, "")
    if lock is None:
        tell(f"waiting for another build of {source_dir}: {_holder(path)}")
        lock = wait(path, source_dir, timeout)
    token = os.urandom(8).hex()
    turn = Turn(lock, token)
    turn.say(what)
    processes.inherit(token)
    places.sweep(place, PREFIX)
    return turn


def wait(path: str, source_dir: str, timeout: float) -> _lock.Lock:
    """Wait for the lock *path* for as long as the queue before it goes on.

    Args:
        path: the lock file.
        source_dir: the source tree, for the error.
        timeout: how long one other build may keep it, in seconds.

    Raises:
        TurnError: another build has kept it for longer than *timeout*.
    """
    note = _lock.read_note(path)
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        lock = places.acquire(path, timeout=min(left, _LOOK))
        if lock is not None:
            return lock
        now = _lock.read_note(path)
        if now != note:  # the queue goes on
            note, deadline = now, time.monotonic() + timeout
    cause = f"another build of it has kept its turn for {timeout:g} s"
    remedy = "end that one, or raise lock-timeout"
    raise TurnError(source_dir, f"{cause}: {processes.Holder(note)}", remedy)


def _holder(path: str) -> processes.Holder:
    return processes.Holder(_lock.read_note(path))
