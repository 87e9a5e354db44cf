"""Who takes turns in a source tree: commands by hand, setup.py, and whole builds.

What a turn is, and how it is waited for, is in `_locks.turns`.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING

from . import _process
from ._locks.lock import LocksUnavailableError
from ._locks.places import lock_place
from ._settings import read_settings
from ._setuptools import distribution
from ._setuptools.output import warn
from .errors import SettingsError, TurnError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["setup_in_turn", "take"]

_NO_TURNS = "builds of this tree do not take turns"


@contextlib.contextmanager
def setup_in_turn() -> Iterator[None]:
    """Run setup.py in the block, in turn with other builds until its commands begin."""
    take(_process.SETUP_PHASE, os.getcwd(), "setup.py")
    try:
        yield
    finally:
        _process.leave_turn(_process.SETUP_PHASE)


def take(
    owner: object, source_dir: str, what: str, *, only_if_set: bool = False
) -> None:
    """Wait until no other build that takes turns is at work in the source tree.

    Args:
        owner: whose turn it is, for as long as it lives.
        source_dir: the source tree.
        what: what is built, for those who wait.
        only_if_set: whether the setting ``take-turns`` decides.

    Raises:
        SystemExit: another build has kept the turn for longer than ``lock-timeout``.
            distutils prints other errors with a traceback, before there are commands.
    """
    from ._locks import turns  # most builds take none

    try:
        settings = read_settings(source_dir, os.environ)
    except SettingsError:
        return  # `isolate` raises it, where distutils knows how to print it
    if not settings.enabled or (only_if_set and not settings.take_turns):
        return
    if distribution.is_sandboxed():
        warn(f"{_NO_TURNS}: {distribution.SANDBOXED}")
        return
    place = lock_place(warn)
    if place is None:
        return  # it has said so
    seconds = settings.seconds_for_turn
    begin = partial(turns.begin, source_dir, place, what, seconds, warn)
    try:
        _process.enter_turn(owner, turns.lock_path(source_dir, place), begin)
    except TurnError as exc:
        msg = f"error: {exc}"
        raise SystemExit(msg) from None
    except (OSError, LocksUnavailableError) as exc:
        warn(f"{_NO_TURNS}: {exc}")
