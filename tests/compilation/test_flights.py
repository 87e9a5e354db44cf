"""Parts of a compilation through a cache; builds that meet are in test_compiler_cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from setuptools_isolated_build._compilation import cached, flights

pytestmark = pytest.mark.any_setuptools

HOLDER = """
import sys
from setuptools_isolated_build._locks import lock as _locks
lock = _locks.acquire(sys.argv[1], 0)
assert lock is not None
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """The lock of the key "a" is held by another process, which does nothing."""
    root = tmp_path / "locks"
    root.mkdir()
    paths = []
    flights.alone(str(root), "a", lambda: paths.extend(root.iterdir()))
    (path,) = paths
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        yield str(root)
        holder.stdin.close()
        assert holder.wait(60) == 0


def test_a_stopped_build(held):
    """Whoever has waited for long compiles it too; whoever does not wait is told."""
    done = []
    flights.alone(held, "a", lambda: done.append("beside"), None)
    flights.alone(held, "a", lambda: done.append("late"), 0.1)
    with pytest.raises(flights.InFlightError):
        flights.alone(held, "a", lambda: done.append("never"), 0)
    assert done == ["beside", "late"]


def test_no_place_for_locks(tmp_path):
    """Then it is compiled at once."""
    done = []
    flights.alone(None, "a", lambda: done.append(1))
    flights.alone(str(tmp_path / "missing"), "a", lambda: done.append(2))
    assert done == [1, 2]


def test_failure(tmp_path):
    """It frees the lock."""

    def fail():
        raise ValueError

    done = []
    with pytest.raises(ValueError):
        flights.alone(str(tmp_path), "a", fail)
    flights.alone(str(tmp_path), "a", lambda: done.append("next"), 0)
    assert done == ["next"]


def test_marker_is_newer_than_what_was_written_just_now(tmp_path):
    """In one tick of the file system's clock they would be of the same time."""
    for number in range(100):
        source, marker = tmp_path / f"{number}.c", tmp_path / f"{number}"
        source.touch()
        cached._make_newer(str(marker), ["-c", str(source)])
        assert marker.stat().st_ctime_ns > source.stat().st_ctime_ns


def test_what_killed_builds_leave(held, tmp_path):
    """Lock files are gone with their flights; the next build removes the others."""
    root = Path(held)
    (root / "object-0123456789abcdef.lock").touch()
    (root / "publish-1.lock").touch()
    flights.alone(held, "b", lambda: None)
    flights.sweep(held)
    assert len(list(root.glob("object-*"))) == 1  # another process holds it
    assert (root / "publish-1.lock").exists()
