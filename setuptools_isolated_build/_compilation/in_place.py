"""Objects that name their own place: compiled where they would be without us.

With ``--coverage`` or ``-gsplit-dwarf`` an object holds its own path, or that of a file
beside it. No option maps these in all compilers. So an object that names the private
build tree is compiled once more, at its path in the source tree, and moved from there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from functools import partial
from typing import TYPE_CHECKING, Callable

from setuptools_isolated_build._compilation import flights
from setuptools_isolated_build._setuptools.output import tell, warn

if TYPE_CHECKING:
    from setuptools_isolated_build._compilation.compilers import Place

__all__ = ["compile_object"]

# What tells a directory of ours, in the source tree; it says what was made with it.
_MARKER = ".setuptools-isolated-build"


def compile_object(obj: str, place: Place, compile_to: Callable[[str], None]) -> None:
    """Make the object *obj*, with the bytes that it has without us.

    Args:
        obj: its path.
        place: where it is compiled, and where it would be.
        compile_to: compiles it, to the path that it is called with.
    """
    compile_to(obj)
    inside = obj.startswith(place.private + os.sep)
    if not place.private or not inside or not _names(obj, place.private):
        return
    without_us = obj.replace(place.private, place.in_tree, 1)
    # Of a generated source, whose path is absolute, it is a part of the object's.
    path = without_us.replace(place.private.lstrip(os.sep), place.in_tree)
    tell(f"{path}: it names its own place, and is compiled once more there")
    key = f"in place\0{os.path.realpath(place.in_tree)}"
    why = "a flag or its source does"
    try:
        if place.locks is None:
            raise OSError(errno.ENOLCK, "there is no place for locks", path)
        # One at a time: they make and remove the same directories.
        flights.alone(place.locks, key, partial(_in_place, path, obj, compile_to))
    except FileExistsError as exc:
        why = f"something is in {exc.filename}, and would have to be removed"
    except OSError as exc:
        why = f"{exc.filename or path}: {exc.strerror}"
    except Exception:  # noqa: BLE001  # setuptools' own
        why = "the compiler fails there"
    if _names(obj, place.private):
        what = "names the private build tree, so its bytes differ from setuptools' own"
        warn(f"{path}: {what} ({why}); with enabled = false they do not")


def _names(obj: str, private: str) -> bool:
    try:
        with open(obj, "rb") as file:
            return os.fsencode(private) in file.read()
    except OSError:
        return False  # the project has put it elsewhere


def _in_place(path: str, obj: str, compile_to: Callable[[str], None]) -> None:
    """Compile to *path*, and take all that is there then to where *obj* is.

    Raises:
        FileExistsError: in its directory there is something that is not ours.
        OSError: it cannot be made.
    """
    directory = os.path.dirname(path)
    made = _make(directory)
    try:
        compile_to(path)
        for name in set(os.listdir(directory)) - {_MARKER}:
            there = os.path.join(os.path.dirname(obj), name)
            shutil.copyfile(os.path.join(directory, name), there)
    finally:
        _empty(directory)
        for each in made:
            with contextlib.suppress(OSError):
                os.rmdir(each)


def _make(directory: str) -> list[str]:
    """Make an empty directory, or empty one that a killed build has left.

    Returns:
        What to remove after that, the innermost first.

    Raises:
        FileExistsError: there is something else in it.
    """
    marker = os.path.join(directory, _MARKER)
    made = []
    if os.path.lexists(marker):
        with open(marker, encoding="utf-8") as file:
            made = [each for each in file.read().split("\n") if _is_in(directory, each)]
        _empty(directory)
    else:
        missing = directory
        while missing and not os.path.lexists(missing):
            made.append(missing)
            missing = os.path.dirname(missing)
    os.makedirs(directory, exist_ok=True)
    if os.listdir(directory):
        raise FileExistsError(None, None, directory)
    with open(marker, "x", encoding="utf-8") as file:
        file.write("\n".join(made))
    return made


def _is_in(directory: str, parent: str) -> bool:
    return f"{directory}{os.sep}".startswith(f"{parent}{os.sep}")


def _empty(directory: str) -> None:
    """Remove the files in it, our marker last: without it nobody knows of them."""
    names = sorted(os.listdir(directory), key=_MARKER.__eq__)
    for name in names:
        os.unlink(os.path.join(directory, name))
