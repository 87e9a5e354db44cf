"""`status` and `clean`: what is there is shown as it is, and only what is dead goes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import textwrap

import harness
import pytest
from setuptools_isolated_build._status import report
from setuptools_isolated_build._status import trees as trees_

pytestmark = pytest.mark.any_setuptools

PREFIX = "SETUPTOOLS_ISOLATED_BUILD_"


@pytest.fixture
def source(project):
    return project({"setup.py": harness.MEETING_SETUP_PY, "p/__init__.py": "x = 1\n"})


@pytest.fixture(autouse=True)
def roots_go(tmpdir_of_builds):
    """What a test leaves on purpose; nothing may be left there."""
    yield
    for path in tmpdir_of_builds.iterdir():
        shutil.rmtree(path)


@pytest.fixture
def command(plugged):
    """Run a command, and return its exit status and what it printed."""

    def run(*arguments, **variables):
        done = subprocess.run(
            [plugged.python, "-m", "setuptools_isolated_build", *arguments],
            env={**harness.build_variables(), **variables},
            capture_output=True,
            text=True,
            timeout=harness.TIMEOUT,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def status(command):
    def run(source, **variables):
        code, output = command("status", "--json", str(source), **variables)
        assert code == 0, output
        return json.loads(output)

    return run


def trees(shown):
    return [tree for root in shown["roots"] for tree in root["trees"]]


def own_locks(shown):
    return [lock for lock in shown["locks"]["locks"] if lock["is_of_path"]]


def test_nothing_is_made(source, status, command, tmpdir_of_builds):
    """Nor is anything found where nothing was built, or to be removed."""
    before = harness.listing(source)
    variables = {PREFIX + "BUILD_ROOT": "made-by-nobody", PREFIX + "BUILD_DIR": ".d"}
    shown = status(source, **variables)
    assert (shown["roots"], own_locks(shown)) == ([], [])
    code, output = command("clean", str(source), **variables)
    assert code == 0, output
    assert harness.listing(source) == before
    assert list(tmpdir_of_builds.iterdir()) == []


def test_a_live_build_and_a_killed_one(
    source, start, plugged, meeting, status, command, tmp_path
):
    """Both are shown; the killed one's tree, staging and record go; the other builds on."""
    live = start(plugged, source, "wheel", "live")
    assert meeting.arrival() == "live"
    killed = start(plugged, source, "wheel", "killed")
    assert meeting.arrival() == "killed"
    killed.kill_session()
    (staging,) = os.listdir(tmp_path / "killed")
    assert staging.startswith((".tmp-", "tmp"))  # setuptools' own

    shown = status(source)
    by_process = {tree["process"]: tree for tree in trees(shown)}
    assert set(by_process) == {live.process.pid, killed.process.pid}
    its, dead = by_process[live.process.pid], by_process[killed.process.pid]
    assert (its["state"], dead["state"]) == ("in use", "left")
    assert its["what"].endswith(f"in {source}")
    assert its["since"][:2] == "20"
    assert [os.path.dirname(path) for path in dead["staged"]] == [
        str(tmp_path / "killed")
    ]
    assert dead["bytes"] > 0
    held = {lock["process"]: lock["is_held"] for lock in own_locks(shown)}
    # The record of a killed one goes when any build of this user begins.
    assert held.pop(killed.process.pid, False) is False
    assert held == {live.process.pid: True}
    _, text = command("status", str(source))
    assert f"left, {dead['bytes'] / 1000:.1f} kB; process {killed.process.pid}" in text
    assert "setuptools-isolated-build clean" in text

    code, output = command("clean", str(source))
    assert code == 0, output
    for path in (dead["path"], *dead["staged"]):
        assert f"removed {path}" in output
        assert not os.path.exists(path)
    assert f"process {killed.process.pid}" in output
    assert f"process {live.process.pid}" not in output
    assert [tree["path"] for tree in trees(status(source))] == [its["path"]]
    assert [lock["process"] for lock in own_locks(status(source))] == [live.process.pid]

    meeting.let_go("live")
    output = live.finish()
    assert live.status == 0, output
    (wheel,) = (tmp_path / "live").iterdir()
    assert "p/__init__.py" in {name for name, *_ in harness.wheel_contents(wheel)}
    (left,) = trees(status(source))
    assert (left["state"], left["path"]) == ("at rest", its["path"])
    code, output = command("clean", str(source), "--kept")
    assert os.path.isdir(its["path"])


@pytest.mark.parametrize("setting", ["keep", "build-dir"])
def test_what_is_kept(setting, source, plugged, status, command, tmp_path):
    """It is shown, and goes when that is asked for."""
    stated = {"keep": "always", "build-dir": str(tmp_path / "kept")}
    variables = {PREFIX + setting.upper().replace("-", "_"): stated[setting]}
    plugged.build(source, tmp_path / "out", "wheel", variables)
    (tree,) = trees(status(source, **variables))
    assert (
        tree["state"]
        == {"keep": "kept", "build-dir": "kept for the next build"}[setting]
    )
    command("clean", str(source), **variables)
    assert os.path.isdir(tree["path"])
    code, output = command("clean", "--kept", str(source), **variables)
    assert code == 0, output
    assert f"removed {tree['path']}" in output
    assert not os.path.exists(tree["path"])


@pytest.mark.parametrize(
    "files",
    [
        {"setup.cfg": "[build]\nbuild_base = made\n"},
        {
            "pyproject.toml": '[tool.distutils.build]\nbuild-base = "made"\n'
            '[project]\nname = "n"\nversion = "1"\n'
        },
        {"pyproject.toml": '[tool.setuptools-isolated-build]\nbuild-root = "made"\n'},
    ],
)
def test_roots_that_the_project_names(files, project, plugged, status, tmp_path):
    """What a build of the project leaves there is found there."""
    source = project(
        {"setup.py": harness.MEETING_SETUP_PY, "p/__init__.py": "", **files}
    )
    plugged.build(source, tmp_path / "out", "wheel")
    (tree,) = trees(status(source))
    assert tree["path"].startswith(str(source / "made" / ""))
    assert tree["state"] == "at rest"


def test_what_cannot_be_proven_stays(
    source, plugged, status, command, tmpdir_of_builds
):
    """A tree without a lock is shown; what is not ours is not even looked at."""
    code = f"""
    from setuptools_isolated_build._trees import lease
    print(lease.private({str(tmpdir_of_builds)!r}, "a build").tree.directory, flush=True)
    import os
    os._exit(1)
    """
    done = subprocess.run(
        [plugged.python, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=harness.TIMEOUT,
    )
    foreign = tmpdir_of_builds / "tree-0a1b2c3d"
    foreign.mkdir(0o700)
    (tree,) = trees(status(source))
    assert (tree["path"], tree["state"]) == (done.stdout.strip(), "without a lock")
    command("clean", "--kept", str(source))
    assert os.path.isdir(tree["path"])
    assert foreign.is_dir()


def test_the_compiler_cache_is_asked(source, status, command, tmp_path):
    """Its counters are shown, and its absence is an error if it was asked for by name."""
    programs = tmp_path / "programs"
    programs.mkdir()
    ccache = programs / "ccache"
    ccache.write_text(
        "#!/bin/sh\n"
        "printf 'direct_cache_hit\\t3\\ncache_miss\\t4\\ncache_size_kibibyte\\t2000\\n'\n"
    )
    ccache.chmod(0o700)
    variables = {PREFIX + "COMPILER_CACHE": "ccache", "PATH": str(programs)}
    cache = status(source, **variables)["compiler_cache"]
    assert (cache["name"], cache["program"]) == ("ccache", str(ccache))
    assert cache["counters"]["cache_miss"] == 4
    _, text = command("status", str(source), **variables)
    assert "3 hits, 4 misses, 2.0 MB" in text
    ccache.unlink()
    code, output = command("status", str(source), **variables)
    assert code == 2
    assert output.startswith("error: compiler-cache: there is no ccache on PATH; ")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("name", ["status", "clean"])
def test_mistakes(name, command, source):
    """One line says what is wrong, and how it is mended."""
    for arguments, variables, said in [
        ([str(source / "setup.py")], {}, "not a directory"),
        ([str(source)], {PREFIX + "KEEP": "maybe"}, "is not one of"),
    ]:
        code, output = command(name, *arguments, **variables)
        assert code == 2
        assert said in output
        assert output.startswith("error: ")
        assert len(output.splitlines()) == 1


def test_the_page(command, source, status):
    """It has each state and each kind that there is, and all keys of the JSON."""
    page = (harness.REPOSITORY / "docs" / "reference" / "status.md").read_text("utf-8")
    states = [trees_.IN_USE, trees_.AT_REST, trees_.TO_LOOK_INTO, trees_.FOR_THE_NEXT]
    states += [trees_.LEFT, trees_.UNKNOWN]
    for words in (*states, *report._KINDS.values()):
        assert f"\n| {words} | " in page, words
    for key in (*status(source), *trees_.Tree._fields[:2], "is_of_path", "counters"):
        assert f"`{key}`" in page, key
    _, text = command("status", "--help")
    for option in re.findall(r"--\w+", text):
        assert option == "--help" or option in page, option
