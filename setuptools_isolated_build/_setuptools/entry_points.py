"""The installed entry points, read once in place of a dozen times.

In all releases from 64.0.3 to 84.2.1 setuptools reads the metadata of everything that
is installed for each command that it looks up, and for each kind of plugin. Doing that
once saves nearly as many instructions as all of this package takes. So the name
``metadata`` in its modules is replaced; where there is no such name, nothing is.
"""

from __future__ import annotations

import contextlib
import os
import sys
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_once"]

_NAME, _WHERE = "metadata", "setuptools._importlib"


def read_once() -> None:
    """Let setuptools read the entry points again only if they may have changed."""
    found: Any = getattr(sys.modules.get(_WHERE), _NAME, None)
    if isinstance(found, _ReadOnce) or not hasattr(found, "EntryPoints"):
        return
    once = _ReadOnce(found)
    for name, module in list(sys.modules.items()):
        if name.startswith("setuptools.") and getattr(module, _NAME, None) is found:
            setattr(module, _NAME, once)


class _ReadOnce(ModuleType):
    """``importlib.metadata``, but for `entry_points`."""

    def __init__(self, wrapped: Any) -> None:
        super().__init__(wrapped.__name__, wrapped.__doc__)
        self._wrapped = wrapped
        self._state: list[Any] = []
        self._rewritten: list[str] = []
        self._found: dict[tuple[str | None, ...], list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def entry_points(self, **wanted: Any) -> Any:
        """Return the entry points of that group, and of that name if there is one."""
        read = self._wrapped.entry_points
        if "group" not in wanted or wanted.keys() - {"group", "name"}:
            return read(**wanted)
        # Something may be installed while setup.py runs.
        state = [read, *sys.path, *map(_last_change, (*sys.path, *self._rewritten))]
        if state != self._state:
            # An egg-info in a source tree is written anew in its place.
            self._rewritten = list(_egg_infos())
            changes = map(_last_change, (*sys.path, *self._rewritten))
            state = [read, *sys.path, *changes]
            self._found = _by_group_and_name(read())
            self._state = state
        key = (wanted["group"], wanted.get("name"))
        return self._wrapped.EntryPoints(self._found.get(key, ()))


def _last_change(path: str) -> int | None:
    try:
        return os.stat(path or os.curdir).st_mtime_ns
    except OSError:
        return None


def _egg_infos() -> Iterator[str]:
    for directory in sys.path:
        with contextlib.suppress(OSError):
            for name in os.listdir(directory or os.curdir):
                if name.endswith(".egg-info"):
                    yield os.path.join(directory, name, "entry_points.txt")


def _by_group_and_name(everything: Any) -> dict[tuple[str | None, ...], list[Any]]:
    if isinstance(everything, dict):  # by groups, before Python 3.12
        everything = chain.from_iterable(dict.values(everything))
    found: dict[tuple[str | None, ...], list[Any]] = {}
    for entry_point in everything:
        for name in (None, entry_point.name):
            found.setdefault((entry_point.group, name), []).append(entry_point)
    return found
