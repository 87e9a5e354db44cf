"""``editable_wheel``: a link tree that stays whole, and a wheel that appears whole."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from setuptools.errors import BaseError

from setuptools_isolated_build import _build
from setuptools_isolated_build._commands.archive import Archive
from setuptools_isolated_build._publication import archives, link_trees
from setuptools_isolated_build._setuptools.output import tell
from setuptools_isolated_build.errors import IsolatedBuildError

__all__ = ["EditableWheel"]


# Of `setuptools.command.editable_wheel._LinkTree`, from 64.0.3 to 84.2.1.
_KNOWN = ("_create_links", "auxiliary_dir", "path_entries")


class EditableWheel(Archive):
    """Mixin: keeps builds, and the installs that import from the tree, apart.

    All else that the command makes is in temporary directories of its own.
    """

    project_dir: str
    mode: str | None
    _staging: str | None = None

    def run(self) -> None:
        """Build, and let the hook's last step publish what has been built."""
        build = _build.isolate(self.distribution)
        try:
            super().run()
        except BaseError as exc:
            # Before 65 setuptools hides it behind an advice to report a bug.
            cause = exc.__cause__
            if not isinstance(cause, IsolatedBuildError):
                raise
            error = type(cause)(cause.path, cause.cause, cause.remedy)
            raise error from None
        # By hand it is "internal only" and leaves more than an archive in dist_dir.
        if build is not None:
            self.publish_by_hook(build)

    def _create_wheel_file(self, bdist_wheel: Any) -> Any:
        build = _build.current(self.distribution)
        if build is None or (self.mode or "").lower() != "strict":
            return super()._create_wheel_file(bdist_wheel)  # type: ignore[misc]
        is_new = not os.path.lexists(self._build_dir())
        try:
            with archives.staging_directory(self._build_dir(), build.tree) as staging:
                self._staging = staging
                return super()._create_wheel_file(bdist_wheel)  # type: ignore[misc]
        finally:
            self._staging = None
            if is_new:
                with contextlib.suppress(OSError):  # the link tree is in it now
                    os.rmdir(self._build_dir())

    def _select_strategy(self, *args: Any) -> Any:
        if self._staging is None:
            return super()._select_strategy(*args)  # type: ignore[misc]
        # It empties the directory that it chooses, from which others may be importing.
        project_dir, self.project_dir = self.project_dir, self._staging
        try:
            strategy = super()._select_strategy(*args)  # type: ignore[misc]
        finally:
            self.project_dir = project_dir
        if not all(hasattr(strategy, name) for name in _KNOWN):
            tell("unknown setuptools release: it makes the link tree itself")
            return super()._select_strategy(*args)  # type: ignore[misc]
        staged = strategy.auxiliary_dir
        link_tree = type(staged)(self._build_dir(), staged.name)
        create_links = strategy._create_links  # noqa: SLF001

        def create_and_move(*args: Any) -> None:
            create_links(*args)
            self._move(str(staged), str(link_tree))
            strategy.auxiliary_dir = link_tree  # it says so at the end

        strategy._create_links = create_and_move  # noqa: SLF001
        strategy.path_entries = [link_tree]  # what the wheel's .pth file names
        return strategy

    def _build_dir(self) -> str:
        # Wherever build_base is: the install goes on importing from there.
        return os.path.join(os.path.abspath(self.project_dir), "build")

    def _move(self, staged: str, link_tree: str) -> None:
        build = _build.current(self.distribution)
        assert build is not None
        build.check()
        timeout = build.settings.seconds_to_publish
        with archives.lock_for(link_tree, build.locks, timeout):
            link_trees.bring_up_to_date(link_tree, staged)
