"""One flight per object: what one build compiles, the others find in the cache.

Builds that begin together miss together, and each would compile all of it. So whoever
compiles an object holds its lock; the others go on with what is next (`plan`), come
back when its file is gone, and hit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Callable

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import places

__all__ = ["LONGEST", "PREFIX", "InFlightError", "alone", "sweep"]

PREFIX = "object-"
LONGEST = 600.0  # seconds: a build that was stopped, not killed, keeps its lock


class InFlightError(Exception):
    """Another build compiles this object now.

    Attributes:
        path: its lock file, which it removes when it is done.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def alone(
    root: str | None,
    key: str,
    compile_it: Callable[[], None],
    seconds: float | None = LONGEST,
) -> None:
    """Call *compile_it* while no other build of this user does so with the same *key*.

    Args:
        root: where the lock files are, or None if there is no place for them.
        key: what the object depends on, as far as it can be told without compiling.
        compile_it: runs the compiler, through a cache.
        seconds: how long to wait for the other build; then both compile it. None: not
            to look for one.

    Raises:
        InFlightError: another build does, and *seconds* is 0.
    """
    lock = None
    if root is not None and seconds is not None:
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:16]
        path = os.path.join(root, f"{PREFIX}{digest}.lock")
        try:
            lock = places.acquire(path, seconds)
        except (_lock.LocksUnavailableError, OSError):
            pass  # then several compile it
        else:
            if lock is None and not seconds:
                raise InFlightError(path)
    try:
        compile_it()
    finally:
        if lock is not None:
            lock.release(unlink=True)


def sweep(root: str) -> None:
    """Remove the lock files that killed builds have left in *root*."""
    with contextlib.suppress(OSError):
        places.sweep(root, PREFIX)
