"""What a compiler would read now: asked of the compiler itself, by its preprocessor.

No look at directories and flags can tell which files it finds. Its preprocessed text
says that; but spaces and comments, which are not in it, are in the object: columns and
checksums in debug information. So the contents of the files are compared too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from setuptools_isolated_build._compilation import (
    assembly,
    ccache,
    known,
    names,
    searches,
)
from setuptools_isolated_build._compilation.lookups import Lookups, full, state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from setuptools_isolated_build._compilation import guard
    from setuptools_isolated_build._compilation.lookups import Seen
    from setuptools_isolated_build._compilation.searches import Searches

__all__ = ["Compilation", "Evidence", "Inputs", "dependencies", "read"]

_SECONDS = 600
# gcc keeps no account then of which macro each word comes from, which errors name: the
# same words in three quarters of the time, in fewer lines. And it says what it has
# looked for, and where (`names`, `searches`).
_OF_GCC = ("-ftrack-macro-expansion=0", "-dI", "-v")
_not_gcc: set[str] = set()  # programs


class Compilation(NamedTuple):
    """A compilation, in the two ways in which it can be run.

    Attributes:
        command: as the project would run it without us.
        asked: as the cache is asked for it.
        directory: the one in which the cache is asked, or "" for the current one.
        private: a path that is another one in each build, or "".
        empty: each ``-I`` of a directory without files.
        toolchain: what compiles, as `driver` tells it.
    """

    command: list[str]
    asked: list[str]
    directory: str
    private: str
    empty: tuple[str, ...] = ()
    toolchain: str = ""


class Evidence(NamedTuple):
    """What gcc has said.

    Attributes:
        text: the preprocessed text.
        lookups: what it was told to include.
        searches: what it has looked through.
    """

    text: bytes
    lookups: Lookups
    searches: Searches


class Inputs(NamedTuple):
    """What a compilation reads.

    Attributes:
        key: a digest of all of it.
        listed: the compiler's list of the files.
        states: each of them, as `guard` compares it, with the digest of its contents.
        evidence: how gcc has come to that, if it was asked now.
    """

    key: str
    listed: str
    states: dict[str, guard.State]
    evidence: Evidence | None = None


def read(
    compilation: Compilation, listed: str, env: Mapping[str, str], seen: Seen
) -> Inputs | None:
    """Return what a compiler would read now, or None if that cannot be known.

    Args:
        compilation: one that `known` knows.
        listed: the path for the compiler's list of what it has read.
        env: the variables that it is run with.
        seen: what was looked for in this build, as `Lookups` has it.
    """
    directory = compilation.directory or os.getcwd()
    command = list(compilation.asked)
    if "-o" in command:
        at = command.index("-o")
        del command[at : at + 2]
    command[command.index("-c")] = "-E"
    if directory != os.getcwd():
        env = {**env, "PWD": directory}
    try:
        command += ["-MD", "-MF", listed, "-MT", "-"]
        text, said = _preprocess(command, directory, env, os.path.dirname(listed))
        with open(listed, encoding="utf-8", errors="surrogateescape") as file:
            rule = file.read()
        paths = {path: os.path.join(directory, path) for path in dependencies(rule)}
        if not paths or not assembly.reads_no_file(text):
            return None
        ours = (compilation.private, os.getcwd())
        if compilation.directory and ccache.name_here(
            path for path in paths.values() if path.startswith(ours)
        ):
            return None
        searched = searches.stated(said) if said else None
        if searched and compilation.empty and names.lead_out(names.included(text)):
            searched = searched._replace(is_usual=False)
        looked = _lookups(list(paths), directory, text, searched, seen)
        if (said and not searched) or looked.are_precompiled():
            return None
        states = {path: state(full) for path, full in paths.items()}
    except (OSError, subprocess.SubprocessError):
        return None
    maps = " ".join(word for word in compilation.asked if word.startswith(known.MAPS))
    parts = [text, os.fsencode(maps)]
    if compilation.private:
        private = os.fsencode(compilation.private)
        parts = [part.replace(private, b"\0") for part in parts]
    parts += (found.digest.encode() for found in states.values())
    parts += [compilation.toolchain.encode(errors="surrogateescape")]
    key = hashlib.sha256()
    for part in parts:
        key.update(part)
    evidence = Evidence(text, looked, searched) if searched else None
    return Inputs(key.hexdigest(), rule, states, evidence)


def _lookups(
    paths: list[str],
    directory: str,
    text: bytes,
    searched: Searches | None,
    seen: Seen,
) -> Lookups:
    if searched is None:
        quoted = every = frozenset(map(os.path.basename, paths))
    else:
        quoted, angled = names.included(text)
        every = quoted | angled
    above = map(os.path.dirname, paths)
    places = [(path, every) for path in (searched.directories if searched else ())]
    places += [(path, quoted) for path in dict.fromkeys(above)]
    return Lookups(tuple((full(directory, path), what) for path, what in places), seen)


def _preprocess(
    command: list[str], directory: str, env: Mapping[str, str], scratch: str
) -> tuple[bytes, str]:
    program = command[0]
    if program not in _not_gcc:
        with contextlib.suppress(subprocess.CalledProcessError):
            in_english = {**env, "LC_ALL": "C"}
            return _output([*command, *_OF_GCC], directory, in_english, scratch)
    text, _ = _output(command, directory, env, scratch)
    _not_gcc.add(program)
    return text, ""


def _output(
    command: list[str], directory: str, env: Mapping[str, str], scratch: str
) -> tuple[bytes, str]:
    # Half a megabyte and more, which goes through a pipe in a hundred pieces.
    with tempfile.TemporaryFile(dir=scratch) as file:
        file.write(b"\n")  # so that each of its lines begins after one
        file.flush()
        done = subprocess.run(  # noqa: S603  # the project's compiler
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
        return file.read(), os.fsdecode(done.stderr)


def dependencies(rule: str) -> list[str]:
    """Return the paths in a rule for make, as compilers write them."""
    text = rule.partition(": ")[2].replace("\\\n", " ")
    text = text.replace("\\ ", "\0").replace("\\#", "#").replace("$$", "$")
    return [path.replace("\0", " ") for path in text.split()]
