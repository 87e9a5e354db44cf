"""The entry point: puts our commands in front of whatever a distribution uses.

Setuptools looks a command up in ``cmdclass``, in a hard-wired class, among the first
of several entry points. Wrapping the look-up reaches all of these, and what other
plugins have put there; an entry point named ``egg_info`` would win by luck at best.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from setuptools import Command, Distribution

__all__ = ["finalize_distribution_options"]


def finalize_distribution_options(dist: Distribution) -> None:
    """Wrap the command look-up and the command run of *dist*.

    Called by `setuptools.dist.Distribution.finalize_options` for every distribution of
    the process, before its configuration is read. In ``setup()`` other builds of the
    source tree get to know of this one.
    """
    if getattr(dist.run_commands, "func", None) is _run_commands:
        return  # the entry point is in two places: that of a tree that builds itself
    # Partials of functions, since distributions are pickled: a closure cannot be.
    dist.get_command_class = partial(_get_command_class, dist.get_command_class)  # type: ignore[method-assign,assignment]
    dist.run_commands = partial(_run_commands, dist, dist.run_commands)  # type: ignore[method-assign]
    from ._setuptools import entry_points, hooks

    entry_points.read_once()
    if hooks.in_setup():  # others may never come to a command
        from . import _turns
        from ._setuptools import distribution

        _turns.enter(dist, distribution.source_dir(dist))


# Before all others: setuptools-scm writes the version file in its own.
finalize_distribution_options.order = -1_000_000  # type: ignore[attr-defined]


def _get_command_class(
    wrapped: Callable[[str], type[Command]], command: str
) -> type[Command]:
    from . import _commands

    return _commands.isolated(command, wrapped(command))


def _run_commands(dist: Distribution, wrapped: Callable[[], None]) -> None:
    from . import _build

    with _build.within(dist):
        wrapped()
