"""What ``check`` is made of: editing, comparing, copying, advising."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import harness
import pytest
from _check import (
    archives,
    bench,
    copies,
    environments,
    errors,
    frontends,
    options,
    place,
    reference,
    results,
    setups,
    table,
)
from _check.outcome import Result
from _check.project import read
from _check.side import Side
from _check.tell import Lines
from rich.console import Console

pytestmark = pytest.mark.any_setuptools


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"a": "text"}, "b/: missing"),
        ({"a": "te", "b/": ""}, "a: cut off (2 of 4 bytes)"),
        ({"a": "", "b/": ""}, "a: empty"),
        ({"a": "next", "b/": ""}, "a: other contents (4 bytes, not 4)"),
        ({"a": "text", "b/": "", "c": ""}, "c: should not be there"),
        ({"b/": "", "a": "text"}, "made.whl: other order of members"),
    ],
)
def test_differences(tmp_path, made, said):
    """A difference is named as a person would."""
    paths = tmp_path / "expected.whl", tmp_path / "made.whl"
    for path, members in zip(paths, ({"a": "text", "b/": ""}, made)):
        with ZipFile(path, "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
    found = [str(item) for item in archives.differences(*paths)]
    assert said in found
    assert archives.differences(paths[0], paths[0]) == []


@pytest.mark.parametrize(("text", "said"), [("other", []), ("", ["a: empty"])])
def test_a_member_that_varies(tmp_path, text, said):
    """Its contents are another one each time, but never nothing."""
    paths = tmp_path / "expected.whl", tmp_path / "made.whl"
    for path, contents in zip(paths, ("text", text)):
        with ZipFile(path, "w") as archive:
            archive.writestr("a", contents)
    found = archives.differences(*paths, frozenset({"a"}))
    assert [str(item) for item in found] == said


def test_an_unreadable_archive(tmp_path):
    expected, made = tmp_path / "e.whl", tmp_path / "m.whl"
    with ZipFile(expected, "w") as archive:
        archive.writestr("a", "text")
    made.write_bytes(expected.read_bytes()[:20])
    (found,) = archives.differences(expected, made)
    assert found.member == "m.whl"
    assert "cannot be read" in found.what


def test_what_is_left_in_the_tree(tmp_path):
    """Builds that end well and leave something are not right."""
    way = frontends.Way("hooks", "wheel")
    build = results.Build(way, "python", 1, tmp_path, tmp_path, verdict=results.OK)
    assert results.Half("with", [build]).is_right
    half = results.Half("with", [build], {"build/lib/m.py"})
    assert not half.is_right
    assert half.headline == "left in the tree: build/lib/m.py"


def test_what_python_caches_where_it_caches_without_the_plugin():
    """Of setuptools' own tree the plugin imports one module more."""
    found = reference.Reference(None, None)
    found.written = {"p/__pycache__", "p/__pycache__/a.pyc", "version.txt"}
    assert found.left({"p/__pycache__/b.pyc", "version.txt"}) == set()
    new = {"q/__pycache__", "q/__pycache__/a.pyc", "p/b.pyc"}
    assert found.left(new) == new


def test_a_few_of_many_names(project):
    """pyerfa's setup.py writes hundreds of files."""
    halves = results.Half("without"), results.Half("with")
    found = Result(read(str(project({"setup.py": ""}))), *halves)
    found.written = ["a", "b", "c"]
    assert table.findings(found) == ["written into the tree by builds: a, b, c"]
    found.written += ["d", "e"]
    (said,) = table.findings(found)
    assert said == "written into the tree by builds: a, b, c and 2 more"


def test_the_most_frequent_error_of_each_cell(project, tmp_path):
    found = read(str(project({"setup.py": ""})))
    half = results.Half("without")
    for frontend, error in (
        ("hooks", "a"),
        ("hooks", "b"),
        ("hooks", "b"),
        ("uv", "c"),
    ):
        way = frontends.Way(frontend, "wheel")
        build = results.Build(way, "python", 1, tmp_path, tmp_path, error=error)
        build.verdict = results.FAILED
        half.builds.append(build)
    said = table.findings(Result(found, half, results.Half("with")))
    times = "\N{MULTIPLICATION SIGN}"
    assert said == [
        f"without, hooks wheel: 2 {times} b",
        f"without, uv wheel: 1 {times} c",
    ]


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "x\nerror: [Errno 2] No such file\nERROR: Failed building wheel\n",
            "error: [Errno 2] No such file",
        ),
        (
            "a.c:1: fatal error: no.h\nerror: command 'gcc' failed with exit code 1",
            "fatal error: no.h",
        ),
        (
            "error: command 'gcc' failed: No such file",
            "error: command 'gcc' failed: No such file",
        ),
        ("  │ OSError: full\n  ╰─▶ x", "OSError: full"),
        ("", "(no output)"),
    ],
)
def test_cause(output, line):
    """The backend's own last word is found among those of frontends."""
    assert errors.cause(output) == line


def test_an_extra_that_is_there(project, tmp_path, monkeypatch):
    """It is installed with the plugin, and its cache is one of the check's own."""
    requires = '["setuptools", "setuptools_isolated_build[ccache]>=0.1"]'
    text = f"[build-system]\nrequires = {requires}\n"
    found = read(str(project({"setup.py": "", "pyproject.toml": text})))
    asked, python = [], Path(sys.executable)

    def copy(python, path, requirements, run):
        asked.append(requirements)
        return python

    monkeypatch.setattr(setups, "make_wheel", lambda *_: "p.whl")
    monkeypatch.setattr(setups.environments, "create", lambda *_: python)
    monkeypatch.setattr(setups.environments, "copy", copy)
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    with place.open_place(is_kept=False, say=print) as here:
        asks = setups.Setups(options.parse(parser.parse_args([])), here)
        monkeypatch.setattr(asks, "_hooks_requires", lambda *_: [])
        plain, plugged = asks.sides(found, tmp_path, Lines(Console()))
    assert asked == [["p.whl"], ["p.whl[ccache]"]]
    assert plain.variables == {}
    assert here.path in Path(plugged.variables["CCACHE_DIR"]).parents


REPLACE = """
import os, sys
target, replaced = sys.argv[1:]
for number in range(100_000):
    with open(replaced, "w") as file:
        file.write(str(number))
    os.replace(replaced, target)
    if not number:
        print("replaced", flush=True)
"""


def test_taken_while_it_is_replaced(tmp_path):
    """What builds put in place one after the other is there at every moment."""
    archive, taken = tmp_path / "n.whl", tmp_path / "taken"
    taken.mkdir()
    command = [sys.executable, "-c", REPLACE, archive, tmp_path / "next"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as replacing:
        assert replacing.stdout is not None
        try:
            assert replacing.stdout.readline() == b"replaced\n"
            for _ in range(500):
                archives.taken(archive, taken).unlink()
        finally:
            replacing.kill()


def test_a_product_that_a_listing_lacks(tmp_path, monkeypatch):
    """As where it is replaced while the directory is read."""
    (tmp_path / "n.whl").touch()
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(()))
    way = frontends.Way("build", "wheel")
    assert bench._product(tmp_path, way, "n.whl") == tmp_path / "n.whl"
    assert bench._product(tmp_path, way, "other.whl") is None


PREFIX = """
import sys
with open("prefix.txt", "w") as file:
    file.write(sys.prefix)
from setuptools import setup
setup(name="n", version="1")
"""


def test_environments_at_one_path(project, tmp_path):
    """Of headers in them, numpy's, debug information names the path."""
    source = project({"setup.py": PREFIX})
    sees_setuptools = {"PYTHONPATH": sysconfig.get_path("purelib")}
    said = []
    with place.open_place(is_kept=False, say=print) as here:
        made = bench.Bench(here, here.path / "source", 60, [])
        for name in ("without", "with"):
            venv.create(here.path / name, symlinks=os.name == "posix")
            python = {"python": environments.python_in(here.path / name)}
            backend = (harness.SETUPTOOLS, [])
            one = Side(
                name, python, source, *backend, sees_setuptools, is_plugged=False
            )
            assert made.written_by_setup(one) == {"prefix.txt"}
            said.append((made.source / "prefix.txt").read_text())
            assert python["python"].exists()
    assert said[0] == said[1] != sys.prefix


def git(directory, *command):
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    return subprocess.run(
        ["git", *identity, *command],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_copy_with_history(project, tmp_path):
    """git says in the copy what it says in the project; what builds left is not there."""
    source = project({"p/a.py": "a = 1\n", "build/lib/a.py": "", "n.egg-info/x": ""})
    (source / "build").rename(source / "kept")
    git(source, "init", "-q")
    git(source, "add", "p")
    git(source, "commit", "-qm", "a commit")
    git(source, "tag", "v1")
    (source / "kept").rename(source / "build")
    before = harness.listing(source)
    copy = copies.copy_project(source, tmp_path / "copy")
    assert sorted(path.name for path in copy.iterdir()) == [".git", "p"]
    assert git(copy, "describe", "--tags", "--dirty") == "v1\n"
    assert git(copy, "ls-files") == "p/a.py\n"
    assert git(copy, "status", "--porcelain") == ""
    assert harness.listing(source) == before


def test_copy_of_a_worktree(project, tmp_path):
    source = project({"a.py": "a = 1\n"})
    git(source, "init", "-q")
    git(source, "add", "a.py")
    git(source, "commit", "-qm", "a commit")
    git(source, "worktree", "add", "-q", "-b", "other", tmp_path / "tree")
    copy = copies.copy_project(tmp_path / "tree", tmp_path / "copy")
    assert git(copy, "rev-parse", "--abbrev-ref", "HEAD") == "other\n"
    assert git(copy, "status", "--porcelain") == ""


def test_a_build_of_the_project_is_copied(project, tmp_path):
    """A directory called build may be a package."""
    source = project({"build/__init__.py": "", "dist/notes.txt": ""})
    copy = copies.copy_project(source, tmp_path / "copy")
    assert sorted(path.name for path in copy.iterdir()) == ["build", "dist"]


def test_no_build_imports_it(plugged, project, tmp_path):
    """The plugin is no slower for it."""
    source = project({"setup.py": "from setuptools import setup\nsetup(name='n')\n"})
    build = f"build_meta.build_wheel({str(tmp_path)!r})"
    code = (
        f"import sys; from setuptools import build_meta; {build}; print(*sys.modules)"
    )
    loaded = harness.run_python(plugged, code, source).split()
    assert "setuptools_isolated_build._plugin" in loaded
    ours = ("setuptools_isolated_build._check", "setuptools_isolated_build._cli")
    assert not [name for name in loaded if name.startswith((*ours, "rich", "tomlkit"))]


def test_no_braces_in_the_code_of_hooks():
    """A traceback on Python 3.13 shows it, and setuptools formats that text."""
    assert not set("{}") & set(frontends.hook_code([""]))
