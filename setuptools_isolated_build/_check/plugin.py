"""A wheel of this very version of the plugin, wherever it runs from."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["make_wheel"]

_NAME = "setuptools_isolated_build"
_PACKAGE = Path(__file__).resolve().parent.parent
# What an installer has written, and what packing writes.
_OF_INSTALLERS = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def make_wheel(place: Path, run: Callable[[Sequence[str]], object]) -> Path:
    """Make the wheel below *place*: packed again if it is installed, or built.

    Args:
        run: runs a command to its end, and raises where that fails.

    Raises:
        CheckError: the files of the plugin are neither installed nor a checkout.
    """
    place.mkdir()
    try:
        distribution = metadata.distribution(_NAME)
    except metadata.PackageNotFoundError:
        distribution = None
    if distribution is not None and _is_running(distribution):
        return _pack(distribution, place)
    checkout = _PACKAGE.parent
    if not (checkout / "pyproject.toml").is_file():
        raise CheckError(f"{_PACKAGE}: neither installed nor a checkout; install it")
    return _build(checkout, place, run)


def _is_running(distribution: metadata.Distribution) -> bool:
    """Whether these are the files that run; of an editable install they are not."""
    return any(
        Path(str(distribution.locate_file(file))).resolve() == _PACKAGE / "__init__.py"
        for file in distribution.files or ()
        if file.name == "__init__.py"
    )


def _pack(distribution: metadata.Distribution, place: Path) -> Path:
    from wheel.wheelfile import WheelFile

    path = place / f"{_NAME}-{distribution.version}-py3-none-any.whl"
    with WheelFile(str(path), "w") as wheel:
        for file in distribution.files or ():
            is_outside = file.parts[0] in ("..", "/")  # the script, made anew
            if is_outside or "__pycache__" in file.parts or file.name in _OF_INSTALLERS:
                continue
            wheel.write(str(distribution.locate_file(file)), file.as_posix())
    return path


def _build(checkout: Path, place: Path, run: Callable[[Sequence[str]], object]) -> Path:
    source = place / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(checkout / _NAME, source / _NAME, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(checkout / name, source)
    options = ["--quiet", "--no-deps", "--wheel-dir", str(place), str(source)]
    run([sys.executable, "-m", "pip", "wheel", *options])
    (wheel,) = place.glob("*.whl")
    return wheel
