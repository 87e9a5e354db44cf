"""``status`` and ``clean``: what builds hold, and what killed ones have left."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    import argparse

    from setuptools_isolated_build._status.survey import Places

__all__ = ["add_to"]

_NOT_DONE, _UNKNOWN = 1, 2


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers of ``status`` and ``clean`` in *commands*."""
    about_path = "a source tree, whose settings may name other directories"
    status = commands.add_parser(
        "status",
        help="show where build trees and locks are, who has them, what is left",
        description="Show where build trees and locks are, which builds have them and "
        "since when, what killed builds have left, and how much room it takes.",
    )
    status.add_argument("path", nargs="?", default=".", metavar="PATH", help=about_path)
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=partial(_run, _status))
    clean = commands.add_parser(
        "clean",
        help="remove what killed builds have left",
        description="Remove what killed builds have left: build trees and lock files "
        "whose lock is free. What a build has is left alone.",
    )
    clean.add_argument("path", nargs="?", default=".", metavar="PATH", help=about_path)
    kept = "also the trees that are kept by the settings keep and build-dir"
    clean.add_argument("--kept", action="store_true", help=kept)
    clean.set_defaults(run=partial(_run, _clean))


def _status(places: Places, options: argparse.Namespace) -> int:
    from setuptools_isolated_build._status import report, survey

    shown = survey.look(places)
    print(report.as_json(shown) if options.json else report.as_text(shown))
    return 0


def _clean(places: Places, options: argparse.Namespace) -> int:
    from setuptools_isolated_build._status import report, survey

    trees, locks = survey.clean(places, kept=options.kept)
    print(report.of_clean(trees, locks))
    return 0 if all(removed.is_gone for removed in trees) else _NOT_DONE


def _run(
    command: Callable[[Places, argparse.Namespace], int], options: argparse.Namespace
) -> int:
    from setuptools_isolated_build._status import survey
    from setuptools_isolated_build.errors import IsolatedBuildError

    if not os.path.isdir(options.path):
        error: object = f"{options.path}: not a directory; name a source tree"
    else:
        try:
            return command(survey.places_of(os.path.abspath(options.path)), options)
        except IsolatedBuildError as exc:
            error = exc
    print(f"error: {error}", file=sys.stderr)
    return _UNKNOWN
