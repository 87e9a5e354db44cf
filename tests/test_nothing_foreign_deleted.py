"""Nothing is deleted that no build has made: not the user's, not by another's record.

Build trees stand in a directory of our own, inside the one that somebody has named.
What else is there stays, whatever its name.
"""

from __future__ import annotations

import os
import shutil
import signal

import harness
import pytest

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="by the means of POSIX"),
]

NOBODY = 65534
SETUP_PY = harness.MEETING_SETUP_PY
FILES = {"setup.py": SETUP_PY, "p/__init__.py": ""}
OWN = f"setuptools-isolated-build-{harness.user()}"
# Names that build trees have, or had, and what is in them.
NAMES = ("0", "1", "7", "tree-0a1b2c3d", "dead-0a1b2c3d", "kept-0a1b2c3d", "build")


def plant_data(directory):
    """Put a user's files into *directory*; return its listing by `contents`."""
    for name in NAMES:
        (directory / name).mkdir(parents=True)
        for file in ("data", "lease", "staging", "kept"):
            (directory / name / file).write_text("precious")
    (directory / "0.lock").write_text("precious")
    (directory / "staging").write_text("precious")
    return contents(directory)


def contents(directory):
    """List what is in *directory* apart from our own directories, with all contents."""
    return {
        str(path.relative_to(directory)): path.is_file() and path.read_text()
        for path in directory.rglob("*")
        if "setuptools-isolated-build" not in str(path.relative_to(directory))
    }


@pytest.fixture
def expected(plain, project, tmp_path):
    """What setuptools alone makes of a tree without these settings."""
    source = project(FILES, at="quiet")
    return plain.build(source, tmp_path / "expected").read_bytes()


@pytest.fixture
def builds_right(plugged, start, meeting, expected, tmp_path):
    """Build once, be killed once, and build again."""

    def build(source, variables):
        wheel = plugged.build(source, tmp_path / "before", variables=variables)
        assert wheel.read_bytes() == expected
        run = start(plugged, source, "wheel", "killed", variables)
        assert meeting.arrival() == "killed"
        os.kill(run.process.pid, signal.SIGKILL)
        run.process.wait(harness.TIMEOUT)
        wheel = plugged.build(source, tmp_path / "after", variables=variables)
        assert wheel.read_bytes() == expected

    return build


@pytest.mark.parametrize(
    "how", ["BUILD_ROOT", "BUILD_DIR", "build-root", "build-dir", "build_base", "code"]
)
def test_a_users_data(how, project, builds_right, tmp_path):
    """In a directory that the user or the project has named, in each way there is."""
    files, variables, named = dict(FILES), {}, "out"
    if how.isupper():
        variables[f"SETUPTOOLS_ISOLATED_BUILD_{how}"] = str(tmp_path / "s")
        named = "../s"
    elif how == "build_base":
        files["setup.cfg"] = "[build]\nbuild_base = out\n"
    elif how == "code":
        options = 'setup(options={"build": {"build_base": "out"}}, '
        files["setup.py"] = SETUP_PY.replace("setup(", options)
    else:
        setting = f"[tool.setuptools-isolated-build]\n{how} = 'out'\n"
        files["pyproject.toml"] = setting
    source = project(files)
    before = plant_data((source / named).resolve())
    builds_right(source, variables)
    assert contents(source / named) == before


@pytest.mark.parametrize("mode", [0o755, 0o700], ids=["0755", "0700"])
@pytest.mark.parametrize("kind", ["BUILD_ROOT", "BUILD_DIR"])
def test_data_below_our_own_name(mode, kind, project, plugged, expected, tmp_path):
    """A directory of this name without our mark in it is none of ours.

    The build is right, or it ends with one line that names the directory.
    """
    suffix = "-kept" if kind == "BUILD_DIR" else ""
    own = tmp_path / "s" / f"{OWN}{suffix}"
    (own / "tree-0a1b2c3d").mkdir(parents=True)
    (own / "tree-0a1b2c3d" / "data").write_text("precious")
    (own / "data").write_text("precious")
    own.chmod(mode)
    variables = {f"SETUPTOOLS_ISOLATED_BUILD_{kind}": str(tmp_path / "s")}
    for number in range(2):
        right_or_named(
            plugged, project(FILES), variables, tmp_path / f"{number}", expected, own
        )
    assert (own / "tree-0a1b2c3d" / "data").read_text() == "precious"
    assert (own / "data").read_text() == "precious"


def right_or_named(plugged, source, variables, out, expected, path):
    """Build; the wheel is right, or the build has ended with a line that names *path*."""
    status, output = plugged.hook(source, "build_wheel", str(out), variables=variables)
    if status == 0:
        (wheel,) = out.iterdir()
        assert wheel.read_bytes() == expected
        return
    (error,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert f"error: {path}" in error
    assert list(out.glob("*")) == []


@pytest.fixture
def victim(tmp_path):
    """A directory of the user's of a name that staging directories have."""
    path = tmp_path / "home" / ".tmp-0123456789abcdef"
    path.mkdir(parents=True)
    path.parent.chmod(0o700)
    (path / "precious").write_text("precious")
    return path


def is_another_users(path):
    """Give all of it to another user, where there can be one."""
    if os.geteuid() == 0:
        for each in (path, *path.rglob("*")):
            os.lchown(each, NOBODY, NOBODY)


def plant_tree(directory, victim, name="tree-0a1b2c3d"):
    """Make what looks like the tree of a killed build, which had staged something."""
    tree = directory / name
    tree.mkdir(parents=True)
    (tree / "staging").write_text(f"{victim}\0")
    (tree / "lease").write_text("0123456789abcdef\n1\n1700000000\nwheel\n")
    (tree / "build").symlink_to(victim, target_is_directory=True)
    return tree


def plant_slot(root, own, victim):
    """A tree as they were before there was a directory of our own."""
    plant_tree(root, victim, "0")
    is_another_users(root / "0")


def plant_trees_beside(root, own, victim):
    """Trees where none of ours is."""
    for name in ("tree-0a1b2c3d", "dead-0a1b2c3d"):
        plant_tree(root, victim, name)
        is_another_users(root / name)


def plant_our_directory(root, own, victim):
    """Our own directory is another user's, with a tree in it."""
    plant_tree(own, victim)
    (own / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    is_another_users(own)


def plant_open_directory(root, own, victim):
    """Our own directory was made with another umask, and others have been there."""
    own.mkdir()
    is_another_users(plant_tree(own, victim))
    own.chmod(0o770)


def plant_link_to_victim(root, own, victim):
    """Our own directory is a link to where the victim's files are."""
    own.symlink_to(victim.parent, target_is_directory=True)
    plant_tree(victim.parent, victim)


def plant_link_to_trap(root, own, victim):
    """Our own directory is a link to another user's."""
    plant_tree(root / "trap", victim)
    is_another_users(root / "trap")
    own.symlink_to(root / "trap", target_is_directory=True)


def plant_tree_of_another_user(root, own, victim):
    """In a directory that is ours, somehow."""
    own.mkdir(mode=0o700)
    is_another_users(plant_tree(own, victim))


def plant_link_in_place_of_a_tree(root, own, victim):
    """Trees in our directory are links."""
    own.mkdir(mode=0o700)
    for name in ("tree-0a1b2c3d", "dead-0a1b2c3d"):
        (own / name).symlink_to(victim, target_is_directory=True)


@pytest.mark.parametrize(
    ("kind", "mode", "plant"),
    [
        ("BUILD_ROOT", 0o770, plant_slot),
        ("BUILD_ROOT", 0o770, plant_trees_beside),
        ("BUILD_ROOT", 0o770, plant_our_directory),
        ("BUILD_ROOT", 0o777, plant_open_directory),
        ("BUILD_ROOT", 0o770, plant_link_to_victim),
        ("BUILD_ROOT", 0o1777, plant_link_to_trap),
        ("BUILD_ROOT", 0o770, plant_tree_of_another_user),
        ("BUILD_ROOT", 0o770, plant_link_in_place_of_a_tree),
        ("BUILD_DIR", 0o770, plant_our_directory),
        ("BUILD_DIR", 0o770, plant_tree_of_another_user),
        ("default", 0o1777, plant_our_directory),
        ("default", 0o1777, plant_link_to_trap),
    ],
    ids=lambda value: oct(value) if isinstance(value, int) else None,
)
def test_hostile(
    kind, mode, plant, project, plugged, expected, victim, tmp_path, tmpdir_of_builds
):
    """In a directory that others can write to, something is planted.

    The victim's files stay. The build is right, or ends with a line that names the path.
    """
    root, variables = tmpdir_of_builds, {}
    if kind != "default":
        root = tmp_path / "s"
        root.mkdir()
        variables[f"SETUPTOOLS_ISOLATED_BUILD_{kind}"] = str(root)
    own = root / (f"{OWN}-kept" if kind == "BUILD_DIR" else OWN)
    root.chmod(mode)
    plant(root, own, victim)
    source = project(FILES)
    right_or_named(plugged, source, variables, tmp_path / "out", expected, root)
    assert (victim / "precious").read_text() == "precious"
    assert sorted(os.listdir(victim)) == ["precious"]
    shutil.rmtree(root)
    root.mkdir()  # nothing of what was planted is left
