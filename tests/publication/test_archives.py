"""Publication: checked against RECORD, replaced at once, under a lock."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import zipfile

import pytest
from holding import hold
from setuptools_isolated_build._locks import lock as _locks
from setuptools_isolated_build._publication import archives
from setuptools_isolated_build._trees.tree import BuildTree
from setuptools_isolated_build.errors import DiskFullError, PublishError
from wheel.wheelfile import WheelFile

pytestmark = pytest.mark.any_setuptools


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
    archives.check_wheel(wheel)
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
        archives.check_wheel(rewritten(wheel, change))
    assert caught.value.path == wheel


def test_names_outside_ascii(wheel, tmp_path, monkeypatch):
    """They are marked as UTF-8; one that is not is in no RECORD."""
    marked = str(tmp_path / "m-1-py3-none-any.whl")
    with WheelFile(marked, "w") as archive:
        archive.writestr("\u00fc.py", "")
    archives.check_wheel(marked)
    encoded = {"other.py": "\u00e9.py".encode("cp437")}
    monkeypatch.setattr(
        zipfile.ZipInfo,
        "_encodeFilenameFlags",
        lambda info: (encoded.get(info.filename, info.filename.encode()), 0),
    )
    with pytest.raises(PublishError, match="does not match its RECORD"):
        archives.check_wheel(rewritten(wheel, lambda m: m.update({"other.py": b""})))


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_half_a_wheel(wheel, kept):
    """An archive that ends too early."""
    with open(wheel, "rb") as file:
        data = file.read()
    with open(wheel, "wb") as file:
        file.write(data[:kept])
    with pytest.raises(PublishError):
        archives.check_wheel(wheel)


def test_damaged_bytes(wheel):
    """A bit that flipped in the compressed data of a member."""
    with open(wheel, "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(PublishError):
        archives.check_wheel(wheel)


def test_publish_replaces(tmp_path, root):
    """The old one is there until the new one is; the lock files are in the root."""
    (tmp_path / "new").write_text("new")
    target = tmp_path / "dist" / "x.whl"
    target.parent.mkdir()
    target.write_text("old")
    assert archives.publish(str(tmp_path / "new"), str(target), root, 1)
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["x.whl"]


def test_lock_files_are_bounded(tmp_path, root):
    """However many result directories there are."""
    for number in range(100):
        (tmp_path / "new").write_text("new")
        (tmp_path / str(number)).mkdir()
        target = str(tmp_path / str(number) / "x")
        archives.publish(str(tmp_path / "new"), target, root, 1)
    names = [name for name in os.listdir(root) if name.endswith(".lock")]
    assert len(names) <= 16


def test_lock_not_had_in_time(tmp_path, root):
    """Another build publishes to the same directory, whatever its path is called."""
    (tmp_path / "new").write_text("new")
    (tmp_path / "dist").mkdir()
    os.symlink("dist", tmp_path / "link")
    path = archives._lock_path(root, str(tmp_path / "link"))
    with (
        hold(path, 1),
        pytest.raises(
            PublishError, match="has been locked for 0 s: an unknown process"
        ),
    ):
        archives.publish(str(tmp_path / "new"), str(tmp_path / "dist/x"), root, 0)
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
        assert not archives.publish(str(tmp_path / "new"), target, lock_root, 1)
        assert (tmp_path / "x").read_text() == "new"


def test_target_that_cannot_be_replaced(tmp_path, root):
    """A directory in the archive's place."""
    (tmp_path / "new").write_text("new")
    (tmp_path / "x").mkdir()
    with pytest.raises(PublishError) as caught:
        archives.publish(str(tmp_path / "new"), str(tmp_path / "x"), root, 1)
    assert caught.value.path == str(tmp_path / "x")


@pytest.fixture
def tree(tmp_path):
    """A build tree, as far as staging needs one."""
    (tmp_path / "tree").mkdir()
    return BuildTree(str(tmp_path / "tree"))


def test_staging_directory(tmp_path, tree):
    """Dotted, inside the result directory, and gone after the block."""
    dist = str(tmp_path / "dist")
    os.mkdir(dist)
    with archives.staging_directory(dist, tree) as staging:
        assert os.path.dirname(staging) == dist
        assert os.path.basename(staging).startswith(".")
        shutil.copy(__file__, staging)
    assert os.listdir(dist) == []


def test_staging_in_another_current_directory(tmp_path, tree, monkeypatch):
    """A command that changes it leaves nothing."""
    monkeypatch.chdir(tmp_path)
    with archives.staging_directory("dist", tree) as staging:
        shutil.copy(__file__, staging)
        monkeypatch.chdir("/")
    assert os.listdir(tmp_path / "dist") == []


def test_a_result_directory_stays(tmp_path, tree):
    """Another build may be about to use it, also when this one has made it and fails."""
    with pytest.raises(ZeroDivisionError):
        with archives.staging_directory(str(tmp_path / "dist"), tree):
            1 / 0  # noqa: B018
    assert os.listdir(tmp_path / "dist") == []


def test_staging_where_nothing_can_be_made(tmp_path, tree):
    """The result directory is a file."""
    (tmp_path / "dist").write_text("")
    with pytest.raises(PublishError) as caught:
        with archives.staging_directory(str(tmp_path / "dist"), tree):
            pass
    assert caught.value.path == str(tmp_path / "dist")


@pytest.mark.parametrize("where", ["result", "tree"])
def test_a_full_disk(tmp_path, tree, where):
    """It is the result directory's unless the error names a path in the build tree."""
    path = os.path.join(tree.directory, "x") if where == "tree" else None
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    with pytest.raises(DiskFullError if where == "result" else OSError) as caught:
        with archives.packed_in(str(tmp_path / "dist"), tree):
            raise full
    if where == "result":
        assert caught.value.path == str(tmp_path / "dist")
    else:
        assert caught.value is full


@pytest.mark.parametrize("failures", [0, 2, 10_000])
def test_a_target_that_a_reader_has_open(tmp_path, monkeypatch, failures):
    """Windows refuses for a moment; elsewhere, and for ever, it is an error."""
    (tmp_path / "new").write_text("new")
    calls = []
    replace = os.replace

    def refuse(source, target):
        calls.append(target)
        if len(calls) <= failures:
            raise PermissionError(errno.EACCES, "in use", target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(archives.time, "sleep", lambda seconds: None)
    source, target = str(tmp_path / "new"), str(tmp_path / "x")
    for name in ("posix", "nt"):
        calls.clear()
        monkeypatch.setattr(archives.os, "name", name)
        works = failures == 0 or (name == "nt" and failures == 2)
        with contextlib.nullcontext() if works else pytest.raises(PermissionError):
            archives._replace(source, target)
        assert os.path.exists(target) == works
        if works:
            replace(target, source)
