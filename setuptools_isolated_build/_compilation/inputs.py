"""What a compiler would read now: asked of the compiler itself, by its preprocessor.

No look at directories and flags can tell which files it finds. Its preprocessed text
says that; but spaces and comments, which are not in it, are in the object: columns and
checksums in debug information. So the contents of the files are compared too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

from setuptools_isolated_build._compilation import guard, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Inputs", "read"]

_SECONDS = 600
# gcc keeps no account then of which macro each word comes from, which errors name: the
# same words in three quarters of the time, in fewer lines.
_QUICK = "-ftrack-macro-expansion=0"
_without_quick: set[str] = set()  # programs
_PRECOMPILED = (".gch", ".pch")
_BLOCK = 1 << 20
_LINE_MARKER = re.compile(rb"\n# \d.*")  # the file that the next lines are of
# Inline assembly can read files (``.include``, ``.incbin``), of which no preprocessor
# knows. Without a dot in it there is no directive, and without a backslash but for the
# ends of lines none is hidden. Names that end in "asm" are taken for it too.
_ASSEMBLY = re.compile(rb"asm(?:__)?\b")
_PLAIN_ASSEMBLY = re.compile(
    rb"\s*(?:(?:volatile|__volatile|__volatile__|goto|inline|__inline|__inline__)\s*)*"
    rb'\((?:\s*"(?:[^"\\.\n]|\\[nt])*")+\s*[:)]'
)
# gcc writes the names in attributes and pragmas as they are, ends of lines too.
_ATTRIBUTES = (b"__attribute", b"[[")
_DIRECTIVE = re.compile(rb"\n[ \t]*#(?! \d)")  # and no line marker
# Two changes in one tick of a file system's clock give a file the same times; the
# slowest clock ticks every two seconds.
_SETTLED = 4_000_000_000  # nanoseconds
_digests: dict[tuple[object, ...], str] = {}


class Inputs(NamedTuple):
    """What a compilation reads.

    Attributes:
        key: a digest of all of it.
        listed: the compiler's list of the files.
        states: each of them, as `guard` compares it, with the digest of its contents.
    """

    key: str
    listed: str
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
        command += ["-MD", "-MF", listed, "-MT", "-"]
        text = _preprocess(command, directory, env, os.path.dirname(listed))
        with open(listed, encoding="utf-8", errors="surrogateescape") as file:
            rule = file.read()
        paths = {path: os.path.join(directory, path) for path in _dependencies(rule)}
        if not paths or not _is_whole(text) or _are_precompiled(paths.values()):
            return None
        states = {path: _state(full) for path, full in paths.items()}
    except (OSError, subprocess.SubprocessError):
        return None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(listed)
    if private:
        text = text.replace(os.fsencode(private), b"\0")
    key = hashlib.sha256(text)
    for state in states.values():
        key.update(state.digest.encode())
    key.update(repr(list(known.variables(env))).encode(errors="surrogateescape"))
    return Inputs(key.hexdigest(), rule, states)


def _preprocess(
    command: list[str], directory: str, env: Mapping[str, str], scratch: str
) -> bytes:
    program = command[0]
    if program not in _without_quick:
        with contextlib.suppress(subprocess.CalledProcessError):
            return _output([*command, _QUICK], directory, env, scratch)
    text = _output(command, directory, env, scratch)
    _without_quick.add(program)  # it is not gcc
    return text


def _output(
    command: list[str], directory: str, env: Mapping[str, str], scratch: str
) -> bytes:
    # Half a megabyte and more, which goes through a pipe in a hundred pieces.
    with tempfile.TemporaryFile(dir=scratch) as file:
        subprocess.run(  # noqa: S603  # the project's compiler
            command,
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            # What is wrong is said when it compiles. Its end is the compiler's: without
            # a pipe that is polled for, in ever longer intervals.
            stderr=subprocess.PIPE,
            timeout=_SECONDS,
            check=True,
        )
        file.seek(0)
        return file.read()


def _is_whole(text: bytes) -> bool:
    """Whether the preprocessed *text* has a part of all that the compiler reads."""
    text = b"\n" + text
    if not all(
        _PLAIN_ASSEMBLY.match(text, found.end()) or _is_in_marker(text, found.start())
        for found in _ASSEMBLY.finditer(text)
    ):
        return False
    if b"\\" not in text:
        return True
    markers = b"".join(_LINE_MARKER.findall(text))
    if b";" in markers or b"{" in markers:  # they would end the search in an attribute
        return False
    *before, _ = text.split(b"\\")
    return not any(map(_may_hide_assembly, before))


def _may_hide_assembly(text: bytes) -> bool:
    """Whether the backslash after *text* is in an attribute or a directive."""
    since = max(text.rfind(b";"), text.rfind(b"{")) + 1
    if any(text.find(attribute, since) >= 0 for attribute in _ATTRIBUTES):
        return True
    return bool(_DIRECTIVE.match(text, max(text.rfind(b"\n"), 0)))


def _is_in_marker(text: bytes, index: int) -> bool:
    return bool(_LINE_MARKER.match(text, text.rfind(b"\n", 0, index)))


def _dependencies(rule: str) -> list[str]:
    """Return the paths in a rule for make, as compilers write them."""
    text = rule.partition(": ")[2].replace("\\\n", " ")
    text = text.replace("\\ ", "\0").replace("\\#", "#").replace("$$", "$")
    return [path.replace("\0", " ") for path in text.split()]


def _are_precompiled(paths: Iterable[str]) -> bool:
    """Whether something else may be read in place of one of these headers."""
    names: dict[str, set[str]] = {}
    for path in paths:
        directory, name = os.path.split(path)
        precompiled = (name + suffix for suffix in _PRECOMPILED)
        names.setdefault(directory, set()).update(precompiled)
    return any(not names[path].isdisjoint(os.listdir(path)) for path in names)


def _state(path: str) -> guard.State:
    found = os.stat(path)
    return guard.State(
        found.st_ino, found.st_size, found.st_mtime_ns, _digest(path, found)
    )


def _digest(path: str, found: os.stat_result) -> str:
    times = (found.st_mtime_ns, found.st_ctime_ns)
    state = (path, found.st_dev, found.st_ino, found.st_size, *times)
    digest = _digests.get(state)
    if digest is None:
        digest = guard.digest(path)
        if max(times) < time.time_ns() - _SETTLED:
            _digests[state] = digest
    return digest
