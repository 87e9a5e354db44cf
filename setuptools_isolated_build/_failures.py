"""What a failing build says: that a disk was full, and how to keep its build tree."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from . import _process
from ._settings import Settings, read_settings
from ._setuptools.output import warn
from .errors import BuildTreeLostError, DiskFullError, IsolatedBuildError

if TYPE_CHECKING:
    from setuptools import Distribution

    from ._build import Build

__all__ = ["explain", "is_repeated", "setup_is_repeated"]

# The commands that hooks run, and what says where their result goes.
_RESULTS = {
    "bdist_wheel": "dist_dir",
    "sdist": "dist_dir",
    "editable_wheel": "dist_dir",
    "dist_info": "output_dir",
}
_ALMOST_NOTHING = 2 << 20  # bytes; compilers remove what they could not finish


def is_repeated(exc: BaseException, dist: Distribution, build: Build | None) -> bool:
    """Whether a failed build was done once more, and well; say why it failed if not.

    Raises:
        BuildTreeLostError, DiskFullError: as `explain`.
        TurnError, SystemExit: see `_validation.results.replaces_failure`.
    """
    if isinstance(exc, Exception):
        explain(exc, dist, build)
    presence = _process.presence_of(dist)
    if presence is None:
        return False
    from ._validation import results

    seconds = (build.settings if build else Settings()).seconds_for_turn
    return results.replaces_failure(exc, dist, presence, seconds)


def setup_is_repeated(exc: BaseException) -> bool:
    """Whether a build whose setup.py failed with *exc* was done once more, and well.

    Raises:
        SystemExit: it has failed again, or another build has gone on for too long.
    """
    presence = _process.presence_of(_process.SETUP_PHASE)
    if presence is None:
        return False
    from ._validation import results

    try:
        seconds = read_settings(os.getcwd(), os.environ).seconds_for_turn
        return results.replaces_failure(exc, None, presence, seconds)
    except IsolatedBuildError as error:
        msg = f"error: {error}"
        raise SystemExit(msg) from None


def explain(exc: Exception, dist: Distribution, build: Build | None) -> None:
    """Say how to keep the build tree, and raise the reason of *exc* if it is known.

    distutils keeps only the text of an OSError, and of a compiler's only its status:
    then what is left on the file system has to tell.

    Raises:
        BuildTreeLostError: the build tree is not there any more.
        DiskFullError: a disk ran full.
    """
    if build is not None and build.settings.keep == "never":
        warn(
            "the build tree is removed; to keep it, build with "
            "SETUPTOOLS_ISOLATED_BUILD_KEEP=on-failure in the environment"
        )
    if isinstance(exc, IsolatedBuildError):
        return  # whoever has raised it knows the path
    try:
        if build is not None:
            build.check()
    except BuildTreeLostError as lost:
        raise lost from exc
    private = build.tree.directory if build is not None else tempfile.gettempdir()
    # Python takes another one when it is full; compilers do not.
    of_compilers = os.path.abspath(os.environ.get("TMPDIR") or private)
    free = _free_space(private, _result_directory(dist), of_compilers)
    path = min(free, key=free.__getitem__, default=private)
    found = _full(exc)
    if found is not None:
        path, full = found[0] or path, os.strerror(errno.ENOSPC)
    elif _is_of_a_compiler(exc) and free.get(path, _ALMOST_NOTHING) < _ALMOST_NOTHING:
        full = f"almost no space is left, {free[path] >> 10} KiB"
    else:
        return
    remedy = "free some space there"
    is_in_tree = build is not None and build.tree.holds(path)
    if path in {private, of_compilers} or is_in_tree:
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


def _result_directory(dist: Distribution) -> str | None:
    for name, option in _RESULTS.items():
        command = dist.get_command_obj(name, create=False)
        directory = getattr(command, option, None)
        if directory:
            return str(directory)
    return None


def _free_space(*directories: str | None) -> dict[str, int]:
    return {
        os.path.abspath(path): shutil.disk_usage(path).free
        for path in directories
        if path and os.path.isdir(path)
    }
