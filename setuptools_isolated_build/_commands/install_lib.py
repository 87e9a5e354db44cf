"""``install_lib``: links what has been built into the wheel's directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _isolation

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["InstallLib"]


class InstallLib(_Base):
    """Mixin: copies nothing from one private directory to another.

    Links and not moves: what a project does after `bdist_wheel` finds its build_lib.
    """

    def copy_tree(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> Any:
        """Link the files of build_lib into bdist_dir if both are this build's own."""
        isolation = _isolation.current(self.distribution)
        if (
            isolation is None
            or not isolation.tree.holds(infile)
            or not isolation.tree.holds(outfile)
            or not _isolation.is_setuptools(super().copy_tree)
            or self.get_exclusions()  # type: ignore[attr-defined]  # of old namespaces
        ):
            return super().copy_tree(infile, outfile, *args, **kwargs)
        _isolation.tell(f"linking {infile} -> {outfile}")
        outfiles: list[str] = []
        self._link_tree(infile, outfile, outfiles)
        return outfiles

    def _link_tree(self, source: str, target: str, outfiles: list[str]) -> None:
        os.makedirs(target, exist_ok=True)
        with os.scandir(source) as entries:
            for entry in entries:
                path = os.path.join(target, entry.name)
                if entry.is_dir():
                    self._link_tree(entry.path, path, outfiles)
                    continue
                outfiles.append(path)
                if not _is_linked(entry, path):
                    self.copy_file(entry.path, path)


def _is_linked(entry: os.DirEntry[str], path: str) -> bool:
    # A project may have linked its sources into build_lib: these get no third name, or
    # what writes into the wheel's directory would change them.
    if entry.is_symlink() or entry.stat(follow_symlinks=False).st_nlink != 1:
        return False
    try:
        os.link(entry.path, path)
    except (OSError, AttributeError):  # setup.py may have deleted os.link (netifaces)
        return False
    return True
