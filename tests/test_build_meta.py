"""The opt-in backend: setup.py takes turns, its commands do not, and uv has no lock."""

from __future__ import annotations

import os
import shutil
import textwrap
from dataclasses import replace

import harness
import pytest

# It cuts a module and writes it again, before setup() is called, as cythonize() does.
GENERATES = (
    harness.Meeting.CODE
    + """
import os
from setuptools import setup
from setuptools.command.build_py import build_py

with open("p/generated.py", "w"):
    meet("setup.py of " + os.environ["WHO"])
with open("p/generated.py", "w") as file:
    file.write("whole = True\\n")

class meeting_build_py(build_py):
    def run(self):
        if "egg_info" not in self.distribution.commands:
            meet("command of " + os.environ["WHO"])
        super().run()

setup(name="n", version="1", packages=["p"], cmdclass={"build_py": meeting_build_py})
"""
)
PYPROJECT = """
[build-system]
requires = ["setuptools", "setuptools-isolated-build"]
build-backend = "%s"
"""


def ours(plugged):
    return replace(plugged, backend=harness.OUR_BACKEND)


@pytest.mark.parametrize("legacy", [False, True], ids=["", "legacy editable"])
def test_it_has_all_hooks(plugged, tmp_path, legacy):
    """Those of the setuptools that it is used with, switched off or on."""
    code = """
        from setuptools import build_meta as theirs
        from setuptools_isolated_build import build_meta as ours
        def hooks(backend):
            return {
                name for name in dir(backend)
                if name.startswith(("build_", "get_requires_", "prepare_metadata_"))
            }
        def all_of(module):
            return hooks(module), hooks(module.__legacy__), set(module.__all__)
        assert all_of(ours) == all_of(theirs), (all_of(ours), all_of(theirs))
        assert len(hooks(ours)) >= 5
    """
    code = textwrap.dedent(code)
    if legacy:
        code = (
            "import os; os.environ['SETUPTOOLS_ENABLE_FEATURES'] = 'legacy-editable'\n"
            + code
        )
    harness.run_python(plugged, code, tmp_path)


@pytest.mark.parametrize("hook", harness.HOOKS)
def test_each_hook_does_the_same(hook, plain, plugged, tmp_path):
    source = harness.copy(harness.EXAMPLES / "cmdclass", tmp_path / "source")
    products = []
    for number, environment in enumerate([plain, ours(plugged)]):
        harness.copy(source, tmp_path / "pristine")
        result = tmp_path / str(number)
        result.mkdir()
        run = environment.start(environment.command(hook, source, result), source)
        output = run.finish()
        assert run.status == 0, output
        products.append(harness.product(result, output))
        shutil.rmtree(source)
        (tmp_path / "pristine").rename(source)
    assert products[0] == products[1]


def both_at_their_commands(meeting):
    """Let the second one through setup.py, before the first one reads what it writes."""
    # Whichever comes first: the turn ends before the first one's command begins.
    arrived = {meeting.arrival(), meeting.arrival()}
    assert arrived == {"command of first", "setup.py of second"}
    meeting.let_go("setup.py of second")
    assert meeting.arrival() == "command of second"


def finish(who, run, tmp_path):
    output = run.finish()
    assert run.status == 0, output
    assert harness.member(tmp_path / who, "p/generated.py") == b"whole = True\n"


def test_setup_py_takes_turns_and_commands_do_not(
    project, plugged, tmp_path, meeting, start
):
    """The second one's setup.py begins when the first one is at its commands."""
    source = project({"setup.py": GENERATES, "p/__init__.py": ""})
    first = start(ours(plugged), source, "wheel", "first")
    assert meeting.arrival() == "setup.py of first"
    second = start(ours(plugged), source, "wheel", "second")
    meeting.let_go("setup.py of first")
    both_at_their_commands(meeting)
    for who in ("first", "second"):  # at its end each waits for the other
        meeting.let_go(f"command of {who}")
    for who, run in (("first", first), ("second", second)):
        finish(who, run, tmp_path)


@pytest.fixture
def one_waits(project, plugged, tmp_path, meeting, start):
    """Start a build that is in its setup.py, and one that is about to wait for it."""

    def begin(configuration):
        source = project({"setup.py": GENERATES, "p/__init__.py": "", **configuration})
        first = start(ours(plugged), source, "wheel", "first")
        assert meeting.arrival() == "setup.py of first"
        hooked = tmp_path / "hooked"
        hooked.mkdir()
        (hooked / "sitecustomize.py").write_text(harness.Meeting.BEFORE_A_TURN)
        second = start(
            ours(plugged), source, "wheel", "second", {"PYTHONPATH": str(hooked)}
        )
        assert meeting.arrival() == "waits"
        meeting.let_go("waits")
        meeting.let_go("setup.py of first")
        return first, second

    return begin


def test_the_second_one_waits(one_waits, meeting, tmp_path):
    """It is not in its setup.py while the first one is: it stands before the lock."""
    first, second = one_waits({})
    both_at_their_commands(meeting)
    for who in ("first", "second"):
        meeting.let_go(f"command of {who}")
    for who, run in (("first", first), ("second", second)):
        finish(who, run, tmp_path)


def test_with_take_turns_it_waits_for_commands_too(one_waits, meeting, tmp_path):
    """For a setup.py that cuts a file which the other one's commands are reading."""
    settings = "[tool.setuptools-isolated-build]\ntake-turns = true\n"
    first, second = one_waits({"pyproject.toml": settings})
    assert meeting.arrival() == "command of first"
    meeting.let_go("command of first")
    finish("first", first, tmp_path)
    for step in ("setup.py of second", "command of second"):
        assert meeting.arrival() == step
        meeting.let_go(step)
    finish("second", second, tmp_path)


def test_without_the_backend_they_meet_in_setup_py(project, plugged, meeting, start):
    """What it is for: nothing that setuptools calls is reached before that."""
    source = project({"setup.py": GENERATES, "p/__init__.py": ""})
    plugged = replace(plugged, backend=harness.SETUPTOOLS)
    for who in ("first", "second"):
        start(plugged, source, "wheel", who)
        assert meeting.arrival() == f"setup.py of {who}"
    assert (source / "p" / "generated.py").read_bytes() == b""


def test_one_that_fails_in_setup_py_ends_its_turn(project, plugged, tmp_path):
    """In one process, which goes on: its next hook, and other processes, need not wait."""
    source = project({"setup.py": "raise RuntimeError('broken')\n"})
    out = str(tmp_path / "out")
    code = f"""
import subprocess, sys
from setuptools_isolated_build import build_meta
try:
    build_meta.get_requires_for_build_wheel()
except RuntimeError:
    pass
with open("setup.py", "w") as file:
    file.write("from setuptools import setup; setup(name='n', version='1')")
code = "from setuptools_isolated_build import build_meta as b; b.build_wheel({out!r})"
subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
build_meta.build_wheel({out!r})
"""
    output = harness.run_python(plugged, code, source)
    assert "waiting" not in output
    assert os.listdir(out) == ["n-1-py3-none-any.whl"]


@pytest.mark.parametrize("backend", ["", ":__legacy__"], ids=["backend", "legacy"])
def test_under_uv_they_build_side_by_side(
    backend, project, plugged, tmp_path, meeting, start
):
    """By its own name it is not queued: both are at their commands at once."""
    source = project(
        {
            "setup.py": "import helper\n" + GENERATES if backend else GENERATES,
            "pyproject.toml": PYPROJECT % (harness.OUR_BACKEND + backend),
            "p/__init__.py": "",
            "helper.py": "",
        }
    )
    runs = {who: start(plugged, source, "uv", who) for who in ("first", "second")}
    at_commands = set()
    while len(at_commands) < 2:
        name = meeting.arrival()
        if name.startswith("setup.py"):
            meeting.let_go(name)
        else:
            at_commands.add(name)
    for name in at_commands:
        meeting.let_go(name)
    for who, run in runs.items():
        output = run.finish()
        assert run.status == 0, output
        assert harness.member(tmp_path / who, "p/generated.py") == b"whole = True\n"
