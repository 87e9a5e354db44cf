"""One flight per object: what one build compiles, the others find in the cache.

Builds that begin together miss together, and each would compile all of it. So whoever
compiles an object holds its lock; the others go on with what is next, come back, and
hit. Compilations are put off only within a `batch`, at whose end all of them are done.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from typing import TYPE_CHECKING, Callable, NamedTuple

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import places

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PREFIX", "alone", "batch", "compilation", "link", "sweep"]

PREFIX = "object-"
_LONGEST = 600.0  # seconds: a build that was stopped, not killed, keeps its lock
_thread = threading.local()


class _InFlightError(Exception):
    """Another build compiles this object now."""


class _Step(NamedTuple):
    run: Callable[[], object]
    is_link: bool


class _Batch:
    """What one thread has put off."""

    def __init__(self) -> None:
        self.attempting = False
        self.objects: set[str] = set()
        self._steps: list[_Step] = []

    def add(self, step: _Step) -> None:
        if (step.is_link and self._steps) or not self._attempt(step):
            self._steps.append(step)

    def finish(self) -> None:
        while self._steps:
            left: list[_Step] = []
            for step in self._steps:
                # What is linked may be what an earlier link has made.
                if (step.is_link and left) or not self._attempt(step):
                    left.append(step)
            if len(left) == len(self._steps):
                left.pop(0).run()  # others compile all that is left: wait for one
            self._steps = left
        self.objects.clear()

    def _attempt(self, step: _Step) -> bool:
        self.attempting = True
        try:
            step.run()
        except _InFlightError:
            return False
        else:
            return True
        finally:
            self.attempting = False


@contextlib.contextmanager
def batch() -> Iterator[None]:
    """Let compilations in the block be put off; at its end all are done, and linked.

    A block inside another one is part of it.
    """
    if _batch() is not None:
        yield
        return
    _thread.batch = _Batch()
    try:
        yield
        _thread.batch.finish()
    finally:
        _thread.batch = None


def compilation(obj: str, run: Callable[[], object]) -> None:
    """Call *run*, which compiles the file *obj*; in a batch, perhaps later."""
    current = _batch()
    if current is None:
        run()
        return
    if obj in current.objects:
        # Two extensions of one source: what is put off would link the other's object.
        current.finish()
    current.objects.add(obj)
    current.add(_Step(run, is_link=False))


def link(run: Callable[[], object]) -> None:
    """Call *run*, which links; after what was put off before it."""
    current = _batch()
    if current is None:
        run()
    else:
        current.add(_Step(run, is_link=True))


def alone(root: str | None, key: str, compile_it: Callable[[], None]) -> None:
    """Call *compile_it* while no other build of this user does so with the same *key*.

    Args:
        root: where the lock files are, or None if there is no place for them.
        key: what the object depends on, as far as it can be told without compiling.
        compile_it: runs the compiler, through a cache.
    """
    current = _batch()
    attempting = current is not None and current.attempting
    lock = None
    if root is not None:
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:16]
        path = os.path.join(root, f"{PREFIX}{digest}.lock")
        try:
            lock = places.acquire(path, 0 if attempting else _LONGEST)
        except (_lock.LocksUnavailableError, OSError):
            attempting = False  # then several compile it
        if lock is None and attempting:
            raise _InFlightError
    try:
        compile_it()
    finally:
        if lock is not None:
            lock.release(unlink=True)


def sweep(root: str) -> None:
    """Remove the lock files that killed builds have left in *root*."""
    with contextlib.suppress(OSError):
        places.sweep(root, PREFIX)


def _batch() -> _Batch | None:
    current: _Batch | None = getattr(_thread, "batch", None)
    return current
