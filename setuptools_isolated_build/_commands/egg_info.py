"""``egg_info`` in a private egg_base, when it is made on the way to a wheel."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build_meta, _build_tree, _isolation

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["EggInfo"]


class EggInfo(_Base):
    """Mixin: moves the egg-info directory and keeps what it is made from."""

    egg_base: str | None
    egg_info: str
    _in_tree: tuple[str, str] | None = None  # egg_base and egg_info without us

    def finalize_options(self) -> None:
        """Finalize as ever; a hook that asks for the requirements gets them privately.

        By hand, ``setup.py egg_info`` is asked for what it leaves in the tree. And
        `setuptools.command.dist_info` sets egg_base to the frontend's metadata
        directory, which is private already.
        """
        self._in_tree = None
        super().finalize_options()
        dist = self.distribution
        if _isolation.requested(dist) == {"egg_info"} and _build_meta.running_hook():
            _isolation.isolate(dist)
            self.move_to_build_tree()

    def move_to_build_tree(self) -> None:
        """Make the egg-info privately from now on, also if it was made in the tree."""
        isolation = _isolation.current(self.distribution)
        if (
            isolation is None
            or self._in_tree is not None
            or _isolation.stated_by_user(self.distribution, "egg_info", "egg_base")
        ):
            return
        assert self.egg_base is not None
        self._in_tree = self.egg_base, self.egg_info
        self.egg_base = isolation.tree.egg_base
        self.egg_info = os.path.join(self.egg_base, os.path.basename(self.egg_info))
        self.distribution.have_run["egg_info"] = False

    def move_to_source_tree(self) -> None:
        """Make the egg-info where it always was: for commands run after the wheel.

        ``sdist`` would leave the egg-info out of the archive, without an error, for it
        packs relative paths only; ``develop`` would link to a directory that goes.
        """
        if self._in_tree is not None:
            self.egg_base, self.egg_info = self._in_tree
            self._in_tree = None
            self.distribution.have_run["egg_info"] = False

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
        filelist: Any = getattr(self, "filelist", None)
        if isolation is None or filelist is None:
            return
        build: Any = self.get_finalized_command("build")
        # sdist prunes the build_base of this build. There may be an old build/ too, and
        # TMPDIR (with the trees of running builds) may lie in the source tree.
        pruned = (
            getattr(build, "build_base_in_tree", build.build_base),
            os.path.relpath(os.path.dirname(isolation.tree.slot)),
        )
        prefixes = tuple(os.path.normpath(path) + os.sep for path in pruned)
        filelist.files = [
            name
            for name in filelist.files
            if not os.path.normpath(name).startswith(prefixes)
        ]


def _copy_writable(source: str, target: str) -> None:
    shutil.copy2(source, target)
    os.chmod(target, os.stat(target).st_mode | stat.S_IWUSR)
