"""The report: one page of HTML with everything in it, readable without a network."""

from __future__ import annotations

import platform
import time
from html import escape
from typing import TYPE_CHECKING

from . import picture
from .table import COLUMNS, cells_of, findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .outcome import Result

__all__ = ["page"]

_STYLE = """\
body { background: var(--paper); color: var(--ink); line-height: 1.5;
  max-width: 960px; margin: 2.5rem auto; padding: 0 1rem;
  font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
svg { width: 100%; height: auto; margin-top: 2rem; }
.faint { color: var(--faint); }
td.failed { color: var(--failed); }
td.wrong { color: var(--wrong); }
pre { border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: var(--faint); text-align: right; }
th.ok, td.ok { padding-left: 2rem; }
th[colspan] { padding-bottom: 0; text-align: center; }
td { border-top: 1px solid var(--line); text-align: right; }
th, td { padding: .3rem .6rem; }
tr:last-child td { font-weight: 600; }
th:not([colspan]):nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
pre { overflow-x: auto; font: .85rem ui-monospace, Menlo, Consolas, monospace; }
pre .new { color: var(--ok); }
pre .old { color: var(--failed); }
li { margin: .25rem 0; overflow-wrap: anywhere; }
"""


def page(results: Sequence[Result]) -> str:
    """Return the page."""
    when = time.strftime("%Y-%m-%d %H:%M")
    machine = (
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
    title = "Builds at once: " + ", ".join(result.project.name for result in results)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{picture.COLOURS}{_STYLE}</style></head>\n"
        "<body><h1>Builds at once, without the plugin and with it</h1>\n"
        f'<div class="faint">setuptools-isolated-build check · {when} · '
        f"{escape(machine)}</div>\n{''.join(map(_section, results))}</body></html>\n"
    )


def _section(result: Result) -> str:
    return "\n".join(
        [
            picture.draw([result]),
            _table(result),
            _list("What was seen", findings(result)),
            *(_lines(h.explanation) for h in (result.without, result.with_plugin)),
            _list("Advice", result.advice.reasons),
            _lines(result.advice.diff),
        ]
    )


def _table(result: Result) -> str:
    header, *rows = cells_of(result)
    names = [cell.rpartition("\n")[2] for cell in header]
    groups = [cell.partition("\n")[0] for cell in header[2:] if cell[0] != "\n"]
    span = len(COLUMNS)
    top = "".join(f'<th colspan="{span}">{escape(name)}</th>' for name in groups)
    lines = [f'<th colspan="2"></th>{top}']
    lines.append("".join(f'<th class="{name}">{name}</th>' for name in names))
    lines += ["".join(map(_cell, zip(names, row))) for row in rows]
    table = "</tr><tr>".join(lines)
    return f"<h3>By frontend and artifact</h3><table><tr>{table}</tr></table>"


def _cell(item: tuple[str, str]) -> str:
    name, text = item
    style = "" if text == "·" else name
    return f'<td class="{style}">{escape(text)}</td>'


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in lines)
    return f"<h3>{title}</h3><ul>{items}</ul>" if lines else ""


def _lines(lines: Sequence[str]) -> str:
    styles = {"+": "new", "-": "old"}
    text = "\n".join(
        f'<span class="{styles.get(line[:1], "")}">{escape(line)}</span>'
        for line in lines
    )
    return f"<pre>{text}</pre>" if lines else ""
