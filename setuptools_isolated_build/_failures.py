"""What a failing build says: that a disk was full, and how to keep its build tree."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from ._setuptools.output import warn
from .errors import BuildTreeLostError, DiskFullError, IsolatedBuildError

if TYPE_CHECKING:
    from setuptools import Distribution

    from ._build import Build

__all__ = ["explain"]

_ALMOST_NOTHING = 2 << 20  # bytes; compilers remove what they could not finish


def explain(exc: Exception, dist: Distribution, build: Build) -> None:
    """Say how to keep the build tree, and raise the reason of *exc* if it is known.

    distutils keeps only the text of an OSError, and of a compiler's only its status:
    then what is left on the file system has to tell.

    Raises:
        BuildTreeLostError: the build tree is not there any more.
        DiskFullError: a disk ran full.
    """
    if build.settings.keep == "never":
        warn(
            "the build tree is removed; SETUPTOOLS_ISOLATED_BUILD_KEEP=on-failure "
            "in the environment keeps it"
        )
    if isinstance(exc, IsolatedBuildError):
        return  # whoever has raised it knows the path
    try:
        build.check()
    except BuildTreeLostError as lost:
        raise lost from exc
    free = _free_space(build.tree.directory, _dist_dir(dist))
    path = min(free, key=free.__getitem__, default=build.tree.directory)
    found = _full(exc)
    if found is not None:
        path, full = found[0] or path, os.strerror(errno.ENOSPC)
    elif _is_of_a_compiler(exc) and free.get(path, _ALMOST_NOTHING) < _ALMOST_NOTHING:
        full = f"almost no space is left, {free[path] >> 10} KiB"
    else:
        return
    remedy = "free some space there"
    if build.tree.holds(path) or path == build.tree.directory:
        remedy += ", or set TMPDIR or build-root to a larger file system"
    raise DiskFullError(path, f"{full} ({_text(exc)})", remedy) from exc


def _full(exc: Exception) -> tuple[str | None] | None:
    """Return what is known of the path if *exc* comes of a full disk, or None."""
    text = os.strerror(errno.ENOSPC)
    chain: BaseException | None = exc
    seen = set()
    while chain is not None and id(chain) not in seen:
        seen.add(id(chain))  # somebody may have raised a cause again: a circle
        numbers = (errno.ENOSPC, errno.EDQUOT)
        if getattr(chain, "errno", None) in numbers or text in _text(chain):
            filename = getattr(chain, "filename", None)
            return (str(filename) if filename else None,)
        chain = chain.__cause__ or chain.__context__
    return None


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # noqa: BLE001  # of somebody's class; it is not ours to replace
        return type(exc).__name__


def _is_of_a_compiler(exc: Exception) -> bool:
    from setuptools.errors import CompileError, ExecError, LibError, LinkError

    return isinstance(exc, (CompileError, ExecError, LibError, LinkError))


def _dist_dir(dist: Distribution) -> str | None:
    for name in ("bdist_wheel", "sdist", "editable_wheel"):
        command = dist.get_command_obj(name, create=False)
        dist_dir = getattr(command, "dist_dir", None)
        if dist_dir:
            return str(dist_dir)
    return None


def _free_space(*directories: str | None) -> dict[str, int]:
    return {
        os.path.abspath(path): shutil.disk_usage(path).free
        for path in directories
        if path and os.path.isdir(path)
    }
