"""Whether another build may have had a part in a result: if it may, build again."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from setuptools_isolated_build import _process
from setuptools_isolated_build._process import ALONE
from setuptools_isolated_build._settings import Settings
from setuptools_isolated_build._setuptools.distribution import source_dir
from setuptools_isolated_build._setuptools.output import warn
from setuptools_isolated_build._validation import copies
from setuptools_isolated_build.errors import IsolatedBuildError

if TYPE_CHECKING:
    from setuptools import Distribution

    from setuptools_isolated_build._build import Build
    from setuptools_isolated_build._locks.neighbours import Presence
    from setuptools_isolated_build._trees.tree import BuildTree
    from setuptools_isolated_build._validation.doubts import Waiting

__all__ = ["check", "replaces_failure"]

# By the hooks that ask for requirements, which setup.py has stated before.
_ONLY_ASKED = ["egg_info"]
_BEFORE = 10_000_000_000  # nanoseconds: who writes for longer than that is not seen


def check(dist: Distribution, build: Build | None) -> None:
    """Check that no other build was writing what this one has read, or build again.

    In a hook the new result is in the place of the old one then; by hand the fresh
    process has published it, and this one ends.

    Raises:
        SourceTreeError: it cannot be repeated.
        TurnError: another build has gone on for too long.
        SystemExit: it was repeated, by hand or without success.
    """
    presence = _process.presence_of(dist)
    if presence is None or getattr(dist, "commands", []) == _ONLY_ASKED:
        return
    timeout = (build.settings if build else Settings()).seconds_for_turn
    tree = build.tree if build else None
    path = _doubt(dist, tree, presence, timeout)
    if path is None:
        return
    from setuptools_isolated_build._validation import doubts, repeat

    if ALONE in os.environ:
        if repeat.is_last(path):
            warn(f"{path}: {doubts.BY_OTHERS}")
            return
        warn(f"{path}: a build that begins has written it: this build runs again")
        raise SystemExit(repeat.ONCE_MORE)
    repeat.repeat(path, source_dir(dist), presence.place, timeout, dist)


def replaces_failure(
    exc: BaseException, dist: Distribution | None, presence: Presence, timeout: float
) -> bool:
    """Whether a build that has failed with *exc* was done once more, with success.

    It is, if another build may have been writing what it has read.

    Raises:
        TurnError: another build has gone on for too long.
        SystemExit: it was repeated, by hand or without success.
    """
    is_its_own = isinstance(exc, (IsolatedBuildError, KeyboardInterrupt))
    is_success = isinstance(exc, SystemExit) and not exc.code
    if is_its_own or is_success or ALONE in os.environ:
        return False
    from setuptools_isolated_build._validation import doubts, repeat

    directory = os.getcwd() if dist is None else source_dir(dist)
    waiting = _waiting(dist or _process.SETUP_PHASE, timeout)
    path = doubts.after_failure(directory, presence, waiting)
    if path is None or not repeat.can_be_repeated(dist):
        return False
    warn(f"this build has failed ({type(exc).__name__}: {exc})")
    repeat.repeat(path, directory, presence.place, timeout, dist)
    return True


def _doubt(
    dist: Distribution, tree: BuildTree | None, presence: Presence, timeout: float
) -> str | None:
    """Return a file that another build may have been writing, or None.

    Most builds are alone and read nothing that is new: they import no more than this.
    """
    is_alone = presence.others().began is None
    recent = copies.newest(dist, tree, presence.began - _BEFORE) if is_alone else []
    if recent or (is_alone and presence.sources):
        from setuptools_isolated_build._validation import doubts

        waiting = _waiting(dist, timeout)
        return doubts.alone(recent, dist, tree, presence, waiting)
    with closing(presence.stop()) as others:
        if others.began is None:
            return None
        from setuptools_isolated_build._validation import doubts

        return doubts.among(others, dist, tree, presence, _waiting(dist, timeout))


def _waiting(owner: object, timeout: float) -> Waiting:
    from setuptools_isolated_build._validation import doubts

    begin = partial(_process.end_turns, owner)
    return doubts.Waiting(timeout, warn, begin, is_alone=ALONE in os.environ)
