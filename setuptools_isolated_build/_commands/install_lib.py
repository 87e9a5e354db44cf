"""``install_lib``: links what has been built into the wheel's directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build
from setuptools_isolated_build._setuptools import copying
from setuptools_isolated_build._setuptools.output import tell

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["InstallLib"]

_NFS = ".nfs"  # what `distutils.dir_util.copy_tree` passes over


class InstallLib(_Base):
    """Mixin: copies nothing from one private directory to another.

    Links and not moves: what a project does after `bdist_wheel` finds its build_lib.
    """

    def copy_tree(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> Any:
        """Link the files of build_lib into bdist_dir if both are this build's own."""
        build = _build.current(self.distribution)
        if (
            build is None
            or not build.tree.holds(infile)
            or not build.tree.holds(outfile)
            or not copying.is_nobody_elses(self)
            or self.get_exclusions()  # type: ignore[attr-defined]  # of old namespaces
        ):
            return super().copy_tree(infile, outfile, *args, **kwargs)
        tell(f"linking {infile} -> {outfile}")
        outfiles: list[str] = []
        self._link_tree(infile, outfile, outfiles)
        return outfiles

    def _link_tree(self, source: str, target: str, outfiles: list[str]) -> None:
        os.makedirs(target, exist_ok=True)
        with os.scandir(source) as entries:
            for entry in entries:
                path = os.path.join(target, entry.name)
                if entry.name.startswith(_NFS):
                    continue
                if entry.is_dir():
                    self._link_tree(entry.path, path, outfiles)
                    continue
                outfiles.append(path)
                if not _is_linked(entry, path):
                    self.copy_file(entry.path, path)


def _is_linked(entry: os.DirEntry[str], path: str) -> bool:
    # A project may have linked its sources into build_lib: these get no third name, or
    # what writes into the wheel's directory would change them. Asked of the system,
    # since on Windows a directory's entry knows no number of links.
    if entry.is_symlink() or os.lstat(entry.path).st_nlink != 1:
        return False
    try:
        os.link(entry.path, path)
    except (OSError, AttributeError):  # setup.py may have deleted os.link (netifaces)
        return False
    return True
