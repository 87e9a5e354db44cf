"""Put a finished archive into its directory: staged, checked, then replaced at once."""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import TYPE_CHECKING

from . import _locks, _removal
from .errors import PublishError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._build_tree import BuildTree

__all__ = ["check_wheel", "lock_for", "publish", "replacing", "staging_directory"]

_MOST_LOCKS = 16
_MOST_ATTEMPTS = 100


@contextlib.contextmanager
def staging_directory(directory: str, tree: BuildTree) -> Iterator[str]:
    """Make a directory inside *directory*, for what is not finished yet.

    It is on the same file system, so that it can be put in place by replacing; readers
    of ``dist/`` pass over its dotted name. It is gone after the block, and after a
    crash when the slot of *tree* is leased again.

    Raises:
        PublishError: *directory* cannot be made or written to.
    """
    staging = os.path.join(directory, f".tmp-{os.urandom(8).hex()}")
    tree.remember_staging(staging)
    is_new = not os.path.lexists(directory)
    try:
        _make_staging(staging)
    except OSError as exc:
        remedy = "make it writable; archives can go elsewhere with --dist-dir"
        raise PublishError(directory, exc.strerror or str(exc), remedy) from exc
    try:
        yield staging
    finally:
        _removal.remove(staging)
        if is_new:
            with contextlib.suppress(OSError):  # it holds a result now
                os.rmdir(directory)


def _make_staging(staging: str) -> None:
    for attempt in reversed(range(_MOST_ATTEMPTS)):
        os.makedirs(os.path.dirname(staging), exist_ok=True)
        try:
            os.mkdir(staging, 0o700)
        except FileNotFoundError:
            # A build that had made the directory has failed, and taken it away again.
            if not attempt:
                raise
        else:
            return


@contextlib.contextmanager
def replacing(target: str, tree: BuildTree) -> Iterator[str]:
    """Let the block write a file to the path it gets, and replace *target* by it.

    A reader sees the old file or the new one, and a process that has mapped the old
    one keeps it.

    Raises:
        PublishError: *target* cannot be replaced.
    """
    with staging_directory(os.path.dirname(os.path.abspath(target)), tree) as staging:
        staged = os.path.join(staging, os.path.basename(target))
        yield staged
        try:
            os.replace(staged, target)
        except OSError as exc:
            remedy = "make it writable, or end what is using it"
            raise PublishError(target, exc.strerror or str(exc), remedy) from exc


@contextlib.contextmanager
def lock_for(
    directory: str, lock_root: str | None, timeout: float
) -> Iterator[str | None]:
    """Hold the lock for what is put into *directory* in the block.

    Yields:
        The path of the lock file, or None without *lock_root* or where its file system
        has no locks.

    Raises:
        PublishError: the lock was not had in time.
    """
    if lock_root is None:
        yield None
        return
    path = _lock_path(lock_root, directory)
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(_locks.hold(path, timeout))
        except _locks.LocksUnavailableError:
            yield None
            return
        if not held:
            cause = f"another build has held {path} for {timeout:g} s"
            remedy = "build again, or raise lock-timeout"
            raise PublishError(directory, cause, remedy)
        yield path


def publish(archive: str, target: str, lock_root: str | None, timeout: float) -> bool:
    """Replace *target* by *archive*, which is on the same file system.

    A reader sees the old file or the new one, whole, at any moment and after a crash
    of this process (not of the machine: nothing is flushed to disk, as in setuptools).

    Args:
        archive: the path of the finished archive.
        target: the path at which it is to be found.
        lock_root: the directory for the publish locks, a bounded number of them.
        timeout: how long to wait for the lock, in seconds.

    Returns:
        Whether the lock was held; there is none without *lock_root* or where the file
        system has no locks.

    Raises:
        PublishError: the lock was not had in time, or *target* cannot be replaced.
    """
    directory = os.path.dirname(os.path.abspath(target))
    try:
        with lock_for(directory, lock_root, timeout) as lock:
            os.replace(archive, target)
            return lock is not None
    except OSError as exc:
        remedy = "make its directory writable, or name another directory"
        raise PublishError(target, exc.strerror or str(exc), remedy) from exc


def check_wheel(path: str) -> None:
    """Check that the wheel *path* holds what its RECORD lists, and nothing else.

    Raises:
        PublishError: it does not.
    """
    import csv
    import io
    from zipfile import BadZipFile

    from wheel.wheelfile import WheelError, WheelFile

    try:
        with WheelFile(path) as wheel:
            for name in wheel.namelist():
                with wheel.open(name) as member:
                    while member.read(1 << 20):  # to its end, where hashes are compared
                        pass
            record = wheel.read(wheel.record_path).decode()
            listed = {row[0] for row in csv.reader(io.StringIO(record)) if row}
            missing = sorted(listed.difference(wheel.namelist()))
            if missing:
                msg = f"{missing[0]!r} is in RECORD only"
                raise WheelError(msg)
    except (WheelError, BadZipFile, EOFError, ValueError, zlib.error) as exc:
        cause = f"the wheel does not match its RECORD ({exc}), it is not published"
        remedy = "build again; verify = false publishes without this check"
        raise PublishError(path, cause, remedy) from exc


def _lock_path(lock_root: str, directory: str) -> str:
    number = zlib.crc32(os.fsencode(os.path.realpath(directory))) % _MOST_LOCKS
    return os.path.join(lock_root, f"publish-{number}.lock")
