"""One `build-dir` for several projects: each finds what it has made itself."""

from __future__ import annotations

import shutil

import harness
import pytest

pytestmark = pytest.mark.any_setuptools

# As make does it: core.o is made when it is missing, and looks newer than its source.
SETUP_PY = """
    import os, shutil
    from setuptools import setup
    from setuptools.command.build_py import build_py

    class making(build_py):
        def run(self):
            super().run()
            build_temp = self.get_finalized_command("build").build_temp
            os.makedirs(build_temp, exist_ok=True)
            core = os.path.join(build_temp, "core.o")
            print("found:", os.path.exists(core))
            if not os.path.exists(core):
                shutil.copy("core.txt", core)
            shutil.copy(core, os.path.join(self.build_lib, "p", "core.bin"))

    setup(name="n", version="1", packages=["p"], cmdclass={"build_py": making})
    """


@pytest.fixture(params=["environment", "project"])
def build(request, plugged, tmp_path):
    """Build a wheel; return its core and whether it was made by an earlier build."""
    numbers = iter(range(100))
    variables = {}
    if request.param == "environment":
        variables["SETUPTOOLS_ISOLATED_BUILD_BUILD_DIR"] = str(tmp_path / ".build")

    def run(source, frontend="hook"):
        out = tmp_path / f"out-{next(numbers)}"
        if request.param == "project":
            setting = "[tool.setuptools-isolated-build]\nbuild-dir = '../.build'\n"
            (source / "pyproject.toml").write_text(setting)
        command = plugged.command(frontend, source, out)
        started = plugged.start(command, source, variables)
        output = started.finish()
        assert started.status == 0, output
        core = harness.member(out, "p/core.bin")
        return core.decode(), "found: True" in output

    return run


@pytest.fixture
def checkout(project):
    def make(name):
        files = {"setup.py": SETUP_PY, "p/__init__.py": "", "core.txt": f"of {name}"}
        return project(files, at=name)

    return make


@pytest.mark.parametrize("frontend", ["hook", "setup.py"])
def test_two_projects(frontend, build, checkout):
    """Of one name, in two directories; each one's second build is warm."""
    one, other = checkout("one"), checkout("other")
    assert build(one, frontend) == ("of one", False)
    assert build(other, frontend) == ("of other", False)
    assert build(one, frontend) == ("of one", True)
    assert build(other, frontend) == ("of other", True)


def test_another_project_in_the_same_place(build, checkout, tmp_path):
    """The directory is removed, and another project is there, by another name."""
    source = checkout("one")
    assert build(source) == ("of one", False)
    shutil.rmtree(source)
    source = checkout("one")
    setup_py = source / "setup.py"
    setup_py.write_text(setup_py.read_text().replace('name="n"', 'name="other"'))
    (source / "core.txt").write_text("of other")
    assert build(source) == ("of other", False)


@pytest.mark.parametrize("spelling", ["link", "dots"])
def test_one_project_by_two_paths(spelling, build, checkout, tmp_path):
    """A path is resolved before it says whose tree it is."""
    source = checkout("one")
    if spelling == "link":
        (tmp_path / "link").symlink_to(source, target_is_directory=True)
        other = tmp_path / "link"
    else:
        other = tmp_path / "elsewhere" / ".." / "one"
        (tmp_path / "elsewhere").mkdir()
    assert build(source) == ("of one", False)
    assert build(other) == ("of one", True)
