"""Build trees that are kept for the next build, below a directory that somebody named.

For what no compiler cache can know: the state of CMake and ninja, cargo's targets. Of
a tree only build_temp stays; a build_lib that is not empty would ship files that are
gone from the sources. A tree is kept if its build has ended, well or badly; that of a
killed one is not, since the compilers that it has started may still write to it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
from typing import TYPE_CHECKING

from setuptools_isolated_build._locks.lock import LOCK_FILE
from setuptools_isolated_build._trees import dead, removal
from setuptools_isolated_build._trees.lease import Kind
from setuptools_isolated_build._trees.tree import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Kept"]

_MOST_KEPT = 16
_FORMAT = "2"  # of what is in one, as CMake remembers it
_FLAGS = (
    *("ARCHFLAGS", "CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "LDSHARED"),
    *("CMAKE_ARGS", "CMAKE_GENERATOR", "MACOSX_DEPLOYMENT_TARGET", "SDKROOT"),
)


class Kept(Kind):
    """Trees that are kept for one project, interpreter, platform, compiler and flags.

    Args:
        project: the project's name.
        source_dir: its source tree, which CMake has in its state.
        environ: the environment, with the compilers and their flags.
    """

    is_kept = True

    def __init__(
        self, project: str, source_dir: str, environ: Mapping[str, str]
    ) -> None:
        self._key = _key(project, os.path.realpath(source_dir), environ)

    def takes(self, directory: str) -> bool:
        """Whether a build of this kind has left it in order; from now on it is not."""
        record = os.path.join(directory, KEPT)
        if _read(record) != self._key:
            return False
        os.unlink(record)
        return True

    def leaves(self, directory: str) -> bool:
        """Whether it was left in order by a build of another kind."""
        return os.path.exists(os.path.join(directory, KEPT))

    def close(self, directory: str, wanted: set[str]) -> None:
        """Empty it of all but what is *wanted*, and leave it for the next build.

        Of all the kept trees those stay that were used last.
        """
        lock = os.path.join(directory, LOCK_FILE)
        removal.remove_all_but({lock, *wanted}, directory)
        record = os.path.join(directory, KEPT)
        with open(f"{record}.new", "w", encoding="utf-8") as file:
            file.write(self._key)
        os.replace(f"{record}.new", record)
        dead.prune(os.path.dirname(directory), KEPT, _MOST_KEPT)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def _key(project: str, source_dir: str, environ: Mapping[str, str]) -> str:
    parts = [_FORMAT, project, source_dir, sys.version]
    parts.append(os.path.realpath(sys.base_prefix))
    parts += [sysconfig.get_platform(), str(sysconfig.get_config_var("SOABI"))]
    parts += [f"{name}={environ.get(name)}" for name in _FLAGS]
    for name in ("CC", "CXX"):
        command = environ.get(name) or sysconfig.get_config_var(name) or ""
        parts.append(command)
        path = shutil.which((command.split() or [""])[0])
        if path is not None:
            status = os.stat(path)
            parts.append(f"{os.path.realpath(path)} {status.st_size}")
            parts.append(str(status.st_mtime_ns))
    text = repr(parts).encode(errors="surrogateescape")
    return hashlib.sha256(text).hexdigest()
