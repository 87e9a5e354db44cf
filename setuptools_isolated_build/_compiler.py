"""Keep the build tree's path out of what is compiled there.

Sources that are generated in build_temp (cffi, swig, Cython on request) are given to
the compiler by their absolute path now, which debug information and ``__FILE__``
repeat. The path is mapped to the one that they would have without us: ``build/temp.…``.
"""

from __future__ import annotations

import subprocess
from functools import cache, partial
from typing import Any, Callable

from . import _ccache

__all__ = ["map_prefix"]

_SECONDS = 60


def map_prefix(compiler: Any, private: str, in_tree: str) -> None:
    """Let *compiler* write *in_tree* for *private* into what it compiles.

    With gcc 8, clang 10 and later. Only compilations whose arguments name *private*
    get the option, at their end: the flags of the interpreter, the project and the user
    stay as they are.

    Args:
        compiler: what distutils compiles with; all but its Unix compilers stay alone.
        private: the absolute path of the build_base in use.
        in_tree: the build_base without us.
    """
    if getattr(compiler, "compiler_type", None) == "unix":
        # A partial, since compilers are pickled with the command that holds them.
        wrapped = compiler._compile  # noqa: SLF001
        option = f"-ffile-prefix-map={private}={in_tree}"
        compiler._compile = partial(_compile, compiler, wrapped, private, option)  # noqa: SLF001
        _ccache.run_inside(compiler, private, in_tree)


def _compile(  # noqa: PLR0913, PLR0917  # distutils' signature
    compiler: Any,
    wrapped: Callable[..., None],
    private: str,
    option: str,
    obj: str,
    src: str,
    ext: str,
    cc_args: list[str],
    extra_postargs: list[str],
    pp_opts: list[str],
) -> None:
    arguments = (src, *cc_args, *(extra_postargs or ()))
    if any(private in str(argument) for argument in arguments) and _accepts(
        tuple(compiler.compiler_so), option
    ):
        extra_postargs = [*(extra_postargs or ()), option]
    wrapped(obj, src, ext, cc_args, extra_postargs, pp_opts)


@cache
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
