"""``build`` below a private build_base, when an archive is what is wanted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build_tree, _isolation

if TYPE_CHECKING:
    from setuptools import Command as _Base

    from setuptools_isolated_build._build_tree import BuildTree
    from setuptools_isolated_build._cached import Cache
else:
    _Base = object

__all__ = ["Build", "compiler_cache", "prepare_compilers"]

_ARCHIVES = {"bdist_wheel", "editable_wheel", "sdist"}
# The egg-info in the tree says nothing about where build_base is wanted.
_IN_TREE = _isolation.IN_TREE - {"egg_info", "install_egg_info"}
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
        by_hook = _isolation.requested_by_hook(dist)
        if by_hook or not _ARCHIVES.isdisjoint(_isolation.requested(dist)):
            # Before other commands derive their paths: "setup.py build_py sdist".
            _isolation.isolate(dist)
        isolation = _isolation.current(dist)
        if isolation is not None and (by_hook or not self._is_wanted_in_tree()):
            self._move_to(isolation.tree)
        super().finalize_options()
        if isolation is not None:
            self._keep_build_temp(isolation.tree)

    def _is_wanted_in_tree(self) -> bool:
        dist = self.distribution
        if not _IN_TREE.isdisjoint(_isolation.requested(dist)):
            return True
        if "bdist_wheel" not in _isolation.requested(dist):
            return False
        # --skip-build packs what an earlier "setup.py build" has left.
        commands: list[Any] = list(map(dist.get_command_obj, ("bdist", "bdist_wheel")))
        return any(command.skip_build for command in commands)

    def _move_to(self, tree: BuildTree) -> None:
        dist = self.distribution
        if not _isolation.stated_by_user(dist, "build", "build_base"):
            self.build_base = tree.build_base
        if tree.is_kept and "editable_wheel" in _isolation.requested(dist):
            self.build_temp = None  # it has a temporary one
        for name in _DERIVED:
            # The project's own choices keep their names, below build_base.
            value = getattr(self, name, None)
            if value and not _isolation.stated_by_user(dist, "build", name):
                setattr(self, name, os.path.join(self.build_base, value))

    def _keep_build_temp(self, tree: BuildTree) -> None:
        shipped = (
            *(self.build_lib, self.build_purelib),
            *(self.build_platlib, self.build_scripts),
        )
        build_temp = os.path.abspath(self.build_temp or self.build_base) + os.sep
        if not any(
            (os.path.abspath(x) + os.sep).startswith(build_temp) for x in shipped
        ):
            _build_tree.keep(tree, build_temp)


def prepare_compilers(command: Any, *names: str) -> None:
    """Prepare the compilers of *command*: for the build tree, and for a cache.

    Args:
        command: ``build_ext`` or ``build_clib``.
        names: the attributes that are compilers, if it has them.

    Raises:
        SettingsError: there is no such cache as was asked for by name.
    """
    from setuptools_isolated_build import _compiler

    cache = compiler_cache(command)
    isolation = _isolation.current(command.distribution)
    if isolation is None:
        return
    build = command.get_finalized_command("build")
    is_private = build.build_base == isolation.tree.build_base
    place = _compiler.Place(
        private=build.build_base if is_private else "",
        in_tree=build.build_base_in_tree,
        cache=cache,
        lock_root=isolation.lock_root,
    )
    for name in names:
        _compiler.prepare(getattr(command, name, None), place)


def compiler_cache(command: Any) -> Cache | None:
    """Return the compiler cache for *command*, if there is to be one.

    Raises:
        SettingsError: there is no such cache as was asked for by name.
    """
    from setuptools_isolated_build import _compiler_cache

    isolation = _isolation.current(command.distribution)
    if isolation is None:
        return None
    setting, directory = isolation.settings.compiler_cache, isolation.tree.directory
    return _compiler_cache.find(setting, directory, _isolation.warn)
