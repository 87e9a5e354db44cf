"""Whether somebody has a file open to write to it, as far as Linux tells."""

from __future__ import annotations

import os
import re
import sys

__all__ = ["is_being_written"]

# File systems of this kernel alone, which refuse a lease for no other reason. NFS and
# SMB refuse it too if the server has not promised to tell of other clients.
_TELLING = {
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs"),
    *("tmpfs", "ramfs", "overlay"),
}
_MOUNTS = "/proc/self/mountinfo"
_ESCAPED = re.compile(r"\\([0-7]{3})")

if sys.platform == "linux":
    import fcntl
    import signal

    def is_being_written(path: str) -> bool:
        """Whether somebody has the file *path* open to write to it.

        A lease for reading is given only if nobody has (fcntl(2)), of files of one's
        own. It is given back at once. False also where the system does not tell.
        """
        if not os.path.isfile(path):
            return False  # to open a pipe is to wait for a writer
        try:
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            # Whoever opens it to write now has this process told, by SIGIO unless it
            # says another signal; and SIGIO ends it.
            fcntl.fcntl(number, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return _file_system(path) in _TELLING
        except (OSError, AttributeError):  # not each fcntl has leases
            return False
        finally:
            os.close(number)
        return False

else:

    def is_being_written(path: str) -> bool:  # noqa: ARG001
        """Return False: this system does not tell."""
        return False


def _file_system(path: str) -> str | None:
    """Return what the file system of *path* is called, or None if it is not known."""
    real, most, found = os.path.realpath(path), -1, None
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        mounted, _, kind = line.partition(" - ")
        place = os.path.join(_ESCAPED.sub(_unescaped, mounted.split()[4]), "")
        # Of several at one place the last one is what is seen.
        if real.startswith(place) and len(place) >= most:
            most, found = len(place), kind.split()[0]
    return found


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))
