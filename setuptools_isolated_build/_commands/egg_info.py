"""``egg_info`` in a private egg_base, when it is made on the way to an archive."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING, Any, Callable

from setuptools_isolated_build import _build
from setuptools_isolated_build._setuptools import copying, sources
from setuptools_isolated_build._setuptools.distribution import (
    is_setuptools,
    is_unpacked_sdist,
    requested,
    requested_by_hook,
    stated_by_user,
)
from setuptools_isolated_build._trees import removal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["EggInfo"]


# These use the egg-info of the source tree, by hand, also after an archive was made.
_IN_TREE = {
    "bdist_egg",
    "bdist_rpm",
    "develop",
    "dist_info",
    "editable_wheel",
    "egg_info",
    "install",
    "install_egg_info",
}
# These say where it is to be: in a directory of the frontend's, or a temporary one.
_THEY_STATE_IT = {"dist_info", "editable_wheel"}


class EggInfo(_Base):
    """Mixin: moves the egg-info directory and keeps what it is made from."""

    egg_base: str | None
    egg_info: str
    filelist: Any
    _is_private = False
    # egg_base and egg_info without us, and what was found to make the latter from.
    _in_tree: tuple[str, str] | None = None
    _filelist_in_tree: Any = None
    # Whether the list of sources names these files as if they lay in the tree.
    _is_for_sdist = False

    def finalize_options(self) -> None:
        """Finalize as ever; what a hook asks for it gets privately.

        By hand, ``setup.py egg_info`` is asked for what it leaves in the tree. And
        `setuptools.command.dist_info` sets egg_base to the frontend's metadata
        directory, which is private already.
        """
        self._in_tree = None
        super().finalize_options()
        dist = self.distribution
        self._is_for_sdist |= "sdist" in requested(dist)
        if self._is_asked_for_by_hook():
            _build.isolate(dist)
            self._is_private = True
        if self._is_private:
            self._move_to_build_tree()

    def _is_asked_for_by_hook(self) -> bool:
        dist = self.distribution
        return requested_by_hook(dist) and _THEY_STATE_IT.isdisjoint(requested(dist))

    @property
    def egg_info_in_tree(self) -> str:
        """The absolute path of the egg-info that builds without us would share.

        Empty before it is known.
        """
        egg_info = self.egg_info if self._in_tree is None else self._in_tree[1]
        if not egg_info:
            return ""
        if not _THEY_STATE_IT.isdisjoint(requested(self.distribution)):
            default_base = (self.distribution.package_dir or {}).get("", os.curdir)
            egg_info = os.path.join(default_base, os.path.basename(egg_info))
        return os.path.abspath(egg_info)

    @contextlib.contextmanager
    def private(self, *, for_sdist: bool = False) -> Iterator[None]:
        """Make the egg-info privately in the block, for an archive that is built there.

        Also if it was made in the tree before. The commands after the block find what
        they would find without us.
        """
        self.begin_private(for_sdist=for_sdist)
        self._run_for_others()
        try:
            yield
        finally:
            self._end_private()

    def begin_private(self, *, for_sdist: bool = False) -> None:
        """Make the egg-info privately from now on, also if it was made in the tree."""
        self._is_private = True
        if self.finalized:
            self._move_to_build_tree()
        if for_sdist and not self._is_for_sdist:
            self._is_for_sdist = True
            self.distribution.have_run["egg_info"] = False

    def private_files(self) -> dict[str, str]:
        """Return where the files of the egg-info are, by their names in the tree.

        Empty if they do lie in the tree, or it is not known yet where.
        """
        if self._in_tree is None or not self.finalized:
            return {}
        private, in_tree = self.egg_info, os.path.normpath(self._in_tree[1])
        return {
            os.path.join(in_tree, os.path.relpath(path, private)): path
            for directory, _, names in os.walk(private)
            for path in (os.path.join(directory, name) for name in names)
        }

    def _run_for_others(self) -> None:
        # Other commands will look for it in the tree. Before the archive and not after
        # it, or that would get into its file list.
        dist = self.distribution
        others = not _IN_TREE.isdisjoint(requested(dist))
        if others and self._in_tree and not requested_by_hook(dist):
            self._end_private()
            self.run_command("egg_info")
            self.begin_private()

    def _end_private(self) -> None:
        # ``develop`` would link to a directory that goes.
        if self._in_tree is not None and not requested_by_hook(self.distribution):
            self._is_private = False
            self.egg_base, self.egg_info = self._in_tree
            self._in_tree = None
            self.filelist = self._filelist_in_tree
            self.distribution.have_run["egg_info"] = self.filelist is not None

    def _move_to_build_tree(self) -> None:
        dist = self.distribution
        build = _build.current(dist)
        if (
            build is None
            or self._in_tree is not None
            or stated_by_user(dist, "egg_info", "egg_base")
        ):
            return
        if dist.have_run.get("egg_info"):
            self._filelist_in_tree = self.filelist
        assert self.egg_base is not None
        self._in_tree = self.egg_base, self.egg_info
        self.egg_base = build.tree.egg_base
        self.egg_info = os.path.join(self.egg_base, os.path.basename(self.egg_info))
        if os.path.isdir(self.egg_info):
            # Of an archive before, with what a project's ``egg_info`` writes last.
            removal.remove(self.egg_info)
            copying.forget_made_directories()
        dist.have_run["egg_info"] = False

    def run(self) -> None:
        """Make the egg-info, starting from what an unpacked sdist brought with it."""
        if self._is_asked_for_by_hook() and not self._is_private:
            # It was finalized before the command line was read.
            _build.isolate(self.distribution)
            self.begin_private()
        if self._in_tree is not None and not os.path.exists(self.egg_info):
            shipped = self._in_tree[1]
            # An sdist's SOURCES.txt may be all that knows of its package data. In a
            # checkout the same file is litter that revives deleted files
            # (setuptools#436), and a pristine copy has none.
            if is_unpacked_sdist(self.distribution) and os.path.isdir(shipped):
                shutil.copytree(shipped, self.egg_info, copy_function=_copy_writable)
                removal.make_writable(self.egg_info)
        super().run()

    def find_sources(self) -> None:
        """Find what setuptools finds in a tree that has no left-over of any build."""
        super().find_sources()  # type: ignore[misc]
        build = _build.current(self.distribution)
        filelist = getattr(self, "filelist", None)
        if build is None or filelist is None:
            return
        is_left_over = sources.left_over_finder(self, build.tree)
        files = self._without(is_left_over, filelist.files)
        if files != filelist.files:
            filelist.files = files
            self._write_sources(is_left_over)

    def _without(
        self, is_left_over: Callable[[str], bool], names: list[str]
    ) -> list[str]:
        kept = [name for name in names if not is_left_over(name)]
        if self._is_for_sdist and self._in_tree is not None:
            # `setuptools.command.sdist` packs relative paths only: it would leave a
            # private egg-info out of the archive, without an error.
            names_in_tree = {path: name for name, path in self.private_files().items()}
            kept = [names_in_tree.get(os.path.normpath(name), name) for name in kept]
            # setuptools grafts its directory, but drops what is below a ``.svn`` or
            # cannot be decoded; pbr takes what it finds in the tree.
            own = sorted(names_in_tree.values())
            grafts = is_setuptools(super().find_sources)  # type: ignore[misc]
            if own and (grafts or not set(own).isdisjoint(kept)):
                with tempfile.TemporaryDirectory(dir=self.egg_base) as empty:
                    listed = sources.by_template(own, empty)
                # as FileList.sort and remove_duplicates do
                kept = sorted(
                    set(kept).difference(own).union(listed), key=os.path.split
                )
        return kept

    def _write_sources(self, is_left_over: Callable[[str], bool]) -> None:
        # It decides the package data of the sdist that it ships in.
        path = os.path.join(self.egg_info, "SOURCES.txt")
        if not os.path.isfile(path):
            return  # --dry-run
        with open(path, encoding="utf-8", newline="\n") as file:
            text = file.read()
        end = "\n" if text.endswith("\n") else ""
        listed = list(filter(None, text.split("\n")))
        names = self._without(is_left_over, listed)
        text = "\n".join(name.replace(os.sep, "/") for name in names) + end
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)


def _copy_writable(source: str, target: str) -> None:
    shutil.copy2(source, target)
    os.chmod(target, os.stat(target).st_mode | stat.S_IWUSR)
