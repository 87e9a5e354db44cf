"""Where gcc looks for headers, as it says itself: the lines of ``gcc -v``.

Directories that it ignores, since they are missing or there twice, are named here too:
all of them are looked at (`lookups`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Searches", "stated"]

# With 10, ``__has_include`` became a part of the preprocessor, and no macro; with 15
# there is ``#embed``, which looks for files in another way. Tested with 11 and 12.
_VERSION = re.compile(r"gcc version 1[0-4]\.")
_COMPILER = re.compile(r" /\S*/cc1(?:plus|obj|objplus)? -E ")
_IGNORED = re.compile(r'ignoring (?:nonexistent|duplicate) directory "(.*)"')
_REASON = "  as it is a non-system directory that duplicates a system directory"
_QUOTED = '#include "..." search starts here:'
_ANGLED = "#include <...> search starts here:"
# Not "not a directory": that one is not among the ignored.
_WARNING = re.compile(
    r"cc1\w*: warning: (?:command-line option .*|.*: No such file or directory\b.*)"
)
_END = "End of search list."


class Searches(NamedTuple):
    """What one run of gcc has looked through.

    Attributes:
        directories: those for headers, as they were stated, and those of gcc's own.
        is_usual: whether it is a release of gcc that looks for nothing else than what
            `names` knows of, by its own rules alone, and everywhere for all of it.
    """

    directories: list[str]
    is_usual: bool


def stated(said: str) -> Searches | None:
    """Return what gcc has *said* of its searches; None if it is not understood."""
    lines = iter(said.split("\n"))
    has_specs = next(lines, "") != "Using built-in specs."
    is_for_all = f"{_QUOTED}\n{_ANGLED}\n" in said
    has_version = False
    for line in lines:
        has_version |= bool(_VERSION.match(line))
        if _COMPILER.match(line):
            break
    else:
        return None
    directories = []
    for line in lines:
        ignored = _IGNORED.fullmatch(line)
        if ignored is not None:
            directories.append(ignored[1])
        elif line == _END:
            break
        elif line.startswith(" ") and line != _REASON:
            directories.append(line[1:])
        elif line not in {_REASON, _QUOTED, _ANGLED} and not _WARNING.fullmatch(line):
            return None
    else:
        return None
    return Searches(directories, has_version and is_for_all and not has_specs)
