"""The options by which objects do not tell of the build tree.

Sources that are generated there are given to the compiler by their absolute path, which
debug information and ``__FILE__`` repeat. Without us it is relative: ``build/temp.…``.
"""

from __future__ import annotations

import functools
import subprocess
from typing import TYPE_CHECKING

from setuptools_isolated_build._compilation import ccache, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["options"]

_SECONDS = 60
# Where paths are mapped, clang 15 and later write down ./a.h as a.h, unless they are
# told not to. With these they do so without us.
_REPRODUCIBLE = ("-ffile-reproducible", "-ffile-prefix-map", "-fmacro-prefix-map")
_AS_STATED = "-fno-file-reproducible"
_KINDS, _ALL_KINDS = ("-fdebug-prefix-map", "-fmacro-prefix-map"), "-ffile-prefix-map"


def options(
    private: str, in_tree: str, program: tuple[str, ...], arguments: list[str]
) -> list[str]:
    """Return what is to stand behind the arguments of a compiler.

    Args:
        private: the absolute path of the build_base.
        in_tree: the build_base without us.
        program: the compiler, with the flags of the interpreter and of the user.
        arguments: what follows.
    """
    option = ccache.prefix_map(private, in_tree)
    if not _accepts(program, option):
        return []
    words = (*program, *arguments)
    maps = _with_others(private, in_tree, words) or [option]
    stated = any(word.startswith(_REPRODUCIBLE) for word in words)
    if stated or not _accepts(program, _AS_STATED):
        return maps
    return [*maps, _AS_STATED]


def _with_others(private: str, in_tree: str, words: Iterable[str]) -> list[str]:
    """Return the options, if a map among *words* is one of the build_base, too.

    A compiler uses one map for a path, and that of its kind. Which of two for one path,
    and whether one of all kinds is among these, is not the same in all of them.
    """
    others = list(_others(private, in_tree, words))
    found = []
    for kind in _KINDS if others else ():
        maps = [(was, to) for flag, was, to in others if flag in {kind, _ALL_KINDS}]
        if private not in dict(maps):
            maps.insert(0, (private, in_tree))
        found += [f"{kind}={was}={to}" for was, to in maps]
    return found


def _others(
    private: str, in_tree: str, words: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Return what the maps among *words* do to the build_base: flag, path, new path."""
    for word in words:
        if not word.startswith(known.MAPS):
            continue
        flag, _, rest = word.partition("=")
        was, _, to = rest.partition("=")
        if in_tree.startswith(was):
            yield flag, private, to + in_tree[len(was) :]
        elif was.startswith(in_tree):
            yield flag, private + was[len(in_tree) :], to
        elif was.startswith(private):
            yield flag, was, to


@functools.lru_cache(maxsize=100)
def _accepts(command: tuple[str, ...], option: str) -> bool:
    syntax_only = [*command, option, "-fsyntax-only", "-x", "c", "-"]
    try:
        done = subprocess.run(  # noqa: S603  # what distutils would run
            syntax_only,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
