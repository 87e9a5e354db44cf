"""What a check is asked to do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from .errors import CheckError
from .frontends import WAYS, Way

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Options", "add_arguments", "parse"]

EXAMPLES = """\
examples:
  setuptools-isolated-build check                 the project in this directory
  setuptools-isolated-build check --report r.html ../one ../two
  setuptools-isolated-build check --write         and write what is advised
  setuptools-isolated-build check -n 20 --rounds 5 --frontend uv --artifact wheel
  uvx --from "setuptools-isolated-build[check]" setuptools-isolated-build check .

exit status:
  0  all is right with the plugin (what fails without it is a finding, and no error)
  1  with the plugin something failed or differed
  2  it could not be told: no project of setuptools, or it cannot be built at all

PATH is not touched, but for pyproject.toml with --write: all is built in copies.
"""
_FRONTENDS = list(dict.fromkeys(way.frontend for way in WAYS))
_ARTIFACTS = list(dict.fromkeys(way.artifact for way in WAYS))


class Options(NamedTuple):
    """The command line, as `add_arguments` has described it."""

    paths: list[str]
    at_once: int
    rounds: int
    frontends: list[str] | None
    artifacts: list[str] | None
    only: str | None
    pythons: list[str]
    is_isolated: bool
    has_ccache: bool
    timeout: float
    keep: bool
    write: bool
    is_json: bool
    report: str | None
    svg: str | None

    def ways(self, available: Sequence[str]) -> list[Way]:
        """Return which frontend is asked for what.

        Raises:
            CheckError: one that is asked for is not there, or makes no such artifact.
        """
        missing = set(self.frontends or ()) - set(available)
        if missing:
            names = ", ".join(sorted(missing))
            raise CheckError(f"--frontend {names}: not there; install or omit it")
        ways = [
            way
            for way in WAYS
            if way.frontend in (self.frontends or available)
            and way.artifact in (self.artifacts or [way.artifact])
        ]
        if not ways:
            raise CheckError("no such frontend makes such an artifact; see --help")
        return ways


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Build copies of a project many times at once, without and with the plugin;\n"
        "say what failed or was wrong, and which settings cure it."
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "path", nargs="*", default=["."], metavar="PATH", help="projects (.)"
    )
    add = parser.add_argument_group("what is built").add_argument
    add(
        "-n",
        "--at-once",
        type=_count,
        default=10,
        metavar="N",
        help="builds at once (10)",
    )
    add("--rounds", type=_count, default=3, metavar="N", help="how often (3)")
    add(
        "--frontend",
        action="append",
        choices=_FRONTENDS,
        help="only this one; may be repeated",
    )
    add("--artifact", action="append", choices=_ARTIFACTS, help="likewise")
    add("--only", choices=["without", "with"], help="one half of it")
    add("--no-ccache", action="store_true", help="do not measure the extra [ccache]")
    add(
        "--timeout",
        type=_seconds,
        default=600,
        metavar="S",
        help="for each build (600)",
    )
    add = parser.add_argument_group("what builds").add_argument
    add(
        "--python",
        action="append",
        metavar="PYTHON",
        help="an interpreter; may be repeated",
    )
    add("--no-isolation", action="store_true", help="use what is installed here")
    add = parser.add_argument_group("what comes of it").add_argument
    add("--write", action="store_true", help="write the advice into pyproject.toml")
    add("--report", metavar="FILE", help="a page of HTML, everything in it")
    add("--svg", metavar="FILE", help="a picture: counts and time lines")
    add("--json", action="store_true", help="print JSON; what goes on goes to stderr")
    add("--keep", action="store_true", help="keep the copies, archives and logs")


def parse(namespace: argparse.Namespace) -> Options:
    """Return the command line as one object."""
    return Options(
        namespace.path,
        namespace.at_once,
        namespace.rounds,
        namespace.frontend,
        namespace.artifact,
        namespace.only,
        namespace.python or [],
        not namespace.no_isolation,
        not namespace.no_ccache,
        namespace.timeout,
        namespace.keep,
        namespace.write,
        namespace.json,
        namespace.report,
        namespace.svg,
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("more than 0")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
