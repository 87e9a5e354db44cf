"""All that builds of this user have on the machine, as far as it can be found.

Looked for in the temporary directory, in the place of all locks, and where the settings
of a source tree say. A root that only a setting of another tree names is not found.
"""

from __future__ import annotations

import configparser
import os
import tempfile
from typing import NamedTuple

from setuptools.config.pyprojecttoml import load_file

from setuptools_isolated_build._locks import places as _places
from setuptools_isolated_build._settings import Settings, read_settings
from setuptools_isolated_build._status import cache, locks, trees

__all__ = ["Places", "Survey", "clean", "look", "places_of"]


class Places(NamedTuple):
    """Where build trees and locks are.

    Attributes:
        source_dir: the source tree whose settings were read.
        settings: these.
        roots: the directories of build trees that are there.
        locks: the directory of all locks, or None if there is none.
    """

    source_dir: str
    settings: Settings
    roots: list[str]
    locks: str | None


class Survey(NamedTuple):
    """What is in them.

    Attributes:
        places: where it was looked for.
        trees: the build trees of each root, and of the temporary directory.
        locks: the lock files that somebody has, or that are left.
        cache: the compiler cache, or None without one.
        key: what stands for the source tree in the names of locks.
    """

    places: Places
    trees: dict[str, list[trees.Tree]]
    locks: list[locks.Lock]
    cache: cache.Cache | None
    key: str


def places_of(source_dir: str) -> Places:
    """Return where builds of *source_dir*, and others of this user, have their files.

    Raises:
        SettingsError: the settings of the source tree are wrong.
    """
    settings = read_settings(source_dir, os.environ)
    roots = trees.roots(source_dir, settings, _project_build_base(source_dir))
    return Places(source_dir, settings, roots, locks.place())


def look(places: Places) -> Survey:
    """Look at all that is there, and change nothing."""
    found = {root: trees.find(root) for root in places.roots}
    temporary = os.path.realpath(tempfile.gettempdir())
    loose = trees.without_lock(temporary)
    if loose:
        found[temporary] = loose
    return Survey(
        places,
        found,
        [] if places.locks is None else locks.find(places.locks),
        cache.find(places.settings),
        _places.key(places.source_dir),
    )


def clean(
    places: Places, *, kept: bool
) -> tuple[list[trees.Removed], list[locks.Lock]]:
    """Remove what killed builds have left.

    Args:
        places: where.
        kept: whether the trees that are kept are removed, too.

    Returns:
        The trees and the locks that were removed.
    """
    states = {trees.LEFT}
    if kept:
        states |= {trees.TO_LOOK_INTO, trees.FOR_THE_NEXT}
    removed = [
        tree
        for root in places.roots
        for tree in trees.remove(root, lambda found: found.state in states)
    ]
    return removed, [] if places.locks is None else locks.remove(places.locks)


def _project_build_base(source_dir: str) -> str | None:
    """Return the build_base that the project's configuration files state.

    What setup.py says is not known, as it is not run.
    """
    base = None
    parser = configparser.RawConfigParser()
    try:
        parser.read(os.path.join(source_dir, "setup.cfg"), encoding="utf-8")
        base = parser.get("build", "build_base", fallback=None)
        base = parser.get("build", "build-base", fallback=base)
        path = os.path.join(source_dir, "pyproject.toml")
        tool = load_file(path).get("tool", {}) if os.path.isfile(path) else {}
        stated = tool.get("distutils", {}).get("build", {})
        base = stated.get("build-base", stated.get("build_base", base))
    except (configparser.Error, UnicodeError, AttributeError):
        return None  # no build gets as far as a tree
    return None if base is None else os.path.join(source_dir, str(base))
