"""What a process holds ends once, and at the right moment."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest
from setuptools_isolated_build import _process
from setuptools_isolated_build._commands import install_lib
from setuptools_isolated_build._locks.turns import Turn

pytestmark = pytest.mark.any_setuptools


class Owner:
    pass


class CountingLock:
    """A lock that says how often it was released."""

    def __init__(self):
        self.released = 0

    def write_note(self, text):
        pass

    def release(self, *, unlink):
        self.released += 1


@pytest.fixture
def begin():
    """Begin turns with counting locks, which are remembered."""

    def begin():
        begin.locks.append(CountingLock())
        return Turn(begin.locks[-1], "token")

    begin.locks = []
    return begin


def test_the_last_one_ends_the_turn(begin):
    one, other = Owner(), Owner()
    for owner in (one, other):
        _process.enter_turn(owner, "path", begin)
    _process.leave_turn(one)
    assert [lock.released for lock in begin.locks] == [0]
    _process.leave_turn(other)
    _process.leave_turn(other)
    assert [lock.released for lock in begin.locks] == [1]


def test_the_end_of_an_owner_is_the_end_of_its_turn(begin):
    """One that was forgotten keeps nobody waiting."""
    owner = Owner()
    _process.enter_turn(owner, "path", begin)
    del owner
    for _ in range(3):  # PyPy counts no references
        gc.collect()
    assert [lock.released for lock in begin.locks] == [1]


def test_the_last_one_leaves_while_another_enters(begin, monkeypatch):
    """As a garbage collection between any two lines would have it: a new turn begins."""
    first, second = Owner(), Owner()
    _process.enter_turn(first, "path", begin)
    place = _process._Place

    def collecting(path, turn):
        _process.leave_turn(first)
        return place(path, turn)

    monkeypatch.setattr(_process, "_Place", collecting)
    _process.enter_turn(second, "path", begin)
    assert [lock.released for lock in begin.locks] == [1, 0]
    _process.leave_turn(second)
    assert [lock.released for lock in begin.locks] == [1, 1]


def test_a_user_without_a_name_on_windows():
    """getpass finds none without USERNAME, and has no pwd there."""
    code = """
import contextlib, getpass, importlib.util, os, stat, tempfile
from setuptools_isolated_build import _places as here

def unknown():
    raise ImportError("no pwd")

getpass.getuser = unknown
os.name = "nt"
spec = importlib.util.spec_from_file_location(here.__name__, here.__file__)
there = importlib.util.module_from_spec(spec)
spec.loader.exec_module(there)
assert there.user() == "user"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_windows_knows_no_number_of_links_in_an_entry(tmp_path):
    """So it is asked of the file itself, and the file is linked."""
    (tmp_path / "one").write_text("")

    class Entry:
        path = str(tmp_path / "one")

        def is_symlink(self):
            return False

        def stat(self, *, follow_symlinks):
            raise AssertionError("st_nlink would be 0 there")

    assert install_lib._is_linked(Entry(), str(tmp_path / "two"))
    assert (tmp_path / "two").samefile(tmp_path / "one")
