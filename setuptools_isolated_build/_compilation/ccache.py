"""Let ccache find what it has stored from other build trees and environments.

ccache hashes paths that the object does not hold. Of sources and headers that are
generated in build_temp, they have the build tree in them: such a compilation is run
inside the build tree, where the path is the same for all, and what the compiler then
writes down differently is mapped to what it is without us. Of an isolated environment,
the path of a directory for headers that has none: it is left out. What ccache does not
hash, though the object depends on it, is told to it: see `names_of_headers`.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "arguments_inside",
    "can_be_asked",
    "names_of_headers",
    "prefix_map",
    "without_empty_directories",
]

# With these there is a miss and nothing worse: what paths they hold is not understood.
_UNKNOWN = "?"
_OTHER_PATHS = ("-i", "-B", "-L", "-M", "@")
_UNWANTED = ("-M", "-frecord-", "-grecord-command-line")
_INCLUDES = ("-I", "-iquote", "-isystem", "-idirafter")
_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".c++", ".C", ".m", ".mm")
_HEADERS = {
    *("", ".h", ".hh", ".hpp", ".hxx", ".h++", ".H"),
    *(".inc", ".inl", ".ipp", ".tcc", ".tpp", ".def", ".c", ".cc", ".cpp"),
}
_NO_HEADERS = {"__pycache__", "build", "dist", "node_modules"}


def can_be_asked(command: list[str]) -> bool:
    """Whether ccache may be asked for what *command* compiles.

    Not where the compiler lists what it has read, which is also how changes meanwhile
    are noticed; and not where it writes down how it was called.
    """
    return not any(argument.startswith(_UNWANTED) for argument in command)


def without_empty_directories(command: list[str]) -> list[str]:
    """Return *command* without the absolute ``-I`` by which nothing can be found."""
    if any("missing-include-dirs" in argument for argument in command):
        return command
    return [argument for argument in command if not _finds_nothing(argument)]


def names_of_headers(command: list[str]) -> str:
    """Return the names of all that *command* could include, apart from system headers.

    A new header is found before an older one of the same name, if its directory comes
    first. ccache looks at the files that were included, and would not notice.
    """
    directories = []
    before = ""
    for argument in command:
        flag = next((flag for flag in _INCLUDES if argument.startswith(flag)), None)
        if flag is not None and argument != flag:
            directories.append(argument[len(flag) :])
        elif before in _INCLUDES:
            directories.append(argument)
        elif argument.endswith(_SOURCES):
            directories.append(os.path.dirname(argument) or os.curdir)
        before = argument
    for variable in _VARIABLES:
        directories += os.environ.get(variable, "").split(os.pathsep)
    paths = (os.path.abspath(path) for path in directories if path)
    lists = ("\n".join(_names(path, "")) for path in paths)
    return "\n\n".join(filter(None, lists))


def _names(directory: str, prefix: str) -> Iterator[str]:
    try:
        names, inner = _listing(directory, os.stat(directory).st_mtime_ns)
    except OSError:
        return
    for name in names:
        yield prefix + name
    for name in inner:
        yield from _names(os.path.join(directory, name), f"{prefix}{name}/")


@lru_cache(maxsize=1000)
def _listing(directory: str, _mtime: int) -> tuple[list[str], list[str]]:
    """Return the headers and the directories in *directory*."""
    names, inner = [], []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _NO_HEADERS:
                continue
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            elif os.path.splitext(entry.name)[1] in _HEADERS:
                names.append(entry.name)
    return sorted(names), sorted(inner)


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


def arguments_inside(
    command: list[str], private: str, in_tree: str
) -> list[str] | None:
    """Return *command* as it has to be inside *private*, or None if it can't be.

    Args:
        command: the compiler, its flags and its files.
        private: the absolute path of the build_base, or "" if it is not ours.
        in_tree: the build_base without us.
    """
    if not private:
        return None
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
            if flag:
                maps[found] = path
            else:  # a source, beside which headers are found
                end = len(os.path.basename(path))
                maps[found[:-end]] = path[:-end]
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
        elif before == "-c" and _is_plain(argument):
            yield "", argument
        elif argument.startswith(_OTHER_PATHS) or _is_relative(argument):
            yield _UNKNOWN, ""
        else:
            yield (argument, "") if is_flag else ("", argument)
        before = argument


def _is_plain(path: str) -> bool:
    # What begins with a dot is written down as it stands, or lies above the tree.
    return os.path.normpath(path) == path and not path.startswith(os.curdir)


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
