"""Let ccache find what it has stored from other build trees, and nothing else.

ccache hashes paths that the object does not hold. Of sources and headers that are
generated in build_temp, they have the build tree in them: such a compilation is run
inside the build tree, where the path is the same for all, and what the compiler then
writes down differently is mapped to what it is without us. Of an isolated environment,
the path of a directory for headers that has none: it is not hashed.
"""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from typing import TYPE_CHECKING

from setuptools_isolated_build._compilation import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "arguments_inside",
    "ask",
    "be_exact",
    "compares_contents",
    "configuration",
    "finding_nothing",
    "name_here",
    "prefix_map",
]

# With these there is a miss and nothing worse: what paths they hold is not understood.
_UNKNOWN = "?"
_OTHER_PATHS = ("-i", "-B", "-L", "-M", "@")

_SECONDS = 60
# Whatever ccache.conf says. The depend mode asks no preprocessor: `inputs` has done so,
# and what it has found is in a file that ccache looks at. With sloppiness, options or
# headers that are ignored it would find what was made from something else; with a
# compiler or a base directory of its own it would compile something else. A hard link
# to an object is one to what all others get.
_FORCED = {
    **dict.fromkeys(("CCACHE_DEPEND", "CCACHE_DIRECT", "CCACHE_HASHDIR"), "1"),
    **dict.fromkeys(("CCACHE_SLOPPINESS", "CCACHE_IGNOREHEADERS"), ""),
    "CCACHE_BASEDIR": "",
    **dict.fromkeys(("CCACHE_COMPILER", "CCACHE_PATH"), ""),
    "CCACHE_COMPILERTYPE": "auto",
    "CCACHE_NOHARDLINK": "1",
}
_OPPOSITES = {
    *("CCACHE_NODEPEND", "CCACHE_NODIRECT", "CCACHE_NOHASHDIR", "CCACHE_HARDLINK"),
}
_BY_CONTENT, _BY_TIME = "content", "mtime"  # what can tell compilers apart


def finding_nothing(command: list[str]) -> list[str]:
    """Return each absolute ``-I`` of a directory without files.

    Nothing is found by it, unless a name leads out of it (``../a.h``).
    """
    if any("missing-include-dirs" in argument for argument in command):
        return []
    return [argument for argument in command if _finds_nothing(argument)]


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
    maps_of_others = [x for x in command if x.startswith(known.MAPS) and x != option]
    parts = list(_parts([argument for argument in command if argument != option]))
    paths = [path for _, path in parts if path]
    if (
        "-c" not in command
        or option not in command
        or maps_of_others  # of paths that are other ones there
        or name_here(path for path in paths if path.startswith(private + os.sep))
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
    maps[private + os.sep] = in_tree + os.sep  # in a ``#line`` of what is generated
    return [*inside, *(prefix_map(was, becomes) for was, becomes in maps.items())]


def name_here(paths: Iterable[str]) -> bool:
    """Whether the current directory is in a file, as in a ``#line`` of a generator's.

    It would be mapped, as is what is relative without us.
    """
    here = os.fsencode(os.getcwd())
    try:
        for path in filter(os.path.isfile, paths):
            with open(path, "rb") as file:
                if here in file.read():
                    return True
    except OSError:
        return True  # it may be
    return False


@lru_cache(maxsize=100)
def configuration(program: str) -> dict[str, str]:
    """Return what the user's configuration of ccache and CCACHE_* say."""
    said = ask(program, "--show-config")  # nothing if it will not compile either
    lines = (line.partition(") ")[2] for line in said)
    return {key: value for key, _, value in (line.partition(" = ") for line in lines)}


def ask(program: str, option: str) -> list[str]:
    """Return the lines in which ccache answers *option*; none if it fails."""
    try:
        done = subprocess.run(  # noqa: S603  # what the compilations go through
            [program, option],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()


def be_exact(
    env: dict[str, str], stated: dict[str, str], unhashed: Iterable[str]
) -> None:
    """Let *env* keep ccache from finding or compiling what was not asked for.

    Args:
        env: the variables that ccache is run with.
        stated: the user's `configuration`.
        unhashed: arguments whose effect ccache knows otherwise.
    """
    for name in _OPPOSITES:
        env.pop(name, None)
    check = _BY_CONTENT if compares_contents(stated) else _BY_TIME
    # A list of words, in which a star at the end stands for anything.
    ignored = [word for word in unhashed if word.split() == [word] and word[-1] != "*"]
    env.update(
        _FORCED, CCACHE_COMPILERCHECK=check, CCACHE_IGNOREOPTIONS=" ".join(ignored)
    )


def compares_contents(stated: dict[str, str]) -> bool:
    """Whether compilers are told apart by their contents, and not by size and time."""
    return stated.get("compiler_check") != _BY_TIME


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
    # What begins with a dot is written down as it stands, or lies above the tree. A
    # header beside a source without a directory is ./beside.h to clang 21, and beside.h
    # to gcc: no map is right for both.
    is_normal = os.path.normpath(path) == path and not path.startswith(os.curdir)
    return is_normal and bool(os.path.dirname(path))


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
