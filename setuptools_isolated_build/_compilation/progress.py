"""How far a build is with its compilations: a line on the user's terminal.

The line is there only while the build itself waits for a compiler and says nothing. So
nothing is written behind it, and it is gone before anything else is said.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Line", "find"]

_ERASE = "\r\033[K"
_COLUMNS = 80  # of a terminal that does not say how many it has


def find(number: int, environ: Mapping[str, str]) -> Line | None:
    """Return the line on the terminal that is open as *number*, or None without one.

    No terminal is one that cannot erase; one of a CI service, which is its log; and one
    on which setuptools was told to be quiet.
    """
    if not os.isatty(number) or "CI" in environ:
        return None
    from distutils import log  # setuptools' own

    threshold = log.set_threshold(log.INFO)
    log.set_threshold(threshold)
    is_dumb = environ.get("TERM", "dumb") == "dumb"
    return None if is_dumb or threshold > log.INFO else Line(number)


class Line:
    """A line at the end of what a terminal shows.

    Args:
        number: the terminal's descriptor.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()  # compilers end while the line is closed
        self._is_open = self._is_shown = False

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Let the line be shown in the block, in which nobody else says anything."""
        self._is_open = True
        try:
            yield
        finally:
            with self._lock:
                self._is_open = False
                if self._is_shown:
                    self._write(_ERASE)
                self._is_shown = False

    def show(self, begun: int, total: int, running: int) -> None:
        """Show how many compilations of all have begun, and how many run."""
        cores = "1 core" if running == 1 else f"{running} cores"
        text = f"compiling {begun} of {total} on {cores}"
        with self._lock:
            if self._is_open:
                self._is_shown = True
                self._write(_ERASE + text[: self._columns() - 1])

    def _columns(self) -> int:
        # What is as wide as the terminal would go on in the next line.
        try:
            return os.get_terminal_size(self._number).columns or _COLUMNS
        except OSError:
            return _COLUMNS

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal was closed
            os.write(self._number, text.encode())
