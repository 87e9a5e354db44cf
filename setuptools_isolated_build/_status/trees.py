"""Build trees as they are found: who has them, and what stays of the others.

A tree is looked at under its lock, if nobody has that, and for no longer than it takes
to look at the names in it: a build that meets it at that moment takes another one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Callable, NamedTuple

from setuptools_isolated_build import _places
from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks.processes import Holder
from setuptools_isolated_build._trees import dead
from setuptools_isolated_build._trees.tree import IDLE, KEEP, KEPT, LEASE, PRIVATE

if TYPE_CHECKING:
    from setuptools_isolated_build._settings import Settings

__all__ = [
    "FOR_THE_NEXT",
    "LEFT",
    "TO_LOOK_INTO",
    "Removed",
    "Tree",
    "find",
    "is_private",
    "remove",
    "roots",
    "without_lock",
]

IN_USE = "in use"  # somebody has the lock
AT_REST = "at rest"  # empty, for the next build
TO_LOOK_INTO = "kept"  # by the setting `keep`
FOR_THE_NEXT = "kept for the next build"  # by the setting `build-dir`
LEFT = "left"  # by a killed build
UNKNOWN = "without a lock"  # nothing proves that its build has ended
_BLOCK = 512  # bytes, in st_blocks (stat(2))


class Tree(NamedTuple):
    """A build tree.

    Attributes:
        path: where it is.
        state: what becomes of it, in words: one of the constants above.
        holder: who builds in it, or has built there last, if that is written down.
        staged: what its build has staged elsewhere, and a reclaim removes.
    """

    path: str
    state: str
    holder: Holder
    staged: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The room that it takes on the disk, with what it has staged elsewhere."""
        return sum(map(_size, (self.path, *self.staged)))


class Removed(NamedTuple):
    """What has been removed.

    Attributes:
        tree: the tree, as it was.
        freed: the room that it took, in bytes.
        is_gone: whether all of it could be removed.
    """

    tree: Tree
    freed: int
    is_gone: bool


def roots(source_dir: str, settings: Settings, base: str | None) -> list[str]:
    """Return the roots that are there: the user's own, and those of a source tree.

    Args:
        source_dir: the source tree.
        settings: its settings.
        base: the build_base that the project has chosen, if it has.
    """
    temporary = os.path.realpath(tempfile.gettempdir())
    paths = _places.default_paths(temporary, source_dir)
    for directory in filter(None, (settings.build_root, base)):
        paths.append(_places.stated_path(directory, source_dir))
    if settings.build_dir is not None:
        paths.append(_places.stated_path(settings.build_dir, source_dir, "-kept"))
    return list(dict.fromkeys(path for path in paths if is_private(path)))


def is_private(path: str) -> bool:
    """Whether *path* is a directory of this user's alone."""
    try:
        return _places.why_not_private(path) is None
    except OSError:
        return False


def find(root: str) -> list[Tree]:
    """Return the build trees below *root*."""
    found = without_lock(root)
    for path in _paths(root, dead.TREE, dead.DEAD):
        try:
            lock = dead.lock_tree(path)
        except _lock.LocksUnavailableError:
            found.append(Tree(path, UNKNOWN, _holder(path)))
            continue
        if lock is not None:
            try:
                found.append(_of_nobody(path))
            finally:
                lock.close()
        else:
            found.append(Tree(path, IN_USE, _holder(path)))
    return [tree for tree in found if os.path.isdir(tree.path)]


def without_lock(directory: str) -> list[Tree]:
    """Return the build trees in *directory* whose names are nobody else's."""
    paths = _paths(directory, PRIVATE)
    return [Tree(path, UNKNOWN, _holder(path)) for path in paths]


def remove(root: str, is_meant: Callable[[Tree], bool]) -> list[Removed]:
    """Remove the trees below *root* that nobody has, and that are meant."""
    removed = []
    for path in _paths(root, dead.TREE, dead.DEAD):
        with contextlib.suppress(_lock.LocksUnavailableError):
            lock = dead.lock_tree(path)
            if lock is None:
                continue
            try:
                tree = _of_nobody(path)
                if is_meant(tree):
                    freed = tree.bytes
                    removed.append(Removed(tree, freed, dead.reclaim(path)))
            finally:
                lock.close()
    return removed


def _size(path: str) -> int:
    """Return the room that *path* and all below it take on the disk, in bytes.

    Files with several names count once, and what disappears meanwhile does not.
    """
    total, seen, waiting = 0, set(), [path]
    while waiting:
        with contextlib.suppress(OSError):
            here = waiting.pop()
            status = os.lstat(here)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                blocks = getattr(status, "st_blocks", None)
                total += status.st_size if blocks is None else blocks * _BLOCK
            if not os.path.islink(here) and os.path.isdir(here):
                waiting += [entry.path for entry in os.scandir(here)]
    return total


def _paths(root: str, *starts: str) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(root) if name.startswith(starts))
    except OSError:
        return []
    return [path for name in names if is_private(path := os.path.join(root, name))]


def _of_nobody(path: str) -> Tree:
    """Return the tree *path*, which this process has locked."""
    try:
        names = set(os.listdir(path)) - {_lock.LOCK_FILE}
    except OSError:
        names = set()
    state = LEFT
    if os.path.basename(path).startswith(dead.TREE):
        if KEEP in names:
            state = TO_LOOK_INTO
        elif KEPT in names:
            state = FOR_THE_NEXT
        elif names == {IDLE}:
            state = AT_REST
    return Tree(path, state, _holder(path), tuple(dead.staged(path)))


def _holder(path: str) -> Holder:
    return Holder(_lock.read_note(os.path.join(path, LEASE)))
