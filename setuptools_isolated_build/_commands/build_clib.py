"""``build_clib``: libraries without the build tree's path in them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build
from setuptools_isolated_build._commands.build import prepare_compilers

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["BuildClib"]


class BuildClib(_Base):
    """Mixin: its objects end up in extension modules."""

    compiler: Any
    build_clib: str
    build_temp: str

    def build_libraries(self, libraries: Any) -> None:
        """Build them with a compiler that knows of the build tree and of the cache."""
        prepare_compilers(self, "compiler")
        build = _build.current(self.distribution)
        if build is not None and build.tree.is_kept:
            self._forget(libraries)
        super().build_libraries(libraries)  # type: ignore[misc]

    def _forget(self, libraries: Any) -> None:
        # It takes an object that is newer than its sources, whatever the flags were,
        # and puts the new ones into an archive beside those that are no more.
        for name, info in libraries:
            objects = self.compiler.object_filenames(
                info.get("sources") or (), output_dir=self.build_temp
            )
            archive = self.compiler.library_filename(name, output_dir=self.build_clib)
            for path in (*objects, archive):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
