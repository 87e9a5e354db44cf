"""Who disturbs the builds of chaos.py: temp cleaners, and another user.

And who ends what is left of killed builds. Nothing here imports the plugin.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from chaos_rooms import NAME, Room, is_private

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCKS = Path("/tmp", f"{NAME}-locks")
AGE = 1  # seconds, from which on the cleaners remove
# In the environment of all that a run starts, so that none of it outlives the run.
RUN = "CHAOS_RUN"
# What no cleaner may remove from a TMPDIR at this age: frontends and compilers have
# files there, and know no locks.
NOT_OURS = ("[!s.]*", ".[!s]*", "s[!e]*", ".s[!e]*")

_PLANT = """
import contextlib, os, sys
victim, kind, *names = sys.argv[1:]
for name in names:
    with contextlib.suppress(OSError):
        if kind == "0":
            os.symlink(victim, name)
        elif kind == "1":
            os.mkdir(name)
            os.chmod(name, 0o777)
        elif kind == "2":
            open(name, "x").close()
        else:
            os.link(os.path.join(victim, "data"), name)
"""


def clean(rooms: Iterable[Room], place: Path, *, by_systemd: bool) -> None:
    """Remove what is older than `AGE` from the roots of *rooms* and among the locks."""
    # Of a directory that somebody named, a cleaner would take the neighbours' part, too.
    whole = [room.tmpdir for room in rooms if room.stated is None]
    parts = [root for room in rooms if room.stated for root in room.roots()]
    if is_private():
        whole.append(LOCKS.parent)
    elif LOCKS.is_dir():
        parts.append(LOCKS)
    if not (by_systemd and shutil.which("systemd-tmpfiles")):
        for path in whole:
            for root in list(path.glob("*setuptools-isolated-build-*")):
                _clean(root, itself=True)
        for root in parts:
            _clean(root, itself=False)
        return
    lines = [f"e {path} - - - {AGE}s" for path in (*whole, *parts)]
    lines += [f"x {path}/{pattern}" for path in whole for pattern in NOT_OURS]
    with tempfile.NamedTemporaryFile("w", suffix=".conf", dir=place) as config:
        config.write("\n".join(lines) + "\n")
        config.flush()
        # Its status is also not 0 when something has gone while it looked.
        subprocess.run(
            ["systemd-tmpfiles", "--clean", config.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=harness.TIMEOUT,
        )


def _clean(path: Path, *, itself: bool) -> None:
    """Clean as tmpfiles.d(5) says: what is below a locked directory is left alone."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            was = _age(
                os.fstat(descriptor)
            )  # before it changes by what is removed here
            for entry in list(os.scandir(path)):
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        _clean(Path(entry.path), itself=True)
                    elif _age(entry.stat(follow_symlinks=False)) > AGE:
                        os.unlink(entry.path)
            if itself and was > AGE:
                os.rmdir(path)
        finally:
            os.close(descriptor)


def _age(info: os.stat_result) -> float:
    youngest = max(info.st_atime, info.st_mtime)
    if not stat.S_ISDIR(info.st_mode):
        youngest = max(youngest, info.st_ctime)
    return time.time() - youngest


def plant(tmpdir: Path, victim: Path, kind: int) -> bool:
    """Let another user put something in our way in *tmpdir*; return whether there is one.

    Args:
        victim: a directory of ours, which the links point to.
        kind: 0 for a link, 1 for a directory, 2 for a file, 3 for a second name of a
            file in *victim*.
    """
    prefix = harness.as_another_user()
    if not prefix or not shutil.which(prefix[0]):
        return False
    names = [f"{tmpdir}/{NAME}", f"{tmpdir}/.{NAME}", f"{tmpdir}/{NAME}-kept"]
    subprocess.run(
        [*prefix, sys.executable, "-c", _PLANT, str(victim), str(kind), *names],
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=harness.TIMEOUT,
    )
    return True


def end_orphans(run: str) -> int:
    """Kill whatever *run* has started and still runs, and return how many that were."""
    killed: set[int] = set()
    until = time.monotonic() + harness.TIMEOUT
    while time.monotonic() < until:
        found = [pid for pid in _processes() if _variable(pid) == run]
        if not found:
            break
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= set(found)
    return len(killed)


def free_turns() -> dict[str, int]:
    """List the files of turns that nobody holds, with their inodes."""
    found = {}
    for path in LOCKS.glob("turn-*.lock"):
        with contextlib.suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found[path.name] = os.fstat(file.fileno()).st_ino
    return found


def _processes() -> list[int]:
    proc = Path("/proc")
    return [int(path.name) for path in proc.glob("[0-9]*")]


def _variable(pid: int) -> str | None:
    with contextlib.suppress(OSError):
        for item in Path("/proc", str(pid), "environ").read_bytes().split(b"\0"):
            name, _, value = item.partition(b"=")
            if name == RUN.encode() and pid != os.getpid():
                return os.fsdecode(value)
    return None


if __name__ == "__main__":
    sys.exit("this module is imported by chaos.py")
