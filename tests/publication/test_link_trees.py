"""The link tree: brought up to date file by file, whatever it was before."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from setuptools_isolated_build._publication import link_trees

pytestmark = pytest.mark.any_setuptools

NAMES = st.lists(
    st.sampled_from(["a.py", "b.py", "data", "sub", "x"]), min_size=1, max_size=3
).map("/".join)
# A tree's files: each a link to a target, or text.
TREES = st.dictionaries(NAMES, st.sampled_from(["->one", "->two", "text", "other"]))


def write(tree, files):
    """Write those of *files* that fit beside the others; return what there is."""
    tree.mkdir()
    written = {}
    for name, text in sorted(files.items()):
        path = tree / name
        if any(parent.is_file() or parent.is_symlink() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)
        written[name] = text
    return written


def read(tree):
    return {
        path.relative_to(tree).as_posix(): "->" + os.readlink(path)
        if path.is_symlink()
        else path.read_text()
        for path in tree.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@settings(max_examples=200, deadline=None)
@given(TREES, TREES)
def test_any_tree_becomes_any_other(tmp_path_factory, old, new):
    place = tmp_path_factory.mktemp("trees")
    write(place / "target", old)
    wanted = write(place / "staged", new)
    link_trees.bring_up_to_date(str(place / "target"), str(place / "staged"))
    assert read(place / "target") == wanted
    empty = [
        p for p in (place / "target").rglob("*") if p.is_dir() and not any(p.iterdir())
    ]
    assert empty == []


@pytest.mark.parametrize("text", ["->one", "text"])
def test_what_is_the_same_stays(tmp_path, text):
    """The very file: a process may have it open, a finder its time."""
    write(tmp_path / "target", {"p/a.py": text})
    before = (tmp_path / "target/p/a.py").lstat()
    write(tmp_path / "staged", {"p/a.py": text, "p/b.py": text})
    link_trees.bring_up_to_date(str(tmp_path / "target"), str(tmp_path / "staged"))
    after = (tmp_path / "target/p/a.py").lstat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_hard_links(tmp_path):
    """Where a file system has no symbolic links: os.replace ignores equal hard links."""
    (tmp_path / "source.py").write_text("1")
    for tree in ("target", "staged"):
        (tmp_path / tree).mkdir()
        os.link(tmp_path / "source.py", tmp_path / tree / "a.py")
    link_trees.bring_up_to_date(str(tmp_path / "target"), str(tmp_path / "staged"))
    assert (tmp_path / "target/a.py").samefile(tmp_path / "source.py")


def test_caches_go_with_their_modules(tmp_path):
    """What an interpreter has cached of a module that stays is not ours to remove."""
    old = {
        "p/stays.py": "1",
        "p/__pycache__/stays.cpython-311.pyc": "cache",
        "p/__pycache__/gone.cpython-311.pyc": "cache",
        "q/__pycache__/gone.cpython-311.pyc": "cache",
    }
    write(tmp_path / "target", old)
    write(tmp_path / "staged", {"p/stays.py": "1"})
    link_trees.bring_up_to_date(str(tmp_path / "target"), str(tmp_path / "staged"))
    assert read(tmp_path / "target") == dict(list(old.items())[:2])


def test_whoever_imports_meanwhile(tmp_path, monkeypatch):
    """It may write a .pyc into a directory that is about to go, or remove one itself."""
    target, staged = tmp_path / "target", tmp_path / "staged"
    for name in ("old/m.py", "gone.py"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("")
    staged.mkdir()
    unlink = os.unlink

    def import_meanwhile(path):
        unlink(path)
        if str(path).endswith("m.py"):
            (target / "old" / "__pycache__").mkdir()
            (target / "old" / "__pycache__" / "m.pyc").write_text("")
        else:
            raise FileNotFoundError(path)

    monkeypatch.setattr(os, "unlink", import_meanwhile)
    link_trees.bring_up_to_date(str(target), str(staged))
    assert not (target / "gone.py").exists()
    assert (target / "old" / "__pycache__" / "m.pyc").exists()
