"""What came of a check, for machines and for CI's page of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .errors import CheckError
from .outcome import Unknown
from .table import cells_of, findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .outcome import Result
    from .results import Half

__all__ = ["as_json", "markdown", "write_summary"]


def as_json(outcomes: Sequence[Result | Unknown]) -> str:
    """Return all outcomes as JSON."""
    projects = [_project(outcome) for outcome in outcomes]
    return json.dumps({"projects": projects}, indent=2, ensure_ascii=False)


def write_summary(
    outcomes: Sequence[Result | Unknown], environ: Mapping[str, str]
) -> None:
    """Add the outcomes to the page of a GitHub job, where this is one.

    Raises:
        CheckError: the page cannot be written.
    """
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write("".join(map(markdown, outcomes)))
    except OSError as exc:
        raise CheckError(f"GITHUB_STEP_SUMMARY: cannot be written: {exc}") from None


def markdown(result: Result | Unknown) -> str:
    """Return *result* as Markdown."""
    if isinstance(result, Unknown):
        lines = ["### ", result.path, ": it could not be told\n\n"]
        return "".join([*lines, "```text\n", str(result.error), "\n```\n\n"])
    header, *rows = cells_of(result)
    half = ""
    for number, cell in enumerate(header):
        name, is_counted, column = cell.rpartition("\n")
        half = name or half
        header[number] = f"{half}: {column}" if is_counted else cell
    lines = [f"### {result.project.name}: builds at once", ""]
    lines += [_row(header), _row(["---"] * 2 + ["--:"] * (len(header) - 2))]
    lines += [*map(_row, rows), ""]
    lines += [f"- {text}" for text in findings(result)]
    if result.advice.diff:
        lines += ["", "```diff", *result.advice.diff, "```"]
    return "\n".join([*lines, "", ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _project(result: Result | Unknown) -> dict[str, Any]:
    if isinstance(result, Unknown):
        return {"path": result.path, "error": str(result.error)}
    advice = result.advice
    trial = result.trial
    return {
        "name": result.project.name,
        "path": str(result.project.path),
        "right_with_plugin": result.is_right,
        "without": _half(result.without),
        "with": _half(result.with_plugin),
        "tried": {"change": trial.change.title, **_half(trial.half)} if trial else None,
        "ccache": [{"what": half.name, **_half(half)} for half in result.saving or ()],
        "quiet_with_plugin": result.quiet,
        "varies_by_itself": result.varying,
        "written_into_tree": result.written,
        "advice": {
            "diff": advice.diff,
            "reasons": advice.reasons,
            "notes": advice.notes,
        },
    }


def _half(half: Half) -> dict[str, Any]:
    ways = dict.fromkeys((build.way, build.python) for build in half.builds)
    return {
        **half.count().as_json,
        "seconds": round(half.seconds, 3),
        "diffoscope": half.explanation,
        "left_in_tree": sorted(half.left),
        "ways": [
            {**way._asdict(), "python": python, **half.count(way, python).as_json}
            for way, python in ways
        ],
        "remarks": sorted({text for b in half.builds for text in b.remarks}),
        "repeated_for": sorted({p for build in half.builds for p in build.repeated}),
    }
