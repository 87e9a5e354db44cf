"""Let ccache find what it has stored from other build trees and environments.

ccache hashes paths that the object does not hold. Of sources that are generated in
build_temp, the path has the build tree in it: such a compilation is run inside the
build tree, where the path is the same for all, and what the compiler then writes down
differently is mapped to what it is without us. Of an isolated environment, the path of
a directory for headers that has none: it is left out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["prefix_map", "same_everywhere"]

# With these there is a miss and nothing worse: what paths they hold is not understood.
_UNKNOWN = "?"
_OTHER_PATHS = ("-i", "-B", "-L", "-M", "@")
# With these the compiler warns of such a directory, or writes all of its options down.
_TELLS = (
    "-frecord-",
    "-grecord-command-line",
    "-Wmissing-include-dirs",
    "-Werror=miss",
)


def same_everywhere(
    command: list[str], private: str, in_tree: str
) -> tuple[str, list[str]]:
    """Return where to run a compilation and how, so that ccache finds its object.

    Args:
        command: the compiler, its flags and its files.
        private: the absolute path of the build_base, or "" if it is not ours.
        in_tree: the build_base without us.

    Returns:
        The directory, empty for the current one, and the command.
    """
    if not any(argument.startswith(_TELLS) for argument in command):
        command = [argument for argument in command if not _finds_nothing(argument)]
    inside = _arguments_inside(command, private, in_tree) if private else None
    return ("", command) if inside is None else (private, inside)


def prefix_map(was: str, becomes: str) -> str:
    """Return the option by which compilers write *becomes* where a path has *was*."""
    return f"-ffile-prefix-map={was}={becomes}"


def _finds_nothing(argument: str) -> bool:
    return argument.startswith(f"-I{os.sep}") and not _has_files(argument[2:])


def _has_files(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(
                not entry.is_dir(follow_symlinks=False) or _has_files(entry.path)
                for entry in entries
            )
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _arguments_inside(
    command: list[str], private: str, in_tree: str
) -> list[str] | None:
    """Return *command* as it has to be inside *private*, or None if it can't be."""
    option = prefix_map(private, in_tree)
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
    return [*inside, *(prefix_map(was, becomes) for was, becomes in maps.items())]


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


def _working_directory() -> str:
    # Compilers believe PWD if it is the directory that they are in.
    stated = os.environ.get("PWD", "")
    is_here = os.path.isabs(stated) and os.path.exists(stated)
    return stated if is_here and os.path.samefile(stated, os.curdir) else os.getcwd()
