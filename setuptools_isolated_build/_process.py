"""What this process holds: its build trees, and its turns in source trees.

Not every build ends as it should: a caller of the hooks keeps a distribution, a worker
leaves by `os._exit`, a child is forked in the middle. So what is held is written down
here, and not in the objects of a build, which are copied and pickled.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable

from setuptools_isolated_build._locks import processes

if TYPE_CHECKING:
    from setuptools_isolated_build._locks.neighbours import Presence
    from setuptools_isolated_build._locks.turns import Turn
    from setuptools_isolated_build._trees.lease import Lease
    from setuptools_isolated_build._trees.tree import BuildTree

__all__ = [
    "ALONE",
    "SETUP_PHASE",
    "add",
    "began",
    "end",
    "end_turns",
    "enter_turn",
    "has_turn",
    "is_forked",
    "lease_of",
    "leave_turn",
    "presence_of",
    "say_in_turn",
]


ALONE = "_SETUPTOOLS_ISOLATED_BUILD_ALONE"  # set for a build that is repeated


class _SetupPhase:
    """What takes part in a turn while setup.py has not come to its commands."""


SETUP_PHASE = _SetupPhase()


class _Process:
    def __init__(self) -> None:
        self.leases: dict[str, Lease] = {}
        self.turns: dict[str, Turn | Presence] = {}
        self.last_end = 0
        self.places: weakref.WeakKeyDictionary[object, list[_Place]] = (
            weakref.WeakKeyDictionary()
        )


_process = _Process()


def is_forked() -> bool:
    """Whether this is a child that was forked since the plugin was loaded."""
    return bool(_inherited)


def add(lease: Lease, owner: object) -> None:
    """Write down a lease, which ends with its *owner* or the process at the latest."""
    directory = lease.tree.directory
    _process.leases[directory] = lease
    weakref.finalize(owner, _end, directory, lease).atexit = False


def lease_of(tree: BuildTree) -> Lease | None:
    """Return this process's lease of *tree*; None in a forked or spawned child."""
    lease = _process.leases.get(tree.directory)
    return lease if lease is not None and lease.process == os.getpid() else None


def end(tree: BuildTree, *, failed: bool, keep: bool) -> None:
    """End the lease of *tree*, if this process has one."""
    lease = lease_of(tree)
    if lease is not None:
        del _process.leases[tree.directory]
        lease.end(failed=failed, keep=keep)


class _Place:
    """A place in the turn of this process in one source tree."""

    def __init__(self, path: str, turn: Turn | Presence) -> None:
        self._path = path
        self.turn = turn

    def leave(self) -> None:
        # A garbage collection may call this between any two lines of `enter_turn`.
        self.turn.inside.discard(self)
        if not self.turn.inside:
            if _process.turns.get(self._path) is self.turn:
                del _process.turns[self._path]
            self.turn.end()


def enter_turn(owner: object, path: str, begin: Callable[[], Turn | Presence]) -> None:
    """Let *owner* take part in this process's turn in a source tree, or begin one.

    It does so until `leave_turn`, or until it is gone.

    Args:
        owner: the distribution that is built, or what stands for it.
        path: the lock file of the turns in that source tree.
        begin: waits for the turn, and may raise.
    """
    while True:
        turn = _process.turns.get(path)
        if turn is not None and not turn.goes_on:
            _process.turns.pop(path, None)  # it has stopped, with others inside
            turn = None
        if turn is None:
            turn = begin()
        place = _Place(path, turn)
        turn.inside.add(place)
        # From here on nobody else ends it; before, the last one may have left it.
        if _process.turns.setdefault(path, turn) is turn and turn.goes_on:
            break
        place.leave()
    _process.places.setdefault(owner, []).append(place)
    weakref.finalize(owner, place.leave).atexit = False


def say_in_turn(owner: object, what: str) -> None:
    """Say *what* the owner does, to those who wait for its turns."""
    for place in _process.places.get(owner, ()):
        place.turn.say(what)


def presence_of(owner: object) -> Presence | None:
    """Return what others know *owner* by, if they do."""
    for place in _process.places.get(owner, ()):
        presence: Any = place.turn
        if presence.is_presence and presence.goes_on:
            return presence  # type: ignore[no-any-return]
    return None


def began() -> int:
    """Return when what is built now began at the earliest, in nanoseconds.

    That is when this process was started, or when it has ended another build.
    """
    return max(processes.began(), _process.last_end)


def has_turn(owner: object) -> bool:
    """Whether *owner* has a turn."""
    return any(not place.turn.is_presence for place in _process.places.get(owner, ()))


def end_turns(owner: object) -> None:
    """End the turns of *owner*, who goes on.

    Before it waits for others, which may wait for its turn.
    """
    places = _process.places.get(owner, [])
    for place in [place for place in places if not place.turn.is_presence]:
        places.remove(place)
        place.leave()


def leave_turn(owner: object) -> None:
    """End the turns of *owner*, but for those in which others are."""
    places = _process.places.pop(owner, ())
    for place in places:
        place.leave()
    if any(place.turn.is_presence and not place.turn.goes_on for place in places):
        _process.last_end = time.time_ns()


def _end(directory: str, lease: Lease) -> None:
    if _process.leases.get(directory) is lease and lease.process == os.getpid():
        del _process.leases[directory]
        lease.end(failed=True, keep=False)


def _end_all() -> None:
    for directory, lease in list(_process.leases.items()):
        _end(directory, lease)
    for turn in list(_process.turns.values()):
        turn.end()  # or it would look like that of a killed process


def _after_fork() -> None:
    # The child's builds are not its parent's. What the parent holds stays open here,
    # and so locked, for as long as the child may have a part in it.
    global _process
    _inherited.append(_process)
    _process = _Process()


_inherited: list[_Process] = []
atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
