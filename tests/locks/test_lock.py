"""Locks between processes and, unlike fasteners' own, between threads too."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest
from holding import hold
from setuptools_isolated_build._locks import lock as _locks

pytestmark = pytest.mark.any_setuptools

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
        "import sys; from setuptools_isolated_build._locks import lock as _locks\n"
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

    It would with ``lockf``, whose locks belong to the process: closing any descriptor of
    the file drops them.
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
    with hold(path, timeout=0.01) as held:
        assert not held
    assert not is_free_for_others(path)
    lock.release()
    with hold(path, timeout=0.01) as held:
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
        os._exit(0 if not is_free(path) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not is_free_for_others(path)
    lock.release()


def test_no_locks_on_the_file_system(path, monkeypatch):
    """ENOLCK is told apart from a lock that others hold."""
    import fcntl

    def no_locks(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
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


def test_closing_another_descriptor_drops_nothing(path):
    """As a copy of the directory does, in which the lock file lies."""
    lock = _locks.acquire(path, timeout=0)
    open(path, "rb").close()
    assert not is_free_for_others(path)
    lock.release()


@fork_only
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("end", ["release", "close"])
def test_a_child_has_it_open(path, end):
    """A daemon that a build has started keeps nobody waiting, if it is released.

    A child that has a part in the build keeps what is closed, until it ends.
    """
    reader, writer = os.pipe()
    lock = _locks.acquire(path, timeout=0)
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0)
    getattr(lock, end)()
    assert is_free(path) == (end == "release")
    os.write(writer, b"!")
    assert os.waitpid(child, 0)[1] == 0
    assert is_free(path)
    os.close(reader)
    os.close(writer)


def test_an_unlinked_lock_file(path):
    """Whoever waited for it locks the one that is there now, and there is one owner."""
    lock = _locks.acquire(path, timeout=0)
    got = []
    thread = threading.Thread(target=lambda: got.append(_locks.acquire(path, 60)))
    thread.start()
    lock.release(unlink=True)
    thread.join(60)
    assert got[0].is_current()
    assert not is_free(path)
    got[0].release(unlink=True)
    assert not os.path.exists(path)


def test_a_lock_file_that_somebody_has_removed(path):
    """It is noticed by whoever holds it."""
    lock = _locks.acquire(path, timeout=0)
    assert lock.is_current()
    os.unlink(path)
    assert not lock.is_current()
    lock.release()


def test_taking_a_lock_makes_it_young(path):
    """Cleaners go by age."""
    open(path, "w").close()
    os.utime(path, (1, 1))
    _locks.acquire(path, timeout=0).release()
    assert os.stat(path).st_mtime > 1


def test_a_cleaner_keeps_out(path):
    """As tmpfiles.d(5) has it: a directory with a BSD lock is left alone."""
    fcntl = pytest.importorskip("fcntl")
    lock = _locks.acquire(path, timeout=0)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.release()
    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(directory)


def test_directories(tmp_path):
    """One owner, whatever is in it, and none without a directory."""
    path = str(tmp_path)
    lock = _locks.acquire_directory(path)
    assert _locks.acquire_directory(path) is None
    lock.release()
    again = _locks.acquire_directory(path)
    assert again is not None
    again.release()
    assert _locks.acquire_directory(path + "/none") is None


def test_directories_that_cannot_be_locked(tmp_path, monkeypatch):
    """NFS locks what is open for writing: then it is a file in the directory."""
    fcntl = pytest.importorskip("fcntl")
    flock = fcntl.flock

    def of_nfs(file, operation):
        if os.path.isdir(f"/proc/self/fd/{file.fileno()}"):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", of_nfs)
    path = str(tmp_path / "directory")
    os.mkdir(path)
    lock = _locks.acquire_directory(path)
    assert os.listdir(path) == [_locks.LOCK_FILE]
    assert _locks.acquire_directory(path) is None
    lock.release()


def test_the_note(path):
    """Who waits reads who holds it; a longer note before leaves nothing."""
    with hold(path, 0, "a long note") as held:
        assert held
        assert _locks.read_note(path) == "a long note"
    with hold(path, 0, "short"):
        assert _locks.read_note(path) == "short"
    assert _locks.read_note(path + ".none") == ""


def test_the_longest_timeout(path):
    """More than threading can wait for; the settings allow it."""
    lock = _locks.acquire(path, timeout=0)
    got = []
    thread = threading.Thread(target=lambda: got.append(_locks.acquire(path, 1e9)))
    thread.start()
    lock.release()
    thread.join(60)
    got[0].release()
