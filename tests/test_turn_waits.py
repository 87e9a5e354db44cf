"""Waiting for a turn: never for one's own ancestors, and never for ever."""

from __future__ import annotations

import hashlib
import os
import re
import textwrap
from dataclasses import replace
from pathlib import Path

import harness
import pytest
from _check.waits import SAYS_SO  # by which `check` knows it

pytestmark = pytest.mark.any_setuptools

MEETING = harness.Meeting.CODE
SETTING = "[tool.setuptools-isolated-build]\ntake-turns = true\n"
# The outer build's build_py runs an inner build of the same tree, which says its name.
NESTING = MEETING + textwrap.dedent(
    """
    import os, subprocess, sys
    from setuptools import setup
    from setuptools.command.build_py import build_py

    KEPT = ("PATH", "PYTHONPATH", "TMPDIR", "MEETING_PORT")

    class nesting(build_py):
        def run(self):
            super().run()
            if os.environ.get("ENVIRONMENT") == "inherited":
                env = {**os.environ, "ENVIRONMENT": "inner"}
            elif os.environ.get("ENVIRONMENT") == "clean":
                env = {key: os.environ[key] for key in KEPT if key in os.environ}
            else:
                meet("inner")
                return
            subprocess.run([sys.executable, *INNER], env=env, check=True, timeout=60)

    setup(name="n", version="1", packages=["p"], cmdclass={"build_py": nesting})
    """
)
INNER = {
    "hook": ["-c", "from setuptools.build_meta import build_wheel as b; b('inner')"],
    "our hook": [
        "-c",
        f"from {harness.OUR_BACKEND} import build_wheel as b; b('inner')",
    ],
    "setup.py": ["setup.py", "build_py"],
}


def ends_well(run):
    output = run.finish(60)
    assert run.status == 0, output


@pytest.mark.parametrize(
    ("outer", "environment", "inner", "tmpdir"),
    [
        ("wheel", "inherited", "hook", "a:b"),
        ("setup.py", "inherited", "setup.py", "a:b"),
        ("wheel", "clean", "our hook", "a"),
        ("wheel", "clean", "setup.py", "a"),
        ("setup.py", "clean", "hook", "a"),
    ],
)
def test_nested_builds(
    outer,
    environment,
    inner,
    tmpdir,
    project,
    plugged,
    telling,
    start,
    meeting,
    tmp_path,
):
    """With a colon in TMPDIR, or in an environment that nothing is inherited by."""
    source = project(
        {
            "setup.py": f"INNER = {INNER[inner]!r}\n{NESTING}",
            "p/__init__.py": "",
            "pyproject.toml": SETTING,
        }
    )
    (tmp_path / tmpdir).mkdir()
    variables = {
        "TMPDIR": str(tmp_path / tmpdir),
        "ENVIRONMENT": environment,
        **telling,
    }
    run = start(plugged, source, outer, "outer", variables)
    assert meeting.arrival() == "inner"
    meeting.let_go("inner")
    ends_well(run)
    if inner != "setup.py":
        assert len(list((source / "inner").glob("*.whl"))) == 1


def test_a_command_by_hand_and_our_backend(
    project, plugged, telling, start, meeting, tmp_path
):
    """One runs setup.py build_py in its setup.py, the other one a hook in its build_py."""
    source = project(
        {
            "setup.py": MEETING
            + textwrap.dedent(
                f"""
                import os, subprocess, sys
                from setuptools import setup
                from setuptools.command.build_py import build_py

                def run(*args):
                    env = {{**os.environ, "WHO": "nested"}}
                    subprocess.run([sys.executable, *args], env=env, check=True)

                class nesting(build_py):
                    def run(self):
                        super().run()
                        if os.environ["WHO"] == "by hand":
                            meet("by hand")
                            run(*{INNER["our hook"]!r})

                if os.environ["WHO"] == "hook":
                    meet("hook")
                    run("setup.py", "build_py")
                setup(name="n", version="1", packages=["p"],
                      cmdclass={{"build_py": nesting}})
                """
            ),
            "p/__init__.py": "",
        }
    )
    plugged = replace(plugged, backend=harness.OUR_BACKEND)
    hook = start(plugged, source, "wheel", "hook", telling)
    assert meeting.arrival() == "hook"
    variables = {**meeting.variables, **telling, "WHO": "by hand"}
    command = [str(plugged.python), "setup.py", "build_py"]
    by_hand = plugged.start(command, source, variables)
    with harness.many([by_hand]):
        # It waits for the hook's turn, or the two have not the same turn.
        arrived = [meeting.arrival()]
        meeting.let_go(arrived[0])
        meeting.let_go("hook")
        while len(arrived) < 2 and by_hand.process.poll() is None:
            arrived.append(meeting.arrival())
            meeting.let_go(arrived[-1])
        assert arrived == ["waits", "by hand"]
        ends_well(hook)
        ends_well(by_hand)
    assert len(list((source / "inner").glob("*.whl"))) == 1


OWN_COMMAND = MEETING + textwrap.dedent(
    """
    import os
    from setuptools import Command, setup
    from setuptools.command.build_py import build_py
    from setuptools.command.install_lib import install_lib

    class own(Command):
        user_options = []
        def initialize_options(self):
            pass
        finalize_options = initialize_options
        def run(self):
            self.run_command("build")
            self.run_command("egg_info")
            meet(os.environ["WHO"] + " has built")

    class packing(own):
        def run(self):
            self.run_command("build")
            self.run_command("bdist_wheel")

    class meeting_install_lib(install_lib):
        def run(self):
            super().run()
            meet(os.environ["WHO"] + " packs")

    class meeting_build_py(build_py):
        def run(self):
            super().run()
            meet(os.environ["WHO"])

    setup(name="n", version="1", packages=["p"],
          cmdclass={"own": own, "packing": packing, "build_py": meeting_build_py,
                    "install_lib": meeting_install_lib})
    """
)


def test_a_projects_own_command(project, plugged, telling, meeting):
    """What it runs has its turn; what it does besides, as a test suite, keeps nobody."""
    source = project({"setup.py": OWN_COMMAND, "p/__init__.py": ""})
    variables = {**meeting.variables, **telling}
    runs = []
    with harness.many(runs):
        for who, arrives in (("first", "first"), ("second", "waits")):
            command = [str(plugged.python), "setup.py", "own"]
            runs.append(plugged.start(command, source, {**variables, "WHO": who}))
            assert meeting.arrival() == arrives
        meeting.let_go("waits")
        meeting.let_go("first")
        assert {meeting.arrival(), meeting.arrival()} == {"first has built", "second"}
        meeting.let_go("second")
        assert meeting.arrival() == "second has built"
        for who in ("first", "second"):
            meeting.let_go(f"{who} has built")
        for run in runs:
            ends_well(run)


@pytest.mark.parametrize(
    ("commands", "steps"),
    [(["clean"], []), (["bdist_wheel", "--skip-build"], ["second packs"])],
    ids=["clean", "skip-build"],
)
def test_what_needs_the_build(commands, steps, project, plugged, telling, meeting):
    """What removes it, or packs it, waits for another command that is building."""
    source = project({"setup.py": OWN_COMMAND, "p/__init__.py": ""})
    variables = {**meeting.variables, **telling}
    runs = []
    with harness.many(runs):
        for who, arrives, asked in (
            ("first", "first", ["own"]),
            ("second", "waits", commands),
        ):
            command = [str(plugged.python), "setup.py", *asked]
            runs.append(plugged.start(command, source, {**variables, "WHO": who}))
            assert meeting.arrival() == arrives
        meeting.let_go("waits")
        meeting.let_go("first")
        left = {"first has built", *steps}
        while left:
            arrived = meeting.arrival()
            left.remove(arrived)
            meeting.let_go(arrived)
        for run in runs:
            ends_well(run)


def test_a_wheel_of_what_its_own_command_has_built(project, plugged, telling, meeting):
    """Nobody builds there while it is packed."""
    source = project({"setup.py": OWN_COMMAND, "p/__init__.py": ""})
    command = [str(plugged.python), "setup.py", "packing"]
    variables = {**meeting.variables, **telling}
    first = plugged.start(command, source, {**variables, "WHO": "first"})
    runs = [first]
    with harness.many(runs):
        assert meeting.arrival() == "first"
        meeting.let_go("first")
        assert meeting.arrival() == "first packs"
        runs.append(plugged.start(command, source, {**variables, "WHO": "second"}))
        assert meeting.arrival() == "waits"
        meeting.let_go("waits")
        meeting.let_go("first packs")
        ends_well(first)
        for step in ("second", "second packs"):
            assert meeting.arrival() == step
            meeting.let_go(step)
        ends_well(runs[1])


TAKES_A_TURN = MEETING + textwrap.dedent(
    """
    import os
    from setuptools import setup
    from setuptools.command.build_py import build_py
    class meeting_build_py(build_py):
        def run(self):
            super().run()
            meet(os.environ["WHO"])
    setup(name="n", version="1", packages=["p"], cmdclass={"build_py": meeting_build_py})
    """
)


@pytest.mark.parametrize(
    ("holder", "waiter"),
    [
        ("wheel", "wheel"),
        ("setup.py", "build_py"),
        ("build_py", "wheel"),
        ("build_py", "build_py"),
    ],
)
def test_lock_timeout(holder, waiter, project, plugged, start, meeting, tmp_path):
    """Ends a wait with one line, which says who has the turn, since when, and for what."""
    files = {"setup.py": TAKES_A_TURN, "p/__init__.py": "", "pyproject.toml": SETTING}
    source = project(files)
    variables = {**meeting.variables, "SETUPTOOLS_ISOLATED_BUILD_LOCK_TIMEOUT": "0.5"}
    runs = {}
    for who, kind in (("holder", holder), ("waiter", waiter)):
        command = [str(plugged.python), "setup.py", "build_py"]
        if kind != "build_py":
            command = plugged.command(kind, source, tmp_path / who)
        runs[who] = plugged.start(command, source, {**variables, "WHO": who})
        if who == "holder":
            assert meeting.arrival() == "holder"
    with harness.many(list(runs.values())):
        output = runs["waiter"].finish(20)
        assert runs["waiter"].status == 1, output
        pid = runs["holder"].process.pid
        (error,) = (line for line in output.splitlines() if line.startswith("error: "))
        assert str(source) in error
        assert re.search(rf"process {pid}, since [-\d]+ [:\d]+, \w+", error), error
        assert "Traceback" not in output
        assert f"{SAYS_SO} of {source}: process {pid}, since" in output
        meeting.let_go("holder")
        ends_well(runs["holder"])
    assert not (tmp_path / "waiter").exists() or os.listdir(tmp_path / "waiter") == []


def test_turns_leave_no_file(
    project, plugged, start, meeting, tmp_path, tmpdir_of_builds
):
    """Neither a turn that has ended nor one that was killed leaves a lock file."""
    if os.name == "nt":
        pytest.skip("locks are elsewhere")
    name = f"setuptools-isolated-build-{harness.user()}"
    places = [tmpdir_of_builds / name, Path("/tmp", f"{name}-locks")]

    def turns():
        return {path for place in places for path in place.glob("turn-*")}

    files = {"setup.py": TAKES_A_TURN, "p/__init__.py": "", "pyproject.toml": SETTING}
    source = project(files)
    before = turns()
    first = start(plugged, source, "wheel", "first")
    assert meeting.arrival() == "first"
    # Among those of other builds on this machine.
    (held,) = (path for path in turns() - before if source_is(path, source))
    first.kill_session()
    second = start(plugged, source, "wheel", "second")
    assert meeting.arrival() == "second"
    meeting.let_go("second")
    ends_well(second)
    assert not held.exists()


def source_is(path, source):
    key = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:16]
    return path.name.startswith(f"turn-{key}")
