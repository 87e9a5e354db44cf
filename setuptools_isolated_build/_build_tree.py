"""One build's private directories, leased for as long as it builds.

Below a root stand the numbered slots ``0``, ``1``, … Each has a lock file beside it
(``0.lock``) that the slot's owner holds while it builds; a build takes the lowest free
one. Thus no two live builds share a slot, a lone build always gets ``0`` (stable paths
for reproducible binaries and compiler caches), and what killed builds leave is found
and removed by whoever leases their slot next: a free lock proves that the owner is
gone, which neither age nor a pid does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import tempfile
from typing import TYPE_CHECKING

from . import _locks, _removal
from .errors import BuildRootError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "BuildTree",
    "is_staging",
    "keep",
    "lease",
    "private_tree",
    "release",
]

_MOST_SLOTS = 10_000
_STAGING_RECORD = "staging"
# Ours, setuptools' (tempfile's eight letters), and setuptools' before 65.
_STAGING_NAME = r"\.tmp-[0-9a-f]{16}$|\.tmp-\w{8}$|tmp\w{8}$"


class BuildTree:
    """The paths of one build's private directories. Whoever has one may not own it.

    Attributes:
        slot: the leased directory, which `release` removes.
        directory: where this build's directories are: the slot itself, or a directory
            inside it after the slot's last owner was killed.
        is_kept: whether the next build finds build_temp as this one has left it.
    """

    def __init__(self, slot: str, directory: str, *, is_kept: bool = False) -> None:
        self.slot = slot
        self.directory = directory
        self.is_kept = is_kept

    def __eq__(self, other: object) -> bool:
        # Copies of a distribution have copies of its tree.
        return isinstance(other, BuildTree) and self.directory == other.directory

    def __hash__(self) -> int:
        return hash(self.directory)

    @property
    def build_base(self) -> str:
        """What ``build`` uses in place of ``build/``."""
        return os.path.join(self.directory, "build")

    @property
    def egg_base(self) -> str:
        """The parent of the egg-info directory; not below `build_base`.

        `setuptools.command.sdist` prunes all that is below build_base from the
        manifest, and would prune the egg-info with it.
        """
        return os.path.join(self.directory, "egg_base")

    @property
    def bdist_dir(self) -> str:
        """What ``bdist_wheel`` uses when build_base is not private."""
        return os.path.join(self.directory, "bdist_dir")

    @property
    def release_root(self) -> str:
        """The parent of the release tree that ``sdist`` packs."""
        return os.path.join(self.directory, "sdist")

    def holds(self, path: str) -> bool:
        """Whether *path* lies inside this build tree."""
        return os.path.abspath(path).startswith(self.directory + os.sep)

    def remember_staging(self, path: str) -> None:
        """Write down that *path* is to be removed with this build tree.

        Called before the directory is filled, so that what a killed build has staged
        in somebody's ``dist/`` goes when its slot is leased again.
        """
        record = os.path.join(self.slot, _STAGING_RECORD)
        with open(record, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(os.path.abspath(path) + "\0")


class _Lease:
    def __init__(self, lock: _locks.Lock | None) -> None:
        self.lock = lock
        self.kept: set[str] = set()
        # A forked child has this table too, and must not remove anything.
        self.owner = os.getpid()


_leases: dict[BuildTree, _Lease] = {}


def lease(root: str, *, is_kept: bool = False) -> BuildTree:
    """Lease the lowest free slot below *root* and make its directories, empty.

    Where trees are kept they have in them what the last build has named to `keep`.

    The slot is this process's until `release` or the end of the process, whichever is
    first. After a crash the slot's lock is free and its directory stays until the slot
    is leased again.

    Args:
        root: the absolute, resolved path of a directory of this user's.
        is_kept: whether trees below this root are kept.

    Raises:
        LocksUnavailableError: the file system of *root* has no locks.
        BuildRootError: *root* cannot be written to.
    """
    try:
        for number in range(_MOST_SLOTS):
            slot = os.path.join(root, str(number))
            lock = _locks.acquire(f"{slot}.lock", timeout=0)
            if lock is not None and is_kept and _kept().is_foreign(slot):
                lock.release()
            elif lock is not None:
                return _occupy(slot, lock, is_kept=is_kept)
    except OSError as exc:
        remedy = "free it, or set build-root to a directory that you can write to"
        raise BuildRootError(root, exc.strerror or str(exc), remedy) from exc
    cause = f"the locks of all {_MOST_SLOTS} build trees are held"
    raise BuildRootError(root, cause, "set build-root to another directory")


def private_tree(parent: str) -> BuildTree:
    """Make a build tree of a name that nobody else has, without a lease.

    After a crash it stays: nothing proves to another build that its owner is gone.

    Raises:
        BuildRootError: *parent* cannot be written to.
    """
    try:
        return _occupy(
            tempfile.mkdtemp(prefix=".setuptools-isolated-build-", dir=parent)
        )
    except OSError as exc:
        remedy = "set TMPDIR or build-root to a directory that you can write to"
        raise BuildRootError(parent, exc.strerror or str(exc), remedy) from exc


def keep(tree: BuildTree, directory: str) -> None:
    """Leave *directory* for the next build in this tree, if it is kept."""
    if tree.is_kept and tree in _leases:
        _leases[tree].kept.add(os.path.abspath(directory))


def release(tree: BuildTree, *, keep: bool = False) -> str | None:
    """Remove the build tree and end its lease; nothing if this process has none.

    Args:
        tree: what `lease` or `private_tree` has returned.
        keep: move the build tree out of its slot instead of removing it.

    Returns:
        Where the kept build tree is.
    """
    lease = _leases.pop(tree, None)
    if lease is None or lease.owner != os.getpid():
        return None
    try:
        if keep:
            return _move_out(tree, lease)
        if tree.is_kept:
            with contextlib.suppress(OSError):  # then the next build begins afresh
                _kept().close(tree.slot, tree.directory, lease.kept)
                _kept().prune(tree.slot)
        else:
            _removal.remove(tree.slot)
        return None
    finally:
        if lease.lock is not None:
            lease.lock.release()


def _occupy(
    slot: str, lock: _locks.Lock | None = None, *, is_kept: bool = False
) -> BuildTree:
    _forget_made_directories()
    directory = slot
    try:
        if lock is not None:
            try:
                os.mkdir(slot, 0o700)
            except FileExistsError:
                left = _kept().open_again(slot) if is_kept else None
                directory = left or _take_over(slot, is_kept=is_kept)
        if is_kept:
            _kept().mark(slot)
        tree = BuildTree(slot, directory, is_kept=is_kept)
        os.makedirs(tree.egg_base)
    except BaseException:
        if not is_kept:
            _removal.remove(slot)
        if lock is not None:
            lock.release()
        raise
    _leases[tree] = _Lease(lock)
    return tree


def _take_over(slot: str, *, is_kept: bool) -> str:
    """Empty the slot of a build that was killed; return the directory to build in.

    Compilers that the killed build started may live on and write to the paths that they
    were given: this build gets others.
    """
    if os.path.islink(slot) or not os.path.isdir(slot):
        os.unlink(slot)
        os.mkdir(slot, 0o700)
        return slot
    known = set(os.listdir(slot))
    name = next(str(n) for n in range(1, len(known) + 2) if str(n) not in known)
    directory = os.path.join(slot, name)
    _remove_staged(slot)
    if is_kept:
        _kept().empty(slot)
    else:
        _removal.remove(slot)
    os.makedirs(directory, 0o700)
    return directory


def _remove_staged(slot: str) -> None:
    record = os.path.join(slot, _STAGING_RECORD)
    try:
        with open(record, encoding="utf-8", errors="surrogateescape") as file:
            staged = file.read().split("\0")
    except FileNotFoundError:
        return
    for path in staged[:-1]:  # a path without its terminator was not made yet
        if is_staging(os.path.basename(path)) and not os.path.islink(path):
            _removal.remove(path)


def _move_out(tree: BuildTree, lease: _Lease) -> str:
    if lease.lock is None:
        return tree.directory
    # The slot's next owner would empty it.
    root = os.path.dirname(tree.slot)
    kept = tempfile.mkdtemp(prefix="kept-", dir=root)
    os.replace(tree.slot, os.path.join(kept, os.path.basename(tree.slot)))
    return os.path.join(kept, os.path.relpath(tree.directory, root))


def is_staging(name: str) -> bool:
    """Whether *name* is one that directories for unfinished archives get."""
    if name == "tmp" or not name.startswith((".tmp-", "tmp")):
        return False  # compiling the pattern takes longer than all names of most builds
    return re.match(_STAGING_NAME, name) is not None


def _forget_made_directories() -> None:
    # distutils.dir_util.mkpath remembers what it made and makes it once per process:
    # in a slot that this process has leased before, directories would be missing.
    from distutils import dir_util  # setuptools' own; it has to be imported first

    for name in ("_path_created", "SkipRepeatAbsolutePaths"):  # before and since 75.3
        cache = getattr(dir_util, name, None)
        if cache is not None:
            cache.clear()


def _kept() -> ModuleType:
    from . import _kept  # most builds keep nothing

    return _kept


def _release_all() -> None:
    for tree in list(_leases):
        release(tree)


atexit.register(_release_all)
