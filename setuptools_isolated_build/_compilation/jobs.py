"""What a build will compile: found out before, by letting setuptools ask for it.

setuptools' own code is run once for this, with compilers that only note what they are
asked for. Nothing is compiled, linked or said by that.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Callable

from setuptools_isolated_build._compilation import products

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from setuptools_isolated_build._compilation.captured import Captured

__all__ = [
    "Job",
    "UnknownError",
    "Walk",
    "asked",
    "collect",
    "create_static_lib",
    "directory_of",
    "mkpath",
    "walk",
]

_thread = threading.local()


class UnknownError(Exception):
    """What a compiler does is not known: it is not to be asked before its turn."""


class Job:
    """One compilation.

    Attributes:
        obj: the path of the object.
        source: the path of what is compiled.
        command: the compiler, its flags and its files.
        compile: compiles it, with what it says captured, and with the seconds for
            which it waits for another build that compiles it: see `flights.alone`.
    """

    def __init__(
        self,
        obj: str,
        source: str,
        command: list[str],
        compile_it: Callable[[Captured, float | None], None],
    ) -> None:
        self.obj = obj
        self.source = source
        self.command = command
        self.compile = compile_it

    def equals(self, other: Job) -> bool:
        """Whether both make the same object in the same way."""
        return (self.obj, self.command) == (other.obj, other.command)

    def names(self, directories: Iterable[str]) -> bool:
        """Whether a word of its command is in one of these, see `directory_of`."""
        words = "\0".join(self.command).casefold()
        return any(directory in words for directory in directories)

    def writes_only_its_object(self) -> bool:
        """Whether it writes nothing that another compilation may write, too."""
        paths = {self.obj, self.source}
        return products.is_only_object(self.command, paths, os.environ)


class Walk:
    """What setuptools has asked for in a walk.

    Attributes:
        jobs: the compilations, in its order.
        directories: those that it has made for the objects.
        used: what its links read.
        linked: what they write.
        commands: what its compilers would run.
        is_known: whether this is all that they read and write.
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.directories: dict[str, None] = {}
        self.used: list[str] = []
        self.linked: list[str] = []
        self.commands: list[list[str]] = []
        self.is_known = True

    def link(
        self, objects: list[str], path: str, rest: Iterable[object], *, is_all: bool
    ) -> None:
        """Note what is linked.

        Args:
            objects: what it is linked from, besides what is named in the rest.
            path: what it writes.
            rest: the other arguments of the compiler's ``link``.
            is_all: whether it writes nothing else.
        """
        lists = [words for words in rest if isinstance(words, (list, tuple))]
        self.used += objects
        self.used += (str(word) for words in lists for word in words)
        self.linked.append(path)
        self.is_known &= is_all


def walk() -> Walk | None:
    """Return the walk that this thread is in, if it is."""
    found: Walk | None = getattr(_thread, "walk", None)
    return found


def collect(parts: Iterable[Callable[[], object]]) -> Walk:
    """Return what may be compiled before its turn: only the jobs that no other touches.

    A job is left out if what comes before it reads or writes its object, links what its
    command names, or may write anything. Such jobs keep setuptools' order.

    Args:
        parts: what makes setuptools ask for each extension, or for the files of one.
    """
    from distutils import log  # setuptools' own

    found = Walk()
    touched: set[str] = set()
    linked_into: set[str] = set()
    threshold: Any = log.set_threshold(log.FATAL)
    try:
        for part in parts:
            one = Walk()
            try:
                with _walking(one):
                    part()
            except Exception:  # noqa: BLE001  # fails once more, in its turn
                one.is_known = False
            found.directories |= one.directories
            linked = touched.intersection(map(_key, one.linked))
            for job in one.jobs:
                if not job.writes_only_its_object():
                    one.is_known = False
                    break
                paths = {_key(job.obj), _key(job.source)}
                is_free = touched.isdisjoint(paths) and not job.names(linked_into)
                if is_free and not linked:
                    found.jobs.append(job)
                touched.add(_key(job.obj))
            if not one.is_known:
                break
            touched.update(map(_key, (*one.linked, *one.used)))
            linked_into.update(map(directory_of, one.linked))
    finally:
        log.set_threshold(threshold)
    return found


def asked(call: Callable[[], object]) -> list[str]:
    """Return the command that *call*, setuptools' own, would run."""
    one = Walk()
    with _walking(one):
        call()
    (command,) = one.commands
    return command


def directory_of(path: str) -> str:
    """Return what is in the words of a command that names *path*, or its like."""
    return os.path.dirname(_key(path))


def create_static_lib(
    wrapped: Callable[..., None],
    compiler: Any,
    _place: object,
    objects: list[str],
    output_libname: str,
    output_dir: str | None = None,
    *args: Any,
    **kwargs: Any,
) -> None:
    """Make a static library, or note in a walk that it is made."""
    one = walk()
    if one is None:
        wrapped(objects, output_libname, output_dir, *args, **kwargs)
        return
    one.used += objects
    path = compiler.library_filename(output_libname, output_dir=output_dir or "")
    one.linked.append(path)


def mkpath(
    wrapped: Callable[..., Any],
    _compiler: Any,
    _place: object,
    name: str,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Make a directory, or note in a walk that it is made."""
    one = walk()
    if one is None:
        return wrapped(name, *args, **kwargs)
    one.directories[name] = None
    return None


@contextlib.contextmanager
def _walking(one: Walk) -> Iterator[None]:
    before = walk()
    _thread.walk = one
    try:
        yield
    finally:
        _thread.walk = before


def _key(path: str) -> str:
    # Two that differ in case only are one file on some systems.
    return os.path.normpath(path).casefold()
