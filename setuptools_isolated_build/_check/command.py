"""The command: its projects, its output, its exit status."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from . import edit, export, picture, report, table
from .board import Board
from .check import check
from .errors import CheckError
from .outcome import Result, Unknown
from .place import open_place
from .project import read
from .setups import Setups
from .tell import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .options import Options
    from .place import Place
    from .project import Project

__all__ = ["run"]

RIGHT, WRONG, UNKNOWN, INTERRUPTED = 0, 1, 2, 130


def run(options: Options) -> int:
    """Check the projects, and return the exit status."""
    console = Console(stderr=options.is_json)
    outcomes: list[Result | Unknown] = []
    try:
        _expect_directories(options)
        for outcome in _check_all(options, console):
            outcomes.append(outcome)
            if isinstance(outcome, Unknown):
                _tell_error(outcome.error)
            else:
                table.show(console, outcome)
                _write(outcome, options, console)
        _export(outcomes, options, console)
    except CheckError as exc:
        _tell_error(exc)
        return UNKNOWN
    except KeyboardInterrupt:
        print("interrupted; nothing is left of it", file=sys.stderr)
        return INTERRUPTED
    results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
    if not all(result.is_right for result in results):
        return WRONG
    return RIGHT if len(results) == len(outcomes) else UNKNOWN


def _expect_directories(options: Options) -> None:
    """Say before the builds that their report cannot be written."""
    for path in filter(None, (options.report, options.svg)):
        if not Path(path).resolve().parent.is_dir():
            raise CheckError(f"{path}: its directory does not exist; make it first")


def _check_all(options: Options, console: Console) -> Iterator[Result | Unknown]:
    lines = Lines(console)
    projects: list[Project] = []
    for path in options.paths:
        try:
            projects.append(read(path))
        except CheckError as exc:
            yield Unknown(path, exc)
    if not projects:
        return
    _say_what_comes(projects, options, lines)
    with open_place(is_kept=options.keep, say=lines.say) as place:
        setups = Setups(options, place)
        for project in projects:
            try:
                yield _check_one(project, options, place, setups, console)
            except CheckError as exc:
                exc.log = place.keep_log(exc.log)
                yield Unknown(str(project.path), exc)


def _check_one(
    project: Project, options: Options, place: Place, setups: Setups, console: Console
) -> Result:
    if not console.is_terminal:
        return check(project, options, place, setups, Lines(console))
    with Board(console) as board:
        return check(project, options, place, setups, board)


def _tell_error(error: CheckError) -> None:
    print(f"error: {error}", file=sys.stderr)
    if error.log is not None:
        print(f"the whole log: {error.log}", file=sys.stderr)


def _say_what_comes(projects: list[Project], options: Options, lines: Lines) -> None:
    names = ", ".join(str(project.path) for project in projects)
    halves = f"{options.only} the plugin" if options.only else "without and with it"
    lines.say(
        f"Checking {names}, in copies: nothing there is touched. Each artifact is "
        f"built alone, then {options.at_once} builds at once, {options.rounds} times, "
        f"{halves}. How long that may take is said after the builds alone."
    )


def _write(result: Result, options: Options, console: Console) -> None:
    if not options.write:
        return
    if result.advice.text is None:
        console.print("There is nothing to write.")
    else:
        edit.write(result.project, result.advice.text)
        console.print(f"Written: {result.project.path / 'pyproject.toml'}")


def _export(
    outcomes: list[Result | Unknown], options: Options, console: Console
) -> None:
    results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
    if len(results) > 1:
        table.show_sum(console, results)
    if options.is_json:
        print(export.as_json(outcomes))
    export.write_summary(outcomes, os.environ)
    for path, make in ((options.report, report.page), (options.svg, picture.draw)):
        if path is not None and results:
            try:
                Path(path).write_text(make(results), encoding="utf-8")
            except OSError as exc:
                raise CheckError(f"{path}: cannot be written: {exc}") from None
            console.print(f"Written: {Path(path).resolve()}", soft_wrap=True)
