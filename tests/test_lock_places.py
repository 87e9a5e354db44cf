"""Locks about a source tree are found by all its builds, wherever their trees stand."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import harness
import pytest

pytestmark = pytest.mark.any_setuptools

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="needs another user, and only root can be one",
)
MEETING = harness.Meeting.CODE
# The one who has a turn, and the one who brings a link tree up to date, meets the test
# meanwhile.
TAKES_TURNS = (
    MEETING
    + """
import os
from setuptools import setup
from setuptools.command.build_py import build_py
class meeting_build_py(build_py):
    def run(self):
        super().run()
        if os.environ.get("WHO") == "first":
            meet("first")
setup(name="n", version="1", packages=["p"], cmdclass={"build_py": meeting_build_py})
"""
)
HAS_A_LINK_TREE = (
    MEETING
    + """
import os
for name in ("replace", "unlink"):
    def met(*args, call=getattr(os, name), **kwargs):
        if os.path.join("build", "__editable__.") in str(args[-1]) and "MEETS" in os.environ:
            del os.environ["MEETS"]
            meet(os.environ["WHO"])
        return call(*args, **kwargs)
    setattr(os, name, met)
from setuptools import setup
setup(name="n", version="1", packages=["p"])
"""
)
SETTING = "[tool.setuptools-isolated-build]\ntake-turns = true\n"
PREFIX = "SETUPTOOLS_ISOLATED_BUILD_"
SOON = {f"{PREFIX}LOCK_TIMEOUT": "0.5"}


@pytest.fixture
def apart(tmp_path):
    """Give two builds variables by which their trees stand apart."""

    def choose(how):
        places = [tmp_path / name for name in ("one", "other")]
        for path in places:
            path.mkdir()
        if how == "build-dir":
            kept = {f"{PREFIX}BUILD_DIR": str(tmp_path / "kept")}
            return [{**kept, "CFLAGS": flags} for flags in ("-O1", "-O2")]
        name = {"TMPDIR": how, "build-root": f"{PREFIX}BUILD_ROOT"}[how]
        return [{name: str(path)} for path in places]

    return choose


def refused(run):
    """The build has waited as long as it was told to, and says for what, in one line."""
    output = run.finish(60)
    assert run.status == 1, output
    assert sum(line.startswith("error: ") for line in output.splitlines()) == 1, output


def ends_well(run):
    output = run.finish(60)
    assert run.status == 0, output


@pytest.mark.parametrize("how", ["TMPDIR", "build-root"])
def test_turns(how, apart, project, plugged, start, meeting, tmp_path):
    """Two builds that take turns do so, and the second has its turn when asked again."""
    source = project(
        {"setup.py": TAKES_TURNS, "p/__init__.py": "", "pyproject.toml": SETTING}
    )
    one, other = apart(how)
    first = start(plugged, source, "wheel", "first", one)
    assert meeting.arrival() == "first"
    refused(start(plugged, source, "wheel", "second", {**other, **SOON}))
    assert list((tmp_path / "second").iterdir()) == []
    meeting.let_go("first")
    ends_well(first)
    ends_well(start(plugged, source, "wheel", "third", other))


@pytest.mark.parametrize("how", ["TMPDIR", "build-root", "build-dir"])
def test_link_trees(how, apart, project, plugged, start, meeting):
    """Two strict editable builds do not move files into one link tree at once."""
    source = project({"setup.py": HAS_A_LINK_TREE, "p/__init__.py": "", "p/old.py": ""})
    one, other = apart(how)
    ends_well(start(plugged, source, "strict editable", "before", one))
    (source / "p" / "old.py").unlink()
    (source / "p" / "new.py").write_text("")
    first = start(plugged, source, "strict editable", "first", {**one, "MEETS": "1"})
    assert meeting.arrival() == "first"
    refused(start(plugged, source, "strict editable", "second", {**other, **SOON}))
    meeting.let_go("first")
    ends_well(first)
    ends_well(start(plugged, source, "strict editable", "third", other))
    (link_tree,) = source.glob("build/__editable__.*")
    assert {path.name for path in (link_tree / "p").iterdir()} == {
        "__init__.py",
        "new.py",
    }


# A sitecustomize module: the user has a name and a home.
HAS_A_HOME = """
import os, pwd
entry = pwd.struct_passwd(
    (NAME, "x", os.getuid(), os.getgid(), "", os.environ["HOME"], "/bin/sh"))
pwd.getpwuid = lambda uid: entry
"""


class Somebody:
    """Another user, who can read everything: what they run, and their places."""

    def __init__(self, home: Path) -> None:
        self.uid = 60_000 + os.getpid() % 5_000
        self.home = home
        home.mkdir()
        os.chown(home, self.uid, self.uid)
        self.prefix = [
            part.replace("65534", str(self.uid)) for part in harness.as_another_user()
        ]
        self.name = f"somebody-{self.uid}"
        self.locks = Path("/tmp", f"setuptools-isolated-build-{self.name}-locks")
        (home / "python").mkdir()
        text = f"NAME = {self.name!r}\n{HAS_A_HOME}"
        (home / "python" / "sitecustomize.py").write_text(text)

    def directory(self, name: str) -> Path:
        path = self.home / name
        path.mkdir()
        os.chown(path, self.uid, self.uid)
        return path

    def variables(self, name: str) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "TMPDIR": str(self.directory(name)),
            "PYTHONPATH": str(self.home / "python"),
        }


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.fixture
def somebody(tmp_path):
    somebody = Somebody(tmp_path / "home")
    remove(somebody.locks)
    yield somebody
    remove(somebody.locks)


def plant_directory(path, trap):
    path.mkdir(mode=0o777)


def plant_open_directory(path, trap):
    """Of the right owner, but everybody may write to it."""
    path.mkdir()
    os.chown(path, trap.stat().st_uid, trap.stat().st_gid)
    path.chmod(0o777)


def plant_link(path, trap):
    path.symlink_to(trap, target_is_directory=True)


def plant_file(path, trap):
    path.write_text("")


@as_root
@pytest.mark.parametrize(
    "plant", [plant_directory, plant_open_directory, plant_link, plant_file]
)
def test_the_place_cannot_be_had(
    plant, somebody, project, plugged, meeting, start, tmp_path
):
    """The output says so; locks are in the user's cache directory, for all TMPDIRs."""
    source = project(
        {"setup.py": TAKES_TURNS, "p/__init__.py": "", "pyproject.toml": SETTING}
    )
    trap = somebody.directory("trap")
    plant(somebody.locks, trap)
    runs = {}

    def begin(who, **more):
        out = somebody.directory(who)
        command = [*somebody.prefix, *plugged.command("hook", source, out)]
        variables = {**meeting.variables, **somebody.variables(f"tmp-{who}"), **more}
        runs[who] = plugged.start(command, source, {**variables, "WHO": who})
        return runs[who]

    with contextlib.ExitStack() as stack:
        first = begin("first")
        stack.enter_context(harness.many([first]))
        assert meeting.arrival() == "first"
        second = begin("second", **SOON)
        stack.enter_context(harness.many([second]))
        refused(second)
        meeting.let_go("first")
        output = first.finish(60)
        assert first.status == 0, output
        assert f"not in the usual place ({somebody.locks}: " in output
    assert [path.name for path in (somebody.home / ".cache").iterdir()] == [
        somebody.locks.name
    ]
    assert list(trap.iterdir()) == []
    if somebody.locks.is_dir():
        assert list(somebody.locks.iterdir()) == []


@as_root
def test_no_place_at_all_but_the_temporary_directory(
    somebody, project, plugged, tmp_path
):
    """Without a home the locks are in TMPDIR, and the build ends well and says so."""
    source = project(
        {"setup.py": TAKES_TURNS, "p/__init__.py": "", "pyproject.toml": SETTING}
    )
    plant_directory(somebody.locks, None)
    somebody.locks.chmod(0o755)
    out = somebody.directory("out")
    variables = {**somebody.variables("tmp"), "HOME": "/proc/nowhere"}
    command = [*somebody.prefix, *plugged.command("hook", source, out)]
    run = plugged.start(command, source, variables)
    output = run.finish(60)
    assert run.status == 0, output
    assert str(somebody.locks) in output
    assert len(list(out.glob("*.whl"))) == 1
