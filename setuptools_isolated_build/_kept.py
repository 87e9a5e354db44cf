"""Build trees that are kept for the next build, below a directory that somebody named.

For what no compiler cache can know: the state of CMake and ninja, cargo's targets. Of
a tree only build_temp stays; a build_lib that is not empty would ship files that are
gone from the sources. A tree is kept if its build has ended, well or badly; that of a
killed one is not, since the compilers that it has started may still write to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import sysconfig
from typing import TYPE_CHECKING

from . import _locks, _removal, _roots
from .errors import BuildRootError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "close",
    "empty",
    "is_foreign",
    "link",
    "mark",
    "open_again",
    "prune",
    "root",
]

_TAG = "CACHEDIR.TAG"
_TAG_TEXT = """Signature: 8a477f597d28d172789f06886806bc55
# Build trees of setuptools-isolated-build, each of which may be removed.
# https://bford.info/cachedir/
"""
_OURS = "setuptools-isolated-build"
_MARK = ".setuptools-isolated-build"  # in a tree: it is one
_RECORD = "kept"  # in a tree whose build has ended
_MOST_KEPT = 16
_FLAGS = (
    *("ARCHFLAGS", "CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "LDSHARED"),
    *("CMAKE_ARGS", "CMAKE_GENERATOR", "MACOSX_DEPLOYMENT_TARGET", "SDKROOT"),
)


def root(build_dir: str, environ: Mapping[str, str]) -> str:
    """Make and mark *build_dir*, and return where this build's trees are leased in it.

    There is one such directory for each ABI of the interpreter, platform and compiler
    with its flags: what one has made is nothing to another.

    Raises:
        BuildRootError: it can't be made or written to, or is used for something else.
    """
    build_dir = _roots.stated_root(build_dir)
    try:
        _tag(build_dir)
        path = os.path.join(build_dir, _key(environ))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    except OSError as exc:
        remedy = "name a directory that you can write to"
        raise BuildRootError(build_dir, exc.strerror or str(exc), remedy) from exc
    return path


def is_foreign(slot: str) -> bool:
    """Whether the directory *slot* is there and has not been made by this package."""
    if os.path.islink(slot):
        return True
    try:
        names = os.listdir(slot)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return names != [] and _MARK not in names


def mark(slot: str) -> None:
    """Say in the empty directory *slot* that it is ours."""
    os.close(os.open(os.path.join(slot, _MARK), os.O_WRONLY | os.O_CREAT, 0o600))


def open_again(slot: str) -> str | None:
    """Return the directory in *slot* that a build has left in order, if one has.

    From then on it is not in order, until `close`.
    """
    record = os.path.join(slot, _RECORD)
    try:
        with open(record, encoding="utf-8") as file:
            directory = os.path.join(slot, json.load(file)["directory"])
        os.unlink(record)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return os.path.normpath(directory)


def empty(slot: str) -> None:
    """Remove what is in *slot*, so that no build finds a part of it in order."""
    open_again(slot)
    _removal.remove_all_but({os.path.join(slot, _MARK)}, slot)


def close(slot: str, directory: str, kept: set[str]) -> None:
    """Empty the *directory* in *slot* of all but *kept*, and leave it for the next.

    Args:
        slot: the leased directory.
        directory: where the build's directories are.
        kept: absolute paths of directories in it.
    """
    _removal.remove_all_but({os.path.join(slot, _MARK), *kept}, slot)
    record = os.path.join(slot, _RECORD)
    with open(f"{record}.new", "w", encoding="utf-8") as file:
        json.dump({"directory": os.path.relpath(directory, slot)}, file)
    os.replace(f"{record}.new", record)


def link(directory: str, program: str) -> str:
    """Return a path of *program* that the next build in *directory* has too.

    CMake remembers the path, and that of an isolated environment is gone by then.
    """
    path = os.path.join(directory, os.path.basename(program))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        os.symlink(program, path)
    except OSError:  # Windows lets few users make links
        return program
    return path


def prune(slot: str) -> None:
    """Remove the trees beside *slot* and its likes that were not used for longest."""
    build_dir = os.path.dirname(os.path.dirname(slot))
    for path in sorted(_trees(build_dir), key=_last_used)[:-_MOST_KEPT]:
        with contextlib.suppress(OSError, _locks.LocksUnavailableError):
            lock = _locks.acquire(f"{path}.lock", timeout=0)
            if lock is not None:
                empty(path)
                _removal.remove(path)
                lock.release()


def _tag(build_dir: str) -> None:
    path = os.path.join(build_dir, _TAG)
    names = set(os.listdir(build_dir))
    if _TAG in names and (_is_empty(path) or _OURS in _read(path)):
        names.clear()
    if names:
        cause = "it holds other things than build trees"
        remedy = "name a directory of its own as build-dir"
        raise BuildRootError(build_dir, cause, remedy)
    for name, text in ((_TAG, _TAG_TEXT), (".gitignore", "*\n")):
        path = os.path.join(build_dir, name)
        if not os.path.exists(path) or _is_empty(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def _is_empty(path: str) -> bool:
    return os.path.getsize(path) == 0


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1000)


def _key(environ: Mapping[str, str]) -> str:
    parts = [sysconfig.get_config_var("SOABI"), *map(environ.get, _FLAGS)]
    for name in ("CC", "CXX"):
        command = environ.get(name) or sysconfig.get_config_var(name) or ""
        parts.append(command)
        path = shutil.which((command.split() or [""])[0])
        if path is not None:
            status = os.stat(path)
            parts += [os.path.realpath(path), status.st_size, status.st_mtime_ns]
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
    return f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}-{digest}"


def _trees(build_dir: str) -> Iterator[str]:
    with os.scandir(build_dir) as keys:
        for key in keys:
            if key.is_dir(follow_symlinks=False):
                for name in os.listdir(key.path):
                    path = os.path.join(key.path, name)
                    if os.path.exists(os.path.join(path, _RECORD)):
                        yield path


def _last_used(tree: str) -> float:
    try:
        return os.path.getmtime(os.path.join(tree, _RECORD))
    except OSError:
        return float("inf")  # somebody builds in it again
