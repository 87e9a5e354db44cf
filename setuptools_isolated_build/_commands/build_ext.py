"""``build_ext``: the same bytes, and what it puts beside the sources appears whole."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _build, _process
from setuptools_isolated_build._commands.build import compiler_cache, prepare_compilers
from setuptools_isolated_build._publication import archives
from setuptools_isolated_build._setuptools.distribution import (
    is_setuptools,
    source_dir,
)
from setuptools_isolated_build._setuptools.output import tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from setuptools import Command as _Base

    from setuptools_isolated_build._build import Build
else:
    _Base = object

__all__ = ["BuildExt"]

_TRANSLATABLE, _TRANSLATED = (".pyx", ".py"), (".c", ".cpp")


class BuildExt(_Base):
    """Mixin: replaces extension modules in the source tree, in place of rewriting them.

    A Python that has the old one mapped would crash, and an import in that moment finds
    half a file.
    """

    compiler: Any
    extensions: list[Any]
    _replaces = False
    _still_to_translate = 0  # extensions
    _translation_began = 0  # nanoseconds
    _translations: Sequence[str] = ()  # what Cython may have made since then

    def run(self) -> None:
        """Build the extensions, by CMake with the compiler cache too."""
        if not getattr(self, "extensions", None):
            super().run()
            return
        from setuptools_isolated_build._compilation import programs

        cache, program = compiler_cache(self), None
        build = _build.current(self.distribution)
        if build is not None and (cache is not None or build.tree.is_kept):
            from setuptools_isolated_build._compilation import launched

            program = launched.install(build.tree.directory, cache)
        with programs.for_cmake(program if cache else None):
            super().run()

    def build_extensions(self) -> None:
        """Build them with compilers that know of the build tree and of the cache."""
        prepare_compilers(self, "compiler", "shlib_compiler")
        self._still_to_translate = sum(map(_is_to_translate, self.extensions))
        try:
            super().build_extensions()  # type: ignore[misc]
        finally:
            self._still_to_translate = 0
            _process.leave_turn(self)

    def _build_extensions_parallel(self) -> None:
        """Build one extension after the other, whatever `parallel` says.

        setuptools names objects by their sources alone. In its threads two extensions
        of one source write one object, and either is linked with the other's
        (pypa/distutils#393). Threads share the compiler and the command, too.
        """
        theirs = super()._build_extensions_parallel  # type: ignore[misc]
        settings = _build.settings_for(self.distribution)
        if settings is None or not is_setuptools(theirs):
            theirs()
            return
        from setuptools_isolated_build._compilation import at_once

        own = at_once.own_part(self)
        if own:
            tell(
                "parallel: one extension after the other, and the files of each at "
                f"once, since the project has its own {own}"
            )
        self._build_extensions_serial()

    def _build_extensions_serial(self) -> None:
        """Build one extension after the other, but let compilers run at once."""
        serial = super()._build_extensions_serial  # type: ignore[misc]
        build_one = super().build_extension  # type: ignore[misc]
        from setuptools_isolated_build._compilation import at_once

        if at_once.own_part(self):
            serial()
            return
        extensions = self.extensions
        try:
            for is_ready, group in groupby(
                extensions, partial(_is_ready, self.compiler)
            ):
                self.extensions = list(group)
                parts = [partial(build_one, ext) for ext in self.extensions]
                several = sum(len(ext.sources or ()) for ext in self.extensions) > 1
                with (
                    at_once.ahead(self.compiler, parts)
                    if is_ready and several
                    else nullcontext()
                ):
                    serial()
        finally:
            self.extensions = extensions

    def build_extension(self, ext: Any) -> None:
        """Build one; what Cython translates beside the sources, by turns.

        Without them builds would translate at once, or compile what they have while
        another one translates, and be done once more, alone (`_validation`).
        """
        if not _is_to_translate(ext):
            super().build_extension(ext)  # type: ignore[misc]
            return
        from setuptools_isolated_build import _turns

        self._still_to_translate -= 1
        is_known = _process.presence_of(self.distribution) is not None
        if is_known and not _process.has_turn(self):
            what = f"translating the sources of {ext.name}"
            _turns.take(self, source_dir(self.distribution), what)
            self._translation_began, self._translations = time.time_ns(), []
        self._translations = [*self._translations, *_translations(ext)]
        try:
            super().build_extension(ext)  # type: ignore[misc]
        finally:
            self.begin_compiling()

    def begin_compiling(self) -> None:
        """End the turn to translate, before the first compiler of an extension.

        But a build that has translated keeps it until all is translated.
        """
        from setuptools_isolated_build._validation import changes

        goes_on = (
            self._still_to_translate > 0
            and _process.has_turn(self)
            and any(
                os.path.exists(path) and changes.changed(path, self._translation_began)
                for path in self._translations
            )
        )
        if not goes_on:
            _process.leave_turn(self)

    def copy_extensions_to_source(self) -> None:
        """Put the extension modules beside the sources, under a lock.

        For the sake of the stub loaders, of which one build would remove another's
        (`setuptools.command.build_ext.build_ext._compile_and_remove_stub`).
        """
        build = _build.isolate(self.distribution)
        if build is None:
            super().copy_extensions_to_source()  # type: ignore[misc]
            return
        timeout = build.settings.seconds_to_publish
        with archives.lock_for(os.getcwd(), build.locks, timeout):
            self._replaces = True
            try:
                super().copy_extensions_to_source()  # type: ignore[misc]
            finally:
                self._replaces = False

    def copy_file(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> Any:
        """Copy a file, or replace it if it is one beside the sources."""
        build = self._build_to_replace(str(outfile))
        if build is None or not self._is_newer(infile, outfile):
            return super().copy_file(infile, outfile, *args, **kwargs)
        with archives.replacing(str(outfile), build.tree) as staged:
            super().copy_file(infile, staged, *args, **kwargs)
        return outfile, True

    def _write_stub_file(
        self,
        stub_file: str,
        ext: Any,
        compile: Any = False,  # noqa: A002, FBT002
    ) -> None:
        build = self._build_to_replace(stub_file)
        if build is None or os.path.exists(stub_file):
            super()._write_stub_file(stub_file, ext, compile)  # type: ignore[misc]
            return
        with archives.replacing(stub_file, build.tree) as staged:
            super()._write_stub_file(staged, ext)  # type: ignore[misc]
        if compile:
            self._compile_and_remove_stub(stub_file)  # type: ignore[attr-defined]

    def _build_to_replace(self, path: str) -> Build | None:
        is_file = os.path.basename(path) != "" and not os.path.isdir(path)
        if not self._replaces or not is_file:
            return None
        return _build.current(self.distribution)

    def _is_newer(self, source: str, target: str) -> bool:
        # By setuptools' rule a file that is up to date stays.
        if self.force or not os.path.exists(target):
            return True
        return os.path.getmtime(source) > os.path.getmtime(target)


def _is_to_translate(ext: Any) -> bool:
    return any(str(source).endswith(_TRANSLATABLE) for source in ext.sources or ())


def _translations(ext: Any) -> Iterator[str]:
    """Name what Cython may make beside the sources of *ext*."""
    for source in ext.sources or ():
        base, suffix = os.path.splitext(str(source))
        if suffix in _TRANSLATABLE:
            yield from (base + made for made in _TRANSLATED)


def _is_ready(compiler: Any, ext: Any) -> bool:
    """Whether it may be asked what it compiles, and no source is generated first."""
    from setuptools_isolated_build._compilation import at_once

    if not at_once.is_plain(ext):
        return False
    known = tuple(getattr(compiler, "src_extensions", None) or ())
    return all(str(source).endswith(known) for source in ext.sources or ())
