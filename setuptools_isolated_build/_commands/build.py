"""``build`` below a private build_base, when an archive is what is wanted."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build
from setuptools_isolated_build._locks.places import lock_place
from setuptools_isolated_build._setuptools.distribution import (
    is_build_wanted,
    requested,
    requested_by_hook,
    stated_by_user,
)
from setuptools_isolated_build._setuptools.output import warn

if TYPE_CHECKING:
    from setuptools import Command as _Base

    from setuptools_isolated_build._build import Build as _IsolatedBuild
    from setuptools_isolated_build._compilation.cached import Cache
    from setuptools_isolated_build._compilation.compilers import Place
    from setuptools_isolated_build._trees.tree import BuildTree
else:
    _Base = object

__all__ = ["Build", "compiler_cache", "prepare_compilers"]

_ARCHIVES = {"bdist_wheel", "editable_wheel", "sdist"}
_DERIVED = (
    "build_lib",
    "build_purelib",
    "build_platlib",
    "build_scripts",
    "build_temp",
)


class Build(_Base):
    """Mixin: changes the default of build_base, from which all others are derived."""

    build_base: str
    build_base_in_tree: str
    build_lib: str
    build_purelib: str
    build_platlib: str
    build_scripts: str
    build_temp: str | None

    def finalize_options(self) -> None:
        """Use the build tree, unless the user has said otherwise."""
        dist = self.distribution
        self.build_base_in_tree = self.build_base
        if requested_by_hook(dist) or not _ARCHIVES.isdisjoint(requested(dist)):
            # Before other commands derive their paths: "setup.py build_py sdist".
            _build.isolate(dist)
        build = _build.current(dist)
        if build is not None and not self.is_wanted_in_tree():
            self._move_to(build.tree)
        super().finalize_options()
        if build is not None:
            self._keep_build_temp(build)

    def move_to(self, tree: BuildTree) -> None:
        """Move to the build tree what was finalized before there was one."""
        if self.is_wanted_in_tree() or tree.holds(self.build_base):
            return
        for name in _DERIVED:
            value = getattr(self, name, None)
            if value and not stated_by_user(self.distribution, "build", name):
                inside = os.path.relpath(value, self.build_base)
                is_inside = not inside.startswith(os.pardir)
                setattr(self, name, inside if is_inside else value)
        self._move_to(tree)

    def is_wanted_in_tree(self) -> bool:
        """Whether the project's archives are made from what is in the source tree."""
        dist = self.distribution
        if requested_by_hook(dist):
            return False
        if is_build_wanted(dist):
            return True
        if "bdist_wheel" not in requested(dist):
            return False
        # --skip-build packs what an earlier "setup.py build" has left.
        commands: list[Any] = list(map(dist.get_command_obj, ("bdist", "bdist_wheel")))
        return any(command.skip_build for command in commands)

    def _move_to(self, tree: BuildTree) -> None:
        dist = self.distribution
        if not stated_by_user(dist, "build", "build_base"):
            self.build_base = tree.build_base
        if tree.is_kept and "editable_wheel" in requested(dist):
            self.build_temp = None  # it has a temporary one
        for name in _DERIVED:
            # The project's own choices keep their names, below build_base.
            value = getattr(self, name, None)
            if value and not stated_by_user(dist, "build", name):
                setattr(self, name, os.path.join(self.build_base, value))

    def _keep_build_temp(self, build: _IsolatedBuild) -> None:
        shipped = (
            *(self.build_lib, self.build_purelib),
            *(self.build_platlib, self.build_scripts),
        )
        build_temp = os.path.abspath(self.build_temp or self.build_base) + os.sep
        if not any(
            (os.path.abspath(x) + os.sep).startswith(build_temp) for x in shipped
        ):
            build.keep_for_next(build_temp)


def prepare_compilers(command: Any, *names: str) -> None:
    """Prepare the compilers of *command*: for the build tree, and for a cache.

    Args:
        command: ``build_ext`` or ``build_clib``.
        names: the attributes that are compilers, if it has them.

    Raises:
        SettingsError: there is no such cache as was asked for by name.
    """
    settings = _build.settings_for(command.distribution)
    if settings is None:
        return
    from setuptools_isolated_build._compilation import compilers, limits

    size = limits.stated(settings.jobs, command, os.environ)
    build = _build.current(command.distribution)
    if build is None:
        place = compilers.Place(size=size, locks=lock_place(warn))
    else:
        place = _place(command, build)._replace(size=size)
    for name in names:
        compilers.prepare(getattr(command, name, None), place)


def _place(command: Any, build: _IsolatedBuild) -> Place:
    from setuptools_isolated_build._compilation import compilers, flights
    from setuptools_isolated_build._validation import reads

    cache = compiler_cache(command)
    if cache is not None and build.locks is not None:
        flights.sweep(build.locks)
    paths = command.get_finalized_command("build")
    is_private = paths.build_base == build.tree.build_base
    return compilers.Place(
        private=paths.build_base if is_private else "",
        in_tree=paths.build_base_in_tree,
        cache=cache,
        locks=build.locks,
        reading=partial(reads.compiling, command),
    )


def compiler_cache(command: Any) -> Cache | None:
    """Return the compiler cache for *command*, if there is to be one.

    Raises:
        SettingsError: there is no such cache as was asked for by name.
    """
    from setuptools_isolated_build._compilation import programs

    build = _build.current(command.distribution)
    if build is None:
        return None
    return programs.find(build.settings.compiler_cache, build.tree.directory, warn)
