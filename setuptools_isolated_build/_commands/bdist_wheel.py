"""``bdist_wheel`` in the build tree, publishing what it has made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _isolation
from setuptools_isolated_build._commands.archive import Archive
from setuptools_isolated_build._commands.egg_info import EggInfo

if TYPE_CHECKING:
    from setuptools_isolated_build._isolation import Isolation

__all__ = ["BdistWheel"]


class BdistWheel(Archive):
    """Mixin: asks for the build tree, and lets the wheel appear whole."""

    bdist_dir: str | None
    keep_temp: bool

    def finalize_options(self) -> None:
        """Set up the isolation before anything is derived from build_base."""
        dist = self.distribution
        if {"dist_info", "editable_wheel"}.isdisjoint(_isolation.requested(dist)):
            _isolation.isolate(dist)
        isolation = _isolation.current(dist)
        if isolation is None:
            super().finalize_options()
            return
        egg_info = dist.get_command_obj("egg_info")
        if isinstance(egg_info, EggInfo):
            egg_info.begin_private()
        if not _isolation.stated_by_user(dist, "bdist_wheel", "bdist_dir"):
            self.bdist_dir = None  # the project's own is shared by all its builds
        super().finalize_options()
        if not (
            self.bdist_dir is None
            or isolation.tree.holds(self.bdist_dir)
            or _isolation.stated_by_user(dist, "bdist_wheel", "bdist_dir")
            or _isolation.stated_by_user(dist, "bdist", "bdist_base")
        ):
            # build_base is in the tree, by the user's wish; nobody has asked for this.
            self.bdist_dir = isolation.tree.bdist_dir
        self._tell_what_is_shared(isolation)

    def run(self) -> None:
        """Build the wheel in a staging directory, check it, publish it."""
        dist = self.distribution
        if self.keep_temp and _isolation.current(dist) is not None:
            _isolation.keep_tree(dist)
        isolation = _isolation.current(dist)
        if isolation is None:
            super().run()
            return
        with self.private_egg_info():
            if self.in_hook():
                super().run()
                self.publish_by_hook(isolation)
            else:
                self.build_and_publish(isolation, super().run)

    def _tell_what_is_shared(self, isolation: Isolation) -> None:
        build: Any = self.get_finalized_command("build")
        egg_info: Any = self.distribution.get_command_obj("egg_info")
        used = {
            "build_lib": build.build_lib,
            "build_temp": build.build_temp,
            "bdist_dir": self.bdist_dir,
            "egg_info": getattr(egg_info, "egg_info", None),
        }
        shared = [
            f"{name} = {path}"
            for name, path in used.items()
            if path and not isolation.tree.holds(path)
        ]
        if shared:
            _isolation.warn(
                "shared with other builds, as it is stated or asked for by name: "
                + ", ".join(shared)
            )
