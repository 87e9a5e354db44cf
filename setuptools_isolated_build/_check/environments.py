"""Virtual environments to build in."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .runs import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["at_one_path", "copy", "create", "python_in"]


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, timeout=TIMEOUT)


def python_in(path: Path) -> Path:
    """Return the interpreter of the environment at *path*."""
    return path / ("Scripts" if os.name == "nt" else "bin") / "python"


def create(
    path: Path,
    requirements: Iterable[str],
    run: Callable[[Sequence[str]], object] = _run,
    base: str | None = None,
    *,
    sees_system: bool = False,
) -> Path:
    """Make an environment at *path*, with a new pip; return its interpreter.

    Args:
        requirements: what is installed there besides.
        run: runs a command to its end, and raises where that fails.
        base: another interpreter than the running one.
        sees_system: whether it sees what is installed outside of it.
    """
    options = ["--without-pip"] if _own_pip() else []
    options += ["--system-site-packages"] if sees_system else []
    options += ["--symlinks"] if os.name == "posix" else []
    run([base or sys.executable, "-m", "venv", *options, str(path)])
    # A pip newer than the interpreter's own, which may lack options that are used.
    run(_install_command(python_in(path), ["--upgrade", "pip", *requirements]))
    return python_in(path)


def copy(
    python: Path,
    path: Path,
    requirements: Iterable[str],
    run: Callable[[Sequence[str]], object] = _run,
) -> Path:
    """Copy the environment of *python* to *path*; return its interpreter.

    That takes a third of making it. Scripts are not for use: they run the first one.

    Args:
        requirements: what is installed there besides.
        run: as for `create`.
    """
    prefix = python.parent.parent
    shutil.copytree(prefix, path, symlinks=True, dirs_exist_ok=True)
    run([str(python_in(path)), "-m", "pip", "install", "--quiet", *requirements])
    return python_in(path)


@contextlib.contextmanager
def at_one_path(
    pythons: Mapping[str, Path], place: Path
) -> Iterator[Mapping[str, Path]]:
    """Move environments in *place* to where all of them are in such a block.

    Headers are in them (numpy's), and debug information names their paths: wheels of
    two environments would differ.

    Args:
        pythons: interpreters by their names; those outside of *place* stay.
    """
    found, moved = dict(pythons), []
    try:
        for number, (name, python) in enumerate(pythons.items()):
            prefix, target = python.parent.parent, place / f"in-{number}"
            if place in prefix.parents:
                prefix.replace(target)
                moved.append((target, prefix))
                found[name] = python_in(target)
        yield found
    finally:
        for target, prefix in moved:
            target.replace(prefix)


def _install_command(python: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command that installs by pip into the environment of *python*."""
    pip = [*_own_pip(), "--python", str(python)] if _own_pip() else []
    return [*(pip or [str(python), "-m", "pip"]), "install", "--quiet", *arguments]


def _own_pip() -> list[str]:
    """Return the command of the pip in the running environment, or nothing.

    It is new enough to install into another one, and saves unpacking and replacing
    Python's own there.
    """
    scripts = str(Path(sys.executable).parent)
    if sys.prefix == sys.base_prefix or not shutil.which("pip", path=scripts):
        return []
    return [sys.executable, "-m", "pip"]
