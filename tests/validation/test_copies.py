"""What a build has copied, and from where."""

from __future__ import annotations

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
