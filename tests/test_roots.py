"""Roots: the user's own, never one that somebody else has prepared."""

from __future__ import annotations

import os
import stat
import tempfile

import harness
import pytest
from setuptools_isolated_build import _roots
from setuptools_isolated_build.errors import BuildRootError

NOBODY = 65534
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="needs another user, and only root can be one",
)


@pytest.fixture(autouse=True)
def temporary(tmpdir_of_builds, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmpdir_of_builds


def test_default_root(temporary):
    """In TMPDIR, named after the user, for the user alone, whatever the umask."""
    was = os.umask(0)
    try:
        path = _roots.default_root("/elsewhere")
    finally:
        os.umask(was)
    assert path == str(temporary / f"setuptools-isolated-build-{harness.user()}")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert _roots.why_not_private(path) is None
    assert _roots.default_root("/elsewhere") == path


def test_not_named_by_the_environment(monkeypatch):
    """Under sudo $USER is somebody else."""
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.setenv("LOGNAME", "somebody")
    assert not _roots.default_root("/elsewhere").endswith("somebody")


def test_a_user_without_a_name(monkeypatch):
    """Containers run as uids that nobody has named."""
    import pwd

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    path = _roots.default_root("/elsewhere")
    assert path.endswith(f"-{os.geteuid()}")
    os.rmdir(path)


def plant_link(path, temporary):
    (temporary.parent / "elsewhere").mkdir(mode=0o700)
    os.symlink(temporary.parent / "elsewhere", path)


def plant_open_directory(path, temporary):
    os.mkdir(path)
    os.chmod(path, 0o777)


def plant_file(path, temporary):
    open(path, "w").close()


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (plant_link, "not a directory"),
        (plant_open_directory, "open to other users"),
        (plant_file, "not a directory"),
    ],
)
def test_planted(temporary, plant, said):
    """A link, a directory that others may write to, a file."""
    path = temporary / f"setuptools-isolated-build-{harness.user()}"
    plant(path, temporary)
    assert _roots.default_root("/elsewhere") == str(path)
    assert said in _roots.why_not_private(str(path))
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


@as_root
def test_owned_by_another_user(temporary):
    """A directory of the right mode, and another user's."""
    path = temporary / f"setuptools-isolated-build-{harness.user()}"
    path.mkdir(mode=0o700)
    os.chown(path, NOBODY, NOBODY)
    assert _roots.why_not_private(str(path)) == "owned by another user"


def test_stated_root(tmp_path):
    """Made with its parents, and resolved."""
    os.symlink(tmp_path / "real", tmp_path / "link")
    (tmp_path / "real").mkdir()
    path = _roots.stated_root(str(tmp_path / "link" / "deep" / "root"))
    assert path == str(tmp_path / "real" / "deep" / "root")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


@pytest.mark.parametrize("kind", ["file", "below a file", "everybody's"])
def test_stated_root_refused(tmp_path, kind):
    """One line that says which path, why, and what to do."""
    path = tmp_path / "root"
    if kind == "everybody's":
        path.mkdir()
        path.chmod(0o1777)
    else:
        path.write_text("")
    stated = path / "below" if kind == "below a file" else path
    with pytest.raises(BuildRootError) as caught:
        _roots.stated_root(str(stated))
    assert str(path) in str(caught.value)
    assert "name a directory of your own" in str(caught.value)
