"""``check``: what builds of a project do to each other, without and with the plugin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import options

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
    options.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(namespace: argparse.Namespace) -> int:
    try:
        import packaging  # noqa: F401
        import rich  # noqa: F401
        import tomlkit  # noqa: F401
    except ImportError:
        extra = 'pip install "setuptools-isolated-build[check]"'
        print(f"check needs libraries of an extra: {extra}", file=sys.stderr)
        return _UNKNOWN
    from . import command

    return command.run(options.parse(namespace))
