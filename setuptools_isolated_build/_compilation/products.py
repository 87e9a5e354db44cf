"""Which compilations and links write nothing but what they are asked for.

Only these run beside each other, or before their turn: what else one writes, as a list
for make, another may write too, and the next extension may include. One is such only if
all of its words are known. So a flag may be left out, and may not be put in without a
reason.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build._compilation import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["is_only_linked", "is_only_object"]

# What these change is what is read, or for which machine: a cache may not see it, but
# none of them writes a file. With ``-specs=`` and ``-B`` distributions build all that
# they have, several files at once.
_READING = (
    *("-include", "-imacros", "-isysroot", "--sysroot", "-nostdinc", "-stdlib="),
    *("-target", "--target=", "--param", "-specs=", "-B", "-x", "-L", "-l"),
    "-fuse-ld=",
)
_READING_WITH_VALUE = {
    *("-include", "-imacros", "--sysroot", "-target", "--param", "-B", "-x", "-L"),
}
# What is linked, and how. Values may be arguments of their own: files or words.
_LINKING = {
    *("-shared", "-bundle", "-dynamiclib", "-undefined", "-framework", "-z", "-s"),
    *("-static-libgcc", "-static-libstdc++", "-rdynamic", "-arch"),
}
_FOR_LINKER = "-Wl,"
_ON_MACOS = ("@loader_path", "@rpath", "@executable_path")  # what an rpath begins with
# The same in the linker's own words, with a value or without.
_OF_LINKER = set(
    """
    -z -O -O0 -O1 -O2 -O3 -l -L -R -s -S -x -h -soname -rpath -rpath-link -E
    -export-dynamic --export-dynamic -Bsymbolic -Bsymbolic-functions -Bstatic -Bdynamic
    --as-needed --no-as-needed --no-undefined --allow-shlib-undefined --gc-sections
    --exclude-libs --version-script --dynamic-list --sort-common --hash-style --build-id
    --strip-all --strip-debug --enable-new-dtags --disable-new-dtags --whole-archive
    --no-whole-archive --start-group --end-group --push-state --pop-state
    -dead_strip -headerpad_max_install_names -undefined -install_name
    -exported_symbols_list -search_paths_first
    """.split()  # noqa: SIM905  # as one reads it
)


def is_only_object(command: list[str], paths: set[str], env: Mapping[str, str]) -> bool:
    """Whether *command* writes nothing that another compilation may write, too.

    What is named after the object counts as a part of it. ``-save-temps`` and ``-MF``
    name files of their own, a plugin and modules may do anything.

    Args:
        command: the compiler, behind a wrapper or not, its flags and its files.
        paths: the source and the object.
        env: the variables that it is run with.
    """
    if known.writes_more(env):
        return False
    before = ""
    for argument in dropwhile(_is_program, command):
        if before:
            before = ""  # the value of the flag before it
        elif argument in known.WITH_VALUE | _READING_WITH_VALUE:
            before = argument
        elif argument not in paths and not _is_known(argument):
            return False
    return True


def is_only_linked(compiler: Any, arguments: Iterable[object]) -> bool:
    """Whether a link by *compiler* writes nothing but what it links.

    Args:
        compiler: a Unix compiler.
        arguments: those of its ``link``: lists of words, and what is none.
    """
    words: list[str] = []
    for argument in arguments:
        if isinstance(argument, (list, tuple)):
            words += map(str, argument)
        elif not (argument is None or isinstance(argument, (str, int))):
            return False  # it can be read once
    for name in ("linker_so", "linker_so_cxx"):
        words += dropwhile(_is_program, getattr(compiler, name, None) or ())
    return all(map(_is_known_in_link, words))


def _is_known_in_link(word: str) -> bool:
    if word.startswith(_FOR_LINKER):
        return all(map(_is_known_to_linker, word.split(",")[1:]))
    # What is no flag is a file that is read, or the value of a flag.
    return _is_program(word) or word in _LINKING or _is_known(word)


def _is_known_to_linker(word: str) -> bool:
    is_value = _is_program(word) or word.startswith(_ON_MACOS)
    return is_value or word.partition("=")[0] in _OF_LINKER


def _is_known(argument: str) -> bool:
    return (
        argument.startswith((*known.SEARCHING, *_READING))
        or argument.partition("=")[0] in known.VALUES
        or known.is_known_flag(argument)
    )


def _is_program(word: str) -> bool:
    return not word.startswith(("-", "@"))
