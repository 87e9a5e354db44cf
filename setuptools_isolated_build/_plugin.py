"""The entry point: puts our commands in front of whatever a distribution uses.

Setuptools looks a command up in ``cmdclass``, in a hard-wired class, among the first
of several entry points. Wrapping the look-up reaches all of these, and what other
plugins have put there; an entry point named ``egg_info`` would win by luck at best.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Callable

import setuptools

if TYPE_CHECKING:
    from setuptools import Command, Distribution

__all__ = ["finalize_distribution_options"]


def finalize_distribution_options(dist: Distribution) -> None:
    """Wrap the command look-up and the command run of *dist*.

    Called by `setuptools.dist.Distribution.finalize_options` for every distribution of
    the process, before its configuration is read. Makes nothing and reads nothing.
    """
    # Partials of functions, since distributions are pickled: a closure cannot be.
    dist.get_command_class = partial(_get_command_class, dist, dist.get_command_class)  # type: ignore[method-assign,assignment]
    dist.run_commands = partial(_run_commands, dist, dist.run_commands)  # type: ignore[method-assign]
    if _mentions_turns(dist):
        from . import _turns
        from ._setuptools import distribution, hooks

        if hooks.in_setup():  # others may never come to a command
            _turns.take(
                dist, distribution.source_dir(dist), "setup.py", only_if_set=True
            )


# Before all others: setuptools-scm writes the version file in its own.
finalize_distribution_options.order = -1_000_000  # type: ignore[attr-defined]


def _mentions_turns(dist: Distribution) -> bool:
    # Importing what reads the settings would cost each Distribution() milliseconds.
    if "SETUPTOOLS_ISOLATED_BUILD_TAKE_TURNS" in os.environ:
        return True
    path = os.path.join(dist.src_root or os.curdir, "pyproject.toml")
    try:
        with open(path, "rb") as file:
            return b"take-turns" in file.read()
    except OSError:
        return False


def _get_command_class(
    dist: Distribution, wrapped: Callable[[str], type[Command]], command: str
) -> type[Command]:
    from . import _commands
    from ._setuptools import entry_points

    if getattr(wrapped, "__func__", None) is setuptools.Distribution.get_command_class:
        entry_points.load_command(dist, command)
    return _commands.isolated(command, wrapped(command))


def _run_commands(dist: Distribution, wrapped: Callable[[], None]) -> None:
    from . import _build

    with _build.within(dist):
        wrapped()
