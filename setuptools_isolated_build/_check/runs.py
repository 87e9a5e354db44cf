"""Processes that build: their output in a file, their end with all their children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["TIMEOUT", "Run", "as_they_end", "many", "start"]

# Long enough for a loaded machine: it is there to end a hang, not to measure.
TIMEOUT = 600.0
_PAUSE = 0.01


class Run:
    """A build that is running, and what it has said.

    Attributes:
        process: the one that was started; it leads a session of its own.
        started: by `time.monotonic`.
        ended: likewise, or None while it runs.
        cpu: what it and its children have used, in seconds; None where it cannot be
            known (Windows).
        is_expired: whether it was killed since it took too long.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: BinaryIO) -> None:
        self.process = process
        self.started = time.monotonic()
        self.ended: float | None = None
        self.cpu: float | None = None
        self.is_expired = False
        self._output = output

    @property
    def status(self) -> int:
        """The exit status, once it has ended."""
        return self.process.returncode

    def poll(self) -> bool:
        """Whether it has ended; if so, it is reaped."""
        return self._reap(is_patient=False)

    def finish(self, timeout: float = TIMEOUT) -> str:
        """Wait for the end, reap it, and return the output.

        Raises:
            subprocess.TimeoutExpired: it was killed after *timeout* seconds.
        """
        # Popen.wait(timeout) looks every 50 ms, which is a third of a small build.
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._kill()

        timer = threading.Timer(timeout, expire)
        timer.start()
        try:
            self._reap(is_patient=True)
        finally:
            timer.cancel()
        if expired.is_set():
            raise subprocess.TimeoutExpired(self.process.args, timeout)
        return self.output()

    def output(self) -> str:
        """Return all that it has said, and close the file."""
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        self.close()
        return text

    def close(self) -> None:
        """Close the file of the output."""
        self._output.close()

    def kill_session(self) -> None:
        """Kill the build with all its children, as the OOM killer or CI would."""
        self._kill()
        self._reap(is_patient=True)

    def _kill(self) -> None:
        if os.name == "nt":
            self.process.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _reap(self, *, is_patient: bool) -> bool:
        if self.process.returncode is None and hasattr(os, "wait4"):
            try:
                flags = 0 if is_patient else os.WNOHANG
                pid, status, usage = os.wait4(self.process.pid, flags)
            except ChildProcessError:  # somebody has asked the process itself
                self.process.wait(TIMEOUT)
            else:
                if pid:
                    self.process.returncode = os.waitstatus_to_exitcode(status)
                    self.cpu = usage.ru_utime + usage.ru_stime
        elif is_patient:
            self.process.wait(TIMEOUT)
        if self.process.poll() is None:
            return False
        if self.ended is None:
            self.ended = time.monotonic()
        return True


def start(
    command: Sequence[str],
    directory: Path,
    variables: Mapping[str, str],
    log: Path | None = None,
) -> Run:
    """Start *command* with its output in a file, so that no pipe can fill.

    Args:
        variables: the whole environment.
        log: the file, or None for one without a name.
    """
    # The Run closes it.
    output = tempfile.TemporaryFile() if log is None else log.open("w+b")
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return Run(process, output)


@contextlib.contextmanager
def many(runs: list[Run]) -> Iterator[list[Run]]:
    """Let *runs* run in the block, and reap all of them whatever happens in it."""
    try:
        yield runs
    finally:
        for run in runs:
            if run.process.poll() is None:
                run.kill_session()
            run.close()


def as_they_end(
    runs: Sequence[Run],
    timeout: float = TIMEOUT,
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[Run]:
    """Yield each of *runs* the moment that it ends.

    Others may still be replacing what it has made, and a reader must never find half.

    Args:
        timeout: after how many seconds one is killed; its `is_expired` is then True.
        meanwhile: is called again and again.
    """
    running = list(runs)
    while running:
        ended = [run for run in running if run.poll()]
        for run in ended:
            running.remove(run)
            yield run
        if not ended:
            for run in running:
                if time.monotonic() > run.started + timeout:
                    run.is_expired = True
                    run.kill_session()
            meanwhile()
            time.sleep(_PAUSE)
