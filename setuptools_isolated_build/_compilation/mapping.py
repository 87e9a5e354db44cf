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
    found = list(_others(private, in_tree, words))
    if not any(one.startswith(f"-ffile-prefix-map={private}=") for one in found):
        found.insert(0, option)  # clang 14 takes the first of two for one path
    stated = any(word.startswith(_REPRODUCIBLE) for word in words)
    if stated or not _accepts(program, _AS_STATED):
        return found
    return [*found, _AS_STATED]


def _others(private: str, in_tree: str, words: Iterable[str]) -> Iterator[str]:
    """Return what the maps among *words* do to the build_base: one is used for a path.

    That is the last one that fits.
    """
    for word in words:
        if not word.startswith(known.MAPS):
            continue
        flag, was, becomes = word.split("=", 2)
        if in_tree.startswith(was):
            yield f"{flag}={private}={becomes}{in_tree[len(was) :]}"
        elif was.startswith(in_tree):
            yield f"{flag}={private}{was[len(in_tree) :]}={becomes}"
        elif was.startswith(private):
            yield word


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
