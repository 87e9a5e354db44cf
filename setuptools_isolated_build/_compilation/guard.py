"""Run a compiler, and fail if what it has read was changed meanwhile: a script.

ccache hashes the sources, and on a miss the compiler reads them again. If they were
changed in between, the object of the new ones would be stored under the hash of the old
ones, for whoever compiles these next. ccache runs this in front of the compiler, and
stores nothing if it fails.

It is started for each object, by ``python -I -S``: so it imports next to nothing.
"""

import os
import sys

# The path of a file that is older than all changes that count.
MARKER = "_SETUPTOOLS_ISOLATED_BUILD_MARKER"
CHANGED = ".changed"


def main(command: list[str]) -> int:
    """Return the compiler's status, or 1 if its result is not to be stored."""
    marker = os.environ[MARKER]
    listed = f"{marker}.d"
    command = [*command, "-MD", "-MF", listed]
    status = os.spawnvp(os.P_WAIT, command[0], command)  # noqa: S606  # no shell is meant
    if status != 0:
        return status if status > 0 else 128 - status
    since = os.stat(marker).st_ctime_ns
    with open(listed, encoding=sys.getfilesystemencoding()) as file:
        paths = dependencies(file.read())
    os.unlink(listed)
    if any(changed_since(since, path) for path in paths):
        os.close(os.open(marker + CHANGED, os.O_WRONLY | os.O_CREAT, 0o600))
        return 1
    return 0


def dependencies(text: str) -> list[str]:
    """Return the paths in a rule for make, as compilers write them."""
    text = text.partition(": ")[2].replace("\\\n", " ")
    text = text.replace("\\ ", "\0").replace("\\#", "#").replace("$$", "$")
    return [path.replace("\0", " ") for path in text.split()]


def changed_since(since: int, path: str) -> bool:
    """Whether the file has been written or replaced since then, in nanoseconds."""
    try:
        return os.stat(path).st_ctime_ns >= since
    except OSError:
        return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
