"""Below which directory a build leases its tree: what the settings say, or the default.

What is stated and cannot be used ends the build if it is a mistake. What cannot be used
here and now (a read-only directory, a file system without locks) is done without, and
the output says so.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from . import _places
from ._locks.lock import LocksUnavailableError
from ._setuptools.distribution import command_line, project_build_base
from ._setuptools.output import warn
from ._trees import lease as _lease
from .errors import BuildRootError

if TYPE_CHECKING:
    from setuptools import Distribution

    from ._settings import Settings

__all__ = ["REMEDY", "lease"]

REMEDY = "set TMPDIR or build-root to a directory that has room and stays"


def lease(dist: Distribution, settings: Settings, source_dir: str) -> _lease.Lease:
    """Lease the build tree of *dist*.

    Args:
        dist: what is built; its configuration has been read.
        settings: the project's and the user's.
        source_dir: the absolute path of the source tree.

    Raises:
        BuildRootError: there is no place for it, or the stated one is a mistake.
    """
    what = f"{command_line(dist)} in {source_dir}"
    if settings.build_dir is not None:
        from ._trees.kept import Kept  # most builds keep nothing

        kind = Kept(dist.get_name(), source_dir, os.environ)
        try:
            root = _places.stated_root(settings.build_dir, source_dir, "-kept")
            return _locked(root, kind, what)
        except BuildRootError as exc:
            if exc.__cause__ is None:
                raise
            warn(f"no build tree is kept: {exc}")
    if settings.build_root is not None:
        root = _places.stated_root(settings.build_root, source_dir)
        return _locked(root, _lease.Kind(), what)
    project_base = project_build_base(dist)
    if project_base is not None:
        try:
            root = _places.stated_root(project_base, source_dir)
            return _locked(root, _lease.Kind(), what)
        except BuildRootError as exc:
            warn(f"no build tree below the project's build_base: {exc}")
    default = _places.default_root(source_dir, warn)
    if default is not None:
        return _locked(default, _lease.Kind(), what)
    warn(
        "the build tree gets a name of its own and no lock; "
        "set TMPDIR or build-root to a directory of your own"
    )
    return _lease.private(tempfile.gettempdir(), what)


def _locked(root: str, kind: _lease.Kind, what: str) -> _lease.Lease:
    try:
        return _lease.lease(root, kind, what)
    except LocksUnavailableError as exc:
        warn(
            f"{root}: its file system has no locks ({exc}), so the build tree "
            "gets a name of its own; set build-root to a file system that has them"
        )
    return _lease.private(root, what)
