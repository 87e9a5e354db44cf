"""Commands of one source tree that take turns, since they share something in it.

Those that are asked for what they leave in the tree (``setup.py build``) share their
products; what setup.py and builds with ``take-turns = true`` share are sources. Each
kind has a lock for each tree, keyed by its real path: builds of different trees may run
inside each other.
"""

from __future__ import annotations

import os
import weakref
from typing import Callable

from . import _locks

__all__ = ["PRODUCTS", "SOURCES", "begin", "ender"]

PRODUCTS = "products"
SOURCES = "sources"

# For the builds of the same tree that a build starts: its turn is theirs.
_INHERITED = "_SETUPTOOLS_ISOLATED_BUILD_TURNS"
_LONG = 1_000_000_000.0  # seconds: a queue ends when its builds end

_turns: dict[str, tuple[_locks.Lock, int]] = {}  # and how many owners are in it
_owners: weakref.WeakKeyDictionary[object, dict[str, weakref.finalize]] = (  # type: ignore[type-arg]
    weakref.WeakKeyDictionary()
)


def begin(
    owner: object, what: str, source_dir: str, root: str, tell: Callable[[str], None]
) -> None:
    """Wait for the turn of *owner*, which lasts until `ender` or the end of *owner*.

    Whoever wants a turn with both kinds takes the one with the sources first.

    Args:
        owner: the distribution whose commands run in the turn, or what stands for it.
        what: `PRODUCTS` or `SOURCES`, whichever is shared.
        source_dir: the source tree.
        root: the directory for the lock file, which only this user can write to.
        tell: says in the build's output that there is somebody to wait for.

    Raises:
        LocksUnavailableError: the file system of *root* has no locks.
        OSError: the lock file cannot be opened.
    """
    import hashlib  # most builds take no turns

    tree = os.path.realpath(source_dir)
    key = hashlib.sha256(os.fsencode(tree)).hexdigest()[:16]
    path = os.path.join(root, f"turn-{key}-{what}.lock")
    own = _owners.setdefault(owner, {})
    if path in own or (path in _inherited() and path not in _turns):
        return
    if path in _turns:
        lock, others = _turns[path]
    else:
        others = 0
        lock = _acquire(path, lambda: tell(f"waiting for another build of {tree}"))
        _inherit({*_inherited(), path})
    _turns[path] = lock, others + 1
    own[path] = weakref.finalize(owner, _leave, path, os.getpid())


def ender(owner: object) -> Callable[[], None]:
    """Return a function that ends the turns of *owner*, if it has any."""
    leaves = _owners.pop(owner, {}).values()

    def end() -> None:
        for leave in leaves:
            leave()

    return end


def _acquire(path: str, tell: Callable[[], None]) -> _locks.Lock:
    lock = _locks.acquire(path, timeout=0)
    if lock is None:
        tell()
        lock = _locks.acquire(path, timeout=_LONG)
    assert lock is not None
    return lock


def _leave(path: str, owner: int) -> None:
    if owner != os.getpid():
        return  # a forked child's copy of the owner
    lock, count = _turns.pop(path)
    if count > 1:
        _turns[path] = lock, count - 1
        return
    _inherit(_inherited() - {path})
    lock.release()


def _inherited() -> set[str]:
    return set(filter(None, os.environ.get(_INHERITED, "").split(os.pathsep)))


def _inherit(paths: set[str]) -> None:
    if paths:
        os.environ[_INHERITED] = os.pathsep.join(sorted(paths))
    else:
        os.environ.pop(_INHERITED, None)
