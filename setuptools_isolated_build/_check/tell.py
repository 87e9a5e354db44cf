"""Who is told what goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from .results import Build, Half

__all__ = ["Lines", "Watcher"]


class Watcher(Protocol):
    """What `Bench` and the check tell of their work."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def step(self, text: str) -> None:
        """Show what is done now."""

    def plan(self, halves: int, rounds: int, builds: int) -> None:
        """Note how much of it there will be."""

    def round(self, name: str, half: Half) -> None:
        """Note that builds at once have begun: the last ones of *half*."""

    def tick(self, now: float) -> None:
        """Note the time, in seconds since *half* has begun."""

    def ended(self, build: Build) -> None:
        """Note the end of a build."""


class Lines:
    """Plain lines, for what is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._half: Half | None = None

    def say(self, text: str) -> None:
        """Print it."""
        is_line = not self._console.is_terminal
        self._console.print(text, highlight=False, markup=False, soft_wrap=is_line)

    def step(self, text: str) -> None:
        """Print it with the time."""
        self.say(f"{time.strftime('%H:%M:%S')} {text}")

    def plan(self, halves: int, rounds: int, builds: int) -> None:
        """Nothing is shown of it."""

    def round(self, name: str, half: Half) -> None:
        """Say what has begun."""
        number = half.builds[-1].round
        count = sum(build.round == number for build in half.builds)
        self._half = half
        self.step(f"{name}, round {number}: {count} builds at once")

    def tick(self, now: float) -> None:
        """Nothing is shown of it."""

    def ended(self, build: Build) -> None:
        """Say what has gone wrong, and what came of the round."""
        assert self._half is not None
        if build.error:
            self.step(f"  {build.way}: failed: {build.error}")
        if build.differences:
            self.step(f"  {build.way}: wrong: {build.differences[0]}")
