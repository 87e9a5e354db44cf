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
    "PARTS",
    "PREFIX",
    "RECORD",
    "Line",
    "Opened",
    "Others",
    "append",
    "is_abandoned",
    "live",
    "make",
    "opened",
    "prefix",
    "read",
]

GATE = "gate.lock"
PARTS = f"parts-{GATE}"  # of those that begin inside another build
PREFIX, RECORD = "source-", ".build"
_KILLED = "killed"
_NOTE = 4  # lines
_MOST_ATTEMPTS = 100
_JUMP = 1_000_000_000  # nanoseconds: clocks that are set go further


class Others:
    """The builds that have run beside one.

    Attributes:
        began: when the first of them began, in nanoseconds, as far back as is possible;
            0 if that cannot be told. None without others.
        records: the paths of their records.
        opened: those that were there when this build stopped.
        private: directories in which they put their results and their work.
        was_killed: whether one of them was killed, and has left what it was writing.
    """

    def __init__(
        self,
        lines: list[Line],
        opened: list[Opened] | None = None,
        *,
        is_lost: bool = False,
    ) -> None:
        self.opened = opened or []
        them = [line for line in lines[1:] if not line.is_of_killed]
        self.records = [line.path for line in them]
        self.private = {path for line in them for path in line.private}
        self.was_killed = len(them) + 1 < len(lines)
        self.began = min((line.began for line in them), default=None)
        if is_lost or (them and _has_jumped(line.clock for line in lines[:1] + them)):
            self.began = 0

    def close(self) -> None:
        for record in self.opened:
            record.close()


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
        fields = (str(began), str(_clock()), _process_ids(), path, *sorted(plain))
        return cls("\t".join(fields))


class Opened:
    """The open record of another build, wherever it is now.

    Attributes:
        holder: whose it is.
    """

    def __init__(self, path: str, holder: processes.Holder) -> None:
        self._number = os.open(path, os.O_RDWR)
        self._path = path
        self.holder = holder

    def has_ended(self, timeout: float) -> bool:
        """Whether that build has ended, or was killed, within *timeout* seconds."""
        lock = _lock.acquire_open(self._path, self._number, timeout)
        if lock is None:
            return is_abandoned(self._path)
        lock.release(unlink=True)
        return True

    def was_killed(self) -> bool:
        """Whether it was killed: whoever ends well leaves nothing in its record."""
        return os.fstat(self._number).st_size > 0

    def close(self) -> None:
        """Close it, once."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)


def opened(paths: list[str]) -> list[Opened]:
    """Open the records that are there, but for those of builds that this one is in."""
    found = []
    for path in paths:
        holder, _ = read(path)
        with contextlib.suppress(FileNotFoundError):
            if not processes.is_ours(holder):
                found.append(Opened(path, holder))
    return found


def prefix(source_dir: str) -> str:
    """Return how the names of the lock files about *source_dir* begin."""
    return f"{PREFIX}{places.key(source_dir)}-"


def live(place: str, start: str) -> list[str]:
    """Return the records of the builds that go on, and remove those of killed ones."""
    places.sweep(place, PREFIX, GATE)
    found: list[str] = []
    free: dict[str, _lock.Lock | None] = {}
    for name in sorted(os.listdir(place)):
        if not (name.startswith(PREFIX) and name.endswith(RECORD)):
            continue
        path = os.path.join(place, name)
        lock = _lock.acquire(path, timeout=0)
        if lock is None and not is_abandoned(path):
            found.append(path)
        else:
            free[path] = lock
    for path, lock in free.items():
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            if os.path.getsize(path) > 0:
                # First, or who looks for it in between takes it for one that ended.
                same = path[: path.rindex("-") + 1]
                _tell_killed(other for other in found if other.startswith(same))
            os.unlink(path)
        if lock is not None:
            lock.release()
    return [path for path in found if os.path.basename(path).startswith(start)]


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


def is_abandoned(path: str) -> bool:
    """Whether a killed build's child has the lock, which it has inherited by a fork.

    It may live for days, and nobody is to wait for it.
    """
    holder, said = read(path)
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
    """Write *text* at the end of a record."""
    number = os.open(path, os.O_WRONLY | os.O_APPEND)
    with open(number, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def read(path: str) -> tuple[processes.Holder, list[Line]]:
    """Return whose a record is and what it says; nobody and nothing if it is gone."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError:
        text = ""
    said = [Line(line) for line in text.split("\n")[_NOTE:] if line]
    return processes.Holder(text), said


def _clock() -> int:
    """Return the difference of two clocks, which changes when the one is set."""
    steady = getattr(time, "CLOCK_BOOTTIME", None)
    since = time.monotonic_ns() if steady is None else time.clock_gettime_ns(steady)
    return time.time_ns() - since


def _has_jumped(clocks: Iterable[int]) -> bool:
    now = _clock()
    return any(abs(clock - now) > _JUMP for clock in clocks)
