"""What has changed in a source tree."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from setuptools_isolated_build import _places

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

__all__ = [
    "changed",
    "last_change",
    "real_path",
    "since",
    "state",
]

# What version control and Python write when a build asks or imports something.
_NOT_READ = {".git", ".hg", ".svn", "__pycache__"}
# In a directory: what is in it was built or installed, unless there are sources.
_MARKS = {"CACHEDIR.TAG", "pyvenv.cfg"}
_SECOND = 1_000_000_000
_TICK = 10_000_000  # nanoseconds: the clock of files is behind by up to this


def state(path: str) -> tuple[int, ...] | None:
    """Return what changes whenever the file *path* does, or None without one."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def last_change(found: os.stat_result) -> int:
    """Return the latest moment at which a file may have been changed, in nanoseconds.

    File systems round down, FAT to two seconds. Which one does, the time says that
    nobody can set: what was unpacked has whole seconds in the other one anywhere.
    """
    last = max(found.st_mtime_ns, found.st_ctime_ns)
    for precision in (2 * _SECOND, _SECOND):
        if found.st_ctime_ns % precision == 0:
            return last + precision
    return last + _TICK


def changed(path: str, moment: int) -> bool:
    """Whether *path* may have changed since *moment* (nanoseconds), or is gone.

    A link changes when it leads elsewhere, too.
    """
    try:
        if os.path.islink(path) and last_change(os.lstat(path)) >= moment:
            return True
        return last_change(os.stat(path)) >= moment
    except OSError:
        return True


def since(
    directory: str,
    moment: int,
    private: set[str],
    *,
    sources: Collection[str] = (),
    names: bool = False,
) -> Iterator[str]:
    """Find the files below *directory* that may have changed since *moment*.

    Of each the real path; of a link that may lead elsewhere by now, its own. And
    directories that were moved: what is in them need not be new.

    Args:
        directory: the source tree, as a real path.
        moment: in nanoseconds.
        private: directories in which builds put their results and their work, as
            real paths.
        sources: those in which there are sources, whatever they look like.
        names: whether to find the directories in which names have come or gone, too: a
            file that is written anew is not there for a moment. And to look into all
            but build trees, since it is not known where sources are.
    """

    def is_passed_over(current: str, inside: set[str]) -> bool:
        if current == directory or current in sources or _MARKS.isdisjoint(inside):
            return False
        return not names or _places.is_root(current)

    for current, entries in _directories(directory, private, is_passed_over):
        if (changed if names else _was_moved)(current, moment):
            yield current
        for entry in entries:
            path = _changed_at(entry, moment)
            if path is not None:
                yield path


def _was_moved(directory: str, moment: int) -> bool:
    """Whether the *directory* may have come from elsewhere, with all that is in it.

    Nothing in it needs to be new then. Where a name has come or gone since, both of its
    times are the same, and it is not known.
    """
    try:
        found = os.stat(directory)
    except OSError:
        return True
    return found.st_ctime_ns > found.st_mtime_ns and last_change(found) >= moment


def _changed_at(entry: os.DirEntry[str], moment: int) -> str | None:
    """Return the path of what may have changed since then; None if nothing has."""
    is_link = entry.is_symlink()
    try:
        if is_link and last_change(os.lstat(entry.path)) >= moment:
            return entry.path  # what it leads to may be older
        found = entry.stat()
        # Nobody copies a pipe or a socket.
        if not stat.S_ISREG(found.st_mode) or last_change(found) < moment:
            return None
    except OSError:
        # It is gone, or a link to what is not there.
        return None if is_link and not _may_have_led(entry.path, moment) else entry.path
    return real_path(entry.path, is_link=is_link)


def _may_have_led(link: str, moment: int) -> bool:
    """Whether the *link* to nothing may have led to something since then."""
    place = os.path.dirname(real_path(link, is_link=True))
    while not os.path.exists(place):
        place = os.path.dirname(place)
    return changed(place, moment)


def _directories(
    directory: str, private: set[str], is_passed_over: Callable[[str, set[str]], bool]
) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Find *directory* and those below it, each with what is read in it."""
    seen = set(private)
    pending = [directory]
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)  # links may lead around in a circle
        try:
            entries = list(os.scandir(current))
        except OSError:
            continue
        if is_passed_over(current, {entry.name for entry in entries}):
            continue
        entries = [entry for entry in entries if entry.name not in _NOT_READ]
        for entry in entries:
            with contextlib.suppress(OSError):  # it is gone
                if entry.is_dir():
                    path = real_path(entry.path, is_link=entry.is_symlink())
                    # A link to "/" leads to no more of this project than there is.
                    if not directory.startswith(os.path.join(path, "")):
                        pending.append(path)
        yield current, entries


def real_path(path: str, *, is_link: bool) -> str:
    """Return the real path of *path*, of which all but the name is real.

    Args:
        path: a file or a directory.
        is_link: whether it is a symbolic link.
    """
    # Windows has junctions, which are no links, and its names are told in another case.
    if os.name == "posix" and not is_link:
        return path
    try:
        return os.path.realpath(path)
    except OSError:  # the link has gone while it was followed; some in /proc never lead
        return path
