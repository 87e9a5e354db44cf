"""What ends a check without a result."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CheckError", "cause"]

# "FileNotFoundError: …", "error: …"; not what is said about that afterwards.
_ERROR = re.compile(
    r"(?:^|\s)((?:[A-Za-z_.]*(?:Error|Exception)|(?:fatal )?error|ERROR): .+)$"
)
_ABOUT_ANOTHER = re.compile(
    r"CalledProcessError|BackendUnavailable|Failed (?:building|to build)|metadata-gen|"
    r"subprocess-exited|did not run successfully|Backend subprocess|"
    r"[Cc]ommand '\[|failed with exit|non-zero exit"
)
_MOST_LETTERS = 400


class CheckError(Exception):
    """It cannot be told: one line with the cause and the way out.

    Attributes:
        log: the output of the command that has failed, which is kept.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


def cause(output: str) -> str:
    """Return the line of a failed command's *output* that says why it has failed."""
    lines = [line.strip(" │╰─▶╭") for line in output.splitlines() if line.strip()]
    for line in reversed(lines):
        found = _ERROR.search(line)
        if found and not _ABOUT_ANOTHER.search(line):
            return found.group(1)[:_MOST_LETTERS]
    return lines[-1][:_MOST_LETTERS] if lines else "(no output)"
