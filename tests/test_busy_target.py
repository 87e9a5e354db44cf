"""A target that somebody has open for a moment (Windows) is replaced a moment later."""

from __future__ import annotations

import harness
import pytest
import remains

pytestmark = pytest.mark.any_setuptools

# What Windows does while a reader or a virus scanner has the old archive open.
BUSY = """
import os
replace, refusals, name_of_os = os.replace, {}, os.name

def busy_replace(source, target, **kwargs):
    name = os.path.basename(os.fspath(target))
    if name.startswith("n-1") and refusals.setdefault(name, 0) < int(os.environ["TIMES"]):
        refusals[name] += 1
        exc = PermissionError(13, "Permission denied", source, None, target)
        if "WINDOWS" in os.environ:
            os.name = "nt"  # for whoever looks whether it is worth another attempt
        raise exc
    os.name = name_of_os
    return replace(source, target, **kwargs)

os.replace = busy_replace
"""
FILES = {
    "setup.py": "from setuptools import setup; setup(name='n', version='1', packages=['p'])\n",
    "p/__init__.py": "",
}


@pytest.fixture
def busy(tmp_path):
    return remains.hooked(tmp_path / "hooked", BUSY)


@pytest.mark.parametrize("by", ["hook", "hand"])
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_busy_twice(by, kind, busy, project, plugged, tmp_path):
    """The third time it works, and nothing is said of it."""
    source, out = project(FILES), tmp_path / "out"
    variables = {**busy, "TIMES": "2", "WINDOWS": "1"}
    if by == "hook":
        status, output = plugged.hook(
            source, f"build_{kind}", str(out), variables=variables
        )
    else:
        command = {"wheel": "bdist_wheel", "sdist": "sdist"}[kind]
        status, output = plugged.setup_py(
            source, command, f"--dist-dir={out}", variables=variables
        )
    assert status == 0, output
    (archive,) = out.iterdir()
    assert harness.archive_contents(archive)


def test_busy_for_ever(busy, project, plugged, tmp_path):
    """It ends, with one line, and the old archive is still there."""
    source, out = project(FILES), tmp_path / "out"
    plugged.build(source, out)
    (archive,) = out.iterdir()
    before = harness.digest(archive)
    variables = {**busy, "TIMES": "1000000"}
    status, output = plugged.hook(source, "build_wheel", str(out), variables=variables)
    assert status == 1, output
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert str(archive) in line
    assert [path.name for path in out.iterdir()] == [archive.name]
    assert harness.digest(archive) == before
