"""What becomes of a build's compilations: the same bytes, and not twice the work.

Sources that are generated in build_temp (cffi, swig, Cython on request) are given to
the compiler by their absolute path now, which debug information and ``__FILE__``
repeat. The path is mapped to the one that they would have without us: ``build/temp.…``.
Where there is a compiler cache, they go through it, each object in one build only. And
what is known to be compiled later is compiled while others are (`plan`).
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from setuptools_isolated_build._compilation import (
    at_once,
    ccache,
    flights,
    in_place,
    jobs,
    known,
    mapping,
    programs,
)
from setuptools_isolated_build._setuptools.output import warn

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from setuptools_isolated_build._compilation.cached import Cache
    from setuptools_isolated_build._compilation.captured import Captured

__all__ = ["Place", "prepare"]

_CACHES = {"ccache", "sccache"}


def _unnoticed(_source: str) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


class Place(NamedTuple):
    """Where a build compiles.

    Attributes:
        private: the absolute path of the build_base, or "" if it is not ours.
        in_tree: the build_base without us.
        cache: the compiler cache, if there is to be one.
        locks: where the locks of objects are, or None if they have no place.
        reading: called with a source's path: a context in which it is compiled.
        size: how many compilers may run at once, or None for what the machine allows.
    """

    private: str = ""
    in_tree: str = ""
    cache: Cache | None = None
    locks: str | None = None
    reading: Callable[[str], AbstractContextManager[None]] = _unnoticed
    size: int | None = None


def prepare(compiler: Any, place: Place) -> None:
    """Let *compiler* map the path of the build tree, use the cache, and all cores.

    The path with gcc 8, clang 10 and later. Only compilations whose arguments name it
    get the option, at their end: the flags of the interpreter, the project and the user
    stay as they are.

    Args:
        compiler: what distutils compiles with; all but its Unix compilers stay alone.
        place: where the build compiles.
    """
    is_unix = getattr(compiler, "compiler_type", None) == "unix"
    if not is_unix or at_once.PREPARED in vars(compiler):
        return
    setattr(compiler, at_once.PREPARED, place)
    replaced: dict[str, Callable[..., Any]] = {
        "_compile": _compile,
        at_once.runner(compiler): _call,
        "compile": _compile_all,
        "link": at_once.link,
        "create_static_lib": jobs.create_static_lib,
        "mkpath": jobs.mkpath,
    }
    for name, function in replaced.items():
        # Partials, since compilers are pickled with the command that holds them.
        theirs = getattr(compiler, name)
        setattr(compiler, name, partial(function, theirs, compiler, place))


def _compile_all(
    wrapped: Callable[..., list[str]],
    compiler: Any,
    _place: Place,
    sources: list[str],
    *args: Any,
    **kwargs: Any,
) -> list[str]:
    """Compile the files of one extension or library."""
    compile_them = partial(wrapped, sources, *args, **kwargs)
    if jobs.walk() is not None and not at_once.is_known(compiler):
        raise jobs.UnknownError
    is_one = len(sources) == 1 and at_once.current() is None
    if jobs.walk() is not None or is_one or not at_once.is_known(compiler):
        return compile_them()
    with at_once.ahead(compiler, [compile_them]):
        return compile_them()


def _compile(  # noqa: PLR0913, PLR0917  # distutils' signature
    wrapped: Callable[..., None],
    compiler: Any,
    place: Place,
    obj: str,
    src: str,
    ext: str,
    cc_args: list[str],
    extra_postargs: list[str],
    pp_opts: list[str],
) -> None:
    arguments = list(map(str, (src, *cc_args, *(extra_postargs or ()))))
    if place.private and any(place.private in argument for argument in arguments):
        program = tuple(compiler.compiler_so)
        maps = mapping.options(place.private, place.in_tree, program, arguments)
        extra_postargs = [*(extra_postargs or ()), *maps]

    def compile_to(path: str) -> None:
        wrapped(path, src, ext, cc_args, extra_postargs, pp_opts)

    compile_it = partial(compile_to, obj)
    by_setuptools = partial(_by_setuptools, place, obj, src, compile_to)
    walk, planned = jobs.walk(), at_once.current()
    if walk is None and (planned is None or not at_once.is_known(compiler)):
        by_setuptools()
        return
    command = jobs.asked(compile_it)
    job = jobs.Job(obj, src, command, partial(_by_itself, place, src, command))
    if walk is not None:
        walk.jobs.append(job)
    elif planned is not None:
        planned.compile(job, by_setuptools)


def _by_setuptools(
    place: Place, obj: str, src: str, compile_to: Callable[[str], None]
) -> None:
    with place.reading(src):
        in_place.compile_object(obj, place, compile_to)


def _by_itself(
    place: Place,
    src: str,
    command: list[str],
    captured: Captured,
    seconds: float | None,
) -> None:
    with place.reading(src):
        _through_cache(captured.run, place, command, captured.warn, seconds)


def _call(
    wrapped: Callable[..., None],
    _compiler: Any,
    place: Place,
    command: list[str],
    **kwargs: Any,
) -> None:
    walk = jobs.walk()
    if walk is None:
        _through_cache(wrapped, place, command, warn, **kwargs)
    else:
        walk.commands.append(list(command))


def _through_cache(
    run: Callable[..., None],
    place: Place,
    command: list[str],
    tell: Callable[[str], object],
    seconds: float | None = flights.LONGEST,
    **kwargs: Any,
) -> None:
    in_front = programs.launcher(command) if "-c" in command else ""
    cache = None if in_front else place.cache
    name = cache.name if cache else in_front
    env = {**os.environ, **(kwargs.get("env") or {})}
    if (
        "-c" not in command
        or name not in _CACHES
        or (cache and not known.is_known(command, env))
    ):
        run(command, **kwargs)
        return
    asked, directory = list(command), ""
    empty: tuple[str, ...] = ()
    if name == "ccache":
        empty = tuple(ccache.finding_nothing(asked))
        if not cache:  # it is left to its wrapper, but for what is not even there
            asked = [x for x in asked if x not in empty or os.path.lexists(x[2:])]
        inside = ccache.arguments_inside(asked, place.private, place.in_tree)
        if inside is not None:
            asked, directory = inside, place.private
    words = (word for word in asked if word not in empty)
    key = "\0".join((os.getcwd(), *words)).replace(place.private, "")
    if cache:
        from setuptools_isolated_build._compilation.inputs import Compilation

        compilation = Compilation(command, asked, directory, place.private, empty)
        compile_it = partial(cache.compile, run, compilation, tell, **kwargs)
    elif directory:
        asked = ["sh", "-c", 'cd "$0" && exec "$@"', directory, *asked]
        compile_it = partial(run, asked, **kwargs)
    else:
        compile_it = partial(run, asked, **kwargs)
    flights.alone(place.locks, key, compile_it, seconds)
