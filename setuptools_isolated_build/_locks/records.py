"""The records of builds: files in the place of all locks, locked while a build goes on.

A record begins with a note, as other locks have one. Each line after it is of a build,
the first one of the record's own, or says that a build was killed. A record without its
lock is that of a killed build, since whoever ends well takes it away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import places, processes

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "GATE",
    "PREFIX",
    "RECORD",
    "Line",
    "append",
    "clock",
    "contents",
    "is_abandoned",
    "live",
    "make",
    "prefix",
    "read",
]

GATE = "gate.lock"
PREFIX, RECORD = "source-", ".build"
_KILLED = "killed"
_NOTE = 4  # lines
_MOST_ATTEMPTS = 100


class Line:
    """What a record says of one build.

    Attributes:
        text: as it is written.
        is_of_killed: whether it only says that one was killed.
        began: when the build began, in nanoseconds; 0 if the line is not whole.
        clock: the difference of two clocks at that time.
        processes: from where ids of processes are known, see `_process_ids`.
        path: the build's own record.
        private: where it puts its results and its work.
    """

    def __init__(self, text: str) -> None:
        began, clock, self.processes, self.path, *private = [
            *text.split("\t"),
            *("", "", "", ""),
        ][: max(text.count("\t") + 1, 4)]
        self.text = text
        self.is_of_killed = text == _KILLED
        self.began = int(began) if began.isdigit() else 0
        self.clock = int(clock) if clock.isdigit() else 0
        self.private = private

    @classmethod
    def of(cls, began: int, path: str, private: set[str]) -> Line:
        """Return what a build says of itself."""
        plain = [name for name in private if not {"\t", "\n"} & set(name)]
        fields = (str(began), str(clock()), _process_ids(), path, *sorted(plain))
        return cls("\t".join(fields))


def prefix(source_dir: str) -> str:
    """Return how the names of the lock files about *source_dir* begin."""
    return f"{PREFIX}{places.key(source_dir)}-"


def live(
    place: str, start: str, but: str = ""
) -> dict[str, tuple[processes.Holder, list[Line]]]:
    """Return the records of the builds that go on, and remove those of killed ones.

    Args:
        place: the directory for the lock files.
        start: how the names of the records begin.
        but: the path of one that is left out, the caller's own.

    Returns:
        What `read` has found at each path.
    """
    places.sweep(place, PREFIX, GATE)
    found: dict[str, tuple[processes.Holder, list[Line]]] = {}
    free: dict[str, _lock.Lock | None] = {}
    for name in sorted(os.listdir(place)):
        if not (name.startswith(PREFIX) and name.endswith(RECORD)):
            continue
        path = os.path.join(place, name)
        if path == but:
            continue
        lock = _lock.acquire(path, timeout=0)
        if lock is None and not is_abandoned(*(record := read(path))):
            found[path] = record
        else:
            free[path] = lock
    for path, lock in free.items():
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            if os.path.getsize(path) > 0:
                # First, or who looks for it in between takes it for one that ended.
                same = path[: path.rindex("-") + 1]
                _tell_killed(
                    other
                    for other, (_, said) in found.items()
                    if said and other.startswith(same)
                )
            os.unlink(path)
        if lock is not None:
            lock.release()
    start = os.path.join(place, start)
    return {path: found[path] for path in found if path.startswith(start)}


def _tell_killed(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            append(path, _KILLED + "\n")


def make(place: str, start: str) -> tuple[_lock.Lock, str]:
    """Make a record, and return its lock and its path; errors as `lock.acquire`."""
    for _ in range(_MOST_ATTEMPTS):
        path = os.path.join(place, start + os.urandom(6).hex() + RECORD)
        lock = places.acquire(path, timeout=0)
        if lock is not None:  # nobody has taken it for a killed build's in that moment
            return lock, path
    raise FileExistsError(errno.EEXIST, "something removes each new record", place)


def is_abandoned(holder: processes.Holder, said: list[Line]) -> bool:
    """Whether a killed build's child has the lock, which it has inherited by a fork.

    It may live for days, and nobody is to wait for it.

    Args:
        holder: whose record it is.
        said: what the record says.
    """
    if not said or said[0].processes != _process_ids():
        return False  # it is in another container
    return not processes.is_alive(holder.process)


def _process_ids() -> str:
    """Return what tells from where ids of processes are known."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def append(path: str, text: str) -> None:
    """Write *text* at the end of a record, at once."""
    data = text.encode("utf-8", "surrogateescape")
    number = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        if os.write(number, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(number)


def read(path: str) -> tuple[processes.Holder, list[Line]]:
    """Return whose a record is and what it says; nobody and nothing if it is gone.

    Nothing also if its own build has not written yet, or has stopped. The one will list
    the others' records after that, and tell them; the other writes no more.
    """
    text = ""
    with contextlib.suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            text = contents(number)
        finally:
            os.close(number)
    lines = text.split("\n")[_NOTE:]
    is_whole = len(lines) > 1  # the first one
    return processes.Holder(text), [Line(line) for line in lines if line and is_whole]


def contents(number: int) -> str:
    """Return what is in the open record *number*."""
    found = os.read(number, os.fstat(number).st_size)
    return found.decode("utf-8", "surrogateescape")


def clock() -> int:
    """Return the difference of two clocks, which changes when the one is set."""
    steady = getattr(time, "CLOCK_BOOTTIME", None)
    since = time.monotonic_ns() if steady is None else time.clock_gettime_ns(steady)
    return time.time_ns() - since
