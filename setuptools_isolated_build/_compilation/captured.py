"""A command that runs beside others: what it says is kept, and said in one piece."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from typing import Any, BinaryIO, Callable, cast

from setuptools_isolated_build._setuptools.output import tell, warn

__all__ = ["Captured"]

_STREAMS = (1, 2)  # what compilers write to
_PAUSE, _LONGEST_PAUSE = 0.001, 0.016  # seconds
_LINGERING = 1.0  # seconds: a server that a compiler has started keeps the terminal


class Captured:
    """What the commands of one job have said, until it is passed on.

    Attributes:
        is_ended: whether it was ended, or will be before it runs something.
    """

    def __init__(self) -> None:
        self._said: list[Callable[[], object]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.is_ended = False
        self._lock = threading.Lock()

    def run(
        self, command: list[str], *, env: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        """Run *command* as setuptools' compilers do, but for what it says.

        Raises:
            subprocess.CalledProcessError: it fails.
            OSError: it cannot be run.
        """
        self._said.append(partial(tell, subprocess.list2cmdline(command)))
        count = 1 if os.path.sameopenfile(*_STREAMS) else len(_STREAMS)
        sinks = [_sink(number) for number in _STREAMS[:count]]
        try:
            status = self._run(command, env, sinks, kwargs)
        finally:
            said = [sink.text() for sink in sinks]
        for number, text in zip(_STREAMS, said):
            if text:
                self._said.append(partial(_write, number, text))
        if status:
            raise subprocess.CalledProcessError(status, command)

    def _run(
        self,
        command: list[str],
        env: dict[str, str] | None,
        sinks: list[_File | _Terminal],
        kwargs: dict[str, Any],
    ) -> int:
        with self._lock:
            if self.is_ended:
                return -signal.SIGTERM
            self._process = process = subprocess.Popen(  # noqa: S603  # theirs
                command,
                env=_with_target(env),
                stdout=sinks[0].number,
                stderr=sinks[-1].number,
                **kwargs,
            )
        try:
            self._wait(process)
        except BaseException:  # Ctrl-C
            self.end()
            process.wait()
            raise
        with self._lock:
            self._process = None
        return process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a child, whose number stays its own for `end`."""
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            return
        # macOS before Python 3.13, PyPy.
        pause = _PAUSE
        while True:
            with self._lock:
                if process.poll() is not None:
                    self._process = None
                    return
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def warn(self, message: str) -> None:
        """Say something of ours, in its turn."""
        self._said.append(partial(warn, message))

    def pass_on(self) -> None:
        """Put what was said into the build's output, where it would have gone."""
        for say in self._said:
            say()

    def end(self) -> None:
        """End what runs, and run nothing more."""
        with self._lock:
            self.is_ended = True
            if self._process is not None:
                _end(self._process.pid)

    def kill(self) -> None:
        """End what has not ended by itself."""
        with self._lock:
            self.is_ended = True
            if self._process is not None:
                self._process.kill()


class _File:
    """What is written to a file or a pipe."""

    def __init__(self) -> None:
        self._file = _unnamed_file()
        self.number = self._file.fileno()

    def text(self) -> bytes:
        """Return what was written, when the command is done."""
        with self._file as file:
            file.seek(0)
            return file.read()


def _unnamed_file() -> BinaryIO:
    """Return a file that is in no directory, where it can be had not even on a disk."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return open(os.memfd_create("output"), "w+b")
    return cast("BinaryIO", tempfile.TemporaryFile())


if os.name == "posix":
    import fcntl
    import termios

    class _Terminal:
        """A terminal of the same size: compilers write colours to terminals only."""

        def __init__(self, like: int) -> None:
            self._ours, self.number = os.openpty()
            attributes = termios.tcgetattr(self.number)
            attributes[1] &= ~termios.OPOST  # the real one does it
            termios.tcsetattr(self.number, termios.TCSANOW, attributes)
            size = fcntl.ioctl(like, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self.number, termios.TIOCSWINSZ, size)
            self._parts: list[bytes] = []
            # It has little room: somebody has to read while the compiler writes.
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()

        def text(self) -> bytes:
            os.close(self.number)
            self._reader.join(_LINGERING)
            if not self._reader.is_alive():
                os.close(self._ours)
            return b"".join(self._parts)

        def _read(self) -> None:
            with contextlib.suppress(OSError):  # Linux: nobody has it open any more
                while part := os.read(self._ours, 1 << 16):
                    self._parts.append(part)

    def _sink(number: int) -> _File | _Terminal:
        try:
            return _Terminal(number) if os.isatty(number) else _File()
        except (OSError, termios.error):  # all terminals are in use
            return _File()

else:

    def _sink(number: int) -> _File:  # type: ignore[misc]  # noqa: ARG001
        return _File()


def _write(number: int, text: bytes) -> None:
    # After what Python has not written yet; by the descriptor, as a compiler does.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    with contextlib.suppress(OSError), open(number, "wb", closefd=False) as file:
        file.write(text)


if sys.platform == "darwin":

    def _with_target(env: dict[str, str] | None) -> dict[str, str] | None:
        """Return *env* with the version of macOS that Python was built for."""
        from distutils.util import MACOSX_VERSION_VAR, get_macosx_target_ver

        version = get_macosx_target_ver()
        target = {MACOSX_VERSION_VAR: version} if version else {}
        return {**(os.environ if env is None else env), **target}

else:

    def _with_target(env: dict[str, str] | None) -> dict[str, str] | None:
        return env


if sys.platform == "linux":

    def _end(pid: int) -> None:
        """End a process of ours and all that it has started.

        A compiler's driver removes its temporary files, and leaves the compiler proper
        to itself. While it is stopped nobody else gets its children's numbers.
        """
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGSTOP)
            for child in _children(pid):
                _end(child)
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)

    def _children(pid: int) -> list[int]:
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                return [int(word) for word in file.read().split()]
        except OSError:
            return []

else:

    def _end(pid: int) -> None:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
