"""The time lines as a picture: SVG, for a page and for a README."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .results import FAILED, OK, WRONG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .outcome import Result
    from .results import Build, Half

__all__ = ["COLOURS", "draw"]

COLOURS = """\
:root, svg { --paper: #ffffff; --ink: #1f2328; --faint: #656d76; --line: #d8dee4;
  --ok: #2da44e; --failed: #cf222e; --wrong: #d4a72c; --wait: #c8d1da; }
@media (prefers-color-scheme: dark) { :root, svg { --paper: #0d1117; --ink: #e6edf3;
  --faint: #8d96a0; --line: #30363d; --ok: #3fb950; --failed: #f85149;
  --wrong: #d29922; --wait: #484f58; } }
"""
_STYLE = """\
text { font: 13px ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
  fill: var(--ink); }
.title { font-size: 18px; font-weight: 600; }
.count { font-size: 15px; font-weight: 600; }
.faint { fill: var(--faint); } .small { font-size: 11px; }
.ok { fill: var(--ok); } .failed { fill: var(--failed); } .wrong { fill: var(--wrong); }
.wait { fill: var(--wait); } .line { stroke: var(--line); fill: none; }
"""
_WIDTH, _MARGIN = 900, 28
_LANE, _BAR = 9, 7
_ROW, _DOT = 20, 5
_ENDS = (5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


class _Drawing:
    def __init__(self) -> None:
        self.y = 0.0
        self.parts: list[str] = []

    def text(self, x: float, text: str, style: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{self.y:.1f}" class="{style}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
        )

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        style: str,
        title: str = "",
    ) -> None:
        inner = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" '
            f'rx="2" class="{style}">{inner}</rect>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.parts.append(
            f'<path class="line" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'
        )


def draw(results: Sequence[Result]) -> str:
    """Return the picture of *results*, one below the other."""
    drawing = _Drawing()
    for result in results:
        drawing.y += 44
        _draw_result(drawing, result)
    height = drawing.y + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'role="img"><style>{COLOURS}{_STYLE}</style>'
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1:.0f}" rx="10" '
        'style="fill: var(--paper); stroke: var(--line)"/>'
        f"{''.join(drawing.parts)}</svg>\n"
    )


def _draw_result(drawing: _Drawing, result: Result) -> None:
    halves = [half for half in (result.without, result.with_plugin) if half.builds]
    at_once = max(_lanes(half) for half in halves)
    rounds = max(build.round for half in halves for build in half.builds)
    drawing.text(_MARGIN, result.project.name, "title")
    times = f"{at_once} builds of one source tree at once, {rounds} times"
    drawing.text(_WIDTH - _MARGIN, times, "faint", "end")
    seconds = max(half.seconds for half in halves)
    for half in halves:
        _draw_half(drawing, half, seconds)
    _draw_dots(drawing, halves)


def _lanes(half: Half) -> int:
    rounds = [build.round for build in half.builds]
    return max(rounds.count(number) for number in set(rounds))


def _draw_half(drawing: _Drawing, half: Half, seconds: float) -> None:
    drawing.y += 34
    style = OK if half.is_right else FAILED
    name = f"{half.name} the plugin"
    drawing.text(_MARGIN, name, "count")
    drawing.text(_MARGIN + 170, half.headline, f"count {style}")
    drawing.text(_WIDTH - _MARGIN, f"{half.seconds:.1f} s", "faint", "end")
    drawing.y += 12
    scale = (_WIDTH - 2 * _MARGIN) / seconds
    lanes: dict[int, int] = {}
    for build in half.builds:
        lane = lanes[build.round] = lanes.get(build.round, -1) + 1
        _draw_build(drawing, build, scale, drawing.y + lane * _LANE)
    drawing.y += _LANE * _lanes(half) + 4
    step = next((end for end in _ENDS if seconds / end < 8), seconds)  # noqa: PLR2004
    drawing.line(_MARGIN, drawing.y, _WIDTH - _MARGIN, drawing.y)
    drawing.y += 14
    for number in range(int(seconds / step) + 1):
        x = _MARGIN + number * step * scale
        drawing.line(x, drawing.y - 14, x, drawing.y - 10)
        is_last = x > _WIDTH - 2 * _MARGIN
        anchor = "end" if is_last else "start"
        drawing.text(x, f"{number * step:.0f} s", "faint small", anchor)


def _draw_build(drawing: _Drawing, build: Build, scale: float, y: float) -> None:
    x = _MARGIN + build.started * scale
    width = max((build.ended - build.started) * scale - 0.5, 1.5)
    title = f"{build.way}: {build.verdict}, {build.ended - build.started:.1f} s"
    reasons = [build.error, *map(str, build.differences[:3])]
    title += "".join(f"\n{text}" for text in reasons if text)
    drawing.rectangle(x, y, width, _BAR, build.verdict, title)
    for begin, end in build.waits:
        wait = max((end - begin) * scale, 0.5)
        drawing.rectangle(_MARGIN + begin * scale, y, wait, _BAR, "wait")


def _draw_dots(drawing: _Drawing, halves: Sequence[Half]) -> None:
    """Draw each build as a dot: a row for each way, a column for each half."""
    drawing.y += 34
    columns = [_MARGIN + 190 + 360 * number for number in range(len(halves))]
    for x, half in zip(columns, halves):
        drawing.text(x, f"{half.name} the plugin", "faint")
    for way in dict.fromkeys(b.way for half in halves for b in half.builds):
        drawing.y += _ROW
        drawing.text(_MARGIN, way.frontend)
        drawing.text(_MARGIN + 70, way.artifact, "faint")
        for x, half in zip(columns, halves):
            builds = [build for build in half.builds if build.way == way]
            gap = min(14.0, 330 / len(builds))
            for number, build in enumerate(builds):
                drawing.parts.append(
                    f'<circle cx="{x + _DOT + number * gap:.1f}" '
                    f'cy="{drawing.y - 4:.1f}" r="{_DOT}" class="{build.verdict}"/>'
                )
    drawing.y += 30
    x = _MARGIN
    for verdict, words in (
        (OK, "right"),
        (FAILED, "failed"),
        (WRONG, "wrong contents"),
    ):
        drawing.rectangle(x, drawing.y - 9, 10, 10, verdict)
        drawing.text(x + 16, words, "faint small")
        x += 40 + 7 * len(words)
    if any(build.waits for half in halves for build in half.builds):
        drawing.rectangle(x, drawing.y - 9, 10, 10, "wait")
        drawing.text(x + 16, "waits for another build", "faint small")
