"""One build's private directories, leased for as long as it builds.

Below a root, a directory of this user's alone, stand build trees, ``tree-`` with a
random name each. Whoever builds in one holds the lock on it. A build takes a tree that
nobody holds and that was left in order, or makes a new one:

- No two live builds share a tree, and no name means two trees: it is not used again
  once its build was killed or has failed, for the children of such a build may live on
  and write to the paths that they were given.
- A lone build gets the path of the last one that ended well: reproducible binaries.
- What is found without its owner is renamed, and then removed, by the next build.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import processes
from setuptools_isolated_build._places import private_directory
from setuptools_isolated_build._trees import dead, removal
from setuptools_isolated_build._trees.tree import IDLE, KEEP, LEASE, PRIVATE, BuildTree
from setuptools_isolated_build.errors import BuildRootError, BuildTreeLostError

__all__ = ["Kind", "Lease", "lease", "private"]

_MOST_ATTEMPTS = 100
_MOST_KEPT = 10


class Kind:
    """What becomes of a tree after its build: nothing stays."""

    is_kept = False

    def takes(self, directory: str) -> bool:
        """Whether it was left in order: empty, and marked as that; now it is in use.

        An empty directory may be the first thing that a killed build's child makes.
        """
        if not set(os.listdir(directory)) <= {IDLE, _lock.LOCK_FILE}:
            return False
        try:
            os.unlink(os.path.join(directory, IDLE))
        except FileNotFoundError:
            return False
        return True

    def leaves(self, directory: str) -> bool:  # noqa: ARG002
        """Whether it stays as it is, though this build does not use it."""
        return False

    def close(self, directory: str, wanted: set[str]) -> None:  # noqa: ARG002
        """Make it ready for the next build; *wanted* is what that one asks for."""
        removal.remove_all_but({os.path.join(directory, _lock.LOCK_FILE)}, directory)
        _write_empty(os.path.join(directory, IDLE))


class Lease:
    """A build tree that this process has, until `end`.

    Attributes:
        tree: its paths.
        wanted: directories in it that the next build is to find, if it is kept.
        process: the process that has leased it, and not a forked child of that.
    """

    def __init__(self, tree: BuildTree, lock: _lock.Lock | None, kind: Kind) -> None:
        self.tree = tree
        self.wanted: set[str] = set()
        self.process = os.getpid()
        self._lock = lock
        self._kind = kind
        self._status = os.stat(tree.directory)
        self._token = os.urandom(16).hex()
        self._guard = ""

    def begin(self, what: str) -> None:
        """Write down who builds here, and what."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        number = os.open(os.path.join(self.tree.directory, LEASE), flags, 0o600)
        with open(number, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(processes.note(what, self._token))
        self._guard = self.tree.make_work()
        os.mkdir(self.tree.egg_base)

    def check(self, result: str = "nothing is published") -> None:
        """Check that the build tree is still there; the error says what *result* is.

        Raises:
            BuildTreeLostError: somebody has removed it, or put another in its place.
        """
        if self._is_lost():
            cause = f"this build tree was removed during the build, {result}"
            remedy = "build again, and let nothing delete files in its parent directory"
            raise BuildTreeLostError(self.tree.directory, cause, remedy)

    def _is_lost(self) -> bool:
        record = os.path.join(self.tree.directory, LEASE)
        try:
            with open(record, encoding="utf-8", errors="surrogateescape") as file:
                token = processes.Holder(file.read()).token
            is_ours = token == self._token and self._is_there()
        except OSError:
            return True
        return not (is_ours and os.path.exists(self._guard))

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.tree.directory), self._status)
        except OSError:
            return False

    def end(self, *, failed: bool, keep: bool) -> None:
        """End the lease, and remove the build tree or leave what is to stay of it.

        Args:
            failed: whether the build has; its children may be at work.
            keep: leave the tree as it is, for somebody to look into.
        """
        try:
            if self._is_there():
                self._end(failed=failed, keep=keep)
        finally:
            # Closed and not released: a forked child may have a part in the build.
            if self._lock is not None:
                self._lock.close()

    def _end(self, *, failed: bool, keep: bool) -> None:
        directory = self.tree.directory
        try:
            if keep:
                _write_empty(os.path.join(directory, KEEP))
                dead.prune(os.path.dirname(directory), KEEP, _MOST_KEPT)
            elif failed and not self._kind.is_kept:
                dead.reclaim(directory)
            else:
                self._kind.close(directory, self.wanted)
        except OSError:
            dead.reclaim(directory)  # it is not in order


def lease(root: str, kind: Kind, what: str) -> Lease:
    """Lease a build tree below *root*, and remove what dead builds have left there.

    Args:
        root: a directory of this user's alone.
        kind: what is to become of the tree.
        what: what is built, for those who look into the tree's record.

    Raises:
        LocksUnavailableError: the file system of *root* has no locks.
        BuildRootError: *root* cannot be written to.
    """
    try:
        found = None
        for _ in range(_MOST_ATTEMPTS):
            try:
                found = found or _find(root, kind) or _make(root)
            except FileNotFoundError:  # noqa: PERF203
                # Somebody has removed the root, or a cleaner has that found it empty.
                if private_directory(root) is not None:
                    raise
        if found is None:
            raise OSError(errno.EBUSY, "something removes each new build tree")
        tree = BuildTree(found.directory, is_kept=kind.is_kept)
        made = Lease(tree, found.lock, kind)
        try:
            made.begin(what)
        except BaseException:
            made.end(failed=True, keep=False)
            raise
    except OSError as exc:
        remedy = "set build-root to a directory that you can write to"
        raise BuildRootError(root, exc.strerror or str(exc), remedy) from exc
    return made


def private(parent: str, what: str) -> Lease:
    """Make a build tree of a name that nobody else has, without a lock.

    After a crash it stays: nothing proves to another build that its owner is gone.

    Raises:
        BuildRootError: *parent* cannot be written to.
    """
    try:
        directory = tempfile.mkdtemp(prefix=PRIVATE, dir=parent)
        made = _PrivateLease(BuildTree(directory), None, Kind())
        made.begin(what)
    except OSError as exc:
        remedy = "set TMPDIR or build-root to a directory that you can write to"
        raise BuildRootError(parent, exc.strerror or str(exc), remedy) from exc
    return made


class _PrivateLease(Lease):
    def _end(self, *, failed: bool, keep: bool) -> None:  # noqa: ARG002
        if not keep:
            removal.remove(self.tree.directory)


class _Found:
    def __init__(self, directory: str, lock: _lock.Lock) -> None:
        self.directory = directory
        self.lock = lock


def _find(root: str, kind: Kind) -> _Found | None:
    found = None
    for name in sorted(os.listdir(root)):
        directory = os.path.join(root, name)
        lock = dead.lock_tree(directory)
        if lock is None:
            continue
        with contextlib.suppress(OSError):  # the next build looks at it again
            if found is None and name.startswith(dead.TREE) and kind.takes(directory):
                found = _Found(directory, lock)
                continue
            if not _stays(directory, kind):
                dead.reclaim(directory)
        lock.close()
    return found


def _stays(directory: str, kind: Kind) -> bool:
    is_kept = os.path.exists(os.path.join(directory, KEEP))
    return is_kept or kind.leaves(directory)


def _make(root: str) -> _Found | None:
    directory = os.path.join(root, dead.TREE + os.urandom(4).hex())
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        return None
    try:
        # Another build may have taken it for an idle one at this moment.
        lock = dead.lock_tree(directory)
    except _lock.LocksUnavailableError:
        removal.remove(directory)
        raise
    return None if lock is None else _Found(directory, lock)


def _write_empty(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
