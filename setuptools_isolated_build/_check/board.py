"""The live board of a terminal: each build a bar on a time line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .results import FAILED, OK, RUNNING, WRONG, Counts

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from .results import Build, Half

__all__ = ["Board"]

STYLES = {RUNNING: "cyan", OK: "green", FAILED: "red", WRONG: "yellow"}
_LABEL = 16
_LINES_AROUND = 9
_PER_SECOND = 8


class Board:
    """A `Watcher` that shows what runs, what came of it and how long it may take."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._step = ""
        self._halves: dict[str, Half] = {}
        self._name = ""
        self._now = 0.0
        self._drawn = 0.0
        self._planned = 0

    def __enter__(self) -> Board:  # noqa: PYI034  # Self is newer
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print it above the board."""
        self._console.print(text, highlight=False, markup=False)

    def step(self, text: str) -> None:
        """Show it in the first line."""
        self._step, self._name = text, ""
        self._draw()

    def plan(self, halves: int, rounds: int, builds: int) -> None:
        """Note how many builds there will be, and forget those of another project."""
        self._planned = halves * rounds * builds
        self._halves = {}

    def round(self, name: str, half: Half) -> None:
        """Show the builds that have begun."""
        self._name, self._step = name, f"{name}, round {half.builds[-1].round}"
        self._halves[name] = half
        self._draw()

    def tick(self, now: float) -> None:
        """Let the bars grow."""
        self._now = now
        if time.monotonic() > self._drawn + 1 / _PER_SECOND:
            self._draw()

    def ended(self, build: Build) -> None:
        """Show it at the next tick."""

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._live.update(self.picture(), refresh=True)

    def picture(self) -> RenderableType:
        """Return what is shown now."""
        parts: list[RenderableType] = [Text(self._step, style="bold")]
        if self._name in self._halves:
            half = self._halves[self._name]
            number = half.builds[-1].round
            builds = [build for build in half.builds if build.round == number]
            most = max(self._console.height - _LINES_AROUND, 4)
            parts += [self._bar(build, builds) for build in builds[:most]]
            if len(builds) > most:
                parts.append(Text(f"and {len(builds) - most} more", style="dim"))
        if self._halves:
            parts += [self._counts(), Text(self._left(), style="dim")]
        return Group(*parts)

    def _bar(self, build: Build, builds: list[Build]) -> Text:
        begin = min(item.started for item in builds)
        end = max([self._now, *(item.ended for item in builds)])
        width = max(self._console.width - _LABEL - 12, 10)
        scale = width / max(end - begin, 1.0)
        until = build.ended or self._now
        text = Text(f"{build.way!s:{_LABEL}}")
        text.append(" " * int((build.started - begin) * scale))
        cells = max(int((until - build.started) * scale), 1)
        for number in range(cells):
            moment = build.started + number / scale
            is_waiting = any(a <= moment < b for a, b in build.waits)
            style = "dim" if is_waiting else STYLES[build.verdict]
            text.append("╌" if is_waiting else "━", style=style)
        word = "waits" if build.is_waiting else build.verdict
        text.append(f" {word}", style=STYLES[build.verdict])
        return text

    def _counts(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("")
        for verdict in (RUNNING, OK, FAILED, WRONG):
            table.add_column(verdict, justify="right", style=STYLES[verdict])
        for name, half in self._halves.items():
            count = Counts(half.builds)
            running = count.total - count.ok - count.bad
            numbers = (running, count.ok, count.failed, count.wrong)
            table.add_row(name, *(str(number) for number in numbers))
        return table

    def _left(self) -> str:
        builds = [build for half in self._halves.values() for build in half.builds]
        done = sum(build.verdict != RUNNING for build in builds)
        if not done or done >= self._planned:
            return ""
        seconds = sum(half.seconds for half in self._halves.values())
        if self._name and RUNNING in {build.verdict for build in builds}:
            seconds += self._now - self._halves[self._name].seconds
        left = seconds / done * (self._planned - done)
        return f"{done} of {self._planned} builds; about {left:.0f} s left"
