"""What the commands that make an archive have in common: staging and publishing it."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from setuptools_isolated_build import _build_meta, _isolation, _publish
from setuptools_isolated_build._commands.egg_info import EggInfo
from setuptools_isolated_build.errors import IsolatedBuildError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from setuptools import Command as _Base

    from setuptools_isolated_build._isolation import Isolation
else:
    _Base = object

__all__ = ["Archive"]


class Archive(_Base):
    """Mixin: lets what the command puts into its dist_dir appear whole."""

    dist_dir: Any  # a path; editable_wheel makes it a Path

    def private_egg_info(
        self, *, for_sdist: bool = False
    ) -> AbstractContextManager[None]:
        """Return a context in which the egg-info is made privately."""
        egg_info = self.distribution.get_command_obj("egg_info")
        if isinstance(egg_info, EggInfo):
            return egg_info.private(for_sdist=for_sdist)
        return contextlib.nullcontext()  # of a look-up that we were not asked in

    def in_hook(self) -> bool:
        """Whether what is in dist_dir is moved on by a step of the hook's."""
        hook = _build_meta.running_hook()
        return hook is not None and hook.result_staging == str(self.dist_dir)

    def publish_by_hook(self, isolation: Isolation) -> None:
        """Check what has been built, and let the hook's last step publish it."""
        staging = str(self.dist_dir)
        self._check(isolation, staging)
        _build_meta.publish_with(staging, partial(_publish_result, isolation))
        _isolation.keep_for_hook(self.distribution)

    def build_and_publish(
        self, isolation: Isolation, build: Callable[[], None]
    ) -> dict[str, str]:
        """Run *build* with a staging directory for its dist_dir, and publish.

        Returns:
            Where each archive is, by where it has been staged.
        """
        hook = _build_meta.running_hook()
        if hook is not None and hook.result_staging is None:
            _isolation.tell(
                "the result is published as this setuptools does it: "
                "its build_meta has no step that is known here"
            )
        dist_dir = self.dist_dir
        files: list[Any] = getattr(self.distribution, "dist_files", [])
        with _publish.staging_directory(dist_dir, isolation.tree) as staging:
            self.dist_dir = staging
            try:
                build()
            finally:
                self.dist_dir = dist_dir
            self._check(isolation, staging)
            published = {
                os.path.join(staging, name): os.path.join(dist_dir, name)
                for name in sorted(os.listdir(staging))
            }
            for staged, target in published.items():
                _publish_archive(isolation, staged, target)
        files[:] = [(*file[:-1], published.get(file[-1], file[-1])) for file in files]
        return published

    def _check(self, isolation: Isolation, directory: str) -> None:
        if isolation.settings.verify:
            for name in os.listdir(directory):
                if name.endswith(".whl"):
                    _publish.check_wheel(os.path.join(directory, name))


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
