"""Hold a lock for a while, as another build does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from setuptools_isolated_build._locks import lock as _lock

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def hold(path: str, timeout: float, note: str = "") -> Iterator[bool]:
    """Hold the lock *path* for the block, which is told whether it has it."""
    lock = _lock.acquire(path, timeout)
    if lock is not None:
        lock.write_note(note)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()
