"""``build_ext``: the same bytes, and what it puts beside the sources appears whole."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _isolation, _publish
from setuptools_isolated_build._commands.build import compiler_cache, prepare_compilers

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from setuptools import Command as _Base

    from setuptools_isolated_build._isolation import Isolation
else:
    _Base = object

__all__ = ["BuildExt"]


class BuildExt(_Base):
    """Mixin: replaces extension modules in the source tree, in place of rewriting them.

    A Python that has the old one mapped would crash, and an import in that moment finds
    half a file.
    """

    compiler: Any
    extensions: list[Any]
    parallel: Any
    _replaces = False

    def run(self) -> None:
        """Build the extensions, by CMake with the compiler cache too."""
        if not getattr(self, "extensions", None):
            super().run()
            return
        from setuptools_isolated_build import _compiler_cache, _kept

        cache = compiler_cache(self)
        isolation = _isolation.current(self.distribution)
        if cache is not None and isolation is not None and isolation.tree.is_kept:
            program = _kept.link(isolation.tree.directory, cache.program)
            cache = cache._replace(program=program)
        with _compiler_cache.for_cmake(cache and cache.program):
            super().run()

    def build_extensions(self) -> None:
        """Build them with compilers that know of the build tree and of the cache."""
        prepare_compilers(self, "compiler", "shlib_compiler")
        with self._batch():
            super().build_extensions()  # type: ignore[misc]

    def _batch(self) -> AbstractContextManager[None]:
        """Where compilations of several extensions may be put off, if they may."""
        from setuptools_isolated_build import _compiler, _flights

        may_be_put_off = (
            _compiler.puts_off(self.compiler)
            and _isolation.is_setuptools(super().build_extensions)  # type: ignore[misc]
            and _isolation.is_setuptools(super().build_extension)  # type: ignore[misc]
            and not self.parallel
            and not getattr(self, "shlibs", None)
            and not any(ext.optional for ext in self.extensions)
        )
        return _flights.batch() if may_be_put_off else contextlib.nullcontext()

    def copy_extensions_to_source(self) -> None:
        """Put the extension modules beside the sources, under a lock.

        For the sake of the stub loaders, of which one build would remove another's
        (`setuptools.command.build_ext.build_ext._compile_and_remove_stub`).
        """
        isolation = _isolation.isolate(self.distribution)
        if isolation is None:
            super().copy_extensions_to_source()  # type: ignore[misc]
            return
        timeout = isolation.settings.lock_timeout
        with _publish.lock_for(os.getcwd(), isolation.lock_root, timeout):
            self._replaces = True
            try:
                super().copy_extensions_to_source()  # type: ignore[misc]
            finally:
                self._replaces = False

    def copy_file(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> Any:
        """Copy a file, or replace it if it is one beside the sources."""
        isolation = self._isolation_to_replace(str(outfile))
        if isolation is None or not self._is_newer(infile, outfile):
            return super().copy_file(infile, outfile, *args, **kwargs)
        with _publish.replacing(str(outfile), isolation.tree) as staged:
            super().copy_file(infile, staged, *args, **kwargs)
        return outfile, True

    def _write_stub_file(
        self,
        stub_file: str,
        ext: Any,
        compile: Any = False,  # noqa: A002, FBT002
    ) -> None:
        isolation = self._isolation_to_replace(stub_file)
        if isolation is None or os.path.exists(stub_file):
            super()._write_stub_file(stub_file, ext, compile)  # type: ignore[misc]
            return
        with _publish.replacing(stub_file, isolation.tree) as staged:
            super()._write_stub_file(staged, ext)  # type: ignore[misc]
        if compile:
            self._compile_and_remove_stub(stub_file)  # type: ignore[attr-defined]

    def _isolation_to_replace(self, path: str) -> Isolation | None:
        is_file = os.path.basename(path) != "" and not os.path.isdir(path)
        if not self._replaces or not is_file:
            return None
        return _isolation.current(self.distribution)

    def _is_newer(self, source: str, target: str) -> bool:
        # By setuptools' rule a file that is up to date stays.
        if self.force or not os.path.exists(target):
            return True
        return os.path.getmtime(source) > os.path.getmtime(target)
