"""What compilers have read of files that change while builds run beside each other."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from setuptools_isolated_build import _process
from setuptools_isolated_build._setuptools.distribution import source_dir
from setuptools_isolated_build._validation import changes, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from setuptools import Command

__all__ = ["compiling", "digest"]


@contextlib.contextmanager
def compiling(command: Command, source: str) -> Iterator[None]:
    """Note the contents that a compiler, which runs in the block, may have read.

    Of files that nobody writes to in the block: what it has read of others cannot be
    known. If no other build has run until now, only the source's state is noted.

    Args:
        command: ``build_ext`` or ``build_clib``; its turn to translate may end.
        source: the path of what is compiled.
    """
    begin: Callable[[], object] | None = getattr(command, "begin_compiling", None)
    if begin is not None:
        begin()
    dist = command.distribution
    presence = _process.presence_of(dist)
    if presence is None:
        yield
        return
    path = os.path.realpath(source)
    presence.sources.setdefault(path, changes.state(path))
    others = presence.others()
    if others.began is None:
        yield
        return
    tree = os.path.realpath(source_dir(dist))
    before = _states(tree, others.began, others.private)
    yield
    after = _states(tree, others.began, others.private)
    for path in before.keys() | after:
        found = digest(path) if before.get(path) == after.get(path) else None
        known = presence.compiled.setdefault(path, found)
        if known != found:  # two compilers have read two contents
            presence.compiled[path] = None


def digest(path: str) -> bytes | None:
    """Return what stands for the contents of the file *path*; None if it is written."""
    if not os.path.isfile(path) or writing.is_being_written(path):
        return None
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).digest()
    except OSError:
        return None


def _states(
    tree: str, began: int, private: set[str]
) -> dict[str, tuple[int, ...] | None]:
    return {path: changes.state(path) for path in changes.since(tree, began, private)}
