"""Build trees without an owner: found by their lock, renamed, and then removed.

A free lock on a directory proves that its owner, and each child that the owner has
forked, is gone. Compilers and other programs that it has started may live on: they know
the old name, which nobody gets again.
"""

from __future__ import annotations

import contextlib
import os
import stat

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._trees import removal
from setuptools_isolated_build._trees.tree import BuildTree, is_staging

__all__ = ["DEAD", "TREE", "lock_tree", "prune", "reclaim", "staged"]

TREE, DEAD = "tree-", "dead-"


def lock_tree(directory: str) -> _lock.Lock | None:
    """Lock a build tree, or what was one; None if it is in use, or is none of ours.

    Raises:
        LocksUnavailableError: the file system has no locks.
    """
    if not os.path.basename(directory).startswith((TREE, DEAD)):
        return None
    try:
        status = os.lstat(directory)
        if not stat.S_ISDIR(status.st_mode) or not _is_own(status):
            return None
        return _lock.acquire_directory(directory)
    except OSError:
        return None


def reclaim(directory: str) -> bool:
    """Remove a locked build tree, and what its build has staged elsewhere.

    After a crash some of it is left, below a name by which the next build finds it.

    Returns:
        Whether all of it is gone.
    """
    for path in staged(directory):
        removal.remove(path)
    dead = os.path.join(os.path.dirname(directory), DEAD + os.urandom(4).hex())
    try:
        os.replace(directory, dead)
    except OSError:
        dead = directory  # Windows, where the lock is an open file in it
    removal.remove(dead)
    return not os.path.lexists(dead)


def prune(root: str, record: str, most: int) -> None:
    """Remove trees that have the file *record*, but for the *most* recent ones."""
    found = []
    for name in os.listdir(root):
        path = os.path.join(root, name, record)
        with contextlib.suppress(OSError):
            found.append((os.path.getmtime(path), os.path.dirname(path)))
    for _, directory in sorted(found)[: max(len(found) - most, 0)]:
        lock = lock_tree(directory)
        if lock is not None:
            try:
                reclaim(directory)
            finally:
                lock.close()


def staged(directory: str) -> list[str]:
    """Return what the build of a locked tree has staged elsewhere, and is still there.

    A record is believed if it is this user's; a path in it, if it has a name of ours.
    """
    record = BuildTree(directory).staging_record
    try:
        number = os.open(record, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return []
    with open(number, encoding="utf-8", errors="surrogateescape") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode) or not _is_own(status):
            return []  # somebody else's words
        paths = file.read().split("\0")
    found = []
    for path in paths[:-1]:  # a path without its terminator was not made yet
        with contextlib.suppress(OSError):
            if is_staging(os.path.basename(path)) and _is_own(os.lstat(path)):
                found.append(path)
    return found


def _is_own(status: os.stat_result) -> bool:
    return os.name != "posix" or status.st_uid == os.geteuid()
