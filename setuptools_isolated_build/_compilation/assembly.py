"""Whether an assembler may read files that no preprocessor knows of.

Its ``.include`` and ``.incbin`` can be in inline assembly. And gcc passes strings of
attributes and of ``#ident`` on as they are: behind a semicolon or the end of a line in
one of them, or by macros of the assembler, there may be a directive. Here is what is
known to hold none.
"""

from __future__ import annotations

import re

__all__ = ["reads_no_file"]

# What is included, as ``-dI`` adds it, and lines that tell where what follows is from.
# What looks like these in a raw string cannot hold the end of that string: a quote.
_INCLUDED = rb'(?:include|include_next|import) (?:<[^>"\n]*>|"[^"\\\n]*")'
_ORIGIN = rb'\n#(?: \d+ "(?:[^"\\\n]|\\.)*"[ \d]*|%s)' % _INCLUDED
_IS_ORIGIN = re.compile(_ORIGIN + rb"\n")

# Names that end in "asm" are taken for it too. A dot may be one of a directive, and a
# backslash may be one, but for the ends of lines.
_ASSEMBLY = re.compile(rb"asm(?:__)?\b")
_PLAIN_ASSEMBLY = re.compile(
    rb"\s*(?:(?:(?:__)?volatile(?:__)?|goto|(?:__)?inline(?:__)?)\s*)*"
    rb'\((?:\s*"(?:[^"\\.\n]|\\[nt])*")+\s*[:)]'
)

# On no processor one of these characters begins a statement, and with it a directive.
# Behind an R there is a raw string, which may have several lines.
_STRING = rb'(?<!R)"[\[\]\w .,:=+&*/()<>\'-]*"'
# For the reader of the compiler's output only: none of it is passed on.
_MESSAGE = (
    rb"(?:__)?(?:deprecated|warning|error|unavailable|nodiscard)(?:__)?"
    rb'\s*\((?:\s*"[^"\\\n]*")+\s*\)'
)
# All attributes but the usual ones: ``((nonnull (1, 2)))``, ``((section ("own")))``.
_ATTRIBUTE = re.compile(
    rb"__attribute(?:__)?\b"
    rb'(?! ?\(\([\w ,]*(?:\((?:[\w ,]*|"\w*")\)[\w ,]*)*\)\))(?:\s*\()?'
)
# Two brackets, digraphs too. No attribute begins with a character or a string.
_BRACKETS = [
    re.compile(rb"%s(?:\s|%s)*(?:\[|<:)(?!['\"])" % (bracket, _ORIGIN))
    for bracket in (rb"\[", b"<:")
]
_OPENING = re.compile(rb"[(\[]|<:")
_PART = re.compile(
    rb"""(?P<opens>[(\[])|(?P<closes>[)\]])|%s|\w+|[^\[\]()"'#<\w]+|<(?![:%%])|%s|%s"""
    % (_MESSAGE, _STRING, _ORIGIN)
)

# Directives that the preprocessor has left, but for those lines.
_DIRECTIVE = re.compile(rb"\n#(?! \d)")
_PLAIN_DIRECTIVE = re.compile(rb'(?:%s|(?:[^"\\\n]|%s)*)\n' % (_INCLUDED, _STRING))


def reads_no_file(text: bytes) -> bool:
    """Whether no assembly that may read a file is in the preprocessed *text*.

    Args:
        text: begins and ends with the end of a line.
    """
    return (
        all(
            _PLAIN_ASSEMBLY.match(text, found.end()) or _is_in_origin(text, found)
            for found in _ASSEMBLY.finditer(text)
        )
        and all(
            _is_plain_attribute(text, found) or _is_in_origin(text, found)
            for begins in (_ATTRIBUTE, *_BRACKETS)
            for found in begins.finditer(text)
        )
        and all(
            _PLAIN_DIRECTIVE.match(text, found.end())
            for found in _DIRECTIVE.finditer(text)
        )
    )


def _is_plain_attribute(text: bytes, begins: re.Match[bytes]) -> bool:
    """Whether all that is in the brackets which *begins* opens is known."""
    depth, at = len(_OPENING.findall(begins[0])), begins.end()
    while depth:
        part = _PART.match(text, at)
        if part is None:
            return False
        depth += bool(part["opens"]) - bool(part["closes"])
        at = part.end()
    return at > begins.end()


def _is_in_origin(text: bytes, found: re.Match[bytes]) -> bool:
    return bool(_IS_ORIGIN.match(text, text.rfind(b"\n", 0, found.start() + 1)))
