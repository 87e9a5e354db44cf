"""Where the builds of chaos.py have their TMPDIR, and what may be left there.

Nothing here imports the plugin.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = f"setuptools-isolated-build-{harness.user()}"
MARKS = {"CACHEDIR.TAG", ".gitignore"}
DISK_SIZE = 4 << 20


@dataclass
class Room:
    """A TMPDIR, and where the build trees of those who have it stand."""

    name: str
    tmpdir: Path
    # The value of build-root, with something of a neighbour's in it.
    stated: Path | None = None
    # Builds may fail here, if they say it in one line that names a path here.
    may_fail: bool = False
    was: harness.Listing = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tmpdir.mkdir(parents=True, exist_ok=True)
        if self.stated is not None:
            for number in ("0", "tree-00000000"):
                (self.stated / number).mkdir(parents=True)
                (self.stated / number / "data").write_text("a neighbour's")
            self.was = self._neighbours()

    @property
    def holder(self) -> Path:
        """The directory that the roots stand in."""
        return self.stated or self.tmpdir

    @property
    def variables(self) -> dict[str, str]:
        variables = {"TMPDIR": str(self.tmpdir)}
        if self.stated is not None:
            variables["SETUPTOOLS_ISOLATED_BUILD_BUILD_ROOT"] = str(self.stated)
        return variables

    def roots(self) -> list[Path]:
        """List the directories of ours in which build trees stand, or may have stood."""
        return [
            path
            for path in self.holder.iterdir()
            if "setuptools-isolated-build" in path.name
            and stat.S_ISDIR(path.lstat().st_mode)
            and path.lstat().st_uid == os.geteuid()
        ]

    def left(self) -> list[str]:
        """Name all that a lone build should have removed."""
        names = []
        for root in self.roots():
            trees = [path for path in root.iterdir() if path.name not in MARKS]
            # A build that starts another one within leaves two.
            is_bounded = len(trees) <= 2 and all(
                path.is_dir()
                and path.name.startswith("tree-")
                and [inside.name for inside in path.iterdir()] == ["idle"]
                for path in trees
            )
            # Where another user has planted the name, it is the next.
            if not is_bounded or root.name.lstrip(".") not in (NAME, f"{NAME}-2"):
                beyond = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
                names.append(f"{root}: {beyond}")
        return names

    def lost(self) -> list[str]:
        """Name what was a neighbour's and is no longer what it was."""
        is_now = self._neighbours()
        return [
            f"{self.stated}/{name}"
            for name, was in self.was.items()
            if is_now.get(name) != was and name != "."
        ]

    def remove_roots(self) -> None:
        for root in self.roots():
            shutil.rmtree(root, ignore_errors=True)

    def _neighbours(self) -> harness.Listing:
        if self.stated is None:
            return {}
        listed = harness.listing(self.stated)
        return {k: v for k, v in listed.items() if "isolated-build" not in k}


class Disk:
    """A small file system that is full but for what one leaves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={DISK_SIZE}",
            "chaos",
            str(path),
        ]
        self.is_there = os.geteuid() == 0 and _does(command)

    def leave(self, count: int) -> None:
        """Leave so many bytes; with a count of more than there are, all of them."""
        with contextlib.suppress(OSError), (self.path / "ballast").open("wb") as file:
            info = os.statvfs(self.path)
            os.posix_fallocate(file.fileno(), 0, info.f_bavail * info.f_bsize - count)

    def empty(self) -> None:
        (self.path / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        if self.is_there:
            _does(["umount", "--lazy", str(self.path)])


def is_private() -> bool:
    """Whether /tmp is this run's own."""
    return "CHAOS_PRIVATE" in os.environ


def with_private_tmp(place: Path, needed: Iterable[Path]) -> list[str]:
    """Return the command prefix for a /tmp of one's own, or nothing where none is.

    Locks have one place in /tmp for each user: whoever cleans there should disturb
    nobody else, and see nobody else's.

    Args:
        needed: directories that stay where they are, also if that is below /tmp.
    """
    prefix = ["unshare", "--mount", "--propagation", "private"]
    if not (os.geteuid() == 0 and shutil.which("unshare") and _does([*prefix, "true"])):
        return []
    script, tmp = 'set -e; P="$1"; shift\n', place / "private"
    for path in {path.resolve() for path in needed}:
        if Path("/tmp") in path.parents:
            below = tmp / path.relative_to("/tmp")
            below.mkdir(parents=True, exist_ok=True)
            script += f"mount --bind '{path}' '{below}'\n"
    tmp.mkdir(exist_ok=True)
    tmp.chmod(0o1777)
    script += 'mount --rbind "$P" /tmp; cd /; CHAOS_PRIVATE=1 exec "$@"'
    return [*prefix, "sh", "-c", script, "sh", str(tmp)]


def _does(command: list[str]) -> bool:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=harness.TIMEOUT,
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit("this module is imported by chaos.py")
