"""One pool for all builds of a user on a machine, or that of a make that runs them.

A build may always run one compiler. For each further one it needs a token of the pool:
ten builds at once would otherwise run ten compilers on each core.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Protocol

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import places

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Pool", "find"]

_PREFIX = "compiler-"
_AUTH = ("--jobserver-auth=", "--jobserver-fds=")


class Pool(Protocol):
    """Where tokens come from."""

    def acquire(self) -> Callable[[], object] | None:
        """Return what gives the token back, or None if there is none now."""

    def close(self) -> None:
        """Take no more tokens."""


def find(place: str | None, size: int, environ: Mapping[str, str]) -> Pool:
    """Return the pool for this build.

    Args:
        place: the directory for the locks that all builds share, or None without one.
        size: how many compilers a build may run.
        environ: the environment, in which MAKEFLAGS may name a jobserver.
    """
    server = _jobserver(environ.get("MAKEFLAGS", ""))
    return server or _Machine(place, size)


class _Machine:
    """A lock file for each token: free at once when the process that has it is gone."""

    def __init__(self, place: str | None, size: int) -> None:
        self._paths = [
            os.path.join(place, f"{_PREFIX}{number}.lock")
            for number in range(size if place is not None else 0)
            if place is not None
        ]

    def acquire(self) -> Callable[[], object] | None:
        for path in self._paths:
            try:
                found = places.acquire(path, 0)
            except (_lock.LocksUnavailableError, OSError):
                break
            if found is not None:
                return found.release
        else:
            if self._paths:
                return None
        return bool  # there is no place for locks, and so no pool

    def close(self) -> None:
        pass


class _JobServer:
    """GNU make's: a byte is read for each token, and written back."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self._writer = writer

    def acquire(self) -> Callable[[], object] | None:
        try:
            token = os.read(self._reader, 1)
        except OSError:
            return None  # there is none now
        return partial(os.write, self._writer, token) if token else None

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


def _jobserver(flags: str) -> _JobServer | None:
    """Return the one that *flags*, make's own for its children, tell of."""
    stated = [
        word[len(auth) :]
        for word in flags.split()
        for auth in _AUTH
        if word.startswith(auth)
    ]
    if not stated or not hasattr(os, "mkfifo"):
        return None
    try:
        if stated[-1].startswith("fifo:"):
            paths = [stated[-1][len("fifo:") :]] * 2
        else:
            # Opened anew, so that they can be read from without waiting: a flag of
            # the ones that were inherited would be set for make itself, too.
            numbers = [int(number) for number in stated[-1].split(",")]
            paths = [f"/proc/self/fd/{number}" for number in numbers]
        reader, writer = paths
        return _opened(reader, writer)
    except (OSError, ValueError):
        return None  # make has not let us have it ("+" before the command does)


def _opened(reader: str, writer: str) -> _JobServer | None:
    flags = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
    ends: list[Any] = []
    try:
        for path, mode in ((reader, os.O_RDONLY), (writer, os.O_WRONLY)):
            if not stat.S_ISFIFO(os.stat(path).st_mode):
                break  # a descriptor that is something else's by now
            ends.append(os.open(path, mode | flags))
        if len(ends) == len((reader, writer)):
            return _JobServer(*ends)
    except OSError:
        pass
    for number in ends:
        os.close(number)
    return None
