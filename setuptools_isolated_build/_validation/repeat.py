"""A build once more, with nobody beside it, until nobody has written what it reads."""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING

from setuptools_isolated_build import _process
from setuptools_isolated_build._locks import neighbours
from setuptools_isolated_build._process import ALONE
from setuptools_isolated_build._publication import archives
from setuptools_isolated_build._setuptools import hooks
from setuptools_isolated_build._setuptools.output import warn
from setuptools_isolated_build._validation import again, changes, writing
from setuptools_isolated_build.errors import IsolatedBuildError, SourceTreeError

if TYPE_CHECKING:
    from typing import Callable

    from setuptools import Distribution

    from setuptools_isolated_build._setuptools.hooks import Call

__all__ = ["ONCE_MORE", "can_be_repeated", "is_last", "repeat"]

ONCE_MORE = 75  # the status of a fresh process that could not be sure
_MOST_ATTEMPTS, _MOST_FAILURES = 30, 3
_REMEDY = "build again, or set take-turns = true"


def can_be_repeated(dist: Distribution | None) -> bool:
    """Whether what runs now is known to make the same when it is done again."""
    if hooks.running_hook() is not None:
        return hooks.running_call() is not None
    return dist is not None and again.can_run_by_hand(dist)


def repeat(
    path: str, directory: str, place: str, timeout: float, dist: Distribution | None
) -> None:
    """Build again, alone, and put the result in the place of the old one.

    Args:
        path: the file that another build may have been writing.
        directory: the source tree.
        place: the directory of the locks.
        timeout: how long to wait for one other build, in seconds.
        dist: what was built, if setup.py has come that far.

    Raises:
        SourceTreeError: it cannot be repeated.
        TurnError: another build has gone on for too long.
        SystemExit: it was repeated, by hand or without success.
    """
    cause = "another build was writing it while this build ran"
    if not can_be_repeated(dist):
        raise SourceTreeError(path, cause, _REMEDY)
    warn(f"{path}: {cause}: this build runs again, alone")
    # Others may wait for them, and are waited for here.
    for owner in filter(None, (dist, _process.SETUP_PHASE)):
        _process.leave_turn(owner)
    call = hooks.running_call()
    with neighbours.alone(directory, place, timeout, warn):
        if call is None:
            run = partial(again.run_by_hand, directory)
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


def _until_nobody_writes(run: Callable[[dict[str, str]], int], directory: str) -> int:
    """Call *run* until nobody has written to what it reads; return its status.

    It gets variables for a fresh process, see `is_last`. Builds that come to the gate
    have run their setup.py by then, and it may write. They come to an end, since they
    wait there.
    """
    failures = 0
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        began = time.time_ns()
        status = run({ALONE: str(attempt)})
        if status != ONCE_MORE:
            failures += 1
            written = changes.since(os.path.realpath(directory), began, set())
            if not status or failures == _MOST_FAILURES or not any(written):
                return status
    return status


def is_last(path: str) -> bool:
    """Whether this attempt to be alone is the last one, though *path* has changed.

    Nobody builds beside it but who has just begun. Who writes to a file all the time is
    another program, and so is whoever has changed one in each attempt.
    """
    most = _MOST_FAILURES if writing.is_being_written(path) else _MOST_ATTEMPTS
    return int(os.environ[ALONE]) >= most


def _run_hook(call: Call, directory: str, marks: dict[str, str]) -> int:
    parent = call.result_directory or None
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=parent) as empty:
        return again.run_hook(call, empty, directory, marks)


def _publisher(place: str, timeout: float) -> Callable[[str, str], None]:
    def publish(archive: str, target: str) -> None:
        # setup() has returned, and with it distutils' handler of errors.
        try:
            archives.publish(archive, target, place, timeout)
        except IsolatedBuildError as exc:
            msg = f"error: {exc}"
            raise SystemExit(msg) from None

    return publish
