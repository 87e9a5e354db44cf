"""``build_clib``: libraries without the build tree's path in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from setuptools_isolated_build._commands.build import prepare_compilers

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["BuildClib"]


class BuildClib(_Base):
    """Mixin: its objects end up in extension modules."""

    compiler: Any

    def build_libraries(self, libraries: Any) -> None:
        """Build them with a compiler that knows of the build tree and of the cache."""
        prepare_compilers(self, "compiler")
        super().build_libraries(libraries)  # type: ignore[misc]
