"""What CMake runs in front of each compiler: the cache, as right as it is elsewhere.

ccache alone finds an old object when another header is found first, or when the
assembler reads a file that has changed. So CMake is given this script. It is started by
``python -I -S`` for each file, and does not import setuptools.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from setuptools_isolated_build._compilation.cached import Cache

_NAME = "setuptools-isolated-build-launcher"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What asks for a list for make or ninja: each is followed by its target or its path.
_RULE, _OF_TARGET, _INTO = "-MD", "-MT", "-MF"


def install(directory: str, cache: Cache | None) -> str:
    """Put a program into *directory* that compiles through *cache*; return its path.

    Without a cache it just compiles: CMake remembers it, where build trees are kept.
    """
    words = [cache.program] if cache else []
    if cache and cache.name == "ccache":
        script = os.path.abspath(__file__)
        words = [sys.executable, "-I", "-S", script, cache.program, cache.directory]
    with tempfile.NamedTemporaryFile("w", dir=directory, delete=False) as file:
        file.write(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    os.chmod(file.name, 0o700)
    path = os.path.join(directory, _NAME)
    os.replace(file.name, path)
    return path


def main(program: str, directory: str, command: list[str]) -> int:
    """Run *command*, a compiler's, and return its exit status.

    Args:
        program: ccache.
        directory: a private one, for files of ours.
        command: the compiler, its flags and its files.
    """
    package = ModuleType(os.path.basename(_PACKAGE))
    package.__path__ = [_PACKAGE]  # without its __init__, which imports setuptools
    sys.modules[package.__name__] = package
    from setuptools_isolated_build._compilation import ccache, known
    from setuptools_isolated_build._compilation.cached import Cache
    from setuptools_isolated_build._compilation.inputs import Compilation

    asked, target, path = _without_rule(command)
    if not known.is_known(asked, os.environ):
        os.execvp(command[0], command)  # noqa: S606  # CMake's
    empty = tuple(ccache.finding_nothing(asked))
    compilation = Compilation(command, asked, "", "", empty)
    cache = Cache(program, "ccache", directory, {})
    try:
        cache.compile(partial(_run, target, path), compilation, _tell)
    except subprocess.CalledProcessError as exc:
        return exc.returncode if exc.returncode > 0 else 1
    return 0


def _without_rule(command: list[str]) -> tuple[list[str], str, str]:
    """Return *command* without the words that ask for a rule, its target and path.

    A command that asks for it in another way, or for none, is returned as it is.
    """
    if _RULE not in command:
        return command, "", ""
    at = command.index(_RULE)
    before, words, after = command[:at], command[at + 1 : at + 5], command[at + 5 :]
    flags, values = words[::2], words[1::2]
    if flags != [_OF_TARGET, _INTO] or len(values) != len(flags):
        return command, "", ""
    target, path = values
    return before + after, target, path


def _run(
    target: str, path: str, command: Sequence[str], *, env: dict[str, str] | None = None
) -> None:
    from setuptools_isolated_build._compilation import guard

    try:
        subprocess.run(command, env=env, check=True)  # noqa: S603  # CMake's
    finally:
        marker = (env or {}).get(guard.MARKER)
        if path and marker is not None:  # or else the compiler has written it
            with open(marker + guard.EXPECTED, "rb") as file:
                listed = file.read().partition(b":")[2]
            with open(path, "wb") as file:
                file.write(os.fsencode(target) + b":" + listed)


def _tell(message: str) -> None:
    sys.stderr.write(f"setuptools-isolated-build: {message}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
