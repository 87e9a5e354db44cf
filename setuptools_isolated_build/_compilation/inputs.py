"""What a compiler would read now: asked of the compiler itself, by its preprocessor.

No look at directories and flags can tell which files it finds. Its preprocessed text
says that; but spaces and comments, which are not in it, are in the object: columns and
checksums in debug information. So the contents of the files are compared too.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from setuptools_isolated_build._compilation import guard, known

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Inputs", "read"]

_SECONDS = 600
_PRECOMPILED = (".gch", ".pch")
_BLOCK = 1 << 20
_LINE_MARKER = re.compile(rb"^# \d.*\n", re.MULTILINE)
# Inline assembly can read files (``.include``, ``.incbin``), of which no preprocessor
# knows. Without a dot in it there is no directive, and without a backslash but for the
# ends of lines none is hidden. Names that end in "asm" are taken for it too.
_ASSEMBLY = re.compile(rb"asm(?:__)?\b")
_PLAIN_ASSEMBLY = re.compile(
    rb"\s*(?:(?:volatile|__volatile|__volatile__|goto|inline|__inline|__inline__)\s*)*"
    rb'\((?:\s*"(?:[^"\\.\n]|\\[nt])*")+\s*[:)]'
)
# gcc writes the names in attributes and pragmas as they are, ends of lines too.
# Each begins with plain letters, by which they are found in a fifth of the time.
_HIDDEN_ASSEMBLY = tuple(
    map(re.compile, (rb"__attribute[^;{]*\\", rb"\[\[[^;{]*\\", rb"\n[ \t]*#.*\\"))
)


class Inputs(NamedTuple):
    """What a compilation reads.

    Attributes:
        key: a digest of all of it.
        states: each file, as `guard` compares it, with the digest of its contents.
    """

    key: str
    states: dict[str, guard.State]


def read(
    command: list[str],
    directory: str,
    private: str,
    listed: str,
    env: Mapping[str, str],
) -> Inputs | None:
    """Return what *command* would read now, or None if that cannot be known.

    Args:
        command: a compilation that `known` knows.
        directory: the one that it is run in.
        private: a path that is another one in each build, or "".
        listed: the path of a file for the compiler's list of what it has read.
        env: the variables that it is run with.
    """
    at = command.index("-o") if "-o" in command else len(command)
    command = [*command[:at], *command[at + 2 :]]
    command[command.index("-c")] = "-E"
    if directory != os.getcwd():
        env = {**env, "PWD": directory}
    try:
        done = subprocess.run(  # noqa: S603  # the project's compiler
            [*command, "-MD", "-MF", listed, "-MT", "-"],
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what is wrong is said when it compiles
            timeout=_SECONDS,
            check=True,
        )
        paths = _dependencies(listed)
        os.unlink(listed)
        if not paths or not _is_whole(done.stdout):
            return None
        states = {path: _state(os.path.join(directory, path)) for path in paths}
    except (OSError, subprocess.SubprocessError):
        return None
    if any(
        os.path.exists(os.path.join(directory, path + suffix))
        for path in paths
        for suffix in _PRECOMPILED
    ):
        return None  # it may be read in place of the header
    text = done.stdout
    if private:
        text = text.replace(os.fsencode(private), b"\0")
    key = hashlib.sha256(text)
    for state in states.values():
        key.update(state.digest.encode())
    key.update(repr(list(known.variables(env))).encode(errors="surrogateescape"))
    return Inputs(key.hexdigest(), states)


def _is_whole(text: bytes) -> bool:
    """Whether the preprocessed *text* has a part of all that the compiler reads."""
    text = b"\n" + _LINE_MARKER.sub(b"", text)
    return all(
        _PLAIN_ASSEMBLY.match(text, found.end()) for found in _ASSEMBLY.finditer(text)
    ) and not any(hidden.search(text) for hidden in _HIDDEN_ASSEMBLY)


def _dependencies(listed: str) -> list[str]:
    """Return the paths in a rule for make, as compilers write them."""
    with open(listed, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read().partition(": ")[2].replace("\\\n", " ")
    text = text.replace("\\ ", "\0").replace("\\#", "#").replace("$$", "$")
    return [path.replace("\0", " ") for path in text.split()]


def _state(path: str) -> guard.State:
    found = os.stat(path)
    times = (found.st_mtime_ns, found.st_ctime_ns)
    digest = _digest(path, found.st_dev, found.st_ino, found.st_size, times)
    return guard.State(found.st_ino, found.st_size, found.st_mtime_ns, digest)


@functools.lru_cache(maxsize=20000)
def _digest(path: str, *_state: object) -> str:
    return guard.digest(path)
