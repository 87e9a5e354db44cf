"""Lock files as they are found: held ones, and what is left of others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from holding import hold
from setuptools_isolated_build._locks import processes
from setuptools_isolated_build._status import locks

pytestmark = pytest.mark.any_setuptools

NAMES = {
    "turn-0123456789abcdef.lock": "turn",
    "source-0123456789abcdef-gate.lock": "gate",
    "source-0123456789abcdef-0a1b2c3d4e5f.build": "build",
    "object-0123456789abcdef.lock": "object",
}

# A build that is killed, and leaves a child, which has its lock by the fork.
KILLED = """
import os, signal, sys
from setuptools_isolated_build._locks import neighbours
neighbours.enter(*sys.argv[1:], set(), 60, print, what="killed", began=5)
if os.fork() == 0:
    sys.stdin.readline()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", NAMES)
def test_held_and_left(name, root):
    """Whoever has it is named; when nobody has it any more it can be removed."""
    path = os.path.join(root, name)
    with hold(path, 0, processes.note("a build")):
        (found,) = locks.find(root)
        assert (found.path, found.kind, found.is_held) == (path, NAMES[name], True)
        assert found.holder.what == "a build"
        assert found.key == ("" if name[:6] == "object" else "0123456789abcdef")
        assert locks.remove(root) == []
        assert os.path.exists(path)
    (left,) = locks.find(root)
    assert not left.is_held
    assert [lock.path for lock in locks.remove(root)] == [left.path] == [path]
    assert os.listdir(root) == []


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell who is alive")
def test_a_child_of_a_killed_build(root, tmp_path):
    """It may live for days; that build has ended all the same."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), root]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as killed:
        assert killed.wait(60) == -signal.SIGKILL
        (left,) = locks.find(root)
        assert (left.kind, left.is_held, left.holder.what) == ("build", False, "killed")
        assert [lock.path for lock in locks.remove(root)] == [left.path]
        assert os.listdir(root) == []


def test_a_publish_lock_stays(root):
    """There is a bounded number of them, and their holders do not unlink them."""
    path = os.path.join(root, "publish-3.lock")
    with hold(path, 0, processes.note("publishing")):
        (found,) = locks.find(root)
        assert (found.kind, found.is_held) == ("publish", True)
    assert locks.find(root) == []
    assert locks.remove(root) == []
    assert os.listdir(root) == ["publish-3.lock"]


def test_what_else_is_there_stays(root):
    """Marks, and files whose names are not those of locks."""
    for name in ("CACHEDIR.TAG", "source-0123456789abcdef-notes.txt", "x.lock"):
        open(os.path.join(root, name), "w").close()
    assert locks.find(root) == []
    assert locks.remove(root) == []
    assert len(os.listdir(root)) == 3
