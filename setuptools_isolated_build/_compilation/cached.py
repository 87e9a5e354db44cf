"""One compilation through a compiler cache: right also where the cache is not.

A cache that fails is done without. And ccache is told, or kept from storing, what would
give somebody a wrong object: headers that are new, sources that change meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from distutils.errors import DistutilsExecError  # setuptools' own
from functools import lru_cache
from typing import Any, Callable, NamedTuple

from setuptools_isolated_build._compilation import ccache, guard

__all__ = ["Cache"]

_GUARD = "setuptools-isolated-build-guard"
_SECONDS = 60
_TICK = 0.002  # seconds: file systems stamp by a clock that ticks every few of these
_MOST_TICKS = 50
_broken: set[str] = set()


class Cache(NamedTuple):
    """A compiler cache in use, by one build.

    Attributes:
        program: the path of the cache's program.
        name: what it is, as `launcher` says it.
        directory: a private one, for files of ours.
    """

    program: str
    name: str
    directory: str

    def compile(
        self,
        run: Callable[..., None],
        asked: list[str],
        command: list[str],
        tell: Callable[[str], object],
        **kwargs: Any,
    ) -> None:
        """Compile through the cache, or without it if it cannot.

        Args:
            run: runs a command, and raises if that fails.
            asked: the command that runs the cache.
            command: the one that the project would run without us.
            tell: says in the build's output what happens.
            kwargs: for *run*.
        """
        if self.program in _broken:
            run(command, **kwargs)
            return
        env = {**os.environ, **(kwargs.get("env") or {})}
        marker = os.path.join(self.directory, secrets.token_hex(8))
        try:
            if self.name == "ccache":
                _make_newer(marker, command)
                env |= self._variables(marker, ccache.names_of_headers(command), env)
            run(asked, **{**kwargs, "env": env})
        except (DistutilsExecError, subprocess.CalledProcessError, OSError):
            if os.path.exists(marker + guard.CHANGED):
                tell("a source was changed meanwhile: once more, without storing it")
                run(command, **kwargs)
                return
            tell(f"once more without {self.program}, in case it is what has failed")
            run(command, **kwargs)
            _broken.add(self.program)
            tell(f"{self.program} fails where the compiler does not: on without it")
        finally:
            for path in (marker, f"{marker}.d", marker + guard.CHANGED):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def _variables(
        self, marker: str, names: str, env: dict[str, str]
    ) -> dict[str, str]:
        """Return what is to be set in *env* for ccache. What the user says stays."""
        stated = _configuration(self.program)
        return {
            guard.MARKER: marker,
            # By name, since ccache splits this at spaces.
            "CCACHE_PREFIX": f"{_GUARD} {stated.get('prefix_command', '')}".strip(),
            "PATH": self._guard() + os.pathsep + env.get("PATH", os.defpath),
            "CCACHE_EXTRAFILES": os.pathsep.join(
                filter(None, (stated.get("extra_files_to_hash"), self._file(names)))
            ),
        }

    def _guard(self) -> str:
        """Return the directory in which `guard` is an executable."""
        directory = os.path.join(self.directory, "guard")
        if not os.path.isdir(directory):
            command = shlex.join([sys.executable, "-I", "-S", guard.__file__])
            staged = tempfile.mkdtemp(dir=self.directory)
            path = os.path.join(staged, _GUARD)
            with open(path, "w", encoding=sys.getfilesystemencoding()) as file:
                file.write(f'#!/bin/sh\nexec {command} "$@"\n')
            os.chmod(path, 0o700)
            with contextlib.suppress(OSError):  # another thread was first
                os.replace(staged, directory)
        return directory

    def _file(self, text: str) -> str:
        """Return the path of a file with *text*."""
        digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
        path = os.path.join(self.directory, f"names-{digest}")
        if not os.path.exists(path):
            number, staged = tempfile.mkstemp(dir=self.directory)
            with open(number, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            os.replace(staged, path)
        return path


def _make_newer(path: str, command: list[str]) -> None:
    """Make the file *path*, newer than what the command names."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    newest = max(map(_changed, command))
    for _ in range(_MOST_TICKS):
        if newest < os.stat(path).st_ctime_ns:
            break
        time.sleep(_TICK)  # a source was generated in this very tick
        os.utime(path)


def _changed(path: str) -> int:
    """Return when *path* was changed last, in nanoseconds, or 0 if it is no file."""
    try:
        return os.stat(path).st_ctime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=100)
def _configuration(program: str) -> dict[str, str]:
    """Return what the user's configuration of ccache and CCACHE_* say."""
    try:
        done = subprocess.run(  # noqa: S603  # what the compilations go through
            [program, "--show-config"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}  # it will not compile either
    lines = (line.partition(") ")[2] for line in done.stdout.splitlines())
    return {key: value for key, _, value in (line.partition(" = ") for line in lines)}
