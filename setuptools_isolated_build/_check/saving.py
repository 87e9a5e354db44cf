"""What the extra [ccache] saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .frontends import HOOKS_ALONE, Way
from .results import Half

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .bench import Bench
    from .reference import Reference
    from .side import Side
    from .tell import Watcher

__all__ = ["Saving", "measure"]

# Less is within what two runs differ by.
_WORTH = 0.9


class Saving(NamedTuple):
    """Wheels at once: without the extra, with an empty cache, and with a full one."""

    without: Half
    cold: Half
    warm: Half

    @property
    def is_right(self) -> bool:
        """Whether all wheels through the cache were those without it."""
        return self.cold.is_right and self.warm.is_right

    @property
    def text(self) -> str:
        """What it saves, or "" if that is nothing."""
        before, cold, warm = (half.count().cpu for half in self)
        if not self.is_right or min(cold, warm) > _WORTH * before:
            return ""
        return (
            f"{len(self.cold.builds)} wheels at once took {before:.1f} s of CPU, with "
            f"it {cold:.1f} s from an empty cache and {warm:.1f} s from a full one"
        )


def measure(
    bench: Bench,
    sides: tuple[Side, Side],
    reference: Reference,
    at_once: int,
    variables: Mapping[str, str],
    watcher: Watcher,
) -> Saving:
    """Build wheels at once by the hooks.

    Args:
        sides: with the plugin, without the extra and with it.
        variables: those that give the cache a directory of its own.
    """
    plugged, extra = sides
    python = next(iter(extra.pythons))
    ways = [(python, Way(HOOKS_ALONE, "wheel"))] * at_once
    named = (
        plugged._replace(name="wheels without ccache"),
        extra._replace(name="with ccache, empty"),
        extra._replace(name="with ccache, full"),
    )
    halves = [Half(side.name) for side in named]
    for side, half in zip(named, halves):
        bench.round(side, half, ways, reference, watcher, variables)
        reference.look_again(half)
    return Saving(*halves)
