"""A build once more, by itself: a fresh process, in a fresh build tree.

Known to be right for the hooks of setuptools' own backend and of ours, which depend on
their arguments, the source tree and the environment; and by hand for a ``setup.py``
that makes archives and nothing else. All else may have state, or have left products.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build._setuptools.distribution import ARCHIVES, requested

if TYPE_CHECKING:
    from setuptools import Distribution

    from setuptools_isolated_build._setuptools.hooks import Call

__all__ = ["can_run_by_hand", "main", "run_by_hand", "run_hook"]

_CODE = """\
import json, sys
call = json.loads(sys.argv[1])
sys.argv[:] = call["argv"]
sys.path[:] = call["path"]
from setuptools_isolated_build._validation import again
again.main(call)
"""
_ENVIRONMENT = "/proc/self/environ"  # some change roots have no /proc
_FRONTEND = "_in_process.py"  # pyproject-hooks; uv's has no file


def run_hook(call: Call, directory: str, source_dir: str, marks: dict[str, str]) -> int:
    """Run a hook once more, and put what it makes in the place of what it has made.

    Args:
        call: the hook that is running.
        directory: an empty directory, on the file system of the result.
        source_dir: the source tree.
        marks: environment variables for the fresh process.

    Returns:
        its exit status.
    """
    arguments = dict(call.arguments)
    if call.result_argument:
        arguments[call.result_argument] = directory
    stated = {
        "backend": call.backend,
        "hook": call.name,
        "arguments": arguments,
        "argv": sys.argv[:1],
        "path": [os.path.abspath(path) for path in sys.path],
    }
    main_file = getattr(sys.modules["__main__"], "__file__", None)
    is_of_frontend = main_file is None or os.path.basename(main_file) == _FRONTEND
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001
    status = subprocess.call(  # noqa: S603  # this interpreter
        [sys.executable, *flags, "-c", _CODE, json.dumps(stated, default=os.fspath)],
        cwd=source_dir,
        env={**_environment(is_fresh=is_of_frontend), **marks},
    )
    if status == 0 and call.result_argument:
        _exchange(call, directory)
    return status


def can_run_by_hand(dist: Distribution) -> bool:
    """Whether the commands of this process can be repeated as they are."""
    main_file = getattr(sys.modules["__main__"], "__file__", None)
    script = str(dist.script_name)
    if main_file is None:  # python -c "from setuptools import setup; setup()" …
        is_script = script == "-c" and hasattr(sys, "orig_argv")
    else:
        is_script = os.path.exists(script) and os.path.samefile(main_file, script)
    commands = requested(dist)
    return is_script and bool(commands) and commands <= ARCHIVES


def run_by_hand(source_dir: str, marks: dict[str, str]) -> int:
    """Run the command line of this process once more, and return its exit status."""
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001
    arguments = getattr(sys, "orig_argv", ["", *flags, *sys.argv])[1:]
    return subprocess.call(  # noqa: S603  # what the user has run
        [sys.executable, *arguments],
        cwd=source_dir,
        env={**_environment(is_fresh=True), **marks},
    )


def main(call: dict[str, Any]) -> None:
    """Run the hook of *call*; in the fresh process."""
    from importlib import import_module

    module, _, name = call["backend"].partition(":")
    backend = import_module(module)
    if name:
        backend = getattr(backend, name)
    getattr(backend, call["hook"])(**call["arguments"])


def _exchange(call: Call, directory: str) -> None:
    made = [os.path.join(directory, name) for name in os.listdir(directory)]
    for name in os.listdir(call.result_directory):
        old = os.path.join(call.result_directory, name)
        if old == directory:
            continue
        if os.path.isfile(old):
            os.unlink(old)
        elif old.endswith((".dist-info", ".egg-info")):
            shutil.rmtree(old)
    for path in made:
        os.replace(path, os.path.join(call.result_directory, os.path.basename(path)))


def _environment(*, is_fresh: bool) -> dict[str, str]:
    """Return the environment in which this build was begun.

    setup.py may have changed it (``os.environ["CFLAGS"] += …``), and would do so again.
    """
    if is_fresh and sys.platform == "linux":
        with contextlib.suppress(OSError), open(_ENVIRONMENT, "rb") as file:
            pairs = (entry.partition(b"=") for entry in file.read().split(b"\0"))
            return {os.fsdecode(k): os.fsdecode(v) for k, sep, v in pairs if sep}
    return dict(os.environ)
