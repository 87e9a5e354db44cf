"""Whether what a build has read was being written by another one.

CONTRIBUTING has the argument. A file that cannot be shown to be whole is a doubt.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Callable

from setuptools_isolated_build._setuptools.distribution import source_dir

if TYPE_CHECKING:
    from setuptools import Distribution

    from setuptools_isolated_build._locks.beside import Others
    from setuptools_isolated_build._locks.neighbours import Presence
    from setuptools_isolated_build._trees.tree import BuildTree

__all__ = ["BY_OTHERS", "Waiting", "after_failure", "alone", "among"]

BY_OTHERS = "changed while this build ran, but not by another build"
_LOOK = 0.01  # seconds
_LONGEST = 10.0  # seconds: nobody needs more to write a file that others read
_TO_BEGIN = 2.0  # seconds: whoever has written a file in setup.py is known by then


class Waiting:
    """How other builds are waited for.

    Attributes:
        timeout: for how long, in seconds.
        warn: says in the build's output that it waits, and what else is to be said.
        begin: ends what others may wait for.
        is_alone: whether others wait for this build, and nobody else begins.
    """

    def __init__(
        self,
        timeout: float,
        warn: Callable[[str], None],
        begin: Callable[[], None],
        *,
        is_alone: bool,
    ) -> None:
        self.timeout = timeout
        self.warn = warn
        self.begin = begin
        self.is_alone = is_alone


def alone(
    recent: list[tuple[str, str]],
    dist: Distribution,
    tree: BuildTree | None,
    presence: Presence,
    waiting: Waiting,
) -> str | None:
    """Return a file that a build which nobody knew of may have been writing, or None.

    Args:
        recent: what was copied and has changed shortly before; copies and sources.
        dist: what is built; its commands have run.
        tree: its private directories, if it has any.
        presence: what others know of it. It ends.
        waiting: how to wait for other builds.

    Raises:
        TurnError: another build has gone on for too long.
    """
    doubt = _changed_alone(recent, presence, waiting)
    is_waited_for = doubt is not None and presence.is_waited_for()
    with closing(presence.stop()) as others:
        if others.began is not None:
            return among(others, dist, tree, presence, waiting)
    if doubt is None or waiting.is_alone or is_waited_for:
        return doubt  # of a build that has come to the gate, or will come to it
    waiting.warn(f"{doubt}: {BY_OTHERS}")
    return None


def after_failure(directory: str, presence: Presence, waiting: Waiting) -> str | None:
    """Return a file that another build may have been writing when this one failed.

    Arguments and errors as for `alone`; *directory* is the source tree.
    """
    from setuptools_isolated_build._validation import changes

    tree = os.path.realpath(directory)
    if presence.others().began is None:
        written = next(changes.since(tree, presence.began, set(), names=True), None)
        if written is None or not _has_company(presence):
            return None
        if presence.others().began is None:
            presence.stop().close()
            return written  # of a build that has come to the gate
    with closing(presence.stop()) as others:
        find = partial(changes.since, tree, others.began or 0, set(), names=True)
        if changed := set(find()):
            _wait(directory, others, waiting)
            # The file rather than its directory, which it is in again by now.
            changed = {path for path in find() if not os.path.isdir(path)} or changed
        return min(changed, default=None)


def _changed_alone(
    recent: list[tuple[str, str]], presence: Presence, waiting: Waiting
) -> str | None:
    """Return a file that has changed since it was read, once nobody writes to it.

    It may be of a build whose setup.py has not come to the plugin yet: wait for that.
    """
    from setuptools_isolated_build._validation import changes, copies, writing

    def is_as_read(copy: str, source: str) -> bool:
        is_changed = changes.changed(source, presence.began)
        return not is_changed or copies.are_equal(copy, source)

    def is_as_compiled(source: str) -> bool:
        return changes.state(source) == presence.sources[source]

    checks = [(s, partial(is_as_read, copy, s)) for copy, s in recent]
    checks += [(s, partial(is_as_compiled, s)) for s in presence.sources]
    deadline = time.monotonic() + _LONGEST
    for path, is_right in checks:
        if not os.path.exists(path):
            continue  # it was made in the build tree
        while writing.is_being_written(path) and time.monotonic() < deadline:
            time.sleep(_LOOK)
        if writing.is_being_written(path) or not is_right():
            if not waiting.is_alone:
                _has_company(presence)
            return path
    return None


def _has_company(presence: Presence) -> bool:
    """Whether another build begins, or waits for this one, before long."""
    deadline = time.monotonic() + _TO_BEGIN
    while presence.others().began is None and not presence.is_waited_for():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK)
    return True


def among(
    others: Others,
    dist: Distribution,
    tree: BuildTree | None,
    presence: Presence,
    waiting: Waiting,
) -> str | None:
    """Return a file that one of *others* may have been writing, or None.

    Arguments and errors as for `alone`.
    """
    from setuptools_isolated_build._setuptools.sources import products
    from setuptools_isolated_build._validation import copies

    directory = source_dir(dist)
    copied = copies.by_source(dist, tree)
    known = copies.sources(dist, tree, copied)
    outside = copies.outside(directory, known)
    private = set(map(os.path.realpath, products(dist) | others.private))
    look = partial(_changed, directory, others, private, known)
    places = {os.path.dirname(source) for source in copied}
    top = os.path.join(os.path.realpath(directory), "")
    by_compilers = {  # but not what the project has made to try a compiler
        path
        for path in presence.sources.keys() | presence.compiled.keys()
        if path.startswith(top) or path in outside
    }
    if not (
        look()
        or any(_has_changed(place, others) for place in places)
        # A file that is written anew is not there for a moment.
        or not all(map(os.path.lexists, by_compilers))
    ):
        return None
    was_killed = _wait(directory, others, waiting)
    changed = look()
    if was_killed or others.was_killed:
        return min(changed, default=None)
    changed -= copies.in_tree_outputs(dist) - copied.keys()
    is_compiled = bool(dist.has_ext_modules() or dist.has_c_libraries())
    for path in sorted(changed):
        its_copies = copied.get(os.path.realpath(path), [])
        if not _is_right(path, its_copies, presence, is_compiled=is_compiled):
            return path
    outputs = copies.outputs(dist, tree)
    made = {path for path, of_it in copied.items() if outputs.issuperset(of_it)}
    return _missing((copied.keys() | by_compilers) - made, others)


def _is_right(
    path: str, its_copies: list[str], presence: Presence, *, is_compiled: bool
) -> bool:
    """Whether what was read of *path* is what is there, now that nobody writes."""
    from setuptools_isolated_build._validation import changes, copies, reads, writing

    if writing.is_being_written(path):
        return False
    if not changes.changed(path, presence.began):
        return True  # it was like that before this build
    if its_copies and not all(copies.are_alike(copy, path) for copy in its_copies):
        return False
    if not is_compiled:
        return bool(its_copies)
    if not its_copies and path not in presence.sources:
        return False
    known = presence.compiled.get(path)
    return known is not None and known == reads.digest(path)


def _wait(directory: str, others: Others, waiting: Waiting) -> bool:
    from setuptools_isolated_build._locks import beside

    waiting.begin()
    return beside.wait(directory, others.opened, waiting.timeout, waiting.warn)


def _changed(
    directory: str, others: Others, private: set[str], known: set[str]
) -> set[str]:
    from setuptools_isolated_build._validation import changes, copies

    began = others.began or 0
    there = filter(os.path.lexists, copies.outside(directory, known))
    found = {path for path in there if changes.changed(path, began)}
    tree, holding = os.path.realpath(directory), copies.directories(directory, known)
    return found.union(changes.since(tree, began, private - holding, sources=holding))


def _has_changed(directory: str, others: Others) -> bool:
    from setuptools_isolated_build._validation import changes

    return os.path.isdir(directory) and changes.changed(directory, others.began or 0)


def _missing(read: set[str], others: Others) -> str | None:
    """Return one of the files that were *read* and are not there any more."""
    for path in sorted(read):
        is_gone = not os.path.lexists(path)
        if is_gone and _has_changed(os.path.dirname(path), others):
            return path
    return None
