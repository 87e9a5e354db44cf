"""``bdist_wheel`` in the build tree, publishing what it has made."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build_meta, _isolation, _publish
from setuptools_isolated_build._commands.egg_info import EggInfo
from setuptools_isolated_build.errors import IsolatedBuildError

if TYPE_CHECKING:
    from setuptools import Command as _Base

    from setuptools_isolated_build._isolation import Isolation
else:
    _Base = object

__all__ = ["BdistWheel"]


class BdistWheel(_Base):
    """Mixin: asks for the build tree, and lets the wheel appear whole."""

    bdist_dir: str | None
    dist_dir: str
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
            egg_info.begin_wheel()
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
        hook = _build_meta.running_hook()
        egg_info = dist.get_command_obj("egg_info")
        if isinstance(egg_info, EggInfo):
            egg_info.run_for_others()
        try:
            if hook is not None and hook.result_staging == self.dist_dir:
                super().run()
                self._check(isolation, self.dist_dir)
                publish = partial(_publish_result, isolation)
                _build_meta.publish_with(self.dist_dir, publish)
                _isolation.keep_for_hook(dist)
            else:
                if hook is not None and hook.result_staging is None:
                    _isolation.tell(
                        "the result is published as this setuptools does it: "
                        "its build_meta has no step that is known here"
                    )
                self._run_and_publish(isolation)
        finally:
            if isinstance(egg_info, EggInfo):
                egg_info.end_wheel()

    def _run_and_publish(self, isolation: Isolation) -> None:
        dist_dir = self.dist_dir
        files: list[Any] = getattr(self.distribution, "dist_files", [])
        with _publish.staging_directory(dist_dir, isolation.tree) as staging:
            self.dist_dir = staging
            try:
                super().run()
            finally:
                self.dist_dir = dist_dir
            self._check(isolation, staging)
            for name in sorted(os.listdir(staging)):
                staged = os.path.join(staging, name)
                target = os.path.join(dist_dir, name)
                _publish_archive(isolation, staged, target)
                files[:] = [
                    (*file[:-1], target) if file[-1] == staged else file
                    for file in files
                ]

    def _check(self, isolation: Isolation, directory: str) -> None:
        if isolation.settings.verify:
            for name in os.listdir(directory):
                if name.endswith(".whl"):
                    _publish.check_wheel(os.path.join(directory, name))

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


def _publish_archive(isolation: Isolation, archive: str, target: str) -> None:
    timeout = isolation.settings.lock_timeout
    if not _publish.publish(archive, target, isolation.lock_root, timeout):
        _isolation.tell(f"published without a lock: {target}")


def _publish_result(isolation: Isolation, archive: str, target: str) -> None:
    # setup() has returned, and with it distutils' handler of errors.
    try:
        _publish_archive(isolation, archive, target)
    except IsolatedBuildError as exc:
        _isolation.hook_is_done(failed=True)
        msg = f"error: {exc}"
        raise SystemExit(msg) from None
    with contextlib.suppress(OSError):
        # Empty now; setuptools would remove it too, but after the build tree is gone.
        os.rmdir(os.path.dirname(archive))
    _isolation.hook_is_done()
