"""Who has a file open to write to it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from setuptools_isolated_build._validation import writing

if sys.platform == "linux":
    import fcntl

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell"),
]

OPEN = """
import sys
file = open(sys.argv[1], sys.argv[2])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("mode", "is_written"), [("a", True), ("r", False)])
def test_who_has_it_open(tmp_path, mode, is_written):
    path = tmp_path / "file"
    path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", OPEN, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "open\n"
        assert writing.is_being_written(str(path)) == is_written
        process.stdin.close()
        assert process.wait(60) == 0
    assert not writing.is_being_written(str(path))
    assert not writing.is_being_written(str(tmp_path / "missing"))


BETWEEN = """
import fcntl, os, sys
from setuptools_isolated_build._validation import writing

path = sys.argv[1]

def ask(number, command, argument, ask=fcntl.fcntl):
    answer = ask(number, command, argument)
    if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
        try:
            os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("told")
    return answer

fcntl.fcntl = ask
print(writing.is_being_written(path))
"""


def test_who_opens_it_while_it_is_asked(tmp_path):
    """The system tells by a signal that ends a process by default."""
    (tmp_path / "file").touch()
    command = [sys.executable, "-c", BETWEEN, str(tmp_path / "file")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "told\nFalse\n")


def test_a_python_without_leases(tmp_path, monkeypatch):
    """It does not tell, and builds all the same."""
    monkeypatch.delattr(fcntl, "F_SETLEASE")
    with (tmp_path / "file").open("w"):
        assert not writing.is_being_written(str(tmp_path / "file"))


OPENS = """
import sys
from setuptools_isolated_build._validation import reads, writing
print(writing.is_being_written(sys.argv[1]), reads.digest(sys.argv[1]))
"""


def test_a_pipe(tmp_path):
    """To open it would be to wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-c", OPENS, str(tmp_path / "pipe")]
    assert subprocess.check_output(command, timeout=60) == b"False None\n"


def mounts(tmp_path, *pairs):
    """Write down what is mounted where, as Linux does (proc_pid_mountinfo(5))."""
    (tmp_path / "mounts").write_text(
        "".join(
            f"{number} 1 0:{number} / {place} rw,relatime shared:1 - {kind} source rw\n"
            for number, (place, kind) in enumerate(pairs)
        )
    )
    return str(tmp_path / "mounts")


@pytest.mark.parametrize(
    ("kind", "is_believed"),
    [("ext4", True), ("overlay", True), ("nfs4", False), ("cifs", False)],
)
def test_a_lease_that_is_refused(kind, is_believed, tmp_path, monkeypatch):
    """NFS and SMB refuse one if the server has made no promise: nobody writes there."""
    path = tmp_path / "a place" / "file"
    path.parent.mkdir()
    stated = [("/", "tmpfs"), (str(path.parent).replace(" ", r"\040"), kind)]
    monkeypatch.setattr(writing, "_MOUNTS", mounts(tmp_path, *stated))
    with path.open("w"):
        assert writing.is_being_written(str(path)) == is_believed


def test_which_file_system_it_is(tmp_path, monkeypatch):
    """The one that was mounted last at the last place above; none is guessed."""
    pairs = [("/", "ext4"), ("/a", "xfs"), ("/a", "nfs"), ("/a/b", "tmpfs")]
    monkeypatch.setattr(writing, "_MOUNTS", mounts(tmp_path, *pairs))
    paths = ["/x", "/ab", "/a/x", "/a/b/c/x"]
    found = [writing._file_system(path) for path in paths]
    assert found == ["ext4", "ext4", "nfs", "tmpfs"]
    monkeypatch.setattr(writing, "_MOUNTS", os.devnull)
    assert writing._file_system("/x") is None
    monkeypatch.setattr(writing, "_MOUNTS", str(tmp_path / "none"))
    assert writing._file_system("/x") is None
