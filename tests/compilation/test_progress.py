"""The line that says how far a build is: on a terminal, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import struct
import subprocess
import sys

import harness
import pytest
from setuptools._distutils import log
from setuptools_isolated_build._compilation import progress

fcntl = pytest.importorskip("fcntl", reason="there are no pseudo-terminals")
termios = pytest.importorskip("termios")

SECONDS = 60  # to end a hang, not to measure
FILES = {
    "setup.py": """
        from setuptools import Extension, setup
        setup(name="n", version="1", ext_modules=[
            Extension(name, [f"{name}.c"]) for name in ("a", "b", "c")])
        """,
    **{f"{name}.c": f"void *PyInit_{name}(void) {{ return 0; }}\n" for name in "abc"},
}
# A compiler that waits for the test; a link does not.
COMPILER = (
    f"#!{sys.executable}\n{harness.Meeting.CODE}\n"
    "import os, sys\n"
    'if "-c" in sys.argv:\n'
    '    meet(sys.argv[sys.argv.index("-c") + 1])\n'
    'os.execvp("gcc", ["gcc", *sys.argv[1:]])\n'
)


class Terminal:
    """A pseudo-terminal: what is written to it, and what one sees in the end."""

    def __init__(self):
        self.ours, self.theirs = os.openpty()
        self.written = b""

    def wait_for(self, text):
        """Read until *text* was written."""
        while text not in self.written:
            assert select.select([self.ours], [], [], SECONDS)[0], self.written
            self.written += os.read(self.ours, 1 << 16)

    def rest(self):
        """Read until nobody has it open any more."""
        os.close(self.theirs)
        with contextlib.suppress(OSError), open(self.ours, "rb", buffering=0) as file:
            while part := file.read(1 << 16):
                self.written += part

    def seen(self):
        """Return the lines that are left, also the one that is not ended yet."""
        lines = self.written.replace(b"\r\n", b"\n").split(b"\n")
        return [line.rpartition(b"\r\033[K")[2].decode() for line in lines]


@pytest.fixture
def build(project, plugged, tmp_path, meeting):
    """Start a build whose compilers come to the meeting, three at once."""
    source = project(FILES)
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    path = tmp_path / "jobserver"
    os.mkfifo(path)
    number = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(number, b"++")
    variables = {
        **harness.build_variables(),
        **meeting.variables,
        "CC": str(compiler),
        "LDSHARED": "gcc -shared",
        "TERM": "xterm",
        "MAKEFLAGS": f"-j3 --jobserver-auth=fifo:{path}",
        "SETUPTOOLS_ISOLATED_BUILD_JOBS": "3",
    }
    variables.pop("CI", None)
    started = []

    def start(stdout, stderr, *options, **more):
        command = [plugged.python, "setup.py", *options, "build_ext"]
        command += ["--build-temp", tmp_path / "temp", "--build-lib", tmp_path / "lib"]
        env = {**variables, **more}
        process = subprocess.Popen(
            command, cwd=source, env=env, stdout=stdout, stderr=stderr
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    os.close(number)


def test_on_a_terminal(build, meeting, terminal, tmp_path):
    """It is there while one waits; what one reads in the end is what a log has."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        process = build(file, file)
        for _ in "abc":
            meeting.let_go(meeting.arrival())
        assert process.wait(SECONDS) == 0
    for name in ("temp", "lib"):
        shutil.rmtree(tmp_path / name)
    process = build(terminal.theirs, terminal.theirs)
    assert {meeting.arrival() for _ in "abc"} == {"a.c", "b.c", "c.c"}
    terminal.wait_for(b"\r\033[Kcompiling 3 of 3 on 3 cores")
    meeting.let_go("c.c")
    terminal.wait_for(b"\r\033[Kcompiling 3 of 3 on 2 cores")
    meeting.let_go("a.c")
    terminal.wait_for(b"\r\033[Kcompiling 3 of 3 on 1 core")
    meeting.let_go("b.c")
    terminal.rest()
    assert process.wait(SECONDS) == 0
    assert terminal.seen() == path.read_text().split("\n")
    assert "compiling" not in path.read_text()


@pytest.fixture
def terminal():
    return Terminal()


@pytest.mark.parametrize(
    ("variables", "threshold", "is_shown"),
    [
        ({"TERM": "xterm"}, log.INFO, True),
        ({"TERM": "xterm"}, log.DEBUG, True),
        ({"TERM": "xterm"}, log.WARN, False),
        ({"TERM": "dumb"}, log.INFO, False),
        ({}, log.INFO, False),
        ({"TERM": "xterm", "CI": "true"}, log.INFO, False),
    ],
)
def test_where_it_is_shown(variables, threshold, is_shown, terminal, tmp_path):
    """Not where it could not be erased, or would be in a log; nor under ``--quiet``."""
    before = log.set_threshold(threshold)
    try:
        line = progress.find(terminal.theirs, variables)
        assert (line is not None) == is_shown
        with (tmp_path / "file").open("wb") as file:
            assert progress.find(file.fileno(), variables) is None
        assert log.set_threshold(threshold) == threshold
    finally:
        log.set_threshold(before)


def test_a_narrow_terminal(terminal):
    """It never fills the last column, after which a terminal goes on below."""
    size = struct.pack("HHHH", 24, 20, 0, 0)
    fcntl.ioctl(terminal.theirs, termios.TIOCSWINSZ, size)
    line = progress.Line(terminal.theirs)
    with line.open():
        line.show(10, 1200, 8)
    line.show(11, 1200, 8)  # too late
    terminal.rest()
    assert terminal.written == b"\r\033[Kcompiling 10 of 120\r\033[K"
