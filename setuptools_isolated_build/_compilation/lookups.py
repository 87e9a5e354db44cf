"""Which headers a preprocessor finds: each name, in each place where it may look.

Whether something is there is asked of the file system, name by name: a listing does not
tell what else it takes for a name.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from setuptools_isolated_build._compilation import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    Places = tuple[tuple[str, frozenset[str]], ...]
    Seen = dict[tuple[object, ...], tuple[bool, list[str]]]

__all__ = ["Lookups", "full", "state"]

_PRECOMPILED = ".gch"
# Two changes in one tick of a file system's clock give a file the same times; the
# slowest clock ticks every two seconds.
_SETTLED = 4_000_000_000  # nanoseconds
_NOTHING = re.compile(r"/(?:\./|/)+")
_digests: dict[tuple[object, ...], str] = {}
_looking = threading.Lock()  # threads that begin together would all look for the same


class Lookups(NamedTuple):
    """What is looked for, in absolute paths.

    Attributes:
        places: directories, each with the names that are looked for in it.
        seen: what was found in directories that have not changed since, in one build.
        own: the paths of files that gcc does not rename.
    """

    places: Places
    seen: Seen
    own: frozenset[str] = frozenset()

    def are_precompiled(self) -> bool:
        """Whether something else may be read in place of a header.

        Raises:
            OSError: a directory cannot be looked into.
        """
        return any(
            name.endswith(_PRECOMPILED)
            for _, _, names in self._existing()
            for name in names
        )

    def find(self) -> dict[str, guard.State] | None:
        """Return all that is there, by its `full` path: precompiled headers, too.

        Returns:
            None if something is there of which it is not known what the compiler makes
            of it: what is no file, or what gcc gives another name.

        Raises:
            OSError: something cannot be read.
        """
        files = {}
        for place, is_named_so, names in self._existing():
            for name in names:
                path = place + name
                found, is_usual = os.lstat(path), is_named_so
                if stat.S_ISLNK(found.st_mode):
                    found, is_usual = os.stat(path), is_named_so and _is_named_so(path)
                if not stat.S_ISREG(found.st_mode):
                    return None
                if not is_usual and path not in self.own:
                    return None
                files[path] = state(path, found)
        return files

    def _existing(self) -> Iterator[tuple[str, bool, list[str]]]:
        """Return the directories that there are, and the names in them."""
        for place, names in _by_directory(self.places):
            found = _directory(place)
            if found is None:
                continue
            times = (found.st_mtime_ns, found.st_ctime_ns)
            key = (place, names, found.st_dev, found.st_ino, *times)
            with _looking:
                there = self.seen.get(key)
                if there is None:
                    existing = [
                        name
                        for header in names
                        for name in (header, header + _PRECOMPILED)
                        if os.path.lexists(place + name)
                    ]
                    there = (_is_named_so(os.path.dirname(place)), existing)
                    if max(times) < time.time_ns() - _SETTLED:
                        self.seen[key] = there
            yield (place, *there)


def full(*parts: str) -> str:
    """Return the path that *parts* make, without what says nothing in it."""
    return _NOTHING.sub("/", os.path.join(os.getcwd(), *parts))


@functools.lru_cache(maxsize=100)
def _by_directory(places: Places) -> list[tuple[str, tuple[str, ...]]]:
    """Return the directories that names lead to, with what is left of these."""
    found: dict[str, set[str]] = {}
    for wanted in {names for _, names in places}:
        inside: dict[str, list[str]] = {}
        for name in wanted:
            directory, base = os.path.split(name)
            inside.setdefault(directory, []).append(base)
        for place in (place for place, names in places if names == wanted):
            for directory, bases in inside.items():
                found.setdefault(full(place, directory, ""), set()).update(bases)
    return [(place, tuple(sorted(bases))) for place, bases in found.items()]


def _is_named_so(path: str) -> bool:
    # gcc says the real path of a system's header where that is shorter.
    return len(os.path.realpath(path)) >= len(path)


def _directory(path: str) -> os.stat_result | None:
    """Return the state of the directory *path*, or None if nothing can be in it.

    Raises:
        OSError: it cannot be looked into.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not os.access(path, os.X_OK):
        raise PermissionError(path)
    return found


def state(path: str, found: os.stat_result | None = None) -> guard.State:
    """Return the state of the file at *path*, which *found* says already, but for one.

    Raises:
        OSError: it cannot be read, or is no file: a device may have no end.
    """
    found = found or os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "no regular file", path)
    times = (found.st_mtime_ns, found.st_ctime_ns)
    stated = (path, found.st_dev, found.st_ino, found.st_size, *times)
    with _looking:
        digest = _digests.get(stated)
        if digest is None:
            digest = guard.digest(path)
            if max(times) < time.time_ns() - _SETTLED:
                _digests[stated] = digest
    return guard.State(found.st_ino, found.st_size, *times, digest)
