"""Where gcc says that it looks, and when it says something else."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from setuptools_isolated_build._compilation import searches

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc"),
]


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Run gcc in an empty directory; return what it says."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "with space"):
        os.mkdir(name)
    (tmp_path / "file").write_text("")
    (tmp_path / "x.c").write_text("")

    def run(*flags, source="x.c"):
        done = subprocess.run(
            ["gcc", "-E", "-v", *flags, source],
            env={**os.environ, "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stderr

    return run


def test_directories(said):
    """Also those that are missing, or there twice."""
    flags = ("-Ib", "-I", "with space", "-Imissing", "-Ia", "-isystem", "a", "-Ib")
    found = searches.stated(said(*flags))
    assert found.is_usual
    assert {"a", "b", "with space", "missing"} < {*found.directories}
    assert any(path.endswith("/usr/include") for path in found.directories)


def test_warnings_between(said):
    """Of a flag for another language, of a directory."""
    flags = ("-Wstrict-prototypes", "-Imissing", "-Wmissing-include-dirs", "-xc++")
    output = said(*flags)
    assert output.count("cc1plus: warning: ") == 2
    assert "missing" in searches.stated(output).directories


def test_what_may_become_a_directory(said):
    """It is not among those that gcc ignores."""
    output = said("-Ifile")
    assert "file: not a directory" in output
    assert searches.stated(output) is None


def test_directories_for_quoted_names_only(said):
    assert not searches.stated(said("-iquote", "a")).is_usual
    assert searches.stated(said("-iquote", "missing")).is_usual


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Using built-in specs.", "Reading specs from /x/specs", False),
        ("gcc version ", "gcc version 1", False),
        ("gcc version 1", "gcc version 9.1", False),
        ("ignoring nonexistent directory", "ignoriere Verzeichnis", None),
        ("#include <...> search starts here:", "Suche beginnt hier:", None),
        ("End of search list.", "Ende.", None),
        ("/cc1 ", "/other ", None),
    ],
)
def test_what_is_not_understood(old, new, expected, said):
    """Another language, release or program; None, or it is not the usual one."""
    output = said("-Imissing")
    assert output.count(old) >= 1
    found = searches.stated(output.replace(old, new))
    assert (found and found.is_usual) is expected
