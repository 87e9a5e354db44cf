"""Builds that take turns: one after the other, whoever runs them, and nobody waits twice."""

from __future__ import annotations

import textwrap
from dataclasses import replace

import harness
import pytest

pytestmark = pytest.mark.any_setuptools

MEETING = harness.Meeting.CODE
# The generator writes when setup() has the plugin loaded: a first version of the module,
# and then another one, as if it took its time.
GENERATES = MEETING + textwrap.dedent(
    """
    import os
    from setuptools import Distribution, setup

    ALONE = "_SETUPTOOLS_ISOLATED_BUILD_ALONE"

    class generating(Distribution):
        def parse_config_files(self, *args, **kwargs):
            super().parse_config_files(*args, **kwargs)
            for text in ("half =", "half = 'whole'\\n"):
                with open("p/generated.py", "w") as file:
                    file.write(text)
                if text == "half =" and ALONE not in os.environ:
                    meet(os.environ["WHO"])

    setup(name="n", version="1", packages=["p"], distclass=generating)
    """
)
SETTING = "[tool.setuptools-isolated-build]\ntake-turns = true\n"


def test_a_generator_without_turns(project, plugged, tmp_path, meeting, start):
    """What the second one has cut is not shipped by the first, though it has packed it."""
    source = project({"setup.py": GENERATES, "p/__init__.py": ""})
    plugged = replace(plugged, backend=harness.SETUPTOOLS)
    first = start(plugged, source, "wheel", "first")
    assert meeting.arrival() == "first"
    second = start(plugged, source, "wheel", "second")
    assert meeting.arrival() == "second"
    meeting.let_go("first")
    meeting.let_go("second")
    for run, who in ((first, "first"), (second, "second")):
        output = run.finish()
        assert run.status == 0, output
        assert b"'whole'" in harness.member(tmp_path / who, "p/generated.py")


HOOKS = ["requires", "metadata", "sdist", "editable", "wheel"]


@pytest.mark.parametrize(
    ("by", "hook"),
    [
        *(("project", hook) for hook in HOOKS),
        # Who has set it is settled before the hook is.
        *(pytest.param("user", hook, marks=pytest.mark.long) for hook in HOOKS[:-1]),
        ("user", "wheel"),
    ],
)
def test_the_second_waits(hook, by, project, plugged, tmp_path, meeting, start):
    """Whichever hooks they are: it has not come to its generator when it says so."""
    files = {"setup.py": GENERATES, "p/__init__.py": ""}
    variables = {}
    if by == "project":
        files["pyproject.toml"] = SETTING
    else:
        variables["SETUPTOOLS_ISOLATED_BUILD_TAKE_TURNS"] = "1"
    source = project(files)
    first = start(plugged, source, hook, "first", variables)
    assert meeting.arrival() == "first"
    (tmp_path / "hooked").mkdir()
    probe = tmp_path / "hooked" / "sitecustomize.py"
    probe.write_text(harness.Meeting.BEFORE_A_TURN)
    probed = {**variables, "PYTHONPATH": str(probe.parent)}
    second = start(plugged, source, "wheel", "second", probed)
    assert meeting.arrival() == "waits"
    meeting.let_go("waits")
    meeting.let_go("first")
    assert meeting.arrival() == "second"  # when the first one's turn has ended
    output = first.finish()
    assert first.status == 0, output
    if hook == "wheel":
        assert (
            harness.member(tmp_path / "first", "p/generated.py") == b"half = 'whole'\n"
        )
    meeting.let_go("second")
    output = second.finish()
    assert second.status == 0, output
    assert harness.member(tmp_path / "second", "p/generated.py") == b"half = 'whole'\n"


def test_it_says_whom_it_waits_for(project, plugged, tmp_path, meeting, start):
    """And does not generate in the meantime: the first one is killed while it waits."""
    source = project(
        {"setup.py": GENERATES, "p/__init__.py": "", "pyproject.toml": SETTING}
    )
    first = start(plugged, source, "wheel", "first")
    assert meeting.arrival() == "first"
    probe = harness.Meeting()
    hooked = tmp_path / "hooked"
    hooked.mkdir()
    (hooked / "sitecustomize.py").write_text(harness.Meeting.BEFORE_A_TURN)
    second = start(
        plugged,
        source,
        "wheel",
        "second",
        {"PYTHONPATH": str(hooked), **probe.variables},
    )
    assert probe.arrival() == "waits"
    first.kill_session()
    first.close()
    probe.let_go("waits")
    assert probe.arrival() == "second"
    probe.let_go("second")
    output = second.finish()
    probe.close()
    assert second.status == 0, output
    assert f"waiting for another build of {source}" in output
    assert harness.member(tmp_path / "second", "p/generated.py") == b"half = 'whole'\n"


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_other_trees_do_not_wait(enabled, project, plugged, tmp_path, meeting, start):
    """Nor anybody where the plugin is switched off."""
    files = {
        "setup.py": GENERATES,
        "p/__init__.py": "",
        "pyproject.toml": f"{SETTING}enabled = {enabled}\n",
    }
    first = start(plugged, project(files), "wheel", "first")
    assert meeting.arrival() == "first"
    other = project(files, at="other" if enabled == "true" else "project")
    second = start(plugged, other, "wheel", "second")
    assert meeting.arrival() == "second"
    for name, build in (("second", second), ("first", first)):
        meeting.let_go(name)
        output = build.finish()
        assert build.status == 0, output


def test_builds_within_a_turn(project, plugged, tmp_path):
    """A build of the same tree that a build starts does not wait for its parent."""
    source = project(
        {
            "setup.py": """
                import os, subprocess, sys
                from setuptools import setup
                from setuptools.command.build_py import build_py

                class nesting_build_py(build_py):
                    def run(self):
                        super().run()
                        if "INNER" not in os.environ:
                            code = "from setuptools.build_meta import build_wheel as b;"
                            code += "b('inner')"
                            subprocess.run(
                                [sys.executable, "-c", code], check=True, timeout=120,
                                env={**os.environ, "INNER": "1"})

                setup(name="n", version="1", packages=["p"],
                      cmdclass={"build_py": nesting_build_py})
                """,
            "p/__init__.py": "",
            "pyproject.toml": SETTING,
        }
    )
    plugged.build(source, tmp_path / "out")
    assert list((source / "inner").glob("*.whl"))


def test_turns_end_in_process(project, plugged, tmp_path):
    """Hooks called one after the other in one process: each turn ends with its hook."""
    (tmp_path / "m").mkdir()
    source = project(
        {
            "setup.py": "from setuptools import setup; setup(name='n', version='1')\n",
            "pyproject.toml": SETTING,
        }
    )
    harness.run_python(
        plugged,
        """
import contextlib, gc, io, os, sys
from setuptools import Distribution, build_meta
from setuptools_isolated_build import _process

def turns():
    return list(_process._process.turns)

sys.argv = ["setup.py"]
for hook, *args in (
    ("get_requires_for_build_wheel",), ("prepare_metadata_for_build_wheel", "../m"),
    ("build_wheel", "../w"), ("build_sdist", "../s"), ("build_editable", "../e"),
):
    with contextlib.redirect_stdout(io.StringIO()):
        getattr(build_meta, hook)(*args)
    assert turns() == [], hook
Distribution()
assert turns() == []  # it may never come to a command
assert "_SETUPTOOLS_ISOLATED_BUILD_TURNS" not in os.environ
""",
        source,
    )


def test_wrong_setting_is_refused_by_the_build(project, plugged, tmp_path):
    """Not in Distribution(), where distutils would print a traceback."""
    source = project(
        {
            "setup.py": "from setuptools import setup; setup(name='n', version='1')\n",
            "pyproject.toml": "[tool.setuptools-isolated-build]\ntake-turns = 1\n",
        }
    )
    status, output = plugged.hook(source, "build_wheel", str(tmp_path / "out"))
    assert status == 1
    assert "error: " in output.strip().splitlines()[-1]
    last = output.strip().splitlines()[-1]
    assert 'take-turns = 1 is not true, false or "auto"' in last
    assert "Traceback" not in output


@pytest.mark.parametrize("command", ["build", "egg_info", "install_lib"])
def test_in_tree_commands_take_turns(
    command, project, plugged, setup_at_once, meeting, start, tmp_path
):
    """They share what they are asked for; a hook does not wait for them."""
    source = project(
        {
            "setup.py": MEETING
            + textwrap.dedent(
                """
                import os
                from setuptools import setup
                from setuptools.command.build_py import build_py
                from setuptools.command.egg_info import egg_info

                class meeting_build_py(build_py):
                    def run(self):
                        meet(os.environ["WHO"])
                        super().run()

                class meeting_egg_info(egg_info):
                    def run(self):
                        if "egg_info" in self.distribution.commands:
                            meet(os.environ["WHO"])
                        super().run()

                setup(name="n", version="1", packages=["p"], cmdclass={
                    "build_py": meeting_build_py, "egg_info": meeting_egg_info})
                """
            ),
            "p/__init__.py": "",
        }
    )
    runs = {}
    arguments = [command]
    if command == "install_lib":
        arguments += ["--install-dir", str(tmp_path / "installed")]
    by_hand = [str(plugged.python), "setup.py", *arguments]
    for who in ("first", "second"):
        variables = {**meeting.variables, "WHO": who}
        runs[who] = plugged.start(by_hand, source, variables)
    with harness.many(list(runs.values())):
        one = meeting.arrival()
        hook = start(setup_at_once, source, "wheel", "hook")
        assert meeting.arrival() == "hook"
        meeting.let_go("hook")
        output = hook.finish()
        assert hook.status == 0, output
        meeting.let_go(one)
        other = meeting.arrival()
        assert {one, other} == {"first", "second"}
        output = runs[one].finish()
        assert runs[one].status == 0, output
        meeting.let_go(other)
        output = runs[other].finish()
        assert runs[other].status == 0, output
