"""What a failing build says besides its error."""

from __future__ import annotations

import errno
import os

import pytest
from setuptools_isolated_build import _failures
from setuptools_isolated_build._settings import Settings
from setuptools_isolated_build._trees.tree import BuildTree
from setuptools_isolated_build.errors import DiskFullError

pytestmark = pytest.mark.any_setuptools


class Build:
    settings = Settings(keep="always")

    def __init__(self, directory):
        self.tree = BuildTree(str(directory))

    def check(self):
        pass


class Dist:
    def get_command_obj(self, name, create):
        return None


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError("not for strings")


def test_an_error_that_cannot_be_told(tmp_path):
    """It stays what it is."""
    _failures.explain(UnspeakableError(), Dist(), Build(tmp_path))


def test_a_full_disk_behind_it(tmp_path):
    """It is told without its text."""
    error = UnspeakableError()
    error.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(
        DiskFullError, match=r"No space left on device \(UnspeakableError\)"
    ):
        _failures.explain(error, Dist(), Build(tmp_path))
