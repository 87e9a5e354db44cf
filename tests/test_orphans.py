"""Children that outlive a killed build know its paths, and reach no other build."""

from __future__ import annotations

import contextlib
import os
import signal

import harness
import pytest

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's"),
]

# The build that is killed has a child, which is another program or a fork. When the
# child is let go, it writes into the build_lib that it knows.
SETUP_PY = (
    harness.Meeting.CODE
    + f"""
import os, subprocess, sys
from setuptools import setup
from setuptools.command.build_py import build_py

MEET = {harness.Meeting.CODE!r}
"""
    + """
CHILD = MEET + '''
meet("orphan")
said = "written"
try:
    if os.environ["MAKES"] == "step by step":
        os.mkdir(os.path.dirname(os.path.dirname(os.path.dirname(build_lib))))
        meet("made")
    if os.environ["MAKES"] != "0":
        os.makedirs(build_lib, exist_ok=True)
    open(os.path.join(build_lib, "late.py"), "w").close()
except OSError as exc:
    said = type(exc).__name__
meet(said)
'''

class meeting_build_py(build_py):
    def run(self):
        super().run()
        build_lib = os.path.abspath(self.build_lib)
        if os.environ.get("WHO") == "killed":
            if os.environ["CHILD"] == "program":
                code = f"import os; build_lib = {build_lib!r}" + CHILD
                subprocess.Popen([sys.executable, "-c", code])
            elif os.fork() == 0:
                try:
                    exec(CHILD, {"os": os, "build_lib": build_lib})
                finally:
                    os._exit(0)
        if "WHO" in os.environ:
            meet(os.environ["WHO"])

setup(name="n", version="1", py_modules=["m"], cmdclass={"build_py": meeting_build_py})
"""
)


@pytest.fixture
def source(project):
    return project({"setup.py": SETUP_PY, "m.py": ""})


@pytest.fixture
def expected(source, plain, tmp_path):
    return harness.oracle(plain, source, tmp_path / "expected").read_bytes()


@pytest.fixture
def killed(source, plugged, start, meeting):
    """Start a build and kill it, but not its child; both are at a barrier."""
    runs = []

    def kill(child, makes="1"):
        variables = {"CHILD": child, "MAKES": makes}
        runs.append(start(plugged, source, "wheel", "killed", variables))
        assert {meeting.arrival(), meeting.arrival()} == {"killed", "orphan"}
        os.kill(runs[-1].process.pid, signal.SIGKILL)
        runs[-1].process.wait(harness.TIMEOUT)

    yield kill
    for run in runs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)


def root_of(tmpdir):
    return tmpdir / f"setuptools-isolated-build-{harness.user()}"


@pytest.mark.parametrize(
    ("makes", "child", "frontend"),
    [
        ("0", "program", "hook"),
        ("1", "program", "setup.py"),
        ("0", "fork", "setup.py"),
        ("1", "fork", "hook"),
    ],
)
def test_it_writes_while_another_one_builds(
    makes, child, frontend, killed, expected, source, plugged, start, meeting, tmp_path
):
    """Right are the next build, and the one after that, into which the orphan writes."""
    killed(child, makes)
    wheel = plugged.build(source, tmp_path / "next", frontend)
    assert wheel.read_bytes() == expected
    run = start(plugged, source, frontend, "after that")
    assert meeting.arrival() == "after that"
    meeting.let_go("orphan")
    meeting.let_go(said_at_the_end(meeting))
    meeting.let_go("after that")
    output = run.finish()
    assert run.status == 0, output
    (wheel,) = (tmp_path / "after that").iterdir()
    assert wheel.read_bytes() == expected
    # What the orphan has made goes too, with the next builds.
    for number in range(2):
        wheel = plugged.build(source, tmp_path / f"{number}", frontend)
        assert wheel.read_bytes() == expected


@pytest.mark.parametrize("child", ["program", "fork"])
def test_it_writes_between_two_builds(
    child, killed, expected, source, plugged, meeting, tmp_path, tmpdir_of_builds
):
    """A directory that only an orphan has made is no tree, and is removed."""
    killed(child)
    for number in range(2):
        wheel = plugged.build(source, tmp_path / f"before {number}")
        assert wheel.read_bytes() == expected
    meeting.let_go("orphan")
    assert meeting.arrival() == "written"
    meeting.let_go("written")
    assert list(root_of(tmpdir_of_builds).rglob("late.py")) != []
    for number in range(2):
        wheel = plugged.build(source, tmp_path / f"{number}")
        assert wheel.read_bytes() == expected
    assert list(root_of(tmpdir_of_builds).rglob("late.py")) == []


@pytest.mark.parametrize("child", ["program", "fork"])
def test_it_makes_an_empty_directory(
    child, killed, expected, source, plugged, start, meeting, tmp_path
):
    """makedirs() makes one directory after the other: none is a tree that is free."""
    killed(child, "step by step")
    wheel = plugged.build(source, tmp_path / "before")
    assert wheel.read_bytes() == expected
    meeting.let_go("orphan")
    made = meeting.arrival()
    assert made in {"made", "FileExistsError"}
    run = start(plugged, source, "wheel", "next")
    assert meeting.arrival() == "next"
    meeting.let_go(made)
    if made == "made":
        meeting.let_go(said_at_the_end(meeting))
    meeting.let_go("next")
    output = run.finish()
    assert run.status == 0, output
    (wheel,) = (tmp_path / "next").iterdir()
    assert wheel.read_bytes() == expected
    for number in range(2):
        plugged.build(source, tmp_path / f"{number}")


def said_at_the_end(meeting):
    said = meeting.arrival()
    assert said in {"written", "FileNotFoundError"}
    return said


def test_names_are_not_used_again(
    killed, expected, source, plugged, meeting, tmp_path, tmpdir_of_builds
):
    """Not by builds at once, and not by lone ones: each says where it builds."""
    killed("program")
    (killed_tree,) = (
        path for path in root_of(tmpdir_of_builds).iterdir() if path.is_dir()
    )
    for number in range(3):
        out = tmp_path / f"{number}"
        status, output = plugged.hook(source, "build_wheel", str(out))
        assert status == 0, output
        (tree,) = (
            line.partition("isolated build: ")[2]
            for line in output.splitlines()
            if line.startswith("isolated build: ")
        )
        assert os.path.dirname(tree) == str(root_of(tmpdir_of_builds))
        assert tree != str(killed_tree)
