"""``sdist`` from a release tree in the build tree."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _isolation, _publish
from setuptools_isolated_build._commands.archive import Archive
from setuptools_isolated_build._commands.egg_info import EggInfo

if TYPE_CHECKING:
    from setuptools_isolated_build._isolation import Isolation

__all__ = ["Sdist"]


class Sdist(Archive):
    """Mixin: moves the release tree, and lets the archives appear whole."""

    archive_files: list[str] | None
    keep_temp: bool

    def run(self) -> None:
        """Build the archives in a staging directory and publish them."""
        isolation = _isolation.isolate(self.distribution)
        if isolation is None:
            super().run()
            return
        with self.private_egg_info(for_sdist=True):
            if self.in_hook():
                super().run()
                self.publish_by_hook(isolation)
                return
            published = self.build_and_publish(isolation, super().run)
            self.archive_files = [
                published.get(file, file) for file in self.archive_files or []
            ]

    def make_distribution(self) -> None:
        """Make the archives, and let the build tree's removal be the only one."""
        isolation = _isolation.current(self.distribution)
        if isolation is None:
            super().make_distribution()  # type: ignore[misc]
            return
        # It would remove the release tree from the source tree, where it is not.
        keep_temp, self.keep_temp = self.keep_temp, True
        try:
            super().make_distribution()  # type: ignore[misc]
        finally:
            self.keep_temp = keep_temp
        if keep_temp:
            self._leave_release_tree(isolation)

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Make the release tree in the build tree, with the private egg-info in it."""
        isolation = _isolation.current(self.distribution)
        if isolation is None or os.path.isabs(base_dir):
            super().make_release_tree(base_dir, files)  # type: ignore[misc]
            return
        private = os.path.join(isolation.tree.release_root, base_dir)
        egg_info = self._egg_info_files()
        for name, path in egg_info.items():
            self.mkpath(os.path.dirname(os.path.join(private, name)))
            self.copy_file(path, os.path.join(private, name))
        not_in_tree = {*egg_info, *egg_info.values()}
        in_tree = [file for file in files if os.path.normpath(file) not in not_in_tree]
        super().make_release_tree(private, in_tree)  # type: ignore[misc]

    def make_archive(  # type: ignore[override]
        self,
        base_name: str,
        format: str,  # noqa: A002  # distutils' name for it
        root_dir: str | None = None,
        base_dir: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Pack the release tree from where it is, under the name that it has."""
        isolation = _isolation.current(self.distribution)
        if isolation is not None and root_dir is None and base_dir is not None:
            release_root = isolation.tree.release_root
            if os.path.isdir(os.path.join(release_root, base_dir)):
                root_dir = release_root
        archive: str = super().make_archive(
            base_name, format, root_dir, base_dir, **kwargs
        )
        # With a root_dir distutils makes it absolute.
        return os.path.join(os.path.dirname(base_name), os.path.basename(archive))

    def _egg_info_files(self) -> dict[str, str]:
        egg_info = self.distribution.get_command_obj("egg_info")
        if not isinstance(egg_info, EggInfo):
            return {}
        listed = set(map(os.path.normpath, egg_info.filelist.files))
        files = egg_info.private_files()
        return {
            name: path
            for name, path in files.items()
            if name in listed or os.path.basename(name) == "SOURCES.txt"
        }

    def _leave_release_tree(self, isolation: Isolation) -> None:
        def copy(source: str, target: str) -> None:
            with _publish.replacing(target, isolation.tree) as staged:
                shutil.copy2(source, staged)

        release_root = isolation.tree.release_root
        for name in os.listdir(release_root):
            source = os.path.join(release_root, name)
            shutil.copytree(source, name, copy_function=copy, dirs_exist_ok=True)
