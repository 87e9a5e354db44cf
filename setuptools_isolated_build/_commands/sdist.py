"""``sdist`` from a release tree in the build tree."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build
from setuptools_isolated_build._commands.archive import Archive
from setuptools_isolated_build._commands.egg_info import EggInfo
from setuptools_isolated_build._publication import archives

if TYPE_CHECKING:
    from setuptools_isolated_build._build import Build

__all__ = ["Sdist"]


class Sdist(Archive):
    """Mixin: moves the release tree, and lets the archives appear whole."""

    archive_files: list[str] | None
    keep_temp: bool

    def run(self) -> None:
        """Build the archives, and let the hook's last step publish them."""
        build = _build.isolate(self.distribution)
        if build is None:
            super().run()
            return
        with self.private_egg_info(for_sdist=True):
            super().run()
            self.publish_by_hook(build)

    def make_distribution(self) -> None:
        """Make the archives, and let the build tree's removal be the only one."""
        build = _build.current(self.distribution)
        if build is None:
            super().make_distribution()  # type: ignore[misc]
            return
        # It would remove the release tree from the source tree, where it is not.
        keep_temp, self.keep_temp = self.keep_temp, True
        try:
            super().make_distribution()  # type: ignore[misc]
        finally:
            self.keep_temp = keep_temp
        if keep_temp:
            self._leave_release_tree(build)

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Make the release tree in the build tree, with the private egg-info in it."""
        build = _build.current(self.distribution)
        if build is None or os.path.isabs(base_dir):
            super().make_release_tree(base_dir, files)  # type: ignore[misc]
            return
        private = os.path.join(build.tree.release_root, base_dir)
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
        """Pack the release tree from where it is, and publish what is packed."""
        build = _build.current(self.distribution)
        if build is None:
            return super().make_archive(base_name, format, root_dir, base_dir, **kwargs)
        if root_dir is None and base_dir is not None:
            release_root = build.tree.release_root
            if os.path.isdir(os.path.join(release_root, base_dir)):
                root_dir = release_root
        with self.packing(build, base_name) as staged:
            archive = super().make_archive(staged, format, root_dir, base_dir, **kwargs)
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

    def _leave_release_tree(self, build: Build) -> None:
        def copy(source: str, target: str) -> None:
            with archives.replacing(target, build.tree) as staged:
                shutil.copy2(source, staged)

        release_root = build.tree.release_root
        for name in os.listdir(release_root):
            source = os.path.join(release_root, name)
            shutil.copytree(source, name, copy_function=copy, dirs_exist_ok=True)
