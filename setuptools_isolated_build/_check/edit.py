"""pyproject.toml with other lines: comments and layout stay as they are."""

from __future__ import annotations

import contextlib
import difflib
import functools
import itertools
import operator
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from .errors import CheckError
from .project import OUR_BACKEND, OURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .project import Project

__all__ = ["Change", "backend_of", "changed_text", "diff", "write"]

_LEGACY = ":__legacy__"
_NEW = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta:__legacy__"
"""
_NAME = re.compile(r"^[\w.-]+")
_STARTS_WITH_TABLE = re.compile(r"(?:\s*(?:#.*)?\n)*\s*\[")


class Change(NamedTuple):
    """What is to be another in pyproject.toml.

    Attributes:
        extra: of the plugin's requirement: "", or "ccache".
        has_backend: whether the backend of this package builds.
        takes_turns: whether ``take-turns = true`` is set.
    """

    extra: str = ""
    has_backend: bool = False
    takes_turns: bool = False

    @property
    def title(self) -> str:
        """For people."""
        parts = ["the backend of this package"] if self.has_backend else []
        parts += ["take-turns = true"] if self.takes_turns else []
        return " and ".join(parts)


def backend_of(project: Project, change: Change) -> str:
    """Return the backend that is stated after *change*."""
    if not change.has_backend:
        return project.backend
    return OUR_BACKEND + (_LEGACY if project.backend.endswith(_LEGACY) else "")


def changed_text(project: Project, change: Change) -> str:
    """Return the text of pyproject.toml after *change*."""
    text = project.text or ""
    if "build-system" not in tomlkit.parse(text):
        text = _with_system(text)
    own = project.own or OURS
    if change.extra and "[" not in own:
        own = _NAME.sub(rf"\g<0>[{change.extra}]", own)

    def edit_system(table: Any) -> None:
        requires = table["requires"]
        if project.own:
            requires[[str(item) for item in requires].index(project.own)] = own
        else:
            requires.append(own)
        if change.has_backend:
            table["build-backend"] = backend_of(project, change)

    text = _edited(text, ("build-system",), edit_system)
    if change.takes_turns and OURS in tomlkit.parse(text).get("tool", {}):
        text = _edited(text, ("tool", OURS), _take_turns)
    elif change.takes_turns:
        text = text.rstrip("\n") + f"\n\n[tool.{OURS}]\ntake-turns = true\n"
    tomlkit.parse(text)
    return text


def _take_turns(table: Any) -> None:
    table["take-turns"] = True


def _edited(text: str, keys: tuple[str, ...], edit: Callable[[Any], None]) -> str:
    """Return *text* after *edit* of the table of those *keys*."""
    document = tomlkit.parse(text)
    is_kept = tomlkit.dumps(document) == text
    edit(functools.reduce(operator.getitem, keys, document))
    edited = str(tomlkit.dumps(document))
    if is_kept:
        return edited
    # tomlkit puts the tables of an array together where others stand between them. So
    # the lines of the one table are edited: those that make the same document.
    lines = text.splitlines(keepends=True)
    heads = [at for at, line in enumerate(lines) if line.startswith("[")]
    for start, end in itertools.combinations([*heads, len(lines)], 2):
        if not lines[start].startswith(f"[{'.'.join(keys)}]"):
            continue
        with contextlib.suppress(TOMLKitError):  # its end is inside of a value
            part = tomlkit.parse("".join(lines[start:end]))
            edit(functools.reduce(operator.getitem, keys, part))
            parts = (*lines[:start], tomlkit.dumps(part), *lines[end:])
            if tomlkit.parse("".join(parts)) == document:
                return "".join(parts)
    return edited


def diff(project: Project, text: str) -> list[str]:
    """Return the lines by which *text* differs from the project's pyproject.toml."""
    old = (project.text or "").splitlines()
    names = ("pyproject.toml" if project.text is not None else "/dev/null",)
    return list(
        difflib.unified_diff(
            old, text.splitlines(), *names, "pyproject.toml", lineterm=""
        )
    )


def write(project: Project, text: str) -> None:
    """Put *text* into the project's pyproject.toml, in one step.

    Raises:
        CheckError: it cannot be written, or was changed meanwhile.
    """
    path = Path(os.path.realpath(project.path / "pyproject.toml"))
    staged = None
    try:
        current = path.read_bytes().decode() if path.exists() else None
        if current != project.text:
            raise CheckError(f"{path}: was changed meanwhile, so it is left as it is")
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        number, staged = tempfile.mkstemp(prefix=".pyproject-", dir=path.parent)
        with os.fdopen(number, "wb") as file:
            file.write(text.encode())
        os.chmod(staged, mode)
        os.replace(staged, path)
    except OSError as exc:
        if staged is not None:
            Path(staged).unlink(missing_ok=True)
        raise CheckError(f"{path}: cannot be written: {exc}") from None


def _with_system(text: str) -> str:
    if not text.strip():
        return _NEW
    if _STARTS_WITH_TABLE.match(text):
        return f"{_NEW}\n{text}"
    return f"{text.rstrip()}\n\n{_NEW}"
