"""The patches for setuptools in docs/upstream can be applied.

That their tests fail without them, and that setuptools' own pass with them, is the long
form: ``nox -s upstream_patches``.
"""

from __future__ import annotations

import sys

import harness
import pytest
import upstream_patches

pytestmark = pytest.mark.any_setuptools


def test_each_has_a_test_and_a_news_fragment():
    upstream_patches.check_forms()


@pytest.mark.skipif(
    sys.version_info < (3, 10), reason="pip finds no such setuptools for this Python"
)
def test_each_applies_and_all_do(tmp_path):
    sdist = upstream_patches.download(upstream_patches.RELEASE, tmp_path / "sdist")
    tree = harness.unpack(sdist, tmp_path / "tree")
    before = contents(tree)
    upstream_patches.check_applying(tree)
    assert contents(tree) == before  # each was taken back


def contents(tree):
    return {name: entry[-1] for name, entry in harness.listing(tree).items()}


def test_the_page_names_each():
    page = upstream_patches.PATCHES[0].with_name("README.md").read_text("utf-8")
    for patch in upstream_patches.PATCHES:
        assert f"({patch.name})" in page
