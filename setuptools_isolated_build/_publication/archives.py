"""Put a finished archive into its directory: staged, checked, then replaced at once."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import zlib
from typing import TYPE_CHECKING

from setuptools_isolated_build._locks import lock as _lock
from setuptools_isolated_build._locks import places, processes
from setuptools_isolated_build._trees import removal
from setuptools_isolated_build.errors import DiskFullError, PublishError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from setuptools_isolated_build._trees.tree import BuildTree

__all__ = [
    "check_directory",
    "check_wheel",
    "lock_for",
    "packed_in",
    "publish",
    "replacing",
    "staging_directory",
]

_MOST_LOCKS = 16
_MOST_ATTEMPTS = 50
_PAUSE = 0.04  # seconds
_ELSEWHERE = "make it writable; archives can go elsewhere with --dist-dir"


@contextlib.contextmanager
def staging_directory(directory: str, tree: BuildTree) -> Iterator[str]:
    """Make a directory inside *directory*, for what is not finished yet.

    It is on the same file system, so that it can be put in place by replacing; readers
    of ``dist/`` pass over its dotted name. It is gone after the block, and after a
    crash when *tree* is found without its owner. *directory* stays: another build may
    be about to stage something there.

    Raises:
        PublishError: *directory* cannot be made or written to.
    """
    # Absolute, since commands change the current directory.
    staging = os.path.join(os.path.abspath(directory), f".tmp-{os.urandom(8).hex()}")
    tree.remember_staging(staging)
    try:
        _make_staging(staging)
    except OSError as exc:
        raise PublishError(directory, exc.strerror or str(exc), _ELSEWHERE) from exc
    try:
        yield staging
    finally:
        removal.remove(staging)


@contextlib.contextmanager
def packed_in(directory: str, tree: BuildTree) -> Iterator[str]:
    """Make a `staging_directory`, into which an archive is packed in the block.

    Raises:
        PublishError: *directory* cannot be made or written to.
        DiskFullError: its file system ran full in the block.
    """
    with staging_directory(directory, tree) as staging:
        try:
            yield staging
        except OSError as exc:
            if exc.errno in {errno.ENOSPC, errno.EDQUOT} and not _is_of(tree, exc):
                full = exc.strerror or str(exc)
                raise DiskFullError(directory, full, "free some space there") from exc
            raise


def check_directory(directory: str) -> None:
    """Check that *directory* is one or can become one, before much is done for it.

    Raises:
        PublishError: something else is in its place.
    """
    path = os.path.abspath(directory)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        raise PublishError(directory, f"{path} is no directory", _ELSEWHERE)


def _make_staging(staging: str) -> None:
    for attempt in reversed(range(_MOST_ATTEMPTS)):
        os.makedirs(os.path.dirname(staging), exist_ok=True)
        try:
            os.mkdir(staging, 0o700)
        except FileNotFoundError:
            # Somebody has found the directory empty, and taken it away.
            if not attempt:
                raise
        else:
            return


def _is_of(tree: BuildTree, exc: OSError) -> bool:
    return exc.filename is not None and tree.holds(os.fsdecode(exc.filename))


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
            _replace(staged, target)
        except OSError as exc:
            remedy = "make it writable, or end what is using it"
            raise PublishError(target, exc.strerror or str(exc), remedy) from exc


@contextlib.contextmanager
def lock_for(directory: str, place: str | None, timeout: float) -> Iterator[str | None]:
    """Hold the lock for what is put into *directory* in the block.

    Yields:
        The path of the lock file, or None without a *place* for it or where its file
        system has no locks.

    Raises:
        PublishError: the lock was not had in time.
    """
    if place is None:
        yield None
        return
    path = _lock_path(place, directory)
    try:
        lock = places.acquire(path, timeout)
    except _lock.LocksUnavailableError:
        yield None
        return
    if lock is None:
        holder = processes.Holder(_lock.read_note(path))
        cause = f"{path} has been locked for {timeout:g} s: {holder}"
        remedy = "build again, or raise lock-timeout"
        raise PublishError(directory, cause, remedy)
    try:
        lock.write_note(processes.note(f"publishing in {directory}"))
        yield path
    finally:
        lock.release()


def publish(archive: str, target: str, place: str | None, timeout: float) -> bool:
    """Replace *target* by *archive*, which is on the same file system.

    A reader sees the old file or the new one, whole, at any moment and after a crash
    of this process (not of the machine: nothing is flushed to disk, as in setuptools).

    Args:
        archive: the path of the finished archive.
        target: the path at which it is to be found.
        place: the directory for the publish locks, a bounded number of them.
        timeout: how long to wait for the lock, in seconds.

    Returns:
        Whether the lock was held; there is none without a *place* or where the file
        system has no locks.

    Raises:
        PublishError: the lock was not had in time, or *target* cannot be replaced.
    """
    directory = os.path.dirname(os.path.abspath(target))
    try:
        with lock_for(directory, place, timeout) as lock:
            _replace(archive, target)
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


def _replace(source: str, target: str) -> None:
    # Windows refuses while a reader or a virus scanner has the target open.
    for attempt in reversed(range(_MOST_ATTEMPTS)):
        try:
            os.replace(source, target)
        except PermissionError:  # noqa: PERF203
            if os.name != "nt" or not attempt:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _lock_path(place: str, directory: str) -> str:
    number = zlib.crc32(os.fsencode(os.path.realpath(directory))) % _MOST_LOCKS
    return os.path.join(place, f"publish-{number}.lock")
