"""Bring a link tree that is in use up to date; it is whole at every moment.

A strict editable install goes on importing from its link tree while the next one is
built. setuptools (`editable_wheel._empty_dir`) empties it first.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil

__all__ = ["bring_up_to_date"]

_CACHE = "__pycache__"


def bring_up_to_date(target: str, staged: str) -> None:
    """Give *target* the files of *staged*: add, replace, and at last remove.

    Args:
        target: the link tree; it is made if it is missing.
        staged: a finished link tree on the same file system. Its files are moved.
    """
    wanted = _files(staged)
    os.makedirs(target, exist_ok=True)
    for name in sorted(wanted):
        _put(os.path.join(staged, name), os.path.join(target, name), target)
    for name in sorted(_files(target) - wanted):
        if not _is_cache_of(name, wanted):
            with contextlib.suppress(FileNotFoundError):  # the importer was first
                os.unlink(os.path.join(target, name))
    for directory, _, _ in os.walk(target, topdown=False):
        if directory != target:
            # It may hold a .pyc that whoever imports has put there at this moment.
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _files(tree: str) -> set[str]:
    found = set()
    for directory, directories, names in os.walk(tree):
        links = [
            name
            for name in directories
            if os.path.islink(os.path.join(directory, name))
        ]
        for name in (*names, *links):
            found.add(os.path.relpath(os.path.join(directory, name), tree))
    return found


def _put(source: str, target: str, tree: str) -> None:
    _make_way(os.path.dirname(target), tree)
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)  # it was a package and is a module now, or the like
    if not _is_same(source, target):
        os.replace(source, target)


def _make_way(directory: str, tree: str) -> None:
    path = tree
    for part in os.path.relpath(directory, tree).split(os.sep):
        path = os.path.join(path, part)
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
            os.unlink(path)
        os.makedirs(path, exist_ok=True)


def _is_same(source: str, target: str) -> bool:
    if os.path.islink(source) or os.path.islink(target):
        return (
            os.path.islink(source)
            and os.path.islink(target)
            and os.readlink(source) == os.readlink(target)
        )
    # A hard link, or a copy. os.replace does nothing with two links to one file.
    return (
        os.path.isfile(target)
        and os.stat(source).st_mode == os.stat(target).st_mode
        and (
            os.path.samefile(source, target)
            or filecmp.cmp(source, target, shallow=False)
        )
    )


def _is_cache_of(name: str, wanted: set[str]) -> bool:
    directory, cached = os.path.split(name)
    parent, cache = os.path.split(directory)
    module = cached.split(".")[0]
    return cache == _CACHE and os.path.join(parent, f"{module}.py") in wanted
