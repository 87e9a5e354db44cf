"""What becomes of a build's compilations: the same bytes, and not twice the work.

Sources that are generated in build_temp (cffi, swig, Cython on request) are given to
the compiler by their absolute path now, which debug information and ``__FILE__``
repeat. The path is mapped to the one that they would have without us: ``build/temp.…``.
And where there is a compiler cache, they go through it, each object in one build only.
"""

from __future__ import annotations

import functools
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from setuptools_isolated_build._compilation import ccache, flights, known, programs
from setuptools_isolated_build._compilation.cached import Compilation
from setuptools_isolated_build._setuptools.distribution import is_setuptools
from setuptools_isolated_build._setuptools.output import warn

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from setuptools_isolated_build._compilation.cached import Cache

__all__ = ["Place", "prepare", "puts_off"]

_SECONDS = 60
_CACHES = {"ccache", "sccache"}
_PREPARED = "_isolated_build_prepared"  # in a compiler, also in its pickled copy


class Place(NamedTuple):
    """Where a build compiles.

    Attributes:
        private: the absolute path of the build_base, or "" if it is not ours.
        in_tree: the build_base without us.
        cache: the compiler cache, if there is to be one.
        locks: where the locks of objects are, or None if they have no place.
        reading: called with a source's path: a context in which it is compiled.
    """

    private: str
    in_tree: str
    cache: Cache | None
    locks: str | None
    reading: Callable[[str], AbstractContextManager[None]]


def prepare(compiler: Any, place: Place) -> None:
    """Let *compiler* map the path of the build tree, and use the compiler cache.

    The path with gcc 8, clang 10 and later. Only compilations whose arguments name it
    get the option, at their end: the flags of the interpreter, the project and the user
    stay as they are.

    Args:
        compiler: what distutils compiles with; all but its Unix compilers stay alone.
        place: where the build compiles.
    """
    is_unix = getattr(compiler, "compiler_type", None) == "unix"
    if not is_unix or _PREPARED in vars(compiler):
        return
    setattr(compiler, _PREPARED, True)
    # Partials, since compilers are pickled with the command that holds them.
    compiler._compile = partial(_compile, compiler, compiler._compile, place)  # noqa: SLF001
    if place.cache or programs.launcher(compiler.compiler_so) in _CACHES:
        # Newer setuptools runs compilers by another name than older ones.
        name = "call" if hasattr(compiler, "call") else "spawn"
        setattr(compiler, name, partial(_call, getattr(compiler, name), place))
        compiler.compile = partial(_compile_all, compiler, compiler.compile)
        compiler.link = partial(_link, compiler.link)


def puts_off(compiler: Any) -> bool:
    """Whether compilations may be put off: nobody but setuptools has a part in them."""
    method = getattr(compiler, "_compile", None)
    return (
        isinstance(method, partial)
        and method.func is _compile
        and is_setuptools(method.args[1])
    )


def _compile_all(
    compiler: Any, wrapped: Callable[..., list[str]], *args: Any, **kwargs: Any
) -> list[str]:
    if not puts_off(compiler):
        return wrapped(*args, **kwargs)
    with flights.batch():
        return wrapped(*args, **kwargs)


def _link(wrapped: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    flights.link(partial(wrapped, *args, **kwargs))


def _compile(  # noqa: PLR0913, PLR0917  # distutils' signature
    compiler: Any,
    wrapped: Callable[..., None],
    place: Place,
    obj: str,
    src: str,
    ext: str,
    cc_args: list[str],
    extra_postargs: list[str],
    pp_opts: list[str],
) -> None:
    arguments = (src, *cc_args, *(extra_postargs or ()))
    option = ccache.prefix_map(place.private, place.in_tree)
    if (
        place.private
        and any(place.private in str(argument) for argument in arguments)
        and _accepts(tuple(compiler.compiler_so), option)
    ):
        extra_postargs = [*(extra_postargs or ()), option]
    flights.compilation(
        obj,
        partial(_read, place, wrapped, obj, src, ext, cc_args, extra_postargs, pp_opts),
    )


def _read(
    place: Place, wrapped: Callable[..., None], obj: str, src: str, *args: Any
) -> None:
    with place.reading(src):
        wrapped(obj, src, *args)


def _call(
    wrapped: Callable[..., None], place: Place, command: list[str], **kwargs: Any
) -> None:
    in_front = programs.launcher(command)
    cache = None if in_front else place.cache
    name = cache.name if cache else in_front
    env = {**os.environ, **(kwargs.get("env") or {})}
    if (
        "-c" not in command
        or name not in _CACHES
        or (cache and not known.is_known(command, env))
    ):
        wrapped(command, **kwargs)
        return
    asked, directory = list(command), ""
    if name == "ccache":
        asked = ccache.without_empty_directories(asked)
        inside = ccache.arguments_inside(asked, place.private, place.in_tree)
        if inside is not None:
            asked, directory = inside, place.private
    key = "\0".join((os.getcwd(), *asked)).replace(place.private, "")
    if cache:
        compilation = Compilation(command, asked, directory, place.private)
        run = partial(cache.compile, wrapped, compilation, warn, **kwargs)
    elif directory:
        run = partial(
            wrapped, ["sh", "-c", 'cd "$0" && exec "$@"', directory, *asked], **kwargs
        )
    else:
        run = partial(wrapped, asked, **kwargs)
    flights.alone(place.locks, key, run)


@functools.lru_cache(maxsize=100)
def _accepts(command: tuple[str, ...], option: str) -> bool:
    syntax_only = [*command, option, "-fsyntax-only", "-x", "c", "-"]
    try:
        done = subprocess.run(  # noqa: S603  # what distutils would run
            syntax_only,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
