"""The table: what came of the builds of each frontend and artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .results import Half, few

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from .outcome import Result
    from .results import Counts

__all__ = ["COLUMNS", "cells_of", "findings", "show", "show_sum"]

# Seconds are those of one build.
COLUMNS = ("ok", "failed", "wrong", "wall s", "CPU s")
_NARROW = ("ok", "failed", "wrong", "CPU s")
_STYLES = {"ok": "green", "failed": "red", "wrong": "yellow"}
_MOST_ERRORS = 5


def show(console: Console, result: Result) -> None:
    """Print the table of *result*, what was seen, and the advice."""
    header, *rows = cells_of(result, _NARROW)
    table = Table(
        title=result.project.name,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for number, name in enumerate(header):
        style = _STYLES.get(name.rpartition("\n")[2])
        justify = "left" if number < 2 else "right"  # noqa: PLR2004
        table.add_column(name, style=style, justify=justify)
    for row in rows:
        table.add_row(*row, style="bold" if row is rows[-1] else None)
    console.print(table)
    for text in findings(result):
        _print(console, text)
    is_nothing = result.advice.text is None
    console.print(f"Advice:{' nothing to change' if is_nothing else ''}", style="bold")
    for text in result.advice.reasons:
        _print(console, text)
    if result.advice.diff and console.is_terminal:
        console.print(Syntax("\n".join(result.advice.diff), "diff", theme="ansi_dark"))
    elif result.advice.diff:
        print(*result.advice.diff, sep="\n", file=console.file)


def show_sum(console: Console, results: Sequence[Result]) -> None:
    """Print what came of all projects together."""
    console.print(f"All {len(results)} projects:", style="bold")
    for halves in zip(*((r.without, r.with_plugin) for r in results)):
        builds = [build for half in halves for build in half.builds]
        left = {name for half in halves for name in half.left}
        if builds:
            both = Half(halves[0].name, builds, left)
            _print(console, f"{both.name} the plugin: {both.headline}")


def cells_of(result: Result, columns: Sequence[str] = COLUMNS) -> list[list[str]]:
    """Return the table of *result*: the header, a row for each way, and the sum."""
    halves = [half for half in (result.without, result.with_plugin) if half.builds]
    header = ["frontend", "artifact"]
    for half in halves:
        header += [f"{half.name if i == 0 else ''}\n{c}" for i, c in enumerate(columns)]
    builds = [build for half in halves for build in half.builds]
    kinds = dict.fromkeys((build.way, build.python) for build in builds)
    has_several = len({build.python for build in builds}) > 1
    rows = []
    for way, python in kinds:
        name = f"{way.frontend}, {python}" if has_several else way.frontend
        counts = [half.count(way, python) for half in halves]
        rows.append([name, way.artifact, *_cells(counts, columns)])
    rows.append(["all", "", *_cells([half.count() for half in halves], columns)])
    return [header, *rows]


def findings(result: Result) -> list[str]:
    """Say what was seen, line by line."""
    lines = [f"alone, with the plugin: {text}" for text in result.quiet]
    for half in (result.without, result.with_plugin):
        for way in dict.fromkeys(build.way for build in half.builds):
            errors = half.count(way).errors
            lines += [f"{half.name}, {way}: {n} × {error}" for error, n in errors[:1]]
    for half in result.saving or ():
        errors = half.count().errors
        lines += [f"{half.name}: {n} × {error}" for error, n in errors[:_MOST_ERRORS]]
    remarks = {text for b in result.with_plugin.builds for text in b.remarks}
    lines += [f"with: {text}" for text in sorted(remarks)]
    if result.with_plugin.left:
        lines.append(f"with: left in the tree: {few(result.with_plugin.left)}")
    repeated = sum(bool(build.repeated) for build in result.with_plugin.builds)
    if repeated:
        all_builds = len(result.with_plugin.builds)
        lines.append(f"with: {repeated} of {all_builds} builds were done once more")
    if result.written:
        lines.append(f"written into the tree by builds: {few(result.written)}")
    if result.varying:
        lines.append(f"another one in each build by itself: {few(result.varying)}")
    return [*lines, *result.advice.notes]


def _cells(counts: Sequence[Counts], columns: Sequence[str]) -> list[str]:
    numbers = [_numbers(count) for count in counts]
    return [number[column] for number in numbers for column in columns]


def _numbers(count: Counts) -> dict[str, str]:
    return {
        "ok": str(count.ok or "·"),
        "failed": str(count.failed or "·"),
        "wrong": str(count.wrong or "·"),
        "wall s": f"{count.wall / count.total:.1f}" if count.total else "",
        "CPU s": f"{count.cpu / count.total:.1f}" if count.total else "",
    }


def _print(console: Console, text: str) -> None:
    """Print *text*, indented in a terminal also where it goes on in a new line."""
    if console.is_terminal:
        console.print(Padding(Text(text), (0, 0, 0, 2)))
    else:
        console.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)
