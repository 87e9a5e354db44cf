"""One build of one distribution, and distributions that are used more than once."""

from __future__ import annotations

import harness

FILES = {
    "setup.py": "from setuptools import setup; setup(name='n', version='1', packages=['p'])\n",
    "p/__init__.py": "x = 1\n",
    "p/data.txt": "data\n",
    "MANIFEST.in": "include p/data.txt\n",
}
COPIES = """
import copy
from setuptools import setup
from setuptools.command.build_py import build_py

class copying_build_py(build_py):
    def run(self):
        super().run()
        dist = self.distribution
        if not dist.have_run.get("copying"):
            dist.have_run["copying"] = True
            other = copy.deepcopy(dist)
            other.get_command_obj("bdist_wheel").dist_dir = OTHER
            other.run_command("bdist_wheel")
            with open(self.build_lib + "/p/late.py", "w") as file:
                file.write("late = 1")

setup(name="n", version="1", packages=["p"], cmdclass={"build_py": copying_build_py})
"""


def names(wheel):
    return {name for name, *_ in harness.wheel_contents(wheel)}


def test_a_copy_of_a_distribution(project, plugged, tmp_path):
    """It builds in a tree of its own, with what has been built so far."""
    other = tmp_path / "other"
    source = project({**FILES, "setup.py": COPIES.replace("OTHER", repr(str(other)))})
    wheel = plugged.build(source, tmp_path / "out", "setup.py")
    (copied,) = other.glob("*.whl")
    assert names(wheel) - names(copied) == {"p/late.py"}
    assert "p/__init__.py" in names(copied)


def test_a_distribution_that_builds_twice(project, plugged, tmp_path):
    """What the first run has made is gone, so the second one makes it again."""
    source = project(FILES)
    harness.run_python(
        plugged,
        """
import setuptools, warnings
warnings.simplefilter("ignore")
from distutils.core import run_setup
dist = run_setup("setup.py", stop_after="init")
for out in ("one", "other"):
    dist.script_args = ["-q", "bdist_wheel", "--dist-dir", "../" + out]
    dist.parse_command_line()
    dist.get_command_obj("bdist_wheel").dist_dir = "../" + out
    dist.have_run.pop("bdist_wheel", None)
    dist.run_commands()
""",
        source,
    )
    (one,), (other,) = ((tmp_path / out).glob("*.whl") for out in ("one", "other"))
    assert harness.wheel_contents(one) == harness.wheel_contents(other)
    assert "p/__init__.py" in names(one)


def test_commands_without_a_command_line(project, plain, plugged, tmp_path):
    """A script that runs commands itself: the wheel has what ``build`` has built."""
    code = """
import setuptools, warnings
warnings.simplefilter("ignore")
from distutils.core import run_setup
dist = run_setup("setup.py", stop_after="init")
for command in ("build", "bdist_wheel", "sdist", "egg_info"):
    dist.run_command(command)
"""
    archives = []
    for environment in (plain, plugged):
        source = project(FILES)
        harness.run_python(environment, code, source)
        made = sorted((source / "dist").iterdir())
        archives.append({path.name: harness.archive_contents(path) for path in made})
        source.rename(tmp_path / f"built {len(archives)}")
    assert archives[0] == archives[1]
    assert len(archives[0]) == 2


def test_a_copy_when_the_build_is_over(project, plugged, tmp_path):
    """The paths in its commands are nobody's any more."""
    source = project(FILES)
    harness.run_python(
        plugged,
        """
import copy, setuptools, warnings
warnings.simplefilter("ignore")
from distutils.core import run_setup
dist = run_setup("setup.py", stop_after="init")
dist.script_args = ["-q", "bdist_wheel", "--dist-dir", "../one"]
dist.parse_command_line()
dist.run_commands()
dist = copy.deepcopy(dist)
dist.get_command_obj("bdist_wheel").dist_dir = "../other"
del dist.have_run["bdist_wheel"]
dist.run_commands()
""",
        source,
    )
    (one,), (other,) = ((tmp_path / out).glob("*.whl") for out in ("one", "other"))
    assert harness.wheel_contents(one) == harness.wheel_contents(other)
