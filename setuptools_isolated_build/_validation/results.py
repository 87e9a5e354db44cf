"""What is done with a result that another build may have had a part in: build again."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from setuptools_isolated_build import _process
from setuptools_isolated_build._locks import neighbours
from setuptools_isolated_build._process import ALONE
from setuptools_isolated_build._publication import archives
from setuptools_isolated_build._settings import Settings
from setuptools_isolated_build._setuptools import hooks
from setuptools_isolated_build._setuptools.distribution import source_dir
from setuptools_isolated_build._setuptools.output import warn
from setuptools_isolated_build._validation import copies
from setuptools_isolated_build.errors import IsolatedBuildError, SourceTreeError

if TYPE_CHECKING:
    from typing import Callable

    from setuptools import Distribution

    from setuptools_isolated_build._build import Build
    from setuptools_isolated_build._locks.neighbours import Presence
    from setuptools_isolated_build._setuptools.hooks import Call
    from setuptools_isolated_build._trees.tree import BuildTree
    from setuptools_isolated_build._validation.doubts import Waiting

__all__ = ["check", "replaces_failure"]

# By the hooks that ask for requirements, which setup.py has stated before.
_ONLY_ASKED = ["egg_info"]
_MOST_ATTEMPTS, _MOST_FAILURES = 30, 3
_BEFORE = 10_000_000_000  # nanoseconds: who writes for longer than that is not seen
_ONCE_MORE = 75  # the status of a fresh process that could not be sure
_REMEDY = "build again, or set take-turns = true"


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
    if presence is None or dist.commands == _ONLY_ASKED:
        return
    timeout = (build.settings if build else Settings()).seconds_for_turn
    tree = build.tree if build else None
    path = _doubt(dist, tree, presence, timeout)
    if path is not None and ALONE in os.environ:
        warn(f"{path}: a build that begins has written it: this build runs again")
        raise SystemExit(_ONCE_MORE)
    if path is not None:
        _repeat(path, source_dir(dist), presence.place, timeout, dist)


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
    from setuptools_isolated_build._validation import doubts

    directory = os.getcwd() if dist is None else source_dir(dist)
    waiting = _waiting(dist or _process.SETUP_PHASE, timeout)
    path = doubts.after_failure(directory, presence, waiting)
    if path is None or not _can_be_repeated(dist):
        return False
    warn(f"this build has failed ({type(exc).__name__}: {exc})")
    _repeat(path, directory, presence.place, timeout, dist)
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


def _can_be_repeated(dist: Distribution | None) -> bool:
    from setuptools_isolated_build._validation import again

    if hooks.running_hook() is not None:
        return hooks.running_call() is not None
    return dist is not None and again.can_run_by_hand(dist)


def _repeat(
    path: str, directory: str, place: str, timeout: float, dist: Distribution | None
) -> None:
    from setuptools_isolated_build._validation import again

    cause = "another build was writing it while this build ran"
    if not _can_be_repeated(dist):
        raise SourceTreeError(path, cause, _REMEDY)
    warn(f"{path}: {cause}: this build runs again, alone")
    # Others may wait for them, and are waited for here.
    for owner in filter(None, (dist, _process.SETUP_PHASE)):
        _process.leave_turn(owner)
    call = hooks.running_call()
    with neighbours.alone(directory, place, timeout, warn):
        if call is None:
            run = partial(again.run_by_hand, directory, {ALONE: "1"})
        else:
            run = partial(_run_hook, call, directory)
        status = _until_nobody_writes(run, directory)
    if status != 0:
        cause = f"the build failed alone, too (status {status})"
        remedy = "correct what the output above shows"
        msg = f"error: {SourceTreeError(directory, cause, remedy)}"
        raise SystemExit(msg)
    if call is None:
        raise SystemExit(0)
    if call.name.startswith("build_"):
        hooks.publish_with(call.result_directory, _publisher(place, timeout))


def _until_nobody_writes(run: Callable[[], int], directory: str) -> int:
    """Call *run* until nobody has written to what it reads; return its status.

    Builds that come to the gate have run their setup.py by then, and it may write. They
    come to an end, since they wait there.
    """
    from setuptools_isolated_build._validation import changes

    failures = 0
    for _ in range(_MOST_ATTEMPTS):
        began = time.time_ns()
        status = run()
        if status != _ONCE_MORE:
            failures += 1
            written = changes.since(os.path.realpath(directory), began, set())
            if not status or failures == _MOST_FAILURES or not any(written):
                return status
    return status


def _run_hook(call: Call, directory: str) -> int:
    from setuptools_isolated_build._validation import again

    parent = call.result_directory or None
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=parent) as empty:
        return again.run_hook(call, empty, directory, {ALONE: "1"})


def _publisher(place: str, timeout: float) -> Callable[[str, str], None]:
    def publish(archive: str, target: str) -> None:
        # setup() has returned, and with it distutils' handler of errors.
        try:
            archives.publish(archive, target, place, timeout)
        except IsolatedBuildError as exc:
            msg = f"error: {exc}"
            raise SystemExit(msg) from None

    return publish
