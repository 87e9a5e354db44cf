"""``check``: what builds of a project do to each other, without and with the plugin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["add_to"]

_UNKNOWN = 2


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser of ``check`` in *commands*."""
    parser = commands.add_parser(
        "check",
        help="see on your own project that it works, and what to set",
    )
    parser.add_argument("path", nargs="?", default=".", metavar="PATH")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        import build  # noqa: F401  # of the extra
        import rich  # noqa: F401
    except ImportError:
        extra = 'pip install "setuptools-isolated-build[check]"'
        print(f"check needs libraries of an extra: {extra}", file=sys.stderr)
        return _UNKNOWN
    print(f"not there yet: {options.path}", file=sys.stderr)
    return _UNKNOWN
