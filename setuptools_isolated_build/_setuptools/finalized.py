"""Commands that were finalized before it was known where they are to build.

`incremental` (klein, treq) finalizes ``build`` from a keyword of setup(), before the
command line is read. And a distribution that is copied, or that builds once more when
its build is over, has commands with the paths of a build tree that is not its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable

from setuptools_isolated_build._setuptools.distribution import stated_by_user

if TYPE_CHECKING:
    from setuptools import Distribution

    from setuptools_isolated_build._trees.tree import BuildTree

__all__ = ["move", "replace_paths"]

_OF_BUILD = (
    *("build_base", "build_lib", "build_purelib", "build_platlib"),
    *("build_scripts", "build_temp"),
)


def move(dist: Distribution, tree: BuildTree) -> None:
    """Move a ``build`` that was finalized early, and what was derived from it.

    Not one that was made before anybody could ask us for its class.
    """
    build: Any = dist.get_command_obj("build", create=False)
    if not getattr(build, "finalized", False) or not hasattr(build, "move_to"):
        return
    before = {name: getattr(build, name, None) for name in _OF_BUILD}
    build.move_to(tree)
    moved = {value: getattr(build, name) for name, value in before.items() if value}
    base = before["build_base"] or ""
    bdist = os.path.join(base, "bdist.")  # of bdist_base, with the platform behind it

    def new_path(value: str) -> Any:
        if value.startswith(bdist):
            return os.path.join(build.build_base, os.path.relpath(value, base))
        return moved.get(value, value)

    _replace(dist, new_path, without="build")


def replace_paths(dist: Distribution, was: str, becomes: str) -> None:
    """Let all commands of *dist* use the directory *becomes* in place of *was*."""

    def new_path(value: str) -> str:
        is_inside = value == was or value.startswith(was + os.sep)
        return becomes + value[len(was) :] if is_inside else value

    _replace(dist, new_path)


def _replace(
    dist: Distribution, new_path: Callable[[str], Any], without: str = ""
) -> None:
    commands: dict[str, Any] = dist.command_obj
    for name, command in commands.items():
        if name == without or not getattr(command, "finalized", False):
            continue
        for option, value in list(vars(command).items()):
            if isinstance(value, str) and not stated_by_user(dist, name, option):
                setattr(command, option, new_path(value))
