"""Which processes there are: who holds a lock, and whether it is an ancestor of ours.

A process id alone may be somebody else's by now. Where ``/proc`` tells when a process
was started, that belongs to its name.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import lru_cache

__all__ = [
    "Holder",
    "ancestors",
    "began",
    "disinherit",
    "inherit",
    "inherited",
    "is_alive",
    "is_ours",
    "name",
    "note",
    "now",
]

# For the builds that a build starts: the tokens of what it is in.
_INHERITED = "_SETUPTOOLS_ISOLATED_BUILD_TURNS"

_MOST_ANCESTORS = 1000
_STATUS = 4096  # bytes: more than a line of numbers takes
_SECONDS = 10


class Holder:
    """Who holds a lock, as its note says.

    Attributes:
        process: the process's name, see `name`.
        token: what its children inherit, see `turns`.
        since: when it has taken the lock, in words.
        what: what it does with it.
    """

    def __init__(self, note: str) -> None:
        fields = [*note.split("\n"), "", "", "", ""]
        self.process, self.token, self.since, self.what = fields[:4]

    def __str__(self) -> str:
        if not self.process:
            return "an unknown process"
        pid = self.process.partition(":")[0]
        return f"process {pid}, since {self.since}, {self.what}"


def note(what: str, token: str = "", since: str = "") -> str:
    """Return what this process writes into a lock file while it holds the lock.

    Args:
        what: what it does meanwhile.
        token: what its children know it by, if they are to.
        since: when it has taken the lock, if that is not `now`.
    """
    fields = (name(os.getpid()), token, since or now(), what.replace("\n", " "), "")
    return "\n".join(fields)


def now() -> str:
    """Return the local time, for those who read a note."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def name(pid: int) -> str:
    """Return what is this process's alone: its id and, if known, its start."""
    return f"{pid}:{_status(pid)[1]}"


def is_alive(process: str) -> bool:
    """Whether the process of that `name` is there; true if that cannot be told."""
    pid, _, start = process.partition(":")
    if not pid.isdigit():
        return False
    if start:
        return _status(int(pid))[1] == start
    if os.name == "posix":
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
    return True


def ancestors() -> set[str]:
    """Return the names of the parent of this process, of its parent, and so on."""
    return _ancestors(os.getpid(), os.getppid())


@lru_cache(maxsize=1)  # who begins asks for each build that is there
def _ancestors(_: int, parent: int) -> set[str]:
    found: set[str] = set()
    pid = parent
    while pid > 0 and len(found) < _MOST_ANCESTORS:
        parent, start = _status(pid)
        found.add(f"{pid}:{start}")
        pid = parent
    return found


def is_ours(holder: Holder) -> bool:
    """Whether this process runs inside a build of *holder*, which goes on."""
    # By a clean environment, too. Not this process itself: another thread of it waits.
    is_inside = (holder.token and holder.token in inherited()) or (
        holder.process in ancestors()
    )
    # If it was killed, whoever has the lock has not written yet.
    return bool(is_inside) and is_alive(holder.process)


def inherited() -> set[str]:
    """Return the tokens of the builds that this process is in."""
    return set(filter(None, os.environ.get(_INHERITED, "").split(",")))


def inherit(token: str) -> None:
    """Let the children of this process know that they are in the build of *token*."""
    os.environ[_INHERITED] = ",".join(sorted({*inherited(), token}))


def disinherit(token: str) -> None:
    """End `inherit`."""
    tokens = inherited() - {token}
    if tokens:
        os.environ[_INHERITED] = ",".join(sorted(tokens))
    else:
        os.environ.pop(_INHERITED, None)


def began() -> int:
    """Return when this process was started, in nanoseconds of the file systems' clock.

    Where the system does not tell, at the latest when it has used up its CPU time.
    """
    start = _status(os.getpid())[1] if sys.platform == "linux" else ""
    if start.isdigit():
        up = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        age = up - int(start) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    else:
        age = time.process_time_ns() + 1_000_000_000
    return time.time_ns() - age


if sys.platform == "linux":

    def _status(pid: int) -> tuple[int, str]:
        """Return the parent of *pid* and when it was started; zeros if unknown."""
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                # The name in brackets may hold anything.
                fields = file.read(_STATUS).rpartition(b")")[2].split()
            return int(fields[1]), fields[19].decode()
        except (OSError, ValueError, IndexError):
            return 0, ""

else:

    def _status(pid: int) -> tuple[int, str]:
        """Return the parent of *pid* and when it was started; zeros if unknown."""
        if os.name != "posix":
            return (os.getppid() if pid == os.getpid() else 0), ""
        try:
            done = subprocess.run(  # noqa: S603
                ["ps", "-o", "ppid=,lstart=", "-p", str(pid)],  # noqa: S607
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=True,
            )
            parent, _, start = done.stdout.strip().partition(" ")
            return int(parent), " ".join(start.split())
        except (OSError, ValueError, subprocess.SubprocessError):
            return 0, ""
