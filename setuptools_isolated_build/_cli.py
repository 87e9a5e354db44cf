"""The command line; no build imports it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from . import _check, _status

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_NAME = "setuptools-isolated-build"
# Each has `add_to`, which registers a parser whose default `run` takes the namespace
# and returns the exit status. What only one command needs is imported by its `run`.
_COMMANDS = (_check, _status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* names, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog=_NAME,
        description="Any number of setuptools builds of one source tree at once.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    options = parser.parse_args(argv)
    return int(options.run(options))
