"""Which builds stand behind a lock: their output says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .results import Build

__all__ = ["SAYS_SO", "Waits"]

SAYS_SO = "waiting for another build"
_EVERY = 0.1  # seconds
_LAST = 1000  # bytes


class Waits:
    """Looks at the last line of builds that run, now and then."""

    def __init__(self) -> None:
        self._looked = 0.0
        self._since: dict[int, float] = {}

    def look(self, running: Iterable[Build], now: float) -> None:
        """Note who has begun to wait, and who has stopped.

        Args:
            now: in seconds since the half has begun.
        """
        if time.monotonic() < self._looked + _EVERY:
            return
        self._looked = time.monotonic()
        for build in running:
            is_waiting = SAYS_SO in _last_line(build)
            if is_waiting and not build.is_waiting:
                build.is_waiting = True
                build.waits.append((now, now))
            if build.is_waiting:
                build.waits[-1] = (build.waits[-1][0], now)
            build.is_waiting = is_waiting


def _last_line(build: Build) -> str:
    with build.log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LAST))
        lines = file.read().decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")
