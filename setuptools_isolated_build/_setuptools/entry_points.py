"""The commands among the installed entry points, read once instead of for each command.

`setuptools.dist.Distribution.get_command_class` reads the metadata of all installed
distributions anew for every command that it looks up, about fifteen times in a build.
That is more CPU than all that this package does, and pays for it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import setuptools

if TYPE_CHECKING:
    from setuptools import Command, Distribution

__all__ = ["load_command"]


def load_command(dist: Distribution, command: str) -> None:
    """Put the class that the look-up of *dist* will find into its ``cmdclass``.

    As the look-up itself does, and only what it would: not what ``cmdclass`` has, not
    ``bdist_wheel`` (hard-wired since 75), the first of several of the same name.
    """
    if command in dist.cmdclass or command == "bdist_wheel":
        return
    found = _commands(tuple(sys.path)).get(command)
    if found is not None:
        cls: type[Command] = found.load()
        dist.cmdclass[command] = cls
    else:
        # distutils' own look-up, which notes what it finds in cmdclass.
        super(setuptools.Distribution, dist).get_command_class(command)


@lru_cache(maxsize=1)
def _commands(_sys_path: tuple[str, ...]) -> dict[str, Any]:
    # The same module as setuptools uses: the standard one of Python 3.9 is another.
    from setuptools._importlib import metadata  # type: ignore[import-not-found]

    found: dict[str, Any] = {}
    for entry_point in metadata.entry_points(group="distutils.commands"):
        found.setdefault(entry_point.name, entry_point)
    return found
