"""Which compilations may run at once, and with how many compilers.

Only those of a compiler in which nobody but setuptools has a part: whoever wraps it may
need the object when it returns, change the compiler for a file and change it back, or
make what the next file includes when it has linked. Several extensions only if nobody
has a part in the command either, where it goes from one to the next.
"""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from setuptools_isolated_build._compilation import jobs, products
from setuptools_isolated_build._setuptools.distribution import (
    is_setuptools,
    is_setuptools_module,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from setuptools import Command

    from setuptools_isolated_build._compilation.compilers import Place
    from setuptools_isolated_build._compilation.plan import Plan

__all__ = [
    "PREPARED",
    "ahead",
    "current",
    "is_known",
    "is_plain",
    "link",
    "own_part",
    "runner",
]

# In a compiler, also in its pickled copy: where it compiles.
PREPARED = "_isolated_build_prepared"
_STDERR = 2
# Methods of `build_ext` that setuptools calls before the first extension at the latest,
# and what every class or object has.
_OUTSIDE = {
    *("__init__", "initialize_options", "finalize_options", "run", "build_extensions"),
    *("__dict__", "__weakref__", "__reduce_ex__"),
}
# Ours, and what setuptools' own class is derived from where there is Cython.
_KNOWN = (f"{__name__.partition('.')[0]}.", "Cython.Distutils.build_ext")
# What can be read as often as one likes: not what ``iter`` and ``glob`` return.
_READABLE = {str, list, tuple, dict, bool, int, type(None)}
_READS = {"__getattr__", "__getattribute__", "__setattr__"}
_thread = threading.local()


def current() -> Plan | None:
    """Return the plan that this thread is in, if it is."""
    plan: Plan | None = getattr(_thread, "plan", None)
    return plan


def is_known(compiler: Any) -> bool:
    """Whether nobody but setuptools has a part in what *compiler* does."""
    cls = type(compiler)
    own = {name: value for name, value in vars(compiler).items() if callable(value)}
    return (
        PREPARED in vars(compiler)
        and not getattr(compiler, "dry_run", False)
        # In older releases it calls a function that somebody may have replaced.
        and is_setuptools(cls.spawn.__globals__.get("spawn", cls.spawn))
        and own.keys() >= {"compile", "_compile", runner(compiler)}
        and all(map(_is_prepared, own.values()))
        and all(map(is_setuptools_module, _modules(cls)))
    )


def _is_prepared(method: Any) -> bool:
    return (
        isinstance(method, partial)
        and method.func.__module__.startswith(f"{__package__}.")
        and is_setuptools(method.args[0])
    )


def _modules(cls: type) -> set[str | None]:
    """Return where the methods of *cls* were defined."""
    members = (member for each in cls.__mro__[:-1] for member in vars(each).values())
    methods = map(_method, members)
    return {
        getattr(method, "__module__", None) for method in methods if callable(method)
    }


def own_part(command: Command) -> str:
    """Return what of *command* is called between two extensions, and not setuptools'.

    Args:
        command: a ``build_ext``.

    Returns:
        The name of a method or property, or "" if there is none.
    """
    from setuptools.command.build_ext import build_ext

    called = set(dir(build_ext)) - _OUTSIDE
    for owner in (command, *type(command).__mro__[:-1]):
        for name, member in vars(owner).items():
            method = _method(member)
            if _is_set_by(member, name) or (name in called and callable(method)):
                module = str(getattr(method, "__module__", ""))
                if not (is_setuptools_module(module) or module.startswith(_KNOWN)):
                    return name
    return ""


def is_plain(ext: Any) -> bool:
    """Whether *ext*, an ``Extension``, may be read before its turn.

    Reading it does nothing and uses nothing up: what setuptools reads are values, and
    no class of the project's has a method or property in their place.
    """
    from setuptools import Extension

    values = vars(ext)
    read = {*values, *vars(Extension("", [])), *_READS}
    read.update(name for name in dir(Extension) if not name.startswith("__"))
    return all(type(value) in _READABLE for value in values.values()) and not any(
        name in read and hasattr(member, "__get__")
        for cls in type(ext).__mro__[:-1]
        if not is_setuptools_module(cls.__module__)
        for name, member in vars(cls).items()
    )


def _is_set_by(member: Any, name: str) -> bool:
    """Whether setuptools may set *name* by a *member* that it does not know of."""
    is_settable = hasattr(member, "__set__") and getattr(member, "fset", member)
    return bool(is_settable) and name not in _OUTSIDE


def _method(member: Any) -> Any:
    """Return the function of a method, or the first one of a property."""
    return getattr(member, "__func__", getattr(member, "fget", member))


def runner(compiler: Any) -> str:
    """Return the name of the method that runs a compiler: it was changed in 84."""
    return "call" if hasattr(compiler, "call") else "spawn"


@contextlib.contextmanager
def ahead(compiler: Any, parts: Iterable[Callable[[], object]]) -> Iterator[None]:
    """Let several compilers run at once in the block, each at its turn at the latest.

    Args:
        compiler: a prepared one; with one that is not known, one after the other.
        parts: what makes setuptools ask for each extension that is built in the block,
            or for the files of one.
    """
    plan, is_new = current(), False
    if plan is None and is_known(compiler):
        plan, is_new = _new_plan(vars(compiler)[PREPARED]), True
    if plan is None:
        yield
        return
    try:
        walk = jobs.collect(parts)
        for directory in walk.directories:
            compiler.mkpath(directory)
        _thread.plan = plan
        plan.add(walk.jobs)
        yield
    finally:
        if is_new:
            _thread.plan = None
            plan.end()


def link(  # noqa: PLR0913, PLR0917  # distutils' signature
    wrapped: Callable[..., None],
    compiler: Any,
    _place: Place,
    target_desc: str,
    objects: list[str],
    output_filename: str,
    output_dir: str | None = None,
    *args: Any,
    **kwargs: Any,
) -> None:
    """Link, or note in a walk what is linked."""
    walk, plan = jobs.walk(), current()
    path = os.path.join(output_dir or "", output_filename)
    rest = (*args, *kwargs.values())
    is_all = products.is_only_linked(compiler, rest)
    if walk is not None:
        walk.link(objects, path, rest, is_all=is_all)
        return
    if plan is not None:
        plan.made.linked(path, is_all=is_all)
    wrapped(target_desc, objects, output_filename, output_dir, *args, **kwargs)


def _new_plan(place: Place) -> Plan | None:
    # Imported by builds that compile more than one file.
    from setuptools_isolated_build._compilation import limits, plan, pool, progress

    size = limits.of_this_process() if place.size is None else place.size
    tokens = pool.find(place.locks, size, os.environ) if size > 1 else None
    if tokens is None and place.cache is None:
        return None
    # With a cache, one compiler too: but not one that waits for another build's.
    line = progress.find(_STDERR, os.environ)
    return plan.Plan(size, tokens, line)
