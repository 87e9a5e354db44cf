"""The compiler cache of a source tree's builds, and what it says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from setuptools_isolated_build._compilation import ccache, programs

if TYPE_CHECKING:
    from setuptools_isolated_build._settings import Settings

__all__ = ["Cache", "find"]


class Cache(NamedTuple):
    """A compiler cache.

    Attributes:
        name: ``ccache`` or ``sccache``.
        program: its path.
        counters: ccache's own, by their names (ccache --print-stats). None of sccache,
            which would start its server to tell.
    """

    name: str
    program: str
    counters: dict[str, int] | None


def find(settings: Settings) -> Cache | None:
    """Return the cache that builds with these settings have, or None.

    Raises:
        SettingsError: the one that is asked for by name is not there.
    """
    found = programs.find(settings.compiler_cache, "", lambda _: None)
    if found is None:
        return None
    counters = _counters(found.program) if found.name == "ccache" else None
    return Cache(found.name, found.program, counters)


def _counters(program: str) -> dict[str, int] | None:
    fields = [line.split("\t") for line in ccache.ask(program, "--print-stats")]
    found = {name: int(count) for name, count, *_ in fields if count.isdigit()}
    return found or None  # it fails, or is too old to say
