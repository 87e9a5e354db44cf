"""Publication: checked against RECORD, replaced at once, under a lock."""

from __future__ import annotations

import os
import shutil
import zipfile

import pytest
from setuptools_isolated_build import _build_tree, _locks, _publish
from setuptools_isolated_build.errors import PublishError
from wheel.wheelfile import WheelFile


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir(0o700)
    return str(path)


@pytest.fixture
def wheel(tmp_path):
    """A whole wheel of two modules."""
    path = str(tmp_path / "n-1-py3-none-any.whl")
    with WheelFile(path, "w") as archive:
        archive.writestr("n.py", "x = 1\n")
        archive.writestr("big.py", "y = 2\n" * 100_000)
        archive.writestr("n-1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return path


def rewritten(wheel, change):
    """Write the members of *wheel* anew, as *change* would have them."""
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return wheel


def test_a_whole_wheel_passes(wheel):
    """And is not changed by the check."""
    with open(wheel, "rb") as file:
        before = file.read()
    _publish.check_wheel(wheel)
    with open(wheel, "rb") as file:
        assert file.read() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.update({"n.py": b""}),
        lambda members: members.update({"big.py": members["big.py"][:-1]}),
        lambda members: members.update({"extra.py": b""}),
        lambda members: members.pop("n.py"),
        lambda members: members.pop("n-1.dist-info/RECORD"),
    ],
    ids=["emptied", "cut off", "not listed", "missing", "no RECORD"],
)
def test_a_wheel_that_is_not_its_record(wheel, change):
    """Every kind of difference between the members and the list."""
    with pytest.raises(PublishError, match="does not match its RECORD") as caught:
        _publish.check_wheel(rewritten(wheel, change))
    assert caught.value.path == wheel


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_half_a_wheel(wheel, kept):
    """An archive that ends too early."""
    with open(wheel, "rb") as file:
        data = file.read()
    with open(wheel, "wb") as file:
        file.write(data[:kept])
    with pytest.raises(PublishError):
        _publish.check_wheel(wheel)


def test_damaged_bytes(wheel):
    """A bit that flipped in the compressed data of a member."""
    with open(wheel, "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(PublishError):
        _publish.check_wheel(wheel)


def test_publish_replaces(tmp_path, root):
    """The old one is there until the new one is; the lock files are in the root."""
    (tmp_path / "new").write_text("new")
    target = tmp_path / "dist" / "x.whl"
    target.parent.mkdir()
    target.write_text("old")
    assert _publish.publish(str(tmp_path / "new"), str(target), root, 1)
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["x.whl"]


def test_lock_files_are_bounded(tmp_path, root):
    """However many result directories there are."""
    for number in range(100):
        (tmp_path / "new").write_text("new")
        (tmp_path / str(number)).mkdir()
        target = str(tmp_path / str(number) / "x")
        _publish.publish(str(tmp_path / "new"), target, root, 1)
    assert len(os.listdir(root)) <= 16


def test_lock_not_had_in_time(tmp_path, root):
    """Another build publishes to the same directory, whatever its path is called."""
    (tmp_path / "new").write_text("new")
    (tmp_path / "dist").mkdir()
    os.symlink("dist", tmp_path / "link")
    path = _publish._lock_path(root, str(tmp_path / "link"))
    with (
        _locks.hold(path, 1),
        pytest.raises(PublishError, match="another build has held"),
    ):
        _publish.publish(str(tmp_path / "new"), str(tmp_path / "dist/x"), root, 0)
    assert not (tmp_path / "dist/x").exists()
    assert (tmp_path / "new").exists()


def test_without_locks(tmp_path, root, monkeypatch):
    """Where there are none it is published all the same, and the caller is told."""

    def unavailable(path, timeout):
        raise _locks.LocksUnavailableError

    for lock_root in (None, root):
        (tmp_path / "new").write_text("new")
        monkeypatch.setattr(_locks, "acquire", unavailable)
        target = str(tmp_path / "x")
        assert not _publish.publish(str(tmp_path / "new"), target, lock_root, 1)
        assert (tmp_path / "x").read_text() == "new"


def test_target_that_cannot_be_replaced(tmp_path, root):
    """A directory in the archive's place."""
    (tmp_path / "new").write_text("new")
    (tmp_path / "x").mkdir()
    with pytest.raises(PublishError) as caught:
        _publish.publish(str(tmp_path / "new"), str(tmp_path / "x"), root, 1)
    assert caught.value.path == str(tmp_path / "x")


def test_staging_directory(tmp_path, root):
    """Dotted, inside the result directory, and gone after the block."""
    tree = _build_tree.lease(root)
    dist = str(tmp_path / "dist")
    os.mkdir(dist)
    with _publish.staging_directory(dist, tree) as staging:
        assert os.path.dirname(staging) == dist
        assert os.path.basename(staging).startswith(".")
        shutil.copy(__file__, staging)
    assert os.listdir(dist) == []
    _build_tree.release(tree)


def test_a_result_directory_that_stays_empty(tmp_path, root):
    """A build that fails leaves no dist/ that was not there."""
    tree = _build_tree.lease(root)
    with pytest.raises(ZeroDivisionError):
        with _publish.staging_directory(str(tmp_path / "dist"), tree):
            1 / 0  # noqa: B018
    assert not (tmp_path / "dist").exists()
    _build_tree.release(tree)


def test_staging_where_nothing_can_be_made(tmp_path, root):
    """The result directory is a file."""
    tree = _build_tree.lease(root)
    (tmp_path / "dist").write_text("")
    with pytest.raises(PublishError) as caught:
        with _publish.staging_directory(str(tmp_path / "dist"), tree):
            pass
    assert caught.value.path == str(tmp_path / "dist")
    _build_tree.release(tree)
