"""`keep`: a tree stays where the output says that it is, few of them, and one knows how."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import harness
import pytest

PREFIX = "SETUPTOOLS_ISOLATED_BUILD_"
HOW = f"{PREFIX}KEEP=on-failure"
MOST = 10
SETUP_PY = textwrap.dedent(
    """
    import os
    from setuptools import setup
    from setuptools.command.build_py import build_py

    class telling(build_py):
        def run(self):
            super().run()
            print("built into:", os.path.abspath(self.build_lib))
            with open(os.path.join(self.build_lib, "number"), "w") as file:
                file.write(os.environ.get("NUMBER", ""))
            if "WHO" in os.environ:
                meet(os.environ["WHO"])
            if "FAILS" in os.environ:
                raise RuntimeError("this build fails")

    setup(name="n", version="1", packages=["p"], cmdclass={"build_py": telling})
    """
)


@pytest.fixture
def source(project):
    return project({"setup.py": SETUP_PY, "p/__init__.py": "x = 1\n"})


@pytest.fixture(autouse=True)
def kept_trees_go(tmpdir_of_builds):
    """Nothing else removes them, and nothing may be left there."""
    yield
    for path in tmpdir_of_builds.iterdir():
        shutil.rmtree(path)


def said(output: str, what: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(what)]
    return line[len(what) :]


def build(plugged, source, frontend, out, variables):
    run = plugged.start(plugged.command(frontend, source, out), source, variables)
    output = run.finish()
    assert (run.status != 0) == ("FAILS" in variables), output
    return output


@pytest.mark.parametrize("frontend", ["wheel", "setup.py"])
@pytest.mark.parametrize(
    ("keep", "fails"), [("on-failure", True), ("always", True), ("always", False)]
)
def test_it_stays_where_it_was(frontend, keep, fails, source, plugged, tmp_path):
    """All paths in the output lead to what they are about, also after other builds."""
    variables = {PREFIX + "KEEP": keep, **({"FAILS": "1"} if fails else {})}
    output = build(plugged, source, frontend, tmp_path / "out", variables)
    tree = Path(said(output, "isolated build: "))
    assert Path(said(output, "the build tree is kept: ")) == tree
    build_lib = Path(said(output, "built into: "))
    assert tree in build_lib.parents
    assert HOW not in output
    for _ in range(2):
        assert (build_lib / "p" / "__init__.py").read_text() == "x = 1\n"
        other = build(plugged, source, frontend, tmp_path / "other", {})
        assert Path(said(other, "isolated build: ")) != tree


def test_a_hook_that_fails_after_its_command(source, plugged, tmp_path):
    """That is a failure too: the archive is there, and is not what the hook expects."""
    with (source / "setup.py").open("a") as file:
        file.write("\nif 'FAILS_LATER' in os.environ:\n    raise RuntimeError\n")
    variables = {PREFIX + "KEEP": "on-failure", "FAILS_LATER": "1"}
    command = plugged.command("wheel", source, tmp_path / "out")
    run = plugged.start(command, source, variables)
    output = run.finish()
    assert run.status != 0
    tree = Path(said(output, "isolated build: "))
    assert Path(said(output, "the build tree is kept: ")) == tree
    assert Path(said(output, "built into: "), "p", "__init__.py").exists()
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("frontend", ["wheel", "sdist", "metadata", "setup.py"])
def test_it_is_said_how(frontend, project, plugged, tmp_path):
    """To whoever has a failed build before him, and to nobody else."""
    failing = SETUP_PY.replace("build_py", "egg_info").replace(
        "self.build_lib", "self.egg_info"
    )
    source = project({"setup.py": failing, "p/__init__.py": ""})
    (tmp_path / "out").mkdir()
    output = build(plugged, source, frontend, tmp_path / "out", {"FAILS": "1"})
    (line,) = [line for line in output.splitlines() if HOW in line]
    assert line.index(HOW) >= 0
    assert "the build tree is kept" not in output
    output = build(plugged, source, frontend, tmp_path / "out", {})
    assert HOW not in output


def test_it_is_not_said_of_what_was_never_isolated(source, plugged, tmp_path):
    """Where the plugin is switched off there is no tree to keep."""
    variables = {"FAILS": "1", PREFIX + "ENABLED": "0"}
    output = build(plugged, source, "wheel", tmp_path / "out", variables)
    assert HOW not in output


MANY = """
import os, sys
from setuptools import build_meta
out = sys.argv[1]
del sys.argv[1:]
for number in range({builds}):
    os.environ["NUMBER"] = str(number)
    try:
        build_meta.build_wheel(out)
    except BaseException as exc:
        assert "this build fails" in str(exc), exc
"""


@pytest.mark.parametrize(
    ("keep", "fails"), [("on-failure", True), ("always", False)], ids=["failed", "well"]
)
def test_no_more_than_ten(keep, fails, source, plugged, tmp_path, tmpdir_of_builds):
    """The last ones stay, and each of them whole."""
    variables = {PREFIX + "KEEP": keep, **({"FAILS": "1"} if fails else {})}
    builds = MOST + 4
    code = MANY.format(builds=builds)
    argv = [str(plugged.python), "-c", code, str(tmp_path / "out")]
    run = plugged.start(argv, source, variables)
    output = run.finish()
    assert run.status == 0, output
    variables["NUMBER"] = str(builds)
    output = build(plugged, source, "wheel", tmp_path / "out", variables)
    kept = {path.read_text(): path for path in tmpdir_of_builds.rglob("number")}
    kept = {number: path for number, path in kept.items() if "bdist" not in str(path)}
    assert str(builds) in kept
    assert len(kept) <= MOST
    assert set(kept) == {str(n) for n in range(builds + 1 - len(kept), builds + 1)}
    for path in kept.values():
        assert (path.parent / "p" / "__init__.py").is_file()
    # What is left of the pruned ones is nothing.
    trees = {path.parent.parent.parent for path in kept.values()}
    for path in trees:
        assert path.is_dir()
    output = build(plugged, source, "wheel", tmp_path / "out", {})
    assert len({path.read_text() for path in tmpdir_of_builds.rglob("number")}) <= MOST


def test_a_kept_tree_in_use_is_not_removed(project, plugged, start, meeting, tmp_path):
    """A build that is running does not count, and is not pruned by those that fail."""
    source = project({"setup.py": harness.Meeting.CODE + SETUP_PY, "p/__init__.py": ""})
    run = start(plugged, source, "wheel", "waits", {PREFIX + "KEEP": "always"})
    assert meeting.arrival() == "waits"
    code = MANY.format(builds=MOST + 2)
    argv = [str(plugged.python), "-c", code, str(tmp_path / "out")]
    variables = {PREFIX + "KEEP": "on-failure", "FAILS": "1"}
    failing = plugged.start(argv, source, variables)
    with harness.many([failing]):
        output = failing.finish()
        assert failing.status == 0, output
    meeting.let_go("waits")
    output = run.finish()
    assert run.status == 0, output
    assert list((tmp_path / "waits").glob("*.whl"))
    assert Path(said(output, "the build tree is kept: ")).is_dir()
