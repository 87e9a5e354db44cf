"""Record the board of a check as an SVG that moves: ``python tests/record_board.py``.

    python tests/record_board.py TARGET [OPTIONS OF check] PROJECT

With the plugin and its extra ``check`` installed. docs/board.svg was made by
``--at-once=8 --rounds=1 --no-ccache --frontend=hooks --frontend=build examples/cmdclass``.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI
from setuptools_isolated_build._check import board, command, options

WIDTH, HEIGHT = 84, 20  # letters, of the terminal
DRAWN_LINES = 14
FRAMES, SECONDS = 20, 0.5
# What rich gives for one frame: its styles, and what is drawn.
FRAME = "{styles}\0{matrix}"
DRAWN = re.compile(
    r'<text class="(\S+)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"[^>]*>([^<]*)<'
)
TEXT = '<text class="{}" x="{:g}" y="{}" textLength="{:g}">{}</text>'
LETTER, LINE = 12.2, 24.4  # in rich's units
PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -12 {width} {height}">
<style>
.frame {{ font: 20px Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.frame {{ opacity: 0; animation: shown {duration}s steps(1, end) infinite; }}
@keyframes shown {{ 0% {{ opacity: 1; }} {part}% {{ opacity: 0; }} }}
@media (prefers-reduced-motion) {{
  .frame {{ animation: none; }} .frame:last-of-type {{ opacity: 1; }}
}}
{styles}
</style>
<rect x="-12" y="-12" width="{width}" height="{height}" rx="8" fill="#121212"/>
{frames}
</svg>
"""


class Recorded(board.Board):
    """The board, which keeps what it has shown."""

    shown: ClassVar[list[RenderableType]] = []  # of the one check that is recorded

    def _draw(self) -> None:
        super()._draw()
        if self._halves:
            self.shown.append(self.picture())


def main(arguments: list[str]) -> int:
    target, *rest = arguments
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    console = Console(
        force_terminal=True, file=io.StringIO(), width=WIDTH, height=HEIGHT
    )
    here: Any = command
    here.Board, here.Console = Recorded, lambda **_: console
    status = command.run(options.parse(parser.parse_args(rest)))
    Path(target).write_text(page(chosen(Recorded.shown)), encoding="utf-8")
    return status


def chosen(shown: list[RenderableType]) -> list[RenderableType]:
    """Take some of the frames, at even distances, and the last one."""
    step = max(len(shown) // FRAMES, 1)
    return shown[::-1][::step][::-1]


def joined(body: str) -> list[list[Any]]:
    """Return what is drawn: each letter of a bar is a text of its own at first."""
    found: list[list[Any]] = []
    for style, x, y, length, letters in DRAWN.findall(body):
        if not letters.replace("&#160;", "").strip():
            continue
        last = found[-1] if found else ["", 0, "", 0, ""]
        if (style, y) == (last[0], last[2]) and abs(last[1] + last[3] - float(x)) < 1:
            last[3] += float(length)
            last[4] += letters
        else:
            found.append([style, float(x), y, float(length), letters])
    return found


def page(frames: list[RenderableType]) -> str:
    styles, drawn = [], []
    for number, frame in enumerate(frames):
        console = Console(record=True, file=io.StringIO(), width=WIDTH)
        console.print(frame)
        name = f"f{number}"
        svg = console.export_svg(theme=MONOKAI, code_format=FRAME, unique_id=name)
        style, _, body = svg.partition("\0")
        styles.append(style)
        delay = f"animation-delay: {number * SECONDS}s"
        texts = "".join(TEXT.format(*text) for text in joined(body))
        drawn.append(f'<g class="frame" style="{delay}">{texts}</g>')
    return PAGE.format(
        width=round(WIDTH * LETTER) + 24,
        height=round(DRAWN_LINES * LINE) + 24,
        duration=len(frames) * SECONDS,
        part=round(100 / max(len(frames), 1), 3),
        styles="\n".join(styles),
        frames="\n".join(drawn),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
