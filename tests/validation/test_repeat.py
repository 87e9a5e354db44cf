"""A build that is repeated, alone."""

from __future__ import annotations

import sys

import pytest
from setuptools_isolated_build._process import ALONE
from setuptools_isolated_build._validation import repeat

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
