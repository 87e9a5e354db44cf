"""A build tree is not lost while its build runs; if it is, the build ends and says so.

One build stands at a barrier in a build step. Meanwhile something happens to its tree,
or to what locks it, and a second build begins. The second one goes to its own barrier,
so that both have their trees at the same time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess

import harness
import pytest

if os.name == "posix":
    import fcntl

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="POSIX removes what is open"),
]

# In STEP's run() the build meets the test, after what it does itself. One that is told
# to go on writing makes the directories of its build_lib and egg_base anew.
SETUP_PY = (
    "import os\n"
    + harness.Meeting.CODE
    + """
from setuptools import setup
try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info
from setuptools.command.install_lib import install_lib
from setuptools.command.sdist import sdist

def step(dist):
    if "WHO" not in os.environ:
        return
    meet(os.environ["WHO"])
    if "WRITES_ON" in os.environ and os.environ["WHO"] == "first":
        build_lib = dist.get_command_obj("build").build_lib
        os.makedirs(os.path.join(build_lib, "p"), exist_ok=True)
        open(os.path.join(build_lib, "p", "late.py"), "w").close()

class meeting_files(list):
    def append(self, item):  # bdist_wheel has packed its archive, and goes on
        meet(os.environ["WHO"])

def meeting(command):
    class meeting_command(command):
        def run(self):
            if os.environ.get("STEP") == "published":
                self.distribution.dist_files = meeting_files()
            super().run()
            if os.environ.get("STEP", "build_py") == command.__name__:
                step(self.distribution)
        def make_release_tree(self, *args):
            super().make_release_tree(*args)
            if os.environ.get("STEP") == "make_release_tree":
                step(self.distribution)
    return meeting_command

commands = (bdist_wheel, build_py, egg_info, install_lib, sdist)
setup(name="n", version="1", packages=["p"],
      cmdclass={command.__name__: meeting(command) for command in commands})
"""
)
FILES = {"setup.py": SETUP_PY, "p/__init__.py": "", "p/m.py": "x = 1\n"}


def root_of(tmpdir):
    return tmpdir / f"setuptools-isolated-build-{harness.user()}"


def contents(directory):
    (archive,) = directory.iterdir()
    return harness.archive_contents(archive)


@pytest.fixture
def source(project):
    return project(FILES)


@pytest.fixture(autouse=True)
def a_lone_build_cleans(plugged, tmp_path, tmpdir_of_builds):
    """Whatever has happened: the next lone build leaves nothing but its own place."""
    yield
    plugged.build(tmp_path / "project", tmp_path / "lone")


@pytest.fixture
def expected(source, plain, tmp_path):
    """Build without the plugin, in a tree that is pristine again; list the archive."""

    def build(kind="wheel"):
        pristine = shutil.copytree(source, tmp_path / "pristine")
        out = tmp_path / "expected"
        out.mkdir()
        run = plain.start(plain.command(kind, source, out), source)
        output = run.finish()
        assert run.status == 0, output
        shutil.rmtree(source)
        pristine.rename(source)
        return contents(out)

    return build


def ends_well(run):
    output = run.finish()
    assert run.status == 0, output


def ends_with_one_line(run, out):
    """The build has said which tree it has lost, and has published nothing."""
    output = run.finish()
    assert run.status == 1, output
    (error,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert re.match(r"error: \S+/tree-[0-9a-f]{8}: ", error), output
    assert "Traceback" not in output
    assert list(out.iterdir()) == []


def remove_root(root):
    shutil.rmtree(root)


def remove_trees(root):
    for path in root.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def replace_trees(root):
    """Put empty directories in their places."""
    for path in list(root.iterdir()):
        if path.is_dir():
            path.replace(path.with_name("elsewhere"))
            path.mkdir(mode=0o700)
            shutil.rmtree(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("kind", "step", "writes_on"),
    [
        ("wheel", "egg_info", False),
        pytest.param("wheel", "build_py", False, marks=pytest.mark.long),
        ("wheel", "build_py", True),
        ("wheel", "install_lib", True),
        ("wheel", "bdist_wheel", False),
        ("setup.py", "build_py", True),
        ("sdist", "make_release_tree", True),
        ("sdist", "sdist", False),
        ("editable", "egg_info", False),
    ],
)
def test_a_removed_root(
    kind,
    step,
    writes_on,
    source,
    expected,
    plugged,
    start,
    meeting,
    tmp_path,
    tmpdir_of_builds,
):
    """The build that has lost its tree ends with one line; the next one is right."""
    right = expected("wheel" if kind == "setup.py" else kind)
    variables = {"STEP": step, **({"WRITES_ON": "1"} if writes_on else {})}
    first = start(plugged, source, kind, "first", variables)
    assert meeting.arrival() == "first"
    remove_root(root_of(tmpdir_of_builds))
    second = start(plugged, source, kind, "second", variables)
    assert meeting.arrival() == "second"
    meeting.let_go("first")
    ends_with_one_line(first, tmp_path / "first")
    meeting.let_go("second")
    ends_well(second)
    assert contents(tmp_path / "second") == right


def test_a_root_removed_after_the_archive_was_published(
    source, expected, plugged, start, meeting, tmp_path, tmpdir_of_builds
):
    """What fails is removing the rest, and nobody is told that there is no archive."""
    right = expected()
    run = start(plugged, source, "setup.py", "first", {"STEP": "published"})
    assert meeting.arrival() == "first"
    remove_root(root_of(tmpdir_of_builds))
    meeting.let_go("first")
    output = run.finish()
    assert run.status == 1, output
    (error,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert "removed during the build, after an archive was published" in error
    assert contents(tmp_path / "first") == right


def remove_until_a_module_is_gone(directory):
    """Remove what is there as it is listed; return whether a module was found."""
    for name in os.listdir(directory):
        path = directory / name
        if not path.is_dir():
            path.unlink()
            if name == "m.py":
                return True
        elif remove_until_a_module_is_gone(path):
            return True
    return False


@pytest.mark.parametrize(
    ("kind", "step"), [("wheel", "install_lib"), ("sdist", "make_release_tree")]
)
def test_a_tree_that_is_being_removed(
    kind, step, source, plugged, start, meeting, tmp_path, tmpdir_of_builds
):
    """Whoever removes it is not done when the archive is packed and published."""
    run = start(plugged, source, kind, "first", {"STEP": step})
    assert meeting.arrival() == "first"
    trees = root_of(tmpdir_of_builds).glob("tree-*")
    assert any(map(remove_until_a_module_is_gone, trees))
    meeting.let_go("first")
    ends_with_one_line(run, tmp_path / "first")


@pytest.mark.parametrize("umask", [0o022, 0o002], ids=["022", "002"])
def test_a_removed_root_that_the_build_makes_again(
    umask, source, plugged, start, meeting, tmp_path, tmpdir_of_builds
):
    """By distutils' mkpath, open to others: the next build takes it back all the same."""
    was = os.umask(umask)
    try:
        run = start(plugged, source, "wheel", "first", {"WRITES_ON": "1"})
    finally:
        os.umask(was)
    assert meeting.arrival() == "first"
    root = root_of(tmpdir_of_builds)
    remove_root(root)
    meeting.let_go("first")
    ends_with_one_line(run, tmp_path / "first")
    assert root.stat().st_mode & 0o777 == 0o777 & ~umask
    plugged.build(source, tmp_path / "second")
    assert [path.name for path in tmpdir_of_builds.iterdir()] == [root.name]
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("kind", "step"), [("setup.py", "bdist_wheel")])
def test_a_root_that_is_removed_after_publication(
    kind, step, source, expected, plugged, start, meeting, tmp_path, tmpdir_of_builds
):
    """By hand the archive is there when its command goes on: nothing is lost."""
    right = expected("wheel")
    run = start(plugged, source, kind, "first", {"STEP": step})
    assert meeting.arrival() == "first"
    assert contents(tmp_path / "first") == right
    remove_root(root_of(tmpdir_of_builds))
    meeting.let_go("first")
    ends_well(run)
    assert contents(tmp_path / "first") == right


@pytest.mark.parametrize("lose", [remove_trees, replace_trees])
@pytest.mark.parametrize("step", ["build_py", "bdist_wheel"])
def test_a_removed_tree(
    lose,
    step,
    source,
    expected,
    plugged,
    start,
    meeting,
    tmp_path,
    tmpdir_of_builds,
):
    """Removed or replaced by itself, in a root that stays."""
    right = expected()
    variables = {"STEP": step}
    first = start(plugged, source, "wheel", "first", variables)
    assert meeting.arrival() == "first"
    lose(root_of(tmpdir_of_builds))
    second = start(plugged, source, "wheel", "second", variables)
    assert meeting.arrival() == "second"
    meeting.let_go("first")
    ends_with_one_line(first, tmp_path / "first")
    meeting.let_go("second")
    ends_well(second)
    assert contents(tmp_path / "second") == right


def clean(directory):
    """Empty *directory* by the rule of tmpfiles.d(5), as if all in it were old.

    A directory on which somebody holds a BSD lock is left alone with all below it.
    """
    for path in list(directory.iterdir()):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            clean(path)
            with contextlib.suppress(OSError):  # somebody's lock is below it
                path.rmdir()
        finally:
            os.close(descriptor)


def clean_by_systemd(directory):
    clean_with_age(directory, "0")


def clean_what_is_old(directory):
    """Clean as every day: what lies in the root itself was made days ago."""
    for path in (directory, *root_of(directory).iterdir()):
        if not path.is_dir():
            os.utime(path, (0, 0))
    clean_with_age(directory, "mM:10d")


def clean_with_age(directory, age):
    configuration = directory.parent / "cleaner.conf"
    configuration.write_text(f"e {directory} - - - {age}\n")
    subprocess.run(
        ["systemd-tmpfiles", "--clean", configuration],
        check=True,
        timeout=harness.TIMEOUT,
    )


by_systemd = pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None, reason="no systemd-tmpfiles"
)


@pytest.mark.parametrize(
    ("cleaner", "frontend"),
    [
        (clean, "wheel"),
        (clean, "setup.py"),
        pytest.param(clean_by_systemd, "wheel", marks=by_systemd),
        pytest.param(clean_what_is_old, "wheel", marks=by_systemd),
    ],
)
def test_a_temp_cleaner(
    cleaner,
    frontend,
    source,
    expected,
    plugged,
    start,
    meeting,
    tmp_path,
    tmpdir_of_builds,
):
    """It leaves a live build's tree and lock alone, and so does the next build."""
    right = expected()
    first = start(plugged, source, frontend, "first")
    assert meeting.arrival() == "first"
    cleaner(tmpdir_of_builds)
    second = start(plugged, source, frontend, "second")
    assert meeting.arrival() == "second"
    cleaner(tmpdir_of_builds)
    for name, run in (("first", first), ("second", second)):
        meeting.let_go(name)
        ends_well(run)
        assert contents(tmp_path / name) == right
    cleaner(tmpdir_of_builds)
    wheel = plugged.build(source, tmp_path / "last")
    assert harness.archive_contents(wheel) == right


COPIES = {
    "copytree": """
import shutil
shutil.copytree(".", os.environ["COPY"] + os.environ["WHO"], symlinks=True)
""",
    "tarfile": """
import tarfile
with tarfile.open(os.environ["COPY"] + os.environ["WHO"], "w") as archive:
    archive.add(".")
""",
    "read": """
for directory, _, names in os.walk("."):
    for name in names:
        with open(os.path.join(directory, name), "rb") as file:
            file.read()
""",
}


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ("copytree", "TMPDIR"),
        ("tarfile", "SETUPTOOLS_ISOLATED_BUILD_BUILD_ROOT"),
        ("read", "TMPDIR"),
    ],
)
def test_a_copy_of_the_tree(
    how, where, project, expected, plugged, start, meeting, tmp_path
):
    """A build step reads all of the source tree, with the build tree in it."""
    setup_py = SETUP_PY.replace(
        "    meet(os.environ", f"    exec({COPIES[how]!r})\n    meet(os.environ", 1
    )
    source = project({**FILES, "setup.py": setup_py})
    right = expected()
    (source / ".temporary").mkdir()
    variables = {where: str(source / ".temporary"), "COPY": str(tmp_path / "copy-")}
    runs = {}
    for name in ("first", "second"):
        runs[name] = start(plugged, source, "wheel", name, variables)
        assert meeting.arrival() == name
    for name, run in runs.items():
        meeting.let_go(name)
        ends_well(run)
        assert contents(tmp_path / name) == right


STEPS = {
    "a child that exits": """
pid = os.fork()
if pid == 0:
    sys.exit(0)
os.waitpid(pid, 0)
""",
    "a child that closes all": """
pid = os.fork()
if pid == 0:
    os.closerange(3, 1000)
    os._exit(0)
os.waitpid(pid, 0)
""",
    "another directory": """
here = os.getcwd()
os.chdir("p")
gc.collect()
os.chdir(here)
""",
    "a thread": """
thread = threading.Thread(target=lambda: Distribution().get_command_obj("bdist_wheel"))
thread.start()
thread.join()
gc.collect()
""",
}


@pytest.mark.parametrize("what", STEPS)
def test_what_a_build_step_does(
    what, project, expected, plugged, start, meeting, tmp_path
):
    """Nothing of this ends the lease: the second build gets another tree."""
    code = "import gc, sys, threading\nfrom setuptools import Distribution\n"
    setup_py = SETUP_PY.replace(
        "    meet(os.environ",
        f"    exec({code + STEPS[what]!r}, globals())\n    meet(os.environ",
        1,
    )
    source = project({**FILES, "setup.py": setup_py})
    right = expected()
    runs = {}
    for name in ("first", "second"):
        runs[name] = start(plugged, source, "wheel", name)
        assert meeting.arrival() == name
    for name, run in runs.items():
        meeting.let_go(name)
        ends_well(run)
        assert contents(tmp_path / name) == right


# The child has a copy of all that its parent knows about its lease. It goes on when it
# is let go, and builds as its parent does.
FORKING = SETUP_PY.replace(
    "    meet(os.environ",
    """    if os.environ["WHO"] == "first" and os.fork() == 0:
        try:
            meet("child")
            os.environ["WHO"] = "child builds"
            from setuptools import build_meta
            build_meta.build_wheel(os.environ["CHILDS"])
            meet("child has built")
        finally:
            os._exit(1)
    meet(os.environ""",
    1,
)


@pytest.mark.parametrize("parent", ["goes on", "has ended"])
def test_a_forked_child_that_builds(
    parent, project, expected, plugged, start, meeting, tmp_path
):
    """Neither its parent nor a stranger shares a tree with it."""
    source = project({**FILES, "setup.py": FORKING})
    right = expected()
    (tmp_path / "child").mkdir()
    variables = {"CHILDS": str(tmp_path / "child")}
    first = start(plugged, source, "wheel", "first", variables)
    try:
        assert {meeting.arrival(), meeting.arrival()} == {"first", "child"}
        if parent == "has ended":
            meeting.let_go("first")
            ends_well(first)
        meeting.let_go("child")
        assert meeting.arrival() == "child builds"
        stranger = start(plugged, source, "wheel", "stranger")
        assert meeting.arrival() == "stranger"
        meeting.let_go("child builds")
        assert meeting.arrival() == "child has built"
        if parent == "goes on":
            meeting.let_go("first")
            ends_well(first)
        meeting.let_go("stranger")
        ends_well(stranger)
        meeting.let_go("child has built")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.process.pid, 9)  # the child outlives its parent
    for name in ("first", "child", "stranger"):
        assert contents(tmp_path / name) == right
