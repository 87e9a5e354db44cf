"""Tell that a disk was full, which whoever has failed for it seldom says."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from .errors import DiskFullError

if TYPE_CHECKING:
    from setuptools import Distribution

    from ._build_tree import BuildTree

__all__ = ["explain"]

_ALMOST_NOTHING = 2 << 20  # bytes; compilers remove what they could not finish


def explain(exc: Exception, dist: Distribution, tree: BuildTree) -> None:
    """Raise `DiskFullError` if that is why a command failed, whatever it has raised.

    distutils keeps only the text of an OSError, and of a compiler's only its status:
    then what is left on the file system has to tell.
    """
    free = _free_space(tree.directory, _dist_dir(dist))
    path = min(free, key=free.__getitem__, default=tree.directory)
    full = os.strerror(errno.ENOSPC)
    chain: BaseException | None = exc
    seen = set()
    while chain is not None and id(chain) not in seen:
        seen.add(id(chain))  # somebody may have raised a cause again: a circle
        numbers = (errno.ENOSPC, errno.EDQUOT)
        if getattr(chain, "errno", None) in numbers or full in str(chain):
            path = str(getattr(chain, "filename", None) or path)
            break
        chain = chain.__cause__ or chain.__context__
    else:
        if (
            not _is_of_a_compiler(exc)
            or free.get(path, _ALMOST_NOTHING) >= _ALMOST_NOTHING
        ):
            return
        full = f"almost no space is left, {free[path] >> 10} KiB"
    remedy = "free some space there"
    if tree.holds(path) or path == tree.directory:
        remedy += ", or set TMPDIR or build-root to a larger file system"
    raise DiskFullError(path, f"{full} ({exc})", remedy) from exc


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
