"""A build that is repeated, alone."""

from __future__ import annotations

import os
import sys

import pytest
from setuptools_isolated_build._process import ALONE
from setuptools_isolated_build._validation import again, repeat

pytestmark = pytest.mark.any_setuptools


@pytest.mark.parametrize(("attempt", "is_last"), [(1, False), (29, False), (30, True)])
def test_somebody_changes_it_each_time(attempt, is_last, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(ALONE, str(attempt))
    assert repeat.is_last(str(tmp_path / "file")) == is_last


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
@pytest.mark.parametrize(("attempt", "is_last"), [(2, False), (3, True)])
def test_somebody_has_it_open_all_the_time(attempt, is_last, tmp_path, monkeypatch):
    monkeypatch.setenv(ALONE, str(attempt))
    with (tmp_path / "file").open("w"):
        assert repeat.is_last(str(tmp_path / "file")) == is_last


def test_without_proc(tmp_path, monkeypatch):
    """In a change root, say: a build that is repeated does not fail for that."""
    monkeypatch.setattr(again, "_ENVIRONMENT", str(tmp_path / "none"))
    monkeypatch.setenv("CFLAGS", "-O1")
    assert again._environment(is_fresh=True) == dict(os.environ)
