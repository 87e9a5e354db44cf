"""Directories that nobody can plant, and which of them build trees stand in.

A predictable name in the temporary directory is another user's trap: a link planted
there sends our writes (and our removals) elsewhere, and a directory owned by somebody
else stops every build of ours (uv#11324, uv#12665). So whatever is predictable is a
directory of this user alone, and is looked at before it is used. In a directory that
somebody has named, ours is one beside whatever is there.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import Callable

from .errors import BuildRootError

__all__ = [
    "NAME",
    "default_paths",
    "default_root",
    "is_root",
    "private_directory",
    "stated_path",
    "stated_root",
    "user",
    "why_not_private",
]

NAME = "setuptools-isolated-build"
_OPEN = "open to other users"
_MOST_NAMES = 10
_MOST_ATTEMPTS = 20
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = f"""Signature: 8a477f597d28d172789f06886806bc55
# Build trees or locks of {NAME}; all may be removed when nothing is built.
# https://bford.info/cachedir/
"""
_MARKS = {_TAG: _TAG_TEXT, ".gitignore": "*\n"}


def default_root(source_dir: str, tell: Callable[[str], None]) -> str | None:
    """Make the user's own root in the temporary directory, if need be.

    Where another user has taken its name, it has one of the next: by a name that the
    next build finds, too, what a killed build leaves does not stay.

    Args:
        source_dir: the source tree. A root inside it gets a name that begins with a
            dot, which package discovery passes over.
        tell: says in the build's output if it is not the usual one, and why.

    Returns:
        Its path, or None if others have taken all names.

    Raises:
        BuildRootError: the temporary directory is missing or unwritable.
    """
    temporary = None
    reasons = []
    try:
        temporary = os.path.realpath(tempfile.gettempdir())
        usual, *_ = paths = default_paths(temporary, source_dir)
        for path in paths:
            reasons.append(private_directory(path))
            if reasons[-1] is None:
                break
    except OSError as exc:
        remedy = "set TMPDIR or build-root to a directory that you can write to"
        where = temporary or exc.filename or "the temporary directory"
        raise BuildRootError(where, exc.strerror or str(exc), remedy) from exc
    if reasons[0] is not None:
        reason = reasons[0]
        tell(f"{usual}: {reason}, so build trees are in {path}; remove the first")
    return path if reasons[-1] is None else None


def stated_root(directory: str, source_dir: str, suffix: str = "") -> str:
    """Make a directory of our own in *directory*, which somebody named as the root.

    Missing directories are made, the named one for this user alone.

    Args:
        directory: what was named.
        source_dir: as in `default_root`.
        suffix: what the name of our own ends with.

    Raises:
        BuildRootError: it is no directory, cannot be made or written to, or others can
            replace what is in it.
    """
    from ._writers import why_replaceable  # most builds have no such directory

    remedy = "name a directory of your own, or one that does not exist yet"
    try:
        directory = os.path.realpath(directory)
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise BuildRootError(directory, "not a directory", remedy) from None
        reason = why_replaceable(directory)
        if reason is not None:
            raise BuildRootError(directory, reason, remedy)
        path = stated_path(directory, source_dir, suffix)
        reason = private_directory(path)
    except (FileExistsError, NotADirectoryError):
        cause = "a directory above it is a file"
        raise BuildRootError(directory, cause, remedy) from None
    except OSError as exc:
        raise BuildRootError(directory, exc.strerror or str(exc), remedy) from exc
    if reason is not None:
        raise BuildRootError(path, reason, remedy)
    return path


def default_paths(temporary: str, source_dir: str) -> list[str]:
    """Return the names of the default root, the usual one first.

    Args:
        temporary: the real path of the temporary directory.
        source_dir: as in `default_root`.
    """
    usual = os.path.join(temporary, _own_name(temporary, source_dir))
    return [usual, *(f"{usual}-{number}" for number in range(2, _MOST_NAMES))]


def stated_path(directory: str, source_dir: str, suffix: str = "") -> str:
    """Return which directory `stated_root` makes."""
    directory = os.path.realpath(directory)
    return os.path.join(directory, _own_name(directory, source_dir) + suffix)


def private_directory(path: str) -> str | None:
    """Make the directory *path* for this user alone, and mark it as ours.

    Returns:
        Why it is not to be used: it was there, and is not ours. None if it is.

    Raises:
        OSError: it cannot be made.
    """
    for _ in range(_MOST_ATTEMPTS):
        try:
            return _make_private(path)
        except FileNotFoundError:  # noqa: PERF203
            if not os.path.isdir(os.path.dirname(path)):
                raise
    return _make_private(path)  # cleaners remove it each time


def is_root(path: str) -> bool:
    """Whether the directory *path* has our tag: it holds build trees or locks."""
    try:
        with open(os.path.join(path, _TAG), "rb") as file:
            return file.read() == _TAG_TEXT.encode()
    except OSError:
        return False


def _make_private(path: str) -> str | None:
    if not os.path.lexists(path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    reason = why_not_private(path)
    if reason == _OPEN:
        from ._writers import take_back  # most are as they were made

        reason = None if take_back(path) else reason
    if reason is not None:
        return reason
    try:
        # Cleaners go by age. And it fails where the owner that the system names is a
        # pretended one (fakeroot).
        os.utime(path)
        if not os.path.lexists(os.path.join(path, _TAG)):
            return _mark(path)
    except PermissionError as exc:
        return str(exc.strerror)
    return None


def _mark(path: str) -> str | None:
    # A cleaner may have removed the tag, and nothing but the tag.
    ours = ("tree-", "dead-", ".gitignore", _TAG)
    names = os.listdir(path)
    if not all(name.startswith(ours) or name.endswith(".lock") for name in names):
        return "holds other things than build trees"
    for name, text in _MARKS.items():
        staged = os.path.join(path, f"{_TAG}-{os.urandom(4).hex()}")
        with open(staged, "x", encoding="utf-8") as file:
            file.write(text)
        os.replace(staged, os.path.join(path, name))
    return None


def _own_name(parent: str, source_dir: str) -> str:
    source = os.path.realpath(source_dir)
    dot = "." if (parent + os.sep).startswith(source + os.sep) else ""
    return f"{dot}{NAME}-{user()}"


if os.name == "posix":
    import pwd

    def user() -> str:
        """Return the name by which this user's directories are told apart."""
        # Not $USER or $LOGNAME: under sudo and in containers they name somebody else,
        # and one user would then find the other's directory.
        uid = os.geteuid()
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def why_not_private(path: str) -> str | None:
        """Return why the directory *path* is not this user's alone, or None."""
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode):
            return "not a directory"
        if info.st_uid != os.geteuid():
            return "owned by another user"
        if stat.S_IMODE(info.st_mode) & 0o077:
            return _OPEN
        return None

else:

    def user() -> str:
        """Return the name by which this user's directories are told apart."""
        import getpass

        try:
            return getpass.getuser()
        except (ImportError, KeyError, OSError):  # without USERNAME
            return "user"

    def why_not_private(path: str) -> str | None:
        """Return why the directory *path* is not this user's alone, or None."""
        # The temporary directory is the user's own on this system.
        return None if os.path.isdir(path) else "not a directory"
