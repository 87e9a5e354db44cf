"""Lock files as they are found: who holds them, and what killed builds have left."""

from __future__ import annotations

import os
from typing import NamedTuple

from setuptools_isolated_build._compilation import flights
from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import places, records, turns
from setuptools_isolated_build._locks.processes import Holder
from setuptools_isolated_build._status.trees import is_private

__all__ = ["Lock", "find", "place", "remove"]

BUILD = "build"  # goes on, or has been killed
GATE = "gate"  # held by a build that begins, or that has to be alone
TURN = "turn"
OBJECT = "object"  # is compiled, through a compiler cache
PUBLISH = "publish"  # something is moved into a directory


class Lock(NamedTuple):
    """A lock file.

    Attributes:
        path: where it is.
        kind: what it is about: one of the constants above.
        is_held: whether somebody has it; if not, a killed build has left it.
        holder: who has it, or had it last, if that is written down.
        key: stands for the source tree that it is about, if it is about one.
    """

    path: str
    kind: str
    is_held: bool
    holder: Holder
    key: str = ""


def place() -> str | None:
    """Return the directory of the locks, or None if there is none yet."""
    return next(filter(is_private, places.lock_paths()), None)


def find(place: str) -> list[Lock]:
    """Return the locks in *place* that are held, and those that killed builds left."""
    found = []
    for name in sorted(os.listdir(place)):
        kind = _kind(name)
        if kind is not None:
            path = os.path.join(place, name)
            holder = Holder(_lock.read_note(path))
            is_held = _is_held(path, kind)
            if is_held or (is_held is False and kind != PUBLISH):  # those stay
                found.append(Lock(path, kind, is_held, holder, _key(name, kind)))
    return found


def remove(place: str) -> list[Lock]:
    """Remove the locks that killed builds have left, and return them."""
    left = [lock for lock in find(place) if not lock.is_held]
    records.live(place, "")
    places.sweep(place, turns.PREFIX)
    flights.sweep(place)
    return [lock for lock in left if not os.path.exists(lock.path)]


def _kind(name: str) -> str | None:
    if name.startswith(records.PREFIX):
        if name.endswith(records.GATE):
            return GATE
        return BUILD if name.endswith(records.RECORD) else None
    starts = {turns.PREFIX: TURN, flights.PREFIX: OBJECT, "publish-": PUBLISH}
    return next(
        (kind for start, kind in starts.items() if name.startswith(start)), None
    )


def _key(name: str, kind: str) -> str:
    return name.split("-")[1].partition(".")[0] if kind in {BUILD, GATE, TURN} else ""


def _is_held(path: str, kind: str) -> bool | None:
    """Whether somebody has the lock; None if it is gone, or cannot be told."""
    # Without a lock, if that can be: a build that begins at that moment would take a
    # killed one's record for that of a build beside it.
    if kind == BUILD and records.is_abandoned(*records.read(path)):
        return False
    try:
        number = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            lock = _lock.acquire_open(path, number, timeout=0)
        finally:
            os.close(number)
    except (OSError, _lock.LocksUnavailableError):
        return None
    if lock is None:
        return True
    lock.release()
    return False
