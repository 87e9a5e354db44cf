"""The private directory in which all of a check happens, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import runs
from .errors import CheckError, cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

__all__ = ["Place", "open_place"]

_ATTEMPTS = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_UNUSUAL = re.compile(r"[^A-Za-z0-9]+")
# What would lead a build's interpreter out of its environment, or change the plugin.
_DROPPED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SETUPTOOLS_ISOLATED_BUILD_")


class Place:
    """A directory of the user's alone, with a name that nobody can foresee."""

    def __init__(self, path: Path, *, is_kept: bool) -> None:
        self.path = path
        self._is_kept = is_kept
        self.tmp.mkdir()
        self.logs.mkdir()
        self._numbers = 0

    @property
    def tmp(self) -> Path:
        """The temporary directory of the builds."""
        return self.path / "tmp"

    @property
    def logs(self) -> Path:
        """Where the output of each command is."""
        return self.path / "logs"

    def new(self, name: str) -> Path:
        """Return a path that is not there yet."""
        self._numbers += 1
        return self.path / f"{name}-{self._numbers}"

    def new_log(self, name: str) -> Path:
        """Return a path for the output of a command."""
        self._numbers += 1
        return self.logs / f"{self._numbers:04}-{_UNUSUAL.sub('-', name)[:40]}.txt"

    def discard(self, *paths: Path) -> None:
        """Remove what is no longer needed: many wheels may be large."""
        if not self._is_kept:
            for path in paths:
                shutil.rmtree(path, ignore_errors=True)

    def keep_log(self, log: Path | None) -> Path | None:
        """Return a copy of *log* that outlives this place, if the place is not kept."""
        if log is None or self._is_kept:
            return log
        number, path = tempfile.mkstemp(".txt", "setuptools-isolated-build-")
        with os.fdopen(number, "wb") as file:
            file.write(log.read_bytes())
        return Path(path)

    def variables(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of builds: this one's, made reproducible."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(_DROPPED)}
        env = {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": "0", **env}
        # git would write to the repository's index only to save time.
        return {**env, "TMPDIR": str(self.tmp), "GIT_OPTIONAL_LOCKS": "0", **more}

    def run(self, command: Sequence[str], what: str, way_out: str) -> str:
        """Run *command* to its end, and return its output.

        Raises:
            CheckError: it has failed; says *what* could not be done, and the *way_out*.
        """
        log = self.new_log(what)
        with runs.many([]) as started:
            run = runs.start(command, self.path, self.variables({}), log)
            started.append(run)
            try:
                output = run.finish()
            except subprocess.TimeoutExpired:
                raise CheckError(f"{what}: not done in {runs.TIMEOUT:.0f} s") from None
        if run.status:
            raise CheckError(f"{what}: {cause(output)}; {way_out}", log)
        return output


@contextlib.contextmanager
def open_place(*, is_kept: bool, say: Callable[[str], object]) -> Iterator[Place]:
    """Make a place; at the end of the block, however it ends, remove it or name it."""
    previous = {number: signal.signal(number, _end) for number in _SIGNALS}
    path = Path(tempfile.mkdtemp(prefix="setuptools-isolated-build-check-")).resolve()
    try:
        yield Place(path, is_kept=is_kept)
    finally:
        _ignore_signals()
        if is_kept:
            say(f"kept: {path}")
        else:
            _remove(path, say)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    # timeout(1) sends two, and whoever is impatient presses twice: the second one would
    # leave half of it.
    _ignore_signals()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _remove(path: Path, say: Callable[[str], object]) -> None:
    """Remove it, also what a build has made unwritable, or is still writing."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(OSError):
            shutil.rmtree(path)
        if not path.exists():
            return
        for directory, _names, _files in os.walk(path):
            with contextlib.suppress(OSError):
                Path(directory).chmod(0o700)
        time.sleep(0.1)
    say(f"{path}: could not be removed: something still writes there")
