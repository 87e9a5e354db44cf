"""Who is known in a source tree, and who takes turns there.

All builds are known, by `_locks.neighbours`; commands by hand, setup.py, and with the
setting whole builds take turns, by `_locks.turns`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from . import _process
from ._locks import places
from ._locks.lock import LocksUnavailableError
from ._settings import read_settings
from ._setuptools import distribution, hooks
from ._setuptools.output import warn
from .errors import SettingsError, TurnError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from setuptools import Distribution

    from ._settings import Settings

__all__ = [
    "enter",
    "in_turn",
    "setup_in_turn",
    "take",
    "take_by_hand",
    "take_for_commands",
]

_NO_TURNS = "builds of this tree do not take turns"
_NOT_KNOWN = "this build and others of this tree do not notice each other"
_MOST_WORDS = 200  # letters


@contextlib.contextmanager
def setup_in_turn() -> Iterator[None]:
    """Run setup.py in the block, in turn with other builds until its commands begin."""
    source_dir = os.getcwd()
    enter(_process.SETUP_PHASE, source_dir)
    take(_process.SETUP_PHASE, source_dir, "setup.py")
    try:
        yield
    finally:
        _process.leave_turn(_process.SETUP_PHASE)


def take_by_hand(dist: Distribution) -> None:
    """Let *dist* have a turn for what others share.

    Who asks for ``build`` has the turn until all is done. A project's own command that
    runs ``build`` may go on for hours, as a test suite: it has the turn for that. But
    where ``install`` is asked for, nothing may stand between it and setuptools'
    ``run_commands``: `setuptools.command.install.install._called_from_setup`.
    """
    asked_for = distribution.requested(dist)
    if not distribution.TAKE_TURNS.isdisjoint(asked_for):
        take_for_commands(dist)
    elif asked_for == {"clean"} or distribution.is_build_wanted(dist):
        _take_for_each(dist)


def _take_for_each(dist: Distribution) -> None:
    if getattr(dist.run_command, "func", None) is not _run_command:
        dist.run_command = partial(_run_command, dist, dist.run_command)  # type: ignore[method-assign]


def _run_command(
    dist: Distribution, wrapped: Callable[[str], None], command: str
) -> None:
    shares = command in distribution.SHARING and not dist.have_run.get(command)
    with in_turn(dist) if shares else contextlib.nullcontext():
        wrapped(command)


@contextlib.contextmanager
def in_turn(dist: Distribution) -> Iterator[None]:
    """Let *dist* have a turn in the block, if it has none yet."""
    if _process.has_turn(dist):
        yield
        return
    take_for_commands(dist)
    try:
        yield
    finally:
        _process.end_turns(dist)


def take_for_commands(dist: Distribution) -> None:
    """Let *dist* have a turn for what it was asked for, see `take`."""
    take(dist, distribution.source_dir(dist), distribution.command_line(dist))


def enter(owner: object, source_dir: str) -> None:
    """Let others know that *owner* is at work in the source tree.

    With ``take-turns = true`` that is its turn as well; with ``take-turns = false``
    nobody gets to know.

    Raises:
        SystemExit: another build has been alone for longer than ``lock-timeout``.
    """
    settings = _settings_for_turns(source_dir)
    if settings is None:
        return
    if settings.take_turns is False:
        warn(
            "take-turns = false: what other builds write into this tree goes unnoticed"
        )
        return
    if settings.take_turns is True:
        # Before the gate: whoever is inside it has to come to an end.
        take(owner, source_dir, "setup.py")
    place = places.lock_place(warn)
    if place is None:
        return  # it has said so
    from ._locks import neighbours

    begin = partial(
        neighbours.enter,
        source_dir,
        place,
        _private_directories(),
        settings.seconds_for_turn,
        warn,
        what=" ".join(sys.argv[1:])[:_MOST_WORDS],
        began=_process.began(),
    )
    key = f"{neighbours.__name__} {places.key(source_dir)}"
    _enter(owner, key, begin, _NOT_KNOWN)


def take(owner: object, source_dir: str, what: str) -> None:
    """Wait until no other build that takes turns is at work in the source tree.

    Args:
        owner: whose turn it is, for as long as it lives.
        source_dir: the source tree.
        what: what is built, for those who wait.

    Raises:
        SystemExit: another build has kept the turn for longer than ``lock-timeout``.
    """
    from ._locks import turns  # most builds take none

    settings = _settings_for_turns(source_dir)
    if settings is None or _process.ALONE in os.environ:
        return
    place = places.lock_place(warn)
    if place is None:
        return  # it has said so
    seconds = settings.seconds_for_turn
    begin = partial(turns.begin, source_dir, place, what, seconds, warn)
    _enter(owner, turns.lock_path(source_dir, place), begin, _NO_TURNS)


def _settings_for_turns(source_dir: str) -> Settings | None:
    try:
        settings = read_settings(source_dir, os.environ)
    except SettingsError:
        return None  # `isolate` raises it, where distutils knows how to print it
    if not settings.enabled:
        return None
    if distribution.is_sandboxed():
        warn(f"{_NO_TURNS}: {distribution.SANDBOXED}")
        return None
    return settings


def _enter(owner: object, key: str, begin: Callable[[], Any], without: str) -> None:
    try:
        _process.enter_turn(owner, key, begin)
    except TurnError as exc:
        # distutils prints other errors with a traceback, before there are commands.
        msg = f"error: {exc}"
        raise SystemExit(msg) from None
    except (OSError, LocksUnavailableError) as exc:
        warn(f"{without}: {exc}")


def _private_directories() -> set[str]:
    hook = hooks.running_hook()
    paths = {tempfile.gettempdir()}
    if hook is not None and hook.result_staging is not None:
        paths.add(os.path.dirname(hook.result_staging))
    return {os.path.realpath(path) for path in paths}
