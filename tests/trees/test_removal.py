"""Removal: what is ours goes, whatever it looks like, and nothing else is touched."""

from __future__ import annotations

import os
import stat

from setuptools_isolated_build._trees import dead, removal
import pytest

pytestmark = pytest.mark.any_setuptools


def test_a_link_stays_as_it_is(tmp_path):
    """And so does what it leads to, with its mode."""
    (tmp_path / "outside").mkdir(mode=0o750)
    (tmp_path / "outside" / "precious").write_text("")
    os.symlink(tmp_path / "outside", tmp_path / "link")
    removal.remove(str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "outside" / "precious").exists()
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o750


def test_read_only_files_on_windows(tmp_path, monkeypatch):
    """They cannot be removed there: sdists of read-only sources are full of them."""
    path = tmp_path / "tree" / "data.txt"
    path.parent.mkdir()
    path.write_text("")
    path.chmod(0o400)
    with monkeypatch.context() as patched:
        patched.setattr(os, "name", "nt")
        removal.make_writable(str(tmp_path / "tree"))
    assert path.stat().st_mode & stat.S_IWUSR


def test_a_prune_that_fails_holds_no_lock(tmp_path, monkeypatch):
    """Another build can try again."""
    tree = tmp_path / "tree-00000000"
    tree.mkdir()
    (tree / "kept").write_text("")

    def refuse(directory):
        raise OSError(directory)

    with monkeypatch.context() as patched:
        patched.setattr(dead, "reclaim", refuse)
        try:
            dead.prune(str(tmp_path), "kept", 0)
        except OSError as exc:
            assert exc.args == (str(tree),)
        else:
            raise AssertionError("it did not come to the tree")
    lock = dead.lock_tree(str(tree))
    assert lock is not None
    lock.close()
