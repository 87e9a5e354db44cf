"""What the project says of itself."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from packaging.requirements import InvalidRequirement, Requirement
from tomlkit.exceptions import TOMLKitError

from .errors import CheckError

__all__ = ["OURS", "OUR_BACKEND", "Project", "read"]

OURS = "setuptools-isolated-build"
OUR_BACKEND = "setuptools_isolated_build.build_meta"
_SIGNS = ("pyproject.toml", "setup.py", "setup.cfg")
_LEGACY = "setuptools.build_meta:__legacy__"


class Project(NamedTuple):
    """A project, as a frontend reads it.

    Attributes:
        path: its directory, absolute.
        text: of pyproject.toml, or None where there is none.
        backend: with what a frontend takes where none is stated.
        backend_path: directories in the project, relative to it.
        requires: ``build-system.requires``, without this plugin.
        own: the requirement of this plugin that is there, or "".
        name: for people.
    """

    path: Path
    text: str | None
    backend: str
    backend_path: list[str]
    requires: list[str]
    own: str
    name: str

    @property
    def extras(self) -> list[str]:
        """Of the plugin: those that are required already."""
        return sorted(Requirement(self.own).extras) if self.own else []

    @property
    def has_our_backend(self) -> bool:
        """Whether it is built by the backend of this package."""
        return self.backend.partition(":")[0] == OUR_BACKEND


def read(stated: str) -> Project:
    """Read the project in the directory *stated*.

    Raises:
        CheckError: there is none, or its pyproject.toml cannot be read.
    """
    path = Path(stated).resolve()
    if not path.is_dir():
        cause = "is no directory" if path.exists() else "does not exist"
        raise CheckError(f"{stated}: {cause}; name the directory of a project")
    if not any((path / name).is_file() for name in _SIGNS):
        raise CheckError(
            f"{stated}: is no project of Python: none of {', '.join(_SIGNS)} is there"
        )
    file = path / "pyproject.toml"
    text, values = None, {}
    if file.is_file():
        try:
            text = file.read_bytes().decode()
            values = tomlkit.parse(text).unwrap()
        except (OSError, UnicodeDecodeError, TOMLKitError) as exc:
            raise CheckError(f"{file}: cannot be read: {exc}; correct it") from None
    system = values.get("build-system", {"requires": ["setuptools"]})
    _check_types(file, system)
    requires: list[str] = system["requires"]
    backend = system.get("build-backend", _LEGACY)
    backend_path = system.get("backend-path", [])
    own = [text for text in requires if _name(file, text) == OURS]
    return Project(
        path,
        text,
        backend,
        [os.fspath(path) for path in backend_path],
        [text for text in requires if text not in own],
        own[0] if own else "",
        _stated_name(values.get("project")) or path.name,
    )


def _check_types(file: Path, system: Any) -> None:
    is_right = isinstance(system, dict) and (
        _are_texts(system.get("requires"))
        and isinstance(system.get("build-backend", ""), str)
        and _are_texts(system.get("backend-path", []))
    )
    if not is_right:
        raise CheckError(
            f"{file}: [build-system] is not as PEP 518 has it; correct requires, "
            "build-backend and backend-path"
        )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _stated_name(metadata: Any) -> str:
    """Return the name in [project]; what is wrong there is said by a build."""
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _name(file: Path, requirement: str) -> str:
    try:
        name = Requirement(requirement).name
    except InvalidRequirement as exc:
        reason = str(exc).partition("\n")[0]  # below it is a drawing
        raise CheckError(
            f"{file}: build-system.requires has {requirement!r}: {reason}; correct it"
        ) from None
    return re.sub(r"[-_.]+", "-", name).lower()
