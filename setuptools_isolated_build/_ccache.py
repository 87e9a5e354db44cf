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
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run_inside"]

# With these there is a miss and nothing worse: what paths they hold is not understood.
_UNKNOWN = "?"
_OTHER_PATHS = ("-i", "-B", "-L", "-M", "@")


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
    option = _option(private, in_tree)
    parts = list(_parts([argument for argument in command if argument != option]))
    paths = [path for _, path in parts if path]
    if (
        "-c" not in command
        or option not in command
        or (_UNKNOWN, "") in parts
        or any(private in flag for flag, _ in parts if flag.startswith("-"))
        or not any(path.startswith(private + os.sep) for path in paths)
    ):
        return None
    inside = []
    maps = {}  # what the compiler would write down: what it has to write
    for flag, path in parts:
        found = path
        if path.startswith(private + os.sep):
            found = os.path.relpath(path, private)
            top = found.split(os.sep)[0]
            maps[top] = os.path.join(in_tree, top)
        elif path and not os.path.isabs(path):
            found = os.path.abspath(path)
            maps[found] = path
        inside.append(flag + found)
    if any(path.startswith(tuple(maps)) for path in paths if os.path.isabs(path)):
        return None  # what is stated as it is would be mapped too
    maps[private] = _working_directory()
    return [*inside, *(_option(was, becomes) for was, becomes in maps.items())]


def _parts(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Split each argument into a flag and the path of an input, or say `_UNKNOWN`."""
    before, is_program = "", True
    for argument in arguments:
        is_flag = argument.startswith("-")
        is_program = is_program and not is_flag
        if is_program or before == "-arch" or (before == "-o" and argument[0] == "/"):
            yield argument, ""
        elif argument.startswith("-I"):
            path = os.path.normpath(argument[2:])
            yield ("-I", argument[2:]) if path[:1] != os.curdir else (_UNKNOWN, "")
        elif argument.startswith(_OTHER_PATHS) or _is_relative(argument):
            yield _UNKNOWN, ""
        else:
            yield (argument, "") if is_flag else ("", argument)
        before = argument


def _is_relative(argument: str) -> bool:
    # Of flags, the value; anything else may be a file that is yet to be written.
    value = argument.rpartition("=")[2]
    return not os.path.isabs(value) and (
        not argument.startswith("-") or os.path.exists(value)
    )


def _option(was: str, becomes: str) -> str:
    return f"-ffile-prefix-map={was}={becomes}"


def _working_directory() -> str:
    # Compilers believe PWD if it is the directory that they are in.
    stated = os.environ.get("PWD", "")
    is_here = os.path.isabs(stated) and os.path.exists(stated)
    return stated if is_here and os.path.samefile(stated, os.curdir) else os.getcwd()
