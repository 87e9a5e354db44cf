"""Roots: the user's own, never one that somebody else has prepared."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile

import harness
import pytest
from setuptools_isolated_build import _places
from setuptools_isolated_build._locks import places
from setuptools_isolated_build.errors import BuildRootError

pytestmark = pytest.mark.any_setuptools

NOBODY = 65534
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="needs another user, and only root can be one",
)


@pytest.fixture(autouse=True)
def temporary(tmpdir_of_builds, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmpdir_of_builds


def default_root(source_dir="/elsewhere"):
    return _places.default_root(source_dir, pytest.fail)


def private(path):
    return _places.private_directory(str(path))


def test_default_root(temporary):
    """In TMPDIR, named after the user, for the user alone, whatever the umask."""
    was = os.umask(0)
    try:
        path = default_root()
    finally:
        os.umask(was)
    assert path == str(temporary / f"setuptools-isolated-build-{harness.user()}")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert sorted(os.listdir(path)) == [".gitignore", "CACHEDIR.TAG"]
    assert default_root() == path


def test_not_named_by_the_environment(monkeypatch):
    """Under sudo $USER is somebody else."""
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.setenv("LOGNAME", "somebody")
    assert not default_root().endswith("somebody")


def test_a_user_without_a_name(monkeypatch):
    """Containers run as uids that nobody has named."""
    import pwd

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    path = default_root()
    assert path.endswith(f"-{os.geteuid()}")
    shutil.rmtree(path)


def test_inside_the_source_tree(temporary):
    """Package discovery passes over a name with a dot."""
    path = default_root(str(temporary.parent))
    assert os.path.basename(path).startswith(".setuptools-isolated-build-")


def plant_link(path):
    (path.parent.parent / "elsewhere").mkdir(mode=0o700)
    os.symlink(path.parent.parent / "elsewhere", path)


def plant_open_directory(path):
    os.mkdir(path)
    os.chmod(path, 0o777)


def plant_file(path):
    open(path, "w").close()


def plant_own_data(path):
    path.mkdir(mode=0o700)
    (path / "data").write_text("data")


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (plant_link, "not a directory"),
        (plant_open_directory, "open to other users"),
        (plant_file, "not a directory"),
        (plant_own_data, "holds other things than build trees"),
    ],
)
def test_planted(temporary, plant, said):
    """A link, a directory that others may write to, a file, something of the user's."""
    path = temporary / f"setuptools-isolated-build-{harness.user()}"
    plant(path)
    told = []
    other = f"{path}-2"
    assert _places.default_root("/elsewhere", told.append) == other
    assert told == [f"{path}: {said}, so build trees are in {other}; remove the first"]
    shutil.rmtree(other)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def test_all_names_planted(temporary):
    """None is used, and the caller makes a name that nobody can know."""
    for number in range(1, 10):
        suffix = f"-{number}" if number > 1 else ""
        path = temporary / f"setuptools-isolated-build-{harness.user()}{suffix}"
        path.write_text("")
    assert _places.default_root("/elsewhere", lambda line: None) is None
    for path in temporary.iterdir():
        path.unlink()


def test_a_cleaner_has_removed_the_tag(tmp_path):
    """What is left has the names of ours, so it is marked again."""
    path = tmp_path / "root"
    assert private(path) is None
    for name in ("tree-00000000", "dead-00000000"):
        (path / name).mkdir()
    (path / "publish-1.lock").touch()
    (path / "CACHEDIR.TAG").unlink()
    assert private(path) is None
    assert (path / "CACHEDIR.TAG").read_text().startswith("Signature: ")


def test_used_ones_stay_young(tmp_path):
    """Cleaners go by age."""
    assert private(tmp_path / "root") is None
    os.utime(tmp_path / "root", (1, 1))
    assert private(tmp_path / "root") is None
    assert (tmp_path / "root").stat().st_mtime > 1


@as_root
def test_owned_by_another_user(temporary):
    """A directory of the right mode, and another user's."""
    path = temporary / f"setuptools-isolated-build-{harness.user()}"
    path.mkdir(mode=0o700)
    os.chown(path, NOBODY, NOBODY)
    assert private(path) == "owned by another user"


def test_stated_root(tmp_path):
    """A directory of our own in the named one, which is made with its parents."""
    os.symlink(tmp_path / "real", tmp_path / "link")
    (tmp_path / "real").mkdir()
    path = _places.stated_root(str(tmp_path / "link" / "deep" / "root"), "/elsewhere")
    named = tmp_path / "real" / "deep" / "root"
    assert path == str(named / f"setuptools-isolated-build-{harness.user()}")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(named).st_mode) == 0o700


def test_stated_root_where_all_may_write(tmp_path):
    """Safe as in the temporary directory, where only owners rename."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root").chmod(0o1777)
    path = _places.stated_root(str(tmp_path / "root"), "/elsewhere")
    assert private(path) is None


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("file", "not a directory"),
        ("below a file", "a directory above it is a file"),
        ("everybody's", "every user can write to it"),
        ("a group's", "other users of its group can write to it"),
        ("another user's", "owned by another user"),
        ("planted", "open to other users"),
    ],
)
def test_stated_root_refused(tmp_path, kind, cause):
    """One line that says which path, why, and what to do."""
    path = tmp_path / "root"
    if kind == "planted":
        path.mkdir()
        plant_open_directory(path / f"setuptools-isolated-build-{harness.user()}")
    elif kind == "another user's":
        if os.geteuid() != 0:
            pytest.skip("needs another user, and only root can be one")
        path.mkdir()
        os.chown(path, NOBODY, -1)
    elif kind == "everybody's":
        path.mkdir()
        path.chmod(0o777)
    elif kind == "a group's":
        if os.geteuid() != 0:
            pytest.skip("needs another group, and only root has all")
        path.mkdir()
        os.chown(path, -1, NOBODY)
        path.chmod(0o770)
    else:
        path.write_text("")
    stated = path / "below" if kind == "below a file" else path
    with pytest.raises(BuildRootError) as caught:
        _places.stated_root(str(stated), "/elsewhere")
    assert str(path) in str(caught.value)
    assert f": {cause}; name a directory of your own" in str(caught.value)


def test_locks_have_one_place(monkeypatch, tmp_path):
    """Whatever TMPDIR says."""
    said = []
    place = places.lock_place(said.append)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert places.lock_place(said.append) == place
    assert said == []


def test_locks_in_the_next_best_place(monkeypatch, tmp_path):
    """And the build says where they are, and why."""
    parents = [tmp_path / name for name in ("usual", "next")]
    monkeypatch.setattr(places, "_lock_parents", lambda: list(map(str, parents)))
    parents[1].mkdir()
    said = []
    place = places.lock_place(said.append)
    assert os.path.dirname(place) == str(parents[1])
    assert said == [
        f"locks are in {place}, not in the usual place ({said[0].split('(')[1]}"
    ]
    assert str(parents[0]) in said[0]
    shutil.rmtree(parents[1])
    parents[1].write_text("")
    assert places.lock_place(said.append) is None
    assert said[1].startswith("no directory can hold locks (")


def test_locks_whose_place_a_cleaner_has_removed(tmp_path):
    """It is made again, for this user alone."""
    path = tmp_path / "locks" / "publish-1.lock"
    lock = places.acquire(str(path), 0)
    assert lock.is_current()
    assert private(path.parent) is None
    lock.release()


def test_a_root_that_goes_while_it_is_made(tmp_path, monkeypatch):
    """As when a cleaner finds it empty: it is made again."""
    utime = os.utime
    calls = []

    def remove_once(path, *args):
        calls.append(path)
        if len(calls) == 1:
            os.rmdir(path)
        utime(path, *args)

    monkeypatch.setattr(os, "utime", remove_once)
    assert private(tmp_path / "root") is None
    assert len(calls) == 2
