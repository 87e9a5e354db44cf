"""Whether files are copied as setuptools does it, and nobody else has a part in it."""

from __future__ import annotations

from typing import Any

__all__ = ["forget_made_directories", "is_nobody_elses"]

# Of Debian's Python: its `install` chooses other directories, and copies nothing.
_SYSTEM = "_distutils_system_mod"
_OWN = {"distutils", "setuptools", "wheel", "setuptools_isolated_build", _SYSTEM}
_FUNCTIONS = {
    "dir_util": ("copy_tree",),
    "file_util": ("copy_file", "_copy_file_contents"),
}


def forget_made_directories() -> None:
    """Let `distutils.dir_util.mkpath` make the directories of a build tree again.

    It remembers what it has made, and makes it once for each process: in a build tree
    that this process has used before, directories would be missing.
    """
    from distutils import dir_util  # setuptools' own; it has to be imported first

    for name in ("_path_created", "SkipRepeatAbsolutePaths"):  # before and since 75.3
        cache = getattr(dir_util, name, None)
        if cache is not None:
            cache.clear()


def is_nobody_elses(command: Any) -> bool:
    """Whether only setuptools decides what *command* copies, and what becomes of it.

    A project may copy in a class, in an instance or in a function that it exchanges
    (mercurial's ``install_lib`` does, to set modes). And a command of its own may write
    into what was copied.
    """
    dist = command.distribution
    classes = [
        type(dist),
        *dist.cmdclass.values(),
        *map(type, dist.command_obj.values()),
    ]
    methods = ("copy_tree", "copy_file", "mkpath")
    return (
        all(_is_own(base) for cls in classes for base in cls.__mro__[:-1])
        and not any(name in vars(command) for name in methods)
        and all(_is_own(getattr(type(command), name)) for name in methods)
        and all(map(_has_its_functions, _FUNCTIONS))
    )


def _is_own(found: Any) -> bool:
    return str(found.__module__).partition(".")[0] in _OWN


def _has_its_functions(name: str) -> bool:
    from importlib import import_module

    module = import_module(f"distutils.{name}")
    return all(
        getattr(getattr(module, function), "__globals__", None) is vars(module)
        for function in _FUNCTIONS[name]
    )
