"""``bdist_wheel`` in the build tree, publishing what it has made."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build, _turns
from setuptools_isolated_build._commands.archive import Archive
from setuptools_isolated_build._commands.build import Build as BuildCommand
from setuptools_isolated_build._commands.egg_info import EggInfo
from setuptools_isolated_build._publication import archives
from setuptools_isolated_build._setuptools import wheel_files
from setuptools_isolated_build._setuptools.distribution import (
    requested,
    stated_by_user,
)
from setuptools_isolated_build._setuptools.output import tell, warn

if TYPE_CHECKING:
    from setuptools_isolated_build._build import Build

__all__ = ["BdistWheel"]


class BdistWheel(Archive):
    """Mixin: asks for the build tree, and lets the wheel appear whole."""

    bdist_dir: str | None
    keep_temp: bool

    def finalize_options(self) -> None:
        """Set up the isolation before anything is derived from build_base."""
        dist = self.distribution
        if {"dist_info", "editable_wheel"}.isdisjoint(requested(dist)):
            _build.isolate(dist)
        build = _build.current(dist)
        if build is None:
            super().finalize_options()
            return
        egg_info = dist.get_command_obj("egg_info")
        if isinstance(egg_info, EggInfo):
            egg_info.begin_private()
        if not stated_by_user(dist, "bdist_wheel", "bdist_dir"):
            self.bdist_dir = None  # the project's own is shared by all its builds
        super().finalize_options()
        if not (
            self.bdist_dir is None
            or build.tree.holds(self.bdist_dir)
            or stated_by_user(dist, "bdist_wheel", "bdist_dir")
            or stated_by_user(dist, "bdist", "bdist_base")
        ):
            # build_base is in the tree, by the user's wish; nobody has asked for this.
            self.bdist_dir = build.tree.bdist_dir

    def run(self) -> None:
        """Build the wheel, pack it in a staging directory, check it, publish it."""
        dist = self.distribution
        build = _build.current(dist)
        if build is None:
            super().run()
            return
        if self.keep_temp:
            build.settings.keep = "always"
        self._tell_what_is_shared(build)
        archives.check_directory(str(self.dist_dir))
        place = partial(self.packing, build)
        command = dist.get_command_obj("build")
        takes_turn = isinstance(command, BuildCommand) and command.is_wanted_in_tree()
        with (
            _turns.in_turn(dist) if takes_turn else contextlib.nullcontext(),
            self.private_egg_info(),
            wheel_files.written_in(self, place) as is_known,
        ):
            if not is_known:
                tell("unknown setuptools release: it packs the wheel itself")
            super().run()
            if not is_known:
                build.check()
            self.publish_by_hook(build)

    def _tell_what_is_shared(self, build: Build) -> None:
        build_command: Any = self.get_finalized_command("build")
        egg_info: Any = self.distribution.get_command_obj("egg_info")
        used = {
            "build_lib": build_command.build_lib,
            "build_temp": build_command.build_temp,
            "bdist_dir": self.bdist_dir,
            "egg_info": getattr(egg_info, "egg_info", None),
        }
        shared = [
            f"{name} = {path}"
            for name, path in used.items()
            if path and not build.tree.holds(path)
        ]
        if shared:
            warn(
                "not isolated but shared with other builds, because your "
                "configuration, command line or own command sets it: "
                + ", ".join(shared)
            )
