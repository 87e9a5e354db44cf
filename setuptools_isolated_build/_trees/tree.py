"""The paths of one build's private directories, and the names that these have."""

from __future__ import annotations

import os
import re
import shutil

__all__ = ["IDLE", "KEEP", "KEPT", "LEASE", "PRIVATE", "BuildTree", "is_staging"]

# Files in a tree:
LEASE = "lease"  # who builds in it
IDLE = "idle"  # its build has ended well
KEEP = "keep"  # it stays for somebody to look into it
KEPT = "kept"  # whose it is, since its build has ended
# What the name of a tree begins with that has no lock:
PRIVATE = ".setuptools-isolated-build-"

_MOST_NAMES = 16
# Ours, setuptools' (tempfile's eight letters), and setuptools' before 65.
_STAGING_NAME = r"\.tmp-[0-9a-f]{16}$|\.tmp-\w{8}$|tmp\w{8}$"


class BuildTree:
    """The paths of one build's private directories. Whoever has one may not own it.

    Attributes:
        directory: the leased directory, in which all others are.
        work: the one in it, or itself, in which is all that the build makes.
        is_kept: whether the next build finds build_temp as this one has left it.
    """

    def __init__(self, directory: str, *, is_kept: bool = False) -> None:
        self.directory = self.work = directory
        self.is_kept = is_kept

    @property
    def build_base(self) -> str:
        """What ``build`` uses in place of ``build/``."""
        return os.path.join(self.work, "build")

    @property
    def egg_base(self) -> str:
        """The parent of the egg-info directory; not below `build_base`.

        `setuptools.command.sdist` prunes all that is below build_base from the
        manifest, and would prune the egg-info with it.
        """
        return os.path.join(self.work, "egg_base")

    @property
    def bdist_dir(self) -> str:
        """What ``bdist_wheel`` uses when build_base is not private."""
        return os.path.join(self.work, "bdist_dir")

    @property
    def release_root(self) -> str:
        """The parent of the release tree that ``sdist`` packs."""
        return os.path.join(self.work, "sdist")

    @property
    def staging_record(self) -> str:
        """The file in which staging directories are written down."""
        return os.path.join(self.directory, "staging")

    def make_work(self) -> str:
        """Make `work`, where a file is listed before it; return the path of that file.

        Who removes the tree takes away what is in it as it is listed: the file is gone
        before anything that was built can be. Where the tree's record was listed last,
        a build that packed meanwhile did not notice what it had lost. Of a file system
        that lists directories before files, it is the last file that was tried.
        """
        path = self.directory
        for number in range(_MOST_NAMES):
            name = f"work{number or ''}"
            self.work = os.path.join(self.directory, name)
            try:
                os.mkdir(self.work)
            except FileExistsError:  # kept; now it is listed as if it were new
                os.replace(self.work, f"{self.work}.new")
                os.replace(f"{self.work}.new", self.work)
            # Listed in the order of the alphabet, of hashes, or of age, either way.
            for guard in (LEASE, f"{LEASE}-{number}"):
                path = os.path.join(self.directory, guard)
                with open(path, "a", encoding="utf-8"):
                    names = os.listdir(self.directory)
                if [each for each in names if each in {guard, name}] == [guard, name]:
                    return path
        return path

    def holds(self, path: str) -> bool:
        """Whether *path* lies inside this build tree."""
        return os.path.abspath(path).startswith(self.directory + os.sep)

    def copy_from(self, other: BuildTree) -> None:
        """Copy what has been built in *other*, as far as there is any."""
        for name in ("build", "egg_base", "bdist_dir", "sdist"):
            source = os.path.join(other.work, name)
            if os.path.isdir(source):
                target = os.path.join(self.work, name)
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)

    def remember_staging(self, path: str) -> None:
        """Write down that *path* is to be removed with this build tree.

        Called before the directory is made, so that what a killed build has staged in
        somebody's ``dist/`` goes when its tree is found.
        """
        with open(
            self.staging_record, "a", encoding="utf-8", errors="surrogateescape"
        ) as file:
            file.write(os.path.abspath(path) + "\0")


def is_staging(name: str) -> bool:
    """Whether *name* is one that directories for unfinished archives get."""
    if name == "tmp" or not name.startswith((".tmp-", "tmp")):
        return False  # compiling the pattern takes longer than all names of most builds
    return re.match(_STAGING_NAME, name) is not None
