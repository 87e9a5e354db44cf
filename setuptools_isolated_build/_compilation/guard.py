"""Whether what a compiler has read was changed meanwhile: a script.

The cache compares what the compiler's preprocessor has read, and on a miss the compiler
reads it again. If it was changed in between, or another file was found, the object of
the new text would be found by whoever compiles the old one next. ccache runs `SHELL` in
front of the compiler, and stores nothing if that fails. It asks ``cmp`` whether both
have read the same files, unless there is one line of them, which it compares itself;
and ``stat`` whether one of these has changed, or is another file by now, since a link
on its path leads elsewhere. That costs little; only if so, or if they cannot tell, this
script looks closer: a file that has got a further hard link has changed too, by its
times.

The compiler's list of what it has read is emptied: ccache knows of all that by
`inputs`, and would compare some 250 headers at each hit.

It is started by ``python -I -S``, and imports next to nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# A path; and with a suffix:
MARKER = "_SETUPTOOLS_ISOLATED_BUILD_MARKER"
FILES = ".files"  # for the shell: what is read, how it was, and a list of one line
STATES = ".states"  # for this script: the object, and what was read
LISTED = ".d"  # the compiler's list of what it has read
EXPECTED = ".expected"  # its preprocessor's
EMPTIED = "-:\n"  # what becomes of the compiler's
UNREAD = ""  # in place of a digest
OBJECT = ".o"  # the object, if something was changed: right, but not to be stored
FAILED = ".failed"  # the compiler has failed, not the cache
SHELL = """\
#!/bin/sh
"$@" || {{ status=$?; : > "${marker}{failed}"; exit $status; }}
. "${marker}{files}"
{{ IFS= read -r line && ! read -r more; }} < "${marker}{listed}" &&
    [ "$line" = "$list" ] ||
cmp -s "${marker}{listed}" "${marker}{expected}" && {{
    echo -: > "${marker}{listed}"
    [ "$(LC_ALL=C stat -L {stat} "$@" 2>&1)" = "$before" ] && exit
}}
exec {python} "${marker}"
"""


# An inode, and its ctime to the nanosecond: GNU's option, and BSD's.
STAT = "-c '%i %.9Z'" if sys.platform == "linux" else "-f '%i %Fc'"
_SECOND = 1_000_000_000


class State(NamedTuple):
    """A file.

    Attributes:
        inode: its number.
        size: in bytes.
        mtime: of its contents, in nanoseconds.
        ctime: of all of it, its number of hard links too, in nanoseconds.
        digest: of its contents, or `UNREAD` if these are not compared.
    """

    inode: int
    size: int
    mtime: int
    ctime: int
    digest: str


def as_before(states: Iterable[State], since: int) -> str:
    """Return what `STAT` says of files that have not changed *since* (nanoseconds).

    Returns:
        What it says of no file, if one may have changed already.
    """
    known = list(states)
    if any(state.ctime >= since for state in known):
        return ""
    lines = ((s.inode, *divmod(s.ctime, _SECOND)) for s in known)
    return "\n".join(f"{inode} {ctime}.{rest:09}" for inode, ctime, rest in lines)


def main(marker: str) -> int:
    """Return 0, or 1 if the object, which is put aside then, is not to be stored."""
    import json

    with open(marker + STATES, encoding="utf-8", errors="surrogateescape") as file:
        obj, since, states = json.load(file)
    if has_read_the_same(marker) and all(
        is_same(path, State(*state), since) for path, state in states.items()
    ):
        return 0
    os.replace(obj, marker + OBJECT)
    return 1


def has_read_the_same(marker: str) -> bool:
    """Whether the compiler lists what its preprocessor has; empty its list."""
    with open(marker + LISTED, "rb") as file, open(marker + EXPECTED, "rb") as expected:
        listed, wanted = file.read(), expected.read()
    with open(marker + LISTED, "w", encoding="ascii") as file:
        file.write(EMPTIED)
    return listed in {wanted, EMPTIED.encode()}  # the shell has compared them already


def is_same(path: str, state: State, since: int) -> bool:
    """Whether the file has been what it is now since then, but for its hard links."""
    try:
        now = os.stat(path)
        return (
            state[:3] == (now.st_ino, now.st_size, now.st_mtime_ns)
            and state.mtime < since
            and (state.digest == UNREAD or state.digest == digest(path))
        )
    except OSError:
        return False


def digest(path: str) -> str:
    """Return a digest of the file's contents."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
