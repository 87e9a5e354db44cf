"""Let ccache find in one build tree what it has stored from another.

ccache hashes the path of the source file, and of sources that are generated in
build_temp that path has the build tree in it. Such a compilation is run inside the
build tree, where the path is the same for all; what the compiler then writes down
differently is mapped to what it is without us.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import Any, Callable

__all__ = ["run_inside"]

# Paths in these are not understood here; with them, there is a miss and nothing worse.
_OTHER_PATHS = ("-i", "-B", "-L", "@")


def run_inside(compiler: Any, private: str, in_tree: str) -> None:
    """Let *compiler* run ccache inside the build tree, if it does run ccache.

    Args:
        compiler: a Unix compiler of distutils.
        private: the absolute path of the build_base in use.
        in_tree: the build_base without us.
    """
    if _is_ccache(compiler.compiler_so[0]):
        # Newer setuptools runs compilers by another name than older ones.
        name = "call" if hasattr(compiler, "call") else "spawn"
        # A partial, since compilers are pickled with the command that holds them.
        wrapped = partial(_call, getattr(compiler, name), private, in_tree)
        setattr(compiler, name, wrapped)


def _is_ccache(program: str) -> bool:
    # ``CC="ccache gcc"``, or a directory on PATH in which gcc is a link to ccache.
    path = os.path.realpath(shutil.which(program) or program)
    return os.path.basename(path) == "ccache"


def _call(
    wrapped: Callable[..., None],
    private: str,
    in_tree: str,
    command: list[str],
    **kwargs: Any,
) -> None:
    inside = _arguments_inside(command, private, in_tree)
    if inside is not None:
        command = ["sh", "-c", 'cd "$0" && exec "$@"', private, *inside]
    wrapped(command, **kwargs)


def _arguments_inside(
    command: list[str], private: str, in_tree: str
) -> list[str] | None:
    """Return *command* as it has to be inside *private*, or None if it can't be."""
    if "-c" not in command or _option(private, in_tree) not in command:
        return None
    inside: list[str] = []
    maps: dict[str, str] = {}  # what the compiler would write down: what it shall write
    of_source = False
    for argument in command:
        if argument == _option(private, in_tree):
            continue
        if inside[-1:] == ["-o"]:
            inside.append(argument)
            continue
        flag, path = _split(argument)
        if path is None or private in flag:
            return None
        if path.startswith(private + os.sep):
            of_source = of_source or not flag
            path = os.path.relpath(path, private)
            top = path.split(os.sep)[0]
            maps[top] = os.path.join(in_tree, top)
        elif flag == "-I" and not os.path.isabs(path):
            if os.path.normpath(path).startswith(os.curdir):
                return None
            maps[os.path.abspath(path)] = path
            path = os.path.abspath(path)
        inside.append(flag + path)
    stated = tuple(
        argument for argument in command if argument.startswith("-I" + os.sep)
    )
    if not of_source or any(
        ("-I" + path) in argument for path in maps for argument in stated
    ):
        return None  # what is stated as it is would be mapped too
    maps[private] = _working_directory()
    return [*inside, *(_option(was, becomes) for was, becomes in maps.items())]


def _split(argument: str) -> tuple[str, str | None]:
    """Return the flag and the path in *argument*; None is a path that it may hold."""
    if argument.startswith("-I"):
        return "-I", argument[2:] or None
    if argument.startswith(_OTHER_PATHS):
        return argument, None
    value = argument.rpartition("=")[2]
    if not os.path.isabs(value) and os.path.exists(value):
        return argument, None
    return ("", argument) if argument[:1] != "-" else (argument, "")


def _option(was: str, becomes: str) -> str:
    return f"-ffile-prefix-map={was}={becomes}"


def _working_directory() -> str:
    # Compilers believe PWD if it is the directory that they are in.
    stated = os.environ.get("PWD", "")
    is_here = os.path.isabs(stated) and os.path.exists(stated)
    return stated if is_here and os.path.samefile(stated, os.curdir) else os.getcwd()
