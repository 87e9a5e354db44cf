"""What runs when a compiler is run: programs, in which ways, and their libraries.

``gcc`` and ``clang`` are drivers. They run a compiler proper and an assembler by rules
that may be in files (gcc's specs, clang's configuration), and all of these can change
while the driver stays as it is. With ``-###`` it says what it would run. That, and what
tells these programs from others, is a part of what the cache compares.
"""

from __future__ import annotations

import functools
import glob
import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from setuptools_isolated_build._compilation import guard, known, lookups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Toolchain", "toolchain"]

_SECONDS = 60
_NAME = "source"  # without the suffix, which says the language
# clang writes its arguments down, to which the cache adds some.
_RECORDING = "-dwarf-debug-flags"
# gcc's and clang's words for debug information, which names the current directory. That
# ccache hashes for flags of the command, and not for those of rules.
_DESCRIBING = ("-g", "-debug-info-kind=")
_STATED = re.compile("-g(?:[123]|gdb3?|dwarf(?:-[2-5])?)?")
_IN_PROCESS = " (in-process)"  # clang, of the line after it
# A line of what loaders say: ``libz.so.1 => /lib/libz.so.1 (0x00007f…)``.
_LIBRARY = re.compile(r"(?:.* => )?(/.*) \(0x[0-9a-f]+\)")
_TRACE = "LD_TRACE_LOADED_OBJECTS"
_LOADER_OF_MUSL = "/lib/ld-musl-*.so.1"


class Toolchain(NamedTuple):
    """What compiles.

    Attributes:
        told: all of it that an object depends on, variables too.
        states: its files, as `guard` compares them.
    """

    told: str
    states: dict[str, guard.State]


def toolchain(
    command: list[str], env: Mapping[str, str], scratch: str, *, by_contents: bool
) -> Toolchain | None:
    """Return what *command* runs, or None if that cannot be known.

    Args:
        command: one that `known` knows.
        env: the variables that it is run with.
        scratch: a private directory, another one in each build.
        by_contents: whether files are told apart by these, or by size and time.
    """
    try:
        found = _asked(scratch, tuple(known.rules(command)), tuple(sorted(env.items())))
        if found is None:
            return None
        said, files = found
        look = lookups.state if by_contents else _state
        states = {path: look(path) for path in files}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # As ccache tells compilers apart.
    seen = [
        (path, now.digest if by_contents else (now.size, now.mtime))
        for path, now in states.items()
    ]
    return Toolchain(repr((list(known.variables(env)), said, seen)), states)


def _state(path: str) -> guard.State:
    now = os.stat(path)
    times = (now.st_mtime_ns, now.st_ctime_ns)
    return guard.State(now.st_ino, now.st_size, *times, guard.UNREAD)


@functools.lru_cache(maxsize=1000)
def _asked(
    scratch: str, rules: tuple[str, ...], variables: tuple[tuple[str, str], ...]
) -> tuple[str, list[str]] | None:
    """Return what the driver says, once in a build, and which files run then."""
    *command, suffix = rules
    env = {**dict(variables), "PWD": scratch, "LC_ALL": "C"}
    source, obj = _NAME + suffix, f"{_NAME}.o"
    with open(os.path.join(scratch, source), "ab"):
        pass
    # Without a pipe between them there are files with random names.
    asked = [*command, "-###", "-pipe", source, "-o", obj]
    done = _run(asked, env, scratch)
    done.check_returncode()
    said = os.fsdecode(done.stderr)
    found, stated = [command[0]], set()
    for line in said.splitlines():
        if line.startswith(" ") and line != _IN_PROCESS:
            program, *words = shlex.split(line)
            found.append(program)
            stated.update(words)
    path = env.get("PATH", os.defpath)
    files = dict.fromkeys(shutil.which(name, path=path) or "" for name in found)
    if (
        len(found) == 1
        or _RECORDING in stated
        or (any(map(_describes, stated)) and not any(map(_STATED.fullmatch, command)))
        or any(map(_loads, stated - {source, obj}))
        or not all(
            # A relative path is another one in another directory.
            os.path.isabs(file) and known.is_code(file)
            for file in files
        )
    ):
        return None
    for program in list(files):
        files.update(dict.fromkeys(_libraries(program, env, scratch)))
    return said.replace(scratch, ""), list(files)


def _describes(word: str) -> bool:
    return word.startswith(_DESCRIBING) and word != "-g0"


def _loads(word: str) -> bool:
    """Whether a compiler may be told by *word* to load a plugin, or to read a file."""
    paths = {word, *re.split("[=,]", word), os.sep + word.partition(os.sep)[2]}
    return "plugin" in word or any(map(os.path.isfile, paths))


def _libraries(program: str, env: Mapping[str, str], scratch: str) -> Iterator[str]:
    """Return what is loaded with *program*, where a loader says it.

    A distribution may have a compiler's code in a package of its own (libLLVM).
    """
    loaders = glob.glob(_LOADER_OF_MUSL)
    if _has_glibc():  # another loader would run it
        command, env = [program], {**env, _TRACE: "1"}
    elif loaders:
        command = [loaders[0], "--list", program]
    else:
        return
    for line in os.fsdecode(_run(command, env, scratch).stdout).splitlines():
        found = _LIBRARY.fullmatch(line.strip())
        if found:
            yield found[1]


def _has_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, OSError, ValueError):  # musl knows the name, macOS does not
        return False


def _run(
    command: list[str], env: Mapping[str, str], scratch: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603  # the project's compiler
        command,
        cwd=scratch,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
