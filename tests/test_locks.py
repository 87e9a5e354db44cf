"""Locks between processes and, unlike fasteners' own, between threads too."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest
from setuptools_isolated_build import _locks

fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "x.lock")


def is_free(path):
    lock = _locks.acquire(path, timeout=0)
    if lock is not None:
        lock.release()
    return lock is not None


def is_free_for_others(path):
    """Try it in a new process."""
    code = (
        "import sys; from setuptools_isolated_build import _locks\n"
        "sys.exit(0 if _locks.acquire(sys.argv[1], timeout=0) else 9)"
    )
    status = subprocess.run([sys.executable, "-c", code, path], timeout=60).returncode
    assert status in (0, 9)
    return status == 0


def test_excludes_other_processes(path):
    """Held: nobody else gets it; released: the next one does; the file stays."""
    lock = _locks.acquire(path, timeout=0)
    assert not is_free_for_others(path)
    lock.release()
    assert is_free_for_others(path)
    assert os.path.exists(path)


def test_excludes_the_own_process(path):
    """A second try in this process fails, and does not drop the lock of the first.

    It would with fasteners alone: lockf locks belong to the process, and closing any
    descriptor of the file drops them.
    """
    lock = _locks.acquire(path, timeout=0)
    assert not is_free(path)
    assert not is_free_for_others(path)
    lock.release()
    assert is_free(path)


def test_waits_for_another_thread(path):
    """A thread that waits gets the lock when it is released."""
    lock = _locks.acquire(path, timeout=0)
    got = []
    thread = threading.Thread(target=lambda: got.append(_locks.acquire(path, 60)))
    thread.start()
    lock.release()
    thread.join(60)
    assert got[0] is not None
    got[0].release()


def test_timeout(path):
    """Not had in time is None, and leaves the lock as it was."""
    lock = _locks.acquire(path, timeout=0)
    with _locks.hold(path, timeout=0.01) as held:
        assert not held
    assert not is_free_for_others(path)
    lock.release()
    with _locks.hold(path, timeout=0.01) as held:
        assert held
        assert not is_free_for_others(path)
    assert is_free_for_others(path)


@fork_only
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_holds_nothing(path):
    """The child neither holds its parent's lock nor takes it away by closing it."""
    lock = _locks.acquire(path, timeout=0)
    child = os.fork()
    if child == 0:
        # It must ask the file, not the table that it has inherited.
        os._exit(0 if not is_free(path) and path not in _locks._held else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not is_free_for_others(path)
    lock.release()


def test_no_locks_on_the_file_system(path, monkeypatch):
    """ENOLCK is told apart from a lock that others hold."""
    import fcntl

    def no_locks(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with pytest.raises(_locks.LocksUnavailableError, match="No locks"):
        _locks.acquire(path, timeout=0)
    monkeypatch.undo()
    assert is_free(path)


def test_links_are_not_followed(tmp_path, path):
    """A link at the lock's path is somebody's trap."""
    os.symlink(tmp_path / "victim", path)
    with pytest.raises(OSError, match="symbolic links"):
        _locks.acquire(path, timeout=0)
    assert not (tmp_path / "victim").exists()
