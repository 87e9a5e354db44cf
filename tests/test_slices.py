"""Longer slices of time: for builds on a busy machine, and for nobody else."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
import threading

import pytest
from setuptools import Distribution
from setuptools_isolated_build import _build, _slices

SECONDS = 60  # to end a hang, not to measure
LONGEST = 100_000_000  # nanoseconds: the kernel's limit (kernel/sched/syscalls.c)
SHOW = """
from setuptools_isolated_build import _slices
print(_slices._attributes()[_slices._RUNTIME])
"""
linux_only = pytest.mark.skipif(
    sys.platform != "linux" or sys.maxsize < 1 << 32, reason="only Linux has slices"
)
known_only = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"},
    reason="it is not known how to ask on other processors",
)


def current():
    """Return this thread's slice in nanoseconds; 0 if the system has no such thing."""
    return _slices._attributes()[_slices._RUNTIME]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Say how many threads of the machine want to run."""

    def say(running):
        path = tmp_path / "loadavg"
        path.write_text(f"0.05 12.25 3.00 {running}/1234 56789\n")
        monkeypatch.setattr(_slices, "_LOAD", str(path))

    return say


@linux_only
@known_only
@pytest.mark.parametrize("is_busy", [True, False])
def test_what_a_build_starts(is_busy, load, tmp_path, monkeypatch):
    """Its threads and their children, in the build only, and beside others only."""
    monkeypatch.chdir(tmp_path)
    load(len(os.sched_getaffinity(0)) + is_busy)
    usual = current()
    # Linux before 6.12 has none.
    expected = LONGEST if is_busy and usual else usual
    found = []

    def look():
        found.append(current())
        found.append(int(subprocess.check_output([sys.executable, "-c", SHOW])))

    dist = Distribution()
    dist.commands = []
    with _build.within(dist):
        found.append(current())
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(SECONDS)
    assert found == [expected] * 3
    assert current() == usual


def attributes(policy, runtime, nice=0):
    """Return them as the kernel gives them."""
    return [48, policy, 0, nice, 0, runtime, 0, 0]


@pytest.fixture
def kernel(monkeypatch):
    """Another kernel; return what it is told, call by call."""
    told = []

    def answer(which, given, *rest):
        if which == 0:
            return _slices._ATTRIBUTES.pack(*told[-1])
        told.append(list(_slices._ATTRIBUTES.unpack(given)))
        return given

    monkeypatch.setattr(_slices, "_call", answer)
    return told


@linux_only
@pytest.mark.parametrize("policy", [0, 3], ids=["SCHED_OTHER", "SCHED_BATCH"])
def test_all_else_stays(policy, kernel, load):
    load(1000)
    kernel.append(attributes(policy, 2_800_000, 5))
    with _slices.longer():
        pass
    assert kernel[1:] == [
        attributes(policy, LONGEST, 5),
        attributes(policy, 2_800_000, 5),
    ]


@linux_only
@pytest.mark.parametrize(
    ("policy", "runtime"),
    [(0, 0), (1, 2_800_000), (6, 2_800_000)],
    ids=["no slices", "real time", "a deadline"],
)
def test_nothing_to_set(policy, runtime, kernel, load):
    load(1000)
    kernel.append(attributes(policy, runtime))
    with _slices.longer():
        pass
    assert len(kernel) == 1


@linux_only
@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EPERM, "forbidden"), ImportError, KeyError, AttributeError],
)
def test_not_allowed(error, load, monkeypatch):
    """Then the build goes on as it is."""
    load(1000)
    asked = []

    def call(*arguments):
        asked.append(arguments)
        raise error

    monkeypatch.setattr(_slices, "_call", call)
    with _slices.longer():
        pass
    assert len(asked) == 1


@pytest.mark.parametrize("said", ["", "0.00 0.01 0.05\n", None])
def test_not_known_how_busy(said, tmp_path, monkeypatch):
    """Then nothing is asked; so on other systems."""
    path = tmp_path / "loadavg"
    if said is not None:
        path.write_text(said)
    monkeypatch.setattr(_slices, "_LOAD", str(path))
    monkeypatch.setattr(_slices, "_call", pytest.fail)
    with _slices.longer():
        pass


@linux_only
@known_only
def test_forbidden(monkeypatch):
    """The system's own error: there is no such call."""
    monkeypatch.setattr(_slices, "_NUMBERS", {platform.machine(): (1 << 20, 1 << 20)})
    with pytest.raises(OSError, match="no slices of time") as caught:
        current()
    assert caught.value.errno == errno.ENOSYS
