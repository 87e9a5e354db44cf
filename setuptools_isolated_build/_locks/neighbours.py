"""Which builds of a source tree run beside each other, and since when.

Each has a record, for as long as it may write into the source tree. Whoever begins
writes into the records of those that are there, and finds in its own, when it is done,
all that were there with it: also who has ended since.

Beginning takes a gate, for a moment. A build that has to be alone keeps the gate, and
waits for those that are inside; what they start begins without the gate.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Callable

from setuptools_isolated_build._locks import beside, places, processes, records
from setuptools_isolated_build._locks import lock as _lock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Presence", "alone", "enter"]

# Nanoseconds, more than file systems round. Under faketime a build is told another time
# than its files have, and would take what is written now for older than all builds.
_APART = 3_000_000_000


class Presence:
    """That a build of this process is at work in a source tree.

    Attributes:
        inside: the builds of this process that are; the last one ends it.
        goes_on: whether it has not ended.
        began: when it began, setup.py included, in nanoseconds; 0 if that is not known.
        place: the directory of the locks.
        compiled: the digests of what its compilers have read, see `_validation.reads`.
        sources: the states of the sources that they were given, before they read them.
    """

    is_presence = True

    def __init__(
        self, place: str, path: str, lock: _lock.Lock | None, began: int
    ) -> None:
        self.inside: set[object] = set()
        self.goes_on = True
        self.began = began
        self.place = place
        self.compiled: dict[str, bytes | None] = {}
        self.sources: dict[str, tuple[int, ...] | None] = {}
        self.token = os.urandom(8).hex()
        self._path = path
        self._lock = lock
        self._process = os.getpid()

    def say(self, what: str) -> None:
        """Do nothing: the record says from the beginning what it is about."""

    def others(self) -> beside.Others:
        """Return the builds that have run beside this one until now."""
        return beside.Others(records.read(self._path)[1])

    def is_waited_for(self) -> bool:
        """Whether somebody keeps the gate, to be alone.

        Builds of other trees take it, too, for a moment: they look whether it was left
        by a killed one. And whoever has come in is one of `others` by then.
        """
        path = self._path[: self._path.rindex("-") + 1] + records.GATE
        gate = places.acquire(path, timeout=beside.SHORTLY)
        if gate is not None:
            gate.release(unlink=True)
        return gate is None

    def stop(self) -> beside.Others:
        """Let go those who wait for this build, which writes nothing any more.

        Returns:
            the builds that have run beside it.
        """
        self.goes_on = False
        lock, self._lock = self._lock, None
        if lock is None or self._process != os.getpid():
            return beside.Others([])
        processes.disinherit(self.token)
        is_lost = not lock.is_current()
        opened = beside.opened(self.others().records)
        # Whoever is killed from here on is found by its open record; before, it was
        # said in this one by whoever has taken that away.
        _, said = records.read(self._path)
        lock.write_note("")
        lock.release(unlink=True)
        return beside.Others(said, opened, is_lost=is_lost)

    def end(self) -> None:
        """End it; nothing in a child that was forked since."""
        self.stop().close()


def enter(  # noqa: PLR0913  # each is asked for by another
    source_dir: str,
    place: str,
    private: set[str],
    timeout: float,
    tell: Callable[[str], None],
    *,
    what: str,
    began: int,
) -> Presence:
    """Begin to build in *source_dir*, as soon as nobody has to be alone there.

    Args:
        source_dir: the source tree.
        place: the directory for the lock files.
        private: where this build puts its results and its work, if it is in the tree.
        timeout: how long one other build may be alone there, in seconds.
        tell: says in the build's output that there is somebody to wait for.
        what: what this build does, for those who wait for it.
        began: when this build began, in nanoseconds.

    Raises:
        TurnError: another build has been alone for longer than *timeout*.
        LocksUnavailableError: the file system of *place* has no locks.
        OSError: the lock files cannot be made.
    """
    prefix = records.prefix(source_dir)
    with contextlib.ExitStack() as held:
        gate = _gate(source_dir, place, prefix, timeout, tell)
        if gate is not None:
            held.callback(gate.release, unlink=True)
        lock, path = records.make(place, prefix)
        if abs(os.stat(path).st_ctime_ns - time.time_ns()) > _APART:
            began = 0
        presence = Presence(place, path, lock, began)
        line = records.Line.of(began, path, private).text + "\n"
        records.append(path, processes.note(what, presence.token) + line)
        # Only now: of two that begin at the same moment, one at least finds the other.
        others = {
            other: said[0].text
            for other, (holder, said) in records.live(place, prefix, but=path).items()
            if said and not processes.is_ours(holder)
        }
        news = dict.fromkeys(others, line)
        if others:
            news[path] = "".join(f"{text}\n" for text in others.values())
        for record, text in news.items():
            with contextlib.suppress(FileNotFoundError):  # it has just ended
                records.append(record, text)
        processes.inherit(presence.token)
    return presence


@contextlib.contextmanager
def alone(
    source_dir: str, place: str, timeout: float, tell: Callable[[str], None]
) -> Iterator[None]:
    """Let no other build be at work in *source_dir* during the block.

    Raises:
        TurnError: another build has gone on for longer than *timeout*.
        LocksUnavailableError, OSError: as `enter`.
    """
    prefix = records.prefix(source_dir)
    gate = _gate(source_dir, place, prefix, timeout, tell)
    if gate is None:  # this process is in a build that is alone
        yield
        return
    token = os.urandom(8).hex()
    try:
        gate.write_note(processes.note("a build that has to be alone", token))
        processes.inherit(token)
        beside.wait(
            source_dir, beside.opened(records.live(place, prefix)), timeout, tell
        )
        yield
    finally:
        processes.disinherit(token)
        gate.release(unlink=True)


def _gate(
    source_dir: str,
    place: str,
    prefix: str,
    timeout: float,
    tell: Callable[[str], None],
) -> _lock.Lock | None:
    """Return the lock of the gate, or None for a part of a build that is inside."""
    path = os.path.join(place, prefix + records.GATE)
    lock = places.acquire(path, timeout=0)
    if lock is None:
        holder = processes.Holder(_lock.read_note(path))
        # Whoever is alone waits for the builds inside, and so for their children.
        if processes.is_ours(holder) or any(
            processes.is_ours(inside)
            for inside, _ in records.live(place, prefix).values()
        ):
            return None
        lock = places.acquire(path, timeout=beside.SHORTLY)
    if lock is None:
        holder = processes.Holder(_lock.read_note(path))
        tell(f"waiting for another build of {source_dir}: {holder}")
        from setuptools_isolated_build._locks import turns  # most wait for nobody

        lock = turns.wait(path, source_dir, timeout)
    return lock
