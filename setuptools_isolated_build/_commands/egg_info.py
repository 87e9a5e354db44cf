"""``egg_info`` in a private egg_base, when it is made on the way to a wheel."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, Any, Callable

from setuptools_isolated_build import _build_tree, _isolation

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["EggInfo"]


# These use the egg-info of the source tree, by hand, also after bdist_wheel.
_IN_TREE = {
    "bdist_egg",
    "bdist_rpm",
    "develop",
    "dist_info",
    "editable_wheel",
    "egg_info",
    "install",
    "install_egg_info",
    "sdist",
}


class EggInfo(_Base):
    """Mixin: moves the egg-info directory and keeps what it is made from."""

    egg_base: str | None
    egg_info: str
    filelist: Any
    _is_private = False
    # egg_base and egg_info without us, and what was found to make the latter from.
    _in_tree: tuple[str, str] | None = None
    _filelist_in_tree: Any = None

    def finalize_options(self) -> None:
        """Finalize as ever; what a hook asks for it gets privately.

        By hand, ``setup.py egg_info`` is asked for what it leaves in the tree. And
        `setuptools.command.dist_info` sets egg_base to the frontend's metadata
        directory, which is private already.
        """
        self._in_tree = None
        super().finalize_options()
        if _isolation.requested_by_hook(self.distribution):
            _isolation.isolate(self.distribution)
            self._is_private = True
        if self._is_private:
            self._move_to_build_tree()

    def begin_wheel(self) -> None:
        """Make the egg-info privately from now on, also if it was made in the tree."""
        self._is_private = True
        if self.finalized:
            self._move_to_build_tree()

    def run_for_others(self) -> None:
        """Make the egg-info in the tree too, if other commands will look for it there.

        Before the wheel and not after it, or the wheel would get into its file list.
        """
        dist = self.distribution
        others = not _IN_TREE.isdisjoint(_isolation.requested(dist))
        if others and self._in_tree and not _isolation.requested_by_hook(dist):
            self.end_wheel()
            self.run_command("egg_info")
            self.begin_wheel()

    def end_wheel(self) -> None:
        """Let the commands after the wheel find what they would find without us.

        ``sdist`` would leave a private egg-info out of the archive, without an error,
        for it packs relative paths only; ``develop`` would link to a directory that
        goes.
        """
        if self._in_tree is not None and not _isolation.requested_by_hook(
            self.distribution
        ):
            self._is_private = False
            self.egg_base, self.egg_info = self._in_tree
            self._in_tree = None
            self.filelist = self._filelist_in_tree
            self.distribution.have_run["egg_info"] = self.filelist is not None

    def _move_to_build_tree(self) -> None:
        dist = self.distribution
        isolation = _isolation.current(dist)
        if (
            isolation is None
            or self._in_tree is not None
            or _isolation.stated_by_user(dist, "egg_info", "egg_base")
        ):
            return
        if dist.have_run.get("egg_info"):
            self._filelist_in_tree = self.filelist
        assert self.egg_base is not None
        self._in_tree = self.egg_base, self.egg_info
        self.egg_base = isolation.tree.egg_base
        self.egg_info = os.path.join(self.egg_base, os.path.basename(self.egg_info))
        dist.have_run["egg_info"] = False

    def run(self) -> None:
        """Make the egg-info, starting from what an unpacked sdist brought with it."""
        if self._in_tree is not None and not os.path.exists(self.egg_info):
            shipped = self._in_tree[1]
            # An sdist's SOURCES.txt may be all that knows of its package data. In a
            # checkout the same file is litter that revives deleted files
            # (setuptools#436), and a pristine copy has none.
            if os.path.isfile("PKG-INFO") and os.path.isdir(shipped):
                shutil.copytree(shipped, self.egg_info, copy_function=_copy_writable)
                _build_tree.make_writable(self.egg_info)
        super().run()

    def find_sources(self) -> None:
        """Find what setuptools finds in a tree that has no left-over of any build."""
        super().find_sources()  # type: ignore[misc]
        isolation = _isolation.current(self.distribution)
        filelist = getattr(self, "filelist", None)
        if isolation is None or filelist is None:
            return
        build: Any = self.get_finalized_command("build")
        # sdist prunes the build_base of this build. There may be an old build/ too, and
        # TMPDIR (with the trees of running builds) may lie in the source tree.
        left_over = getattr(build, "build_base_in_tree", build.build_base)
        slot = isolation.tree.slot
        prefixes = tuple(
            os.path.abspath(path) + os.sep
            for path in (left_over, slot, os.path.dirname(slot))
            # A root above the source tree holds all of it, and nothing of it is pruned.
            if not (os.getcwd() + os.sep).startswith(os.path.abspath(path) + os.sep)
        )

        def is_source(name: str) -> bool:
            # What is absolute is the private egg-info, which belongs into its own list.
            return os.path.isabs(name) or not os.path.abspath(name).startswith(prefixes)

        if not all(map(is_source, filelist.files)):
            filelist.files = [name for name in filelist.files if is_source(name)]
            self._write_sources(is_source)

    def _write_sources(self, is_source: Callable[[str], bool]) -> None:
        # It decides the package data of the sdist that it ships in.
        path = os.path.join(self.egg_info, "SOURCES.txt")
        with open(path, encoding="utf-8", newline="\n") as file:
            names = file.read().split("\n")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(name for name in names if is_source(name)))


def _copy_writable(source: str, target: str) -> None:
    shutil.copy2(source, target)
    os.chmod(target, os.stat(target).st_mode | stat.S_IWUSR)
