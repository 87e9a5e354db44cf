"""The tokens of a machine's builds, those of make, and how many there are."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest
from setuptools_isolated_build._compilation import limits, pool

# It has started a compiler, which goes on when it is killed.
HOLDER = """
import subprocess, sys
from setuptools_isolated_build._compilation import pool
held = [pool.find(sys.argv[1], 2, {}).acquire() for _ in "12"]
assert None not in held
subprocess.Popen(["cat"])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(root):
    """Another build, which has both tokens."""
    command = [sys.executable, "-c", HOLDER, root]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_tokens_of_all_builds(root, holder):
    """What another build has is not there; when it is killed, it is at once."""
    mine = pool.find(root, 2, {})
    assert mine.acquire() is None
    third = pool.find(root, 3, {}).acquire()  # more than others, where it was stated
    third()
    holder.kill()
    holder.wait(60)
    first, second = mine.acquire(), mine.acquire()
    assert mine.acquire() is None
    first()
    assert mine.acquire() is not None
    second()


def test_no_place_for_locks(tmp_path):
    """Then builds do not know of each other's compilers."""
    for place in (None, str(tmp_path / "a file" / "missing")):
        (tmp_path / "a file").touch()
        assert pool.find(place, 2, {}).acquire() is not None


@pytest.fixture
def jobserver():
    """A pipe with two tokens, as make's."""
    reader, writer = os.pipe()
    os.write(writer, b"+-")
    yield reader, writer
    for number in (reader, writer):
        os.close(number)


def taken(found):
    """Take tokens until there is none, give all back, and return how many there were."""
    held = []
    while (give_back := found.acquire()) is not None:
        held.append(give_back)
        assert len(held) < 9
    for give_back in held:
        give_back()
    return len(held)


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are opened anew")
@pytest.mark.parametrize("option", ["--jobserver-auth", "--jobserver-fds"])
def test_make(jobserver, root, option):
    """Its descriptors, whose tokens are written back as they were."""
    flags = f" -j3 {option}={jobserver[0]},{jobserver[1]}"
    found = pool.find(root, 9, {"MAKEFLAGS": flags})
    assert taken(found) == 2
    found.close()
    assert sorted(os.read(jobserver[0], 9)) == sorted(b"+-")
    assert os.get_blocking(jobserver[0])  # it is make's, too


@pytest.mark.skipif(os.name == "nt", reason="there are no fifos")
def test_make_with_a_fifo(root, tmp_path):
    """As newer ones do it."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    number = os.open(path, os.O_RDWR)
    os.write(number, b"+++")
    found = pool.find(root, 9, {"MAKEFLAGS": f"-j4 --jobserver-auth=fifo:{path}"})
    assert taken(found) == 3
    found.close()
    os.close(number)


@pytest.mark.parametrize("auth", ["-2,-2", "997,998", "0,1", "fifo:/missing", "x"])
def test_a_jobserver_that_is_not_there(auth, root, tmp_path):
    """Make closes it, or says -2, for commands that are no makes; others close it too."""
    file = (tmp_path / "file").open("w")
    if auth == "0,1":  # something else's by now
        auth = f"{file.fileno()},{file.fileno()}"
    found = pool.find(root, 2, {"MAKEFLAGS": f"-j4 --jobserver-auth={auth}"})
    assert taken(found) == 2
    assert os.listdir(root)  # the machine's
    file.close()


GIB = 1 << 30
GROUPS = {
    "version 2": ("0::/a/b\n", "a/b"),
    "version 2, above": ("0::/a/b\n", "a"),
    "version 2, in a container": ("0::/a/b\n", "."),
    "version 1": ("9:memory:/x\n5:cpu,cpuacct:/a/b\n3:memory:/a/b\n", "{}/a/b"),
    "version 1, in a container": ("5:cpu:/docker/1\n3:memory:/docker/1\n", "{}"),
}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with eight cores and 20 GiB."""
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: set(range(8)), raising=False
    )
    write(tmp_path, "proc/meminfo", f"MemTotal: 1 kB\nMemAvailable: {20 << 20} kB\n")
    return tmp_path


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize(
    ("quota", "cores"), [("250000", 3), ("100000", 1), ("1", 1), (None, 8)]
)
def test_cores(groups, quota, cores, machine):
    """No more than the quota of a control group gives, one at least."""
    text, where = GROUPS[groups]
    write(machine, "proc/self/cgroup", text)
    group = "sys/fs/cgroup/" + where.format("cpu")
    if "version 2" in groups:
        write(machine, f"{group}/cpu.max", f"{quota or 'max'} 100000\n")
    else:
        write(machine, f"{group}/cpu.cfs_quota_us", f"{quota or -1}\n")
        write(machine, f"{group}/cpu.cfs_period_us", "100000\n")
    assert limits.cores(str(machine)) == cores
    assert limits.of_this_process(str(machine)) == cores


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize(
    ("limit", "number"), [(5 * GIB, 4), (GIB, 1), (100 * GIB, 8), (None, 8)]
)
def test_memory(groups, limit, number, machine):
    """One GiB a compiler; of what the group uses, what is a cache is free."""
    text, where = GROUPS[groups]
    write(machine, "proc/self/cgroup", text)
    group = "sys/fs/cgroup/" + where.format("memory")
    write(machine, f"{group}/memory.stat", "x 1\ninactive_file 7\n")
    names = ["memory.max", "memory.current"]
    if "version 1" in groups:
        names = ["memory.limit_in_bytes", "memory.usage_in_bytes"]
        write(machine, f"{group}/memory.stat", f"total_inactive_file {GIB}\n")
    else:
        write(machine, f"{group}/memory.stat", f"x 1\ninactive_file {GIB}\n")
    write(machine, f"{group}/{names[0]}", f"{limit or 'max'}\n")
    write(machine, f"{group}/{names[1]}", f"{2 * GIB}\n")
    assert limits.of_this_process(str(machine)) == number


def test_the_machines_memory(machine):
    """Of a machine with little of it."""
    write(machine, "proc/meminfo", f"MemAvailable: {3 << 20} kB\n")
    assert limits.of_this_process(str(machine)) == 3


def test_nothing_is_known(machine):
    """No /proc: what Python knows of the cores."""
    assert limits.of_this_process(str(machine / "missing")) == 8


class Command:
    """What `limits.stated` asks of build_ext."""

    def __init__(self, parallel=None, by=None, of_build=None):
        self.parallel = parallel
        self.distribution = types.SimpleNamespace(
            get_option_dict=lambda name: {"parallel": (by, "")} if by else {}
        )
        self._build = types.SimpleNamespace(parallel=of_build)

    def get_finalized_command(self, name):
        return self._build


@pytest.mark.parametrize(
    ("setting", "command", "most", "expected"),
    [
        ("auto", Command(), "", None),
        (3, Command(8, "command line"), "5", 3),
        ("auto", Command(8, "command line"), "5", 8),
        ("auto", Command(8, "setup.cfg"), "5", 5),
        ("auto", Command(8, "setup.cfg"), "", 8),
        ("auto", Command(of_build=8), "", 8),
        ("auto", Command(True), "", None),
        ("auto", Command(-1), "", 1),
        ("auto", Command(), "0", None),
        ("auto", Command(), "many", None),
    ],
)
def test_stated(setting, command, most, expected):
    """The setting, who runs the build, MAX_JOBS, the project; in this order."""
    assert limits.stated(setting, command, {"MAX_JOBS": most}) == expected
