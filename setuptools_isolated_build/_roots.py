"""Where build trees stand: directories that nobody else can have prepared.

A predictable name in the temporary directory is another user's trap: a link planted
there sends our writes (and our removals) elsewhere, and a directory owned by somebody
else stops every build of ours (uv#11324, uv#12665).
"""

from __future__ import annotations

import os
import stat
import tempfile

from .errors import BuildRootError

__all__ = ["default_root", "stated_root", "why_not_private"]


def default_root(source_dir: str) -> str:
    """Make the user's own root in the temporary directory, if need be, and name it.

    It may turn out to be somebody else's: ask `why_not_private`.

    Args:
        source_dir: the source tree. A root inside it gets a name that begins with a
            dot, which package discovery passes over.

    Raises:
        BuildRootError: the temporary directory is missing or unwritable.
    """
    try:
        temporary = os.path.realpath(tempfile.gettempdir())
        source = os.path.realpath(source_dir)
        dot = "." if (temporary + os.sep).startswith(source + os.sep) else ""
        path = os.path.join(temporary, f"{dot}setuptools-isolated-build-{_user()}")
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as exc:
        remedy = "set TMPDIR or build-root to a directory that you can write to"
        where = exc.filename or "the temporary directory"
        raise BuildRootError(where, exc.strerror or str(exc), remedy) from exc
    return path


def stated_root(path: str) -> str:
    """Make the directory *path*, which somebody named as the root, and resolve it.

    Missing directories are made, the last one for this user alone.

    Raises:
        BuildRootError: it is no directory, cannot be made or written to, is another
            user's, or everybody can write to it.
    """
    remedy = "name a directory of your own, or one that does not exist yet"
    try:
        path = os.path.realpath(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise BuildRootError(path, "not a directory", remedy) from None
        if os.name == "posix":
            info = os.stat(path)
            if info.st_mode & stat.S_IWOTH:
                raise BuildRootError(path, "every user can write to it", remedy)
            if info.st_uid != os.geteuid():
                raise BuildRootError(path, "owned by another user", remedy)
        if not os.access(path, os.W_OK | os.X_OK):
            raise BuildRootError(path, "not writable", remedy)
    except OSError as exc:
        raise BuildRootError(path, exc.strerror or str(exc), remedy) from exc
    return path


if os.name == "posix":
    import pwd

    def _user() -> str:
        # Not $USER or $LOGNAME: under sudo and in containers they name somebody else,
        # and one user would then find the other's directory.
        uid = os.geteuid()
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def why_not_private(path: str) -> str | None:
        """Say why *path* is not this user's alone, or None if it is."""
        info = os.lstat(path)
        if not stat.S_ISDIR(info.st_mode):
            return "not a directory"
        if info.st_uid != os.geteuid():
            return "owned by another user"
        if stat.S_IMODE(info.st_mode) & 0o077:
            return "open to other users"
        return None

else:

    def _user() -> str:
        import getpass

        return getpass.getuser()

    def why_not_private(path: str) -> str | None:
        """Say why *path* is not this user's alone, or None if it is.

        The temporary directory is the user's own on this system.
        """
        return None if os.path.isdir(path) else "not a directory"
