"""The source tree builds itself, by the entry points that the installed plugin has."""

from __future__ import annotations

import configparser
import shutil
import tarfile
from importlib import metadata

import harness
import pytest

pytestmark = pytest.mark.any_setuptools
NEEDED = 77  # in pyproject.toml, for the licence expression
BOOTSTRAP = harness.REPOSITORY / "bootstrap.egg-info"
# Twice: by its name installed, and by the tree's own.
TWICE = """
import sys
from importlib import metadata
group = "setuptools.finalize_distribution_options"
found = metadata.entry_points()
found = found.select(group=group) if hasattr(found, "select") else found[group]
found = [entry for entry in found if "isolated" in entry.name]
from setuptools import Distribution
wrapped = Distribution().run_commands
print(len(found), hasattr(wrapped.args[1], "func"))
"""


def test_the_same_entry_points():
    """Those in the tree, and those of the wheel."""
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read(BOOTSTRAP / "entry_points.txt", encoding="utf-8")
    in_tree = {
        (group, *entry) for group in parser.sections() for entry in parser.items(group)
    }
    installed = {
        (entry.group, entry.name, entry.value)
        for entry in metadata.distribution("setuptools-isolated-build").entry_points
        if entry.group.startswith(("setuptools.", "distutils."))
    }
    assert in_tree == installed


def test_it_is_activated_once(plugged, tmp_path):
    """Where it is installed beside the tree that is built, too."""
    shutil.copytree(BOOTSTRAP, tmp_path / BOOTSTRAP.name)
    run = plugged.start(
        [str(plugged.python), "-c", TWICE], tmp_path, {"PYTHONPATH": str(tmp_path)}
    )
    output = run.finish()
    assert run.status == 0, output
    count, is_twice = output.split()
    assert int(count) >= 2  # importlib_metadata, on Python 3.9, finds one twice
    assert is_twice == "False"


@pytest.fixture
def tree(plain, tmp_path):
    """A copy of what is built, without the tree's own egg-info."""
    code = "import setuptools; print(setuptools.__version__.partition('.')[0])"
    if int(harness.run_python(plain, code, tmp_path)) < NEEDED:
        pytest.skip(f"the tree requires setuptools {NEEDED} to be built")
    source = tmp_path / "source"
    source.mkdir()
    package = "setuptools_isolated_build"
    harness.copy(harness.REPOSITORY / package, source / package)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(harness.REPOSITORY / name, source)
    return source


def build_by_itself(plugged, tree, kind, out):
    """Build with the entry points in the tree; return the archive."""
    shutil.copytree(BOOTSTRAP, tree / BOOTSTRAP.name)
    command = [str(plugged.python), "-m", "build", f"--{kind}", "--no-isolation"]
    run = plugged.start([*command, "--outdir", str(out), str(tree)], tree)
    output = run.finish()
    assert run.status == 0, output
    assert "isolated build: " in output
    (archive,) = out.iterdir()
    return archive


def test_the_wheel_is_setuptools_own(plain, plugged, tree, tmp_path):
    """By the in-tree backend of its own, isolated; byte for byte."""
    # Without the entry points, which it would find as well.
    expected = harness.oracle(plain, tree, tmp_path / "expected")
    wheel = build_by_itself(plugged, tree, "wheel", tmp_path / "out")
    assert wheel.name == expected.name
    assert wheel.read_bytes() == expected.read_bytes()


def test_the_sdist_builds_itself_too(plugged, tree, tmp_path):
    """It has the tree's own egg-info, which is none that a build has made."""
    sdist = build_by_itself(plugged, tree, "sdist", tmp_path / "out")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {f"{BOOTSTRAP.name}/{path.name}" for path in BOOTSTRAP.iterdir()}
    assert expected
    assert expected <= names
