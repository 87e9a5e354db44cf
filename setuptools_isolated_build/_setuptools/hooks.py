"""What is known of setuptools' own backend, and the one step of it that is mended.

`setuptools.build_meta._BuildMetaBackend._build_with_temp_dir`, in all releases from
64.0.3 to 84.2.1, lets the command write into a temporary directory inside the result
directory and then, when ``setup()`` has returned, does ``exists``, ``remove``,
``rename``. Between these another build's result vanishes or appears: one of the two
fails, and a reader finds no archive. No command can reach this step, so the module's
``os`` is replaced by one whose ``rename`` publishes. Where a release's code has no such
step (any more), nothing is replaced.

Where that function ends, well or badly, it leaves its temporary directory. That is when
`at_end` calls: by a ``cleanup`` of this one directory, found among what
`weakref.finalize` would call at the end of the process (CPython 3.9 to 3.14, PyPy).
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import weakref
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = [
    "Call",
    "Hook",
    "at_end",
    "in_setup",
    "publish_with",
    "running_call",
    "running_hook",
]

_MODULE = "setuptools.build_meta"
_BUILD = "_build_with_temp_dir"
# Each hook that runs commands, and the argument that names where its result goes.
_HOOKS = {
    "build_wheel": "wheel_directory",
    "build_editable": "wheel_directory",
    "build_sdist": "sdist_directory",
    "prepare_metadata_for_build_wheel": "metadata_directory",
    "prepare_metadata_for_build_editable": "metadata_directory",
    "get_requires_for_build_wheel": "",
    "get_requires_for_build_editable": "",
    "get_requires_for_build_sdist": "",
}
_BACKENDS = {
    "_BuildMetaBackend": "setuptools.build_meta",
    "_BuildMetaLegacyBackend": "setuptools.build_meta:__legacy__",
    "IsolatedBackend": "setuptools_isolated_build.build_meta",
    "IsolatedLegacyBackend": "setuptools_isolated_build.build_meta:__legacy__",
}


class Hook:
    """A hook of `setuptools.build_meta` that is running ``setup()``.

    Attributes:
        result_staging: the directory inside the result directory that the command
            writes into, where the step that follows is known and `publish_with` mends
            it; None for other hooks and releases.
    """

    def __init__(self, result_staging: str | None) -> None:
        self.result_staging = result_staging


class Call:
    """How a hook was called.

    Attributes:
        backend: the object that has it, as in ``build-backend``.
        name: the hook.
        arguments: its arguments, by name.
        result_argument: the one that names where its result goes, or "".
        result_directory: where its result lies until it has ended.
    """

    def __init__(
        self, backend: str, name: str, arguments: dict[str, Any], staging: str | None
    ) -> None:
        self.backend = backend
        self.name = name
        self.arguments = arguments
        self.result_argument = _HOOKS[name]
        self.result_directory = staging or str(arguments.get(self.result_argument, ""))


def running_call() -> Call | None:
    """Return how the running hook was called, if it can be called again like that.

    That is a hook of setuptools' own backend or of this package's; a backend that is
    derived from one may have state. An archive's has to have the step that is known.
    """
    call, staging = None, None
    for frame in _callers(sys._getframe(1)):  # noqa: SLF001
        if frame.f_globals.get("__name__") != _MODULE:
            continue
        code = frame.f_code
        if code.co_name == _BUILD:
            staging = frame.f_locals.get("tmp_dist_dir")
        owner = type(frame.f_locals.get("self"))
        backend = _BACKENDS.get(owner.__name__)
        if code.co_name not in _HOOKS or backend is None:
            continue
        if owner.__module__ != backend.partition(":")[0]:
            continue
        names = code.co_varnames[1 : code.co_argcount]
        arguments = {name: frame.f_locals.get(name) for name in names}
        if staging is not None or not code.co_name.startswith("build_"):
            call = Call(backend, code.co_name, arguments, staging)
    return call


def running_hook() -> Hook | None:
    """Return the hook that this code runs in, or None for ``python setup.py``.

    The command line is the same for both: ``get_requires_for_build_wheel`` runs
    ``egg_info``, as ``setup.py egg_info`` does. By hand the directory in the tree is
    the product; a hook needs the answer only. In-tree backends call the same functions,
    so it is these that are looked for, not the backend's name.

    A hook may run setup() in a thread, for a larger stack; such a thread says nothing
    of who has started it, and so all threads are looked at.
    """
    hook = _hook_among(_callers(sys._getframe(1)))  # noqa: SLF001
    if hook is not None or threading.active_count() == 1:
        return hook
    frames = sys._current_frames().values()  # noqa: SLF001
    found = (_hook_among(_callers(frame)) for frame in list(frames))
    return next(filter(None, found), None)


def in_setup() -> bool:
    """Whether ``setup()`` is running, and will run commands when it is set up."""
    from distutils import core  # setuptools' own; it has to be imported first

    if getattr(core, "_setup_stop_after", None) not in {None, "run"}:
        return False
    setup = getattr(core.setup, "__code__", None)
    return any(frame.f_code is setup for frame in _callers(sys._getframe(1)))  # noqa: SLF001


def _hook_among(frames: Iterator[FrameType]) -> Hook | None:
    hook = None
    for frame in frames:
        if frame.f_globals.get("__name__") == _MODULE:
            hook = Hook(None)
            code = frame.f_code
            if code.co_name == _BUILD and {"remove", "rename"} <= set(code.co_names):
                return Hook(frame.f_locals.get("tmp_dist_dir"))
    return hook


def publish_with(result_staging: str, publish: Callable[[str, str], None]) -> None:
    """Let *publish* move the archive from *result_staging* to the result directory.

    Args:
        result_staging: what `running_hook` found.
        publish: called with the archive's path and its target's, in place of
            ``os.remove`` and ``os.rename``.
    """
    build_meta: Any = sys.modules[_MODULE]
    if not isinstance(build_meta.os, _PublishingOs):
        build_meta.os = _PublishingOs()
    build_meta.os.publishers[result_staging] = publish


class _PublishingOs(ModuleType):
    """``os``, but for the step from a known staging directory to its parent."""

    def __init__(self) -> None:
        super().__init__("os", os.__doc__)
        self.publishers: dict[str, Callable[[str, str], None]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def remove(self, path: str) -> None:
        # The rename that follows replaces it; removing it first makes the gap.
        result, name = os.path.split(path)
        for staging in self.publishers:
            staged = os.path.join(staging, name)
            if os.path.dirname(staging) == result and os.path.exists(staged):
                return
        os.remove(path)

    def rename(self, source: str, target: str) -> None:
        publish = self.publishers.pop(os.path.dirname(source), os.rename)  # noqa: TID251  # setuptools' own
        publish(source, target)


def at_end(result_staging: str, call: Callable[[], None]) -> bool:
    """Call *call* when the hook leaves its staging directory, whatever has happened.

    Returns:
        Whether that will be done; not where the directory is not found.
    """
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        found = finalizer.peek()
        directory = found[0] if found else None
        if (
            isinstance(directory, tempfile.TemporaryDirectory)
            and directory.name == result_staging
        ):
            cleanup = partial(_clean_up, directory, directory.cleanup, call)
            directory.cleanup = cleanup  # type: ignore[method-assign]
            return True
    return False


def _clean_up(
    directory: Any, wrapped: Callable[[], None], call: Callable[[], None]
) -> None:
    vars(directory).pop("cleanup", None)  # it refers to the directory: a circle
    build_meta: Any = sys.modules[_MODULE]
    if isinstance(build_meta.os, _PublishingOs):
        build_meta.os.publishers.pop(directory.name, None)
    try:
        wrapped()
    finally:
        call()


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
