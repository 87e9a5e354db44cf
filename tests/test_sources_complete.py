"""What an sdist holds does not depend on where build trees stand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import harness
import pytest

FILES = {
    "setup.py": """
        from setuptools import setup
        setup(name="n", version="1", packages=["p"], entry_points={"n": ["e = p:e"]})
        """,
    "MANIFEST.in": "graft data\n",
    "p/__init__.py": "",
    "data/table.txt": "1 2 3\n",
    "data/deep/table.txt": "4 5 6\n",
}


@pytest.fixture
def same_sdists(plain, plugged, tmp_path):
    """Compare the sdists of the hook and of setup.py with setuptools' own."""

    def check(
        source: Path, variables: dict[str, str] | None = None, rounds: int = 2
    ) -> None:
        pristine = harness.copy(source, tmp_path / "oracle" / source.name)
        status, output = plain.hook(pristine, "build_sdist", str(tmp_path / "expected"))
        assert status == 0, output
        (expected,) = (tmp_path / "expected").glob("*.tar.gz")
        for number in range(rounds):  # what the first has left does not get into it
            by_hook, by_hand = (tmp_path / f"{n}{number}" for n in ("hook", "hand"))
            calls = (
                plugged.hook(source, "build_sdist", str(by_hook), variables=variables),
                plugged.setup_py(
                    source, "sdist", f"--dist-dir={by_hand}", variables=variables
                ),
            )
            for out, (status, output) in zip((by_hook, by_hand), calls):
                assert status == 0, output
                (sdist,) = out.glob("*.tar.gz")
                found = harness.archive_contents(sdist)
                # First by name: it is a file that is missing.
                assert [x[0] for x in found] == [
                    x[0] for x in harness.archive_contents(expected)
                ]
                assert found == harness.archive_contents(expected)

    return check


UNDECODABLE = pytest.param(
    os.fsdecode(b"not \xff text"),
    id="undecodable",
    marks=pytest.mark.skipif(
        os.name == "nt" or sys.platform == "darwin", reason="has names of text only"
    ),
)


@pytest.mark.parametrize("name", [".git", ".svn", "CVS", "_darcs", UNDECODABLE])
def test_root_below(name, project, same_sdists, tmp_path):
    """setuptools leaves out what lies below these, and the private egg-info does."""
    temporary = tmp_path / "temporary" / name / "tmp"
    temporary.mkdir(parents=True)
    same_sdists(project(FILES), {"TMPDIR": str(temporary)}, rounds=1)


@pytest.mark.parametrize(
    ("name", "setting"), [(".git/builds", "build-root"), (".svn", "build-dir")]
)
def test_root_below_in_the_tree(name, setting, project, same_sdists):
    """The same where a setting names it, inside the source tree."""
    table = f"[tool.setuptools-isolated-build]\n{setting} = '{name}'\n"
    same_sdists(project({**FILES, "pyproject.toml": table}))


@pytest.mark.parametrize(
    ("name", "setting"),
    [("data", "build-root"), ("data", "build-dir"), ("data/deep", "build-root")]
    + [(".", "build-root")],
)
def test_root_beside_sources(name, setting, project, same_sdists):
    """Only what is ours there is left out of the list, not what else is in it."""
    table = f"[tool.setuptools-isolated-build]\n{setting} = '{name}'\n"
    same_sdists(project({**FILES, "pyproject.toml": table}))


def test_temporary_directory_beside_sources(project, same_sdists):
    """TMPDIR itself, which is what a tool may set for a single project."""
    source = project(FILES)
    same_sdists(source, {"TMPDIR": str(source / "data")})


def test_root_beside_packages(project, plain, plugged, tmp_path):
    """Packages are found as without us, and the wheel is the same."""
    table = "[tool.setuptools-isolated-build]\nbuild-root = 'p'\n"
    source = project(
        {
            **FILES,
            "setup.py": "from setuptools import setup, find_namespace_packages as find\n"
            "setup(name='n', version='1', packages=find(include=['p*']),\n"
            "      package_data={'': ['*']})\n",
            "pyproject.toml": table,
            "p/q/data.txt": "",
        }
    )
    expected = harness.oracle(plain, source, tmp_path / "expected")
    for number in range(2):
        wheel = plugged.build(source, tmp_path / f"out{number}")
        assert harness.wheel_contents(wheel) == harness.wheel_contents(expected)
