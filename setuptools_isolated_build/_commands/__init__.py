"""Mixins for setuptools' commands, one module per command, named as the command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build._setuptools.distribution import archive_of

if TYPE_CHECKING:
    from setuptools import Command

__all__ = ["isolated"]

_MIXED = "_isolated_build_classes"

_MIXINS = {
    "bdist_wheel": "BdistWheel",
    "build": "Build",
    "build_clib": "BuildClib",
    "build_ext": "BuildExt",
    "config": "Config",
    "editable_wheel": "EditableWheel",
    "egg_info": "EggInfo",
    "install": "Install",
    "install_lib": "InstallLib",
    "sdist": "Sdist",
}


def isolated(command: str, base: type[Command]) -> type[Command]:
    """Return *base* with this package's mixin for *command* in front, if it has one.

    A class that already has the mixin is returned as it is, also when another plugin
    has put something in front of it since.
    """
    if command not in _MIXINS:
        command = archive_of(base)
    if not command:
        return base
    # Kept by the base itself, so that both go when nobody needs them any more: a
    # process that calls hooks for years runs a new setup.py each time.
    found = vars(base).get(_MIXED, {})
    if command not in found:
        setattr(base, _MIXED, {**found, command: _mix(command, base)})
    cls: type[Command] = vars(base)[_MIXED][command]
    return cls


def _mix(command: str, base: Any) -> Any:
    mixin = getattr(import_module(f".{command}", __name__), _MIXINS[command])
    if issubclass(base, mixin):
        return base
    # Options are looked up by the class's name: it has to be the one of the base.
    members: dict[str, Any] = {
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__reduce_ex__": _reduce,
        "_isolated_from": (command, base),
    }
    return type(base.__name__, (mixin, base), members)


def _reduce(self: Any, protocol: Any) -> Any:
    # A build_ext that compiles in worker processes is pickled, with its distribution
    # and so with all commands; the class itself cannot be found by its name.
    if "_isolated_from" not in vars(type(self)):
        return object.__reduce_ex__(self, protocol)  # a class of somebody else's
    return _restore, type(self)._isolated_from, vars(self)  # noqa: SLF001


def _restore(command: str, base: type[Command]) -> Command:
    cls = isolated(command, base)
    return cls.__new__(cls)
