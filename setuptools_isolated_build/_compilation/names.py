"""The names of all files that a preprocessor has looked for.

What it was told to include it says itself, with ``-dI``. What it was asked about by
``__has_include`` it does not: that is read in the sources, and only what is written
out is understood.
"""

from __future__ import annotations

import os
import re
import string
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Located",
    "Names",
    "asked",
    "included",
    "lead_out",
    "located",
    "may_ask",
    "searched",
]

# gcc includes it by itself, if it is there.
_ALWAYS = b"stdc-predef.h"
# A raw string may have such a line too, whose name is then looked for in vain.
_INCLUDED = re.compile(rb'\n#(?:include|include_next|import) (?:"(.*)"|<(.*)>)(?=\n)')
_NEXT = re.compile(rb'\n#include_next (?:"(.*)"|<(.*)>)(?=\n)')
# Quoted names, and where a file begins and ends: 1 and 2, which a ``#line`` has not.
_LOCATED = re.compile(
    rb'\n#(?:(?:include|import) "(.*)"'
    rb'| \d+ "(.*)" ([12])( .*)?)(?=\n)'
)
# A string that may hold such lines.
_RAW_STRING = re.compile(rb'R"[^()\\\s]{0,16}\(')

_ASKING = (b"__has_include", b"__has_include_next")
# Names can be put together by ``##``, or stand on two lines. One of the parts has the
# underscore that is after "has", and no part is anything but letters of the name.
_INDEX = _ASKING[0].index(b"_i")
_PARTS = {
    name[start:end]
    for name in _ASKING
    for start in range(_INDEX + 1)
    for end in range(_INDEX + 1, len(name) + 1)
}
# And ``#pragma GCC dependency``, which compares the times of files.
_TIMES = {b"__DATE__", b"__TIME__", b"__TIMESTAMP__", b"dependency"}
_TELLING = _PARTS | _TIMES
_IDENTIFIER = (string.ascii_letters + string.digits + "_").encode()
_SEPARATED = bytes(byte if byte in _IDENTIFIER else 32 for byte in range(256))

_SPLICE = re.compile(rb"\\[ \t\f\v]*\r?\n")
# A backslash, strings of several lines, and what may stand before the end of a line.
_UNCLEAR = (b"??/", b'R"', b"\0")
# Where these are not, and lines are whole: comments, strings, and ends of lines, which
# are comments since C99; and what may be none of these: in the name of a header, behind
# a digit, alone, or after two slashes.
_LEXED = re.compile(
    rb"(?P<comment>/\*(?s:.*?)\*/)"
    rb"""|"(?:[^"\\\n]|\\.)*"|(?<!\w)'(?:[^'\\\n]|\\.)*'|/(?=/)(?!.*/\*).*"""
    rb"""|(?P<unclear>["']|//|/\*|<[^<>\n]*/[/*].*>)"""
)
_ASKED = re.compile(
    rb"\b__has_include[ \t]*\([ \t]*"
    rb'(?:"([^"\\\n]*)"|<([^>\\\n]*)>)[ \t]*\)'
)
# What may be a line marker (``# 1 "a.h" 1``) of a file that a preprocessor has written:
# it is not clear then where a file begins in what another one says (`located`).
# Of comments each has one end only: or many of them would be tried in all groupings.
_MARKERS = [
    re.compile(
        sign + rb"(?:\s|\\|\?\?/|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*"
        rb'\d.*(?:"|\\|\?\?/|/\*)'
    )
    for sign in (b"#", b"%:", rb"\?\?=")
]
_IS_THERE = re.compile(
    rb"(?m)^[ \t]*#[ \t]*ifn?def[ \t]+__has_include(?:_next)?[ \t]*$"
    rb"|\bdefined[ \t]*\([ \t]*__has_include(?:_next)?[ \t]*\)"
    rb"|\bdefined[ \t]+__has_include(?:_next)?\b(?![ \t]*\()"
)


class Names(NamedTuple):
    """Names of headers, as they are written.

    Attributes:
        quoted: those that are looked for beside the files that name them, too.
        angled: those that are not.
    """

    quoted: frozenset[str]
    angled: frozenset[str]


def included(text: bytes) -> Names:
    """Return the names of what was included, by the text of ``gcc -E -dI``."""
    return _names([*_INCLUDED.findall(text), (b"", _ALWAYS)])


def lead_out(names: Names) -> bool:
    """Whether one may be found outside of the directory in which it is looked for."""
    return any(os.pardir in name.split("/") for name in names.quoted | names.angled)


def searched(text: bytes) -> set[str]:
    """Return those for which no look beside a file may be enough."""
    quoted, angled = _names(_NEXT.findall(text))
    return {*quoted, *angled, *included(text).angled}


class Located(NamedTuple):
    """What was included, as far as it can be told by whom.

    Attributes:
        quoted: the quoted names by the file that includes them.
        own: the files that are no system's headers, which gcc never renames.
    """

    quoted: dict[str, set[str]]
    own: set[str]


def located(text: bytes, source: str) -> Located | None:
    """Return what was included from where, by the same text; None if it is not clear.

    Args:
        text: of ``gcc -E -dI``.
        source: the path of the source.
    """
    if _RAW_STRING.search(text):
        return None
    found = Located({}, set())
    files = [source]
    for quoted, path, edge, flags in _LOCATED.findall(text):
        if edge == b"1":
            files.append(os.fsdecode(path))
            if b"3" not in flags:
                found.own.add(files[-1])
        elif edge == b"2":
            files.pop()
        elif quoted:
            found.quoted.setdefault(files[-1], set()).add(os.fsdecode(quoted))
        if not files or "\\" in files[-1]:
            return None
    return found


def asked(text: bytes) -> frozenset[str] | None:
    """Return the names in each ``__has_include`` of a source or header.

    Returns:
        None if there may be others, if *text* depends on times, or if it may have line
        markers of its own.
    """
    if any(marker.search(text) for marker in _MARKERS):
        return None
    if not may_ask(text):
        return frozenset()
    text = _SPLICE.sub(b"", text)
    if any(part in text for part in _UNCLEAR):
        return None
    if any(found["unclear"] for found in _LEXED.finditer(text)):
        return None
    text = _LEXED.sub(lambda found: b" " if found["comment"] else found[0], text)
    names = _names(_ASKED.findall(text))
    rest = _IS_THERE.sub(b" ", _ASKED.sub(b" ", text))
    return None if may_ask(rest) else names.quoted | names.angled


def may_ask(text: bytes) -> bool:
    """Whether *text* may have a part in asking for a file, or the time."""
    return not _TELLING.isdisjoint(text.translate(_SEPARATED).split())


def _names(found: Iterable[tuple[bytes, bytes]]) -> Names:
    quoted: set[str] = set()
    angled: set[str] = set()
    for in_quotes, in_angles in found:
        into = angled if in_angles else quoted
        into.add(os.fsdecode(in_angles or in_quotes))
    return Names(frozenset(quoted), frozenset(angled))
