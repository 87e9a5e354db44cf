"""What the commands that make an archive have in common: staging and publishing it."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _process, _turns
from setuptools_isolated_build._commands.egg_info import EggInfo
from setuptools_isolated_build._publication import archives
from setuptools_isolated_build._setuptools import hooks
from setuptools_isolated_build._setuptools.distribution import source_dir
from setuptools_isolated_build._setuptools.output import tell
from setuptools_isolated_build._validation import results
from setuptools_isolated_build.errors import IsolatedBuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from setuptools import Command as _Base

    from setuptools_isolated_build._build import Build
else:
    _Base = object

__all__ = ["Archive"]


class Archive(_Base):
    """Mixin: lets what the command packs appear whole."""

    dist_dir: Any  # a path; editable_wheel makes it a Path

    def private_egg_info(
        self, *, for_sdist: bool = False
    ) -> AbstractContextManager[None]:
        """Return a context in which the egg-info is made privately."""
        egg_info = self.distribution.get_command_obj("egg_info")
        if isinstance(egg_info, EggInfo):
            return egg_info.private(for_sdist=for_sdist)
        return contextlib.nullcontext()  # of a look-up that we were not asked in

    @contextlib.contextmanager
    def packing(self, build: Build, target: str) -> Iterator[str]:
        """Give the path to which the archive *target* is to be packed, and publish it.

        In a hook it is *target* itself: what is in dist_dir is moved on by the hook's
        last step. By hand it is in a staging directory.

        Raises:
            BuildTreeLostError: what is to be packed, or was, is not all there.
            PublishError, DiskFullError: *target* cannot be written.
        """
        build.check()
        if self._in_hook():
            yield target
            build.check()
            return
        if hooks.running_hook() is not None:
            tell("unknown setuptools release: its hook puts the result in place")
        directory = os.path.dirname(target) or os.curdir
        with archives.packed_in(directory, build.tree) as staging:
            staged = os.path.join(staging, os.path.basename(target))
            yield staged
            # distutils adds the suffix of an sdist.
            for name in os.listdir(staging):
                self._check(build, os.path.join(staging, name))
            had_turn = _process.has_turn(self.distribution)
            results.check(self.distribution, build)
            for name in os.listdir(staging):
                path = os.path.join(staging, name)
                _publish(build, path, os.path.join(directory, name))
                build.is_published = True
        # For the commands that follow.
        _turns.enter(self.distribution, source_dir(self.distribution))
        if had_turn:
            _turns.take_for_commands(self.distribution)

    def publish_by_hook(self, build: Build) -> None:
        """Let the hook's last step publish what has been built."""
        if self._in_hook():
            staging = str(self.dist_dir)
            for name in os.listdir(staging):
                self._check(build, os.path.join(staging, name))
            hooks.publish_with(staging, partial(_publish_result, build))

    def _in_hook(self) -> bool:
        hook = hooks.running_hook()
        return hook is not None and hook.result_staging == str(self.dist_dir)

    def _check(self, build: Build, archive: str) -> None:
        build.check()
        if build.settings.verify and archive.endswith(".whl"):
            archives.check_wheel(archive)


def _publish(build: Build, archive: str, target: str) -> None:
    timeout = build.settings.seconds_to_publish
    if not archives.publish(archive, target, build.locks, timeout):
        tell(f"published without a lock: {target}")


def _publish_result(build: Build, archive: str, target: str) -> None:
    # setup() has returned, and with it distutils' handler of errors.
    try:
        build.check()
        _publish(build, archive, target)
        build.is_published = True
    except IsolatedBuildError as exc:
        msg = f"error: {exc}"
        raise SystemExit(msg) from None
