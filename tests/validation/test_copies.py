"""What a build has copied, and from where."""

from __future__ import annotations

import tempfile
from types import SimpleNamespace

import pytest
from setuptools_isolated_build._validation import copies

pytestmark = pytest.mark.any_setuptools


@pytest.fixture
def tree(tmp_path):
    """A tree with a linked package and a linked module, which both lead to ``real``."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "module.py").touch()
    (tmp_path / "tree" / "plain").mkdir(parents=True)
    (tmp_path / "tree" / "linked").symlink_to(tmp_path / "real")
    link = tmp_path / "tree" / "plain" / "module.py"
    link.symlink_to(tmp_path / "real" / "module.py")
    return tmp_path / "tree"


def test_all_copies_of_one_source(tree, monkeypatch):
    """They are found by one path, whichever links lead to it."""
    sources = [tree / "linked" / "module.py", tree / "plain" / "module.py"]
    sources += [tree / "plain" / "gone.py", tree / "none" / "module.py"]
    pairs = [(f"copy {number}", str(path)) for number, path in enumerate(sources)]
    monkeypatch.setattr(copies, "copies", lambda *_: pairs)
    assert copies.by_source(None, None) == {
        str(tree.parent / "real" / "module.py"): ["copy 0", "copy 1"],
        str(tree / "plain" / "gone.py"): ["copy 2"],
        str(tree / "none" / "module.py"): ["copy 3"],
    }


@pytest.mark.parametrize("temporary", ["temporary", "."])
def test_what_is_outside(temporary, tree, monkeypatch):
    """Not what is temporary, unless the whole project is."""
    top = tree.parent
    (top / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(top / temporary))
    paths = ["tree/m.c", "real/m.c", "tree-2/m.c", "temporary/m.c"]
    found = copies.outside(str(tree), [str(top / path) for path in paths])
    expected = ["real/m.c", "tree-2/m.c"] + ["temporary/m.c"] * (temporary == ".")
    assert found == {str(top / path) for path in expected}


def test_what_is_no_source(tree, monkeypatch):
    """What was made in the build tree and compiled from there (mypyc, Cython)."""
    stated = [str(tree / "build" / "m.c"), str(tree / "m.c")]
    monkeypatch.setattr(copies, "compiled", lambda _: stated)
    own = SimpleNamespace(directory=str(tree / "build"))
    copied = {str(tree / "m.py"): ["copy"]}
    assert copies.sources(None, own, copied) == {*copied, stated[1]}
    assert copies.sources(None, None, copied) == {*copied, *stated}


def test_where_sources_are(tree):
    """And setup.py; in each directory above them, too."""
    (top, *above) = tree.parents
    known = {str(tree / "a" / "b" / "m.py"), str(top / "c" / "m.c")}
    found = copies.directories(str(tree), known)
    expected = {tree, tree / "a", tree / "a" / "b", top, top / "c", *above}
    assert found == set(map(str, expected))
    assert copies.directories(str(tree), set()) == set(map(str, [tree, top, *above]))
