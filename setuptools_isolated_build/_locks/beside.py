"""What a build knows of those beside it: since when, and whether they have ended."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Callable

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import processes, records
from setuptools_isolated_build.errors import TurnError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SHORTLY", "Opened", "Others", "opened", "wait"]

SHORTLY = 1.0  # seconds: who begins has gone through the gate by then
_LOOK = 0.5  # seconds
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
        lines: list[records.Line],
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


class Opened:
    """The open record of another build, wherever it is now.

    Attributes:
        holder: whose it is.
    """

    def __init__(self, path: str) -> None:
        self._number = os.open(path, os.O_RDWR)
        self._path = path
        self.holder = processes.Holder(records.contents(self._number))

    def has_ended(self, timeout: float) -> bool:
        """Whether that build has ended, or was killed, within *timeout* seconds."""
        lock = _lock.acquire_open(self._path, self._number, timeout)
        if lock is None:
            return records.is_abandoned(*records.read(self._path))
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


def opened(paths: Iterable[str]) -> list[Opened]:
    """Open the records that are there, but for those of builds that this one is in."""
    found = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            record = Opened(path)
            if processes.is_ours(record.holder):
                record.close()
            else:
                found.append(record)
    return found


def wait(
    source_dir: str,
    opened: list[Opened],
    timeout: float,
    tell: Callable[[str], None],
) -> bool:
    """Wait until the builds of these records have ended, or only look any more.

    Args:
        source_dir: the source tree.
        opened: the records, which are closed.
        timeout: how long one build may go on, in seconds.
        tell: says in the build's output that there is somebody to wait for.

    Returns:
        Whether one of them was killed.

    Raises:
        TurnError: one has gone on for longer than *timeout*.
    """
    was_killed = False
    try:
        for record in opened:
            deadline = time.monotonic() + timeout
            if not record.has_ended(min(timeout, SHORTLY)):
                tell(f"waiting for another build of {source_dir}: {record.holder}")
                while not record.has_ended(_LOOK):
                    if time.monotonic() > deadline:
                        cause = "another build of it has gone on for"
                        cause += f" {timeout:g} s: {record.holder}"
                        remedy = "end that one, or raise lock-timeout"
                        raise TurnError(source_dir, cause, remedy)
            was_killed |= record.was_killed()
    finally:
        for record in opened:
            record.close()
    return was_killed


def _has_jumped(clocks: Iterable[int]) -> bool:
    now = records.clock()
    return any(abs(clock - now) > _JUMP for clock in clocks)
