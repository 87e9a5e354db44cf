"""The one step of ``bdist_wheel`` that no command class reaches: the archive itself.

``bdist_wheel.run`` packs into ``WheelFile(<dist_dir>/<name>.whl, "w")``, in wheel 0.37
to 0.45 and in setuptools 70.1 to 84.2.1, and what a project's subclass does afterwards
finds it there. So the name ``WheelFile`` is replaced in the module of that ``run``, for
as long as the command runs. Where a release's code has no such name, nothing is.
"""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

__all__ = ["written_in"]

_NAME = "WheelFile"


@contextlib.contextmanager
def written_in(
    command: Any, place: Callable[[str], AbstractContextManager[str]]
) -> Iterator[bool]:
    """Let the wheel that *command* packs in the block be packed in a *place*.

    Args:
        command: a ``bdist_wheel``.
        place: called with the path of the wheel; a context in which the wheel is packed
            into the path that it gives. An error in the block reaches it.

    Yields:
        Whether the step is known.
    """
    module = _packing_module(type(command))
    if module is None:
        yield False
        return
    original = vars(module)[_NAME]
    setattr(module, _NAME, partial(_open, original, place))
    try:
        yield True
    finally:
        setattr(module, _NAME, original)


def _packing_module(cls: type) -> ModuleType | None:
    for base in cls.__mro__:
        code = getattr(vars(base).get("run"), "__code__", None)
        module = sys.modules.get(base.__module__)
        # Not a project's subclass, which may write a wheel of its own.
        is_of_setuptools = base.__module__.partition(".")[0] in {"setuptools", "wheel"}
        if is_of_setuptools and code is not None and _NAME in code.co_names:
            return module if hasattr(module, _NAME) else None
    return None


def _open(
    original: Any,
    place: Callable[[str], AbstractContextManager[str]],
    file: Any,
    mode: str = "r",
    *args: Any,
    **kwargs: Any,
) -> Any:
    if mode != "w" or not isinstance(file, str):
        return original(file, mode, *args, **kwargs)
    return _pack(original, place, file, *args, **kwargs)


@contextlib.contextmanager
def _pack(
    original: Any,
    place: Callable[[str], AbstractContextManager[str]],
    file: str,
    *args: Any,
    **kwargs: Any,
) -> Iterator[Any]:
    with place(file) as path, original(path, "w", *args, **kwargs) as wheel_file:
        yield wheel_file
