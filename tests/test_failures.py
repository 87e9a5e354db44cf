"""What a failing build says besides its error."""

from __future__ import annotations

import errno
import os
import re
import shutil

import pytest
from setuptools.errors import CompileError
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


def test_a_full_disk_of_compilers(tmp_path, monkeypatch):
    """They have their own files in TMPDIR, where a build tree has found no place."""
    usage, tmpdir = shutil.disk_usage(tmp_path), tmp_path / "full"
    tmpdir.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmpdir))

    def disk_usage(path):
        return usage._replace(free=0) if path == str(tmpdir) else usage

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    said = rf"^{re.escape(str(tmpdir))}: almost no space is left, 0 KiB .*TMPDIR"
    with pytest.raises(DiskFullError, match=said):
        _failures.explain(CompileError("failed"), Dist(), Build(tmp_path))
