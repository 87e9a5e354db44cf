"""With what is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Side"]


class Side(NamedTuple):
    """With what is built.

    Attributes:
        name: for people: "without", "with", "with take-turns = true".
        pythons: the interpreters by their names.
        tree: the pristine tree.
        backend, backend_path: as the project states them.
        variables: the environment's, besides those of each build.
        is_plugged: whether the plugin has to be active.
    """

    name: str
    pythons: Mapping[str, Path]
    tree: Path
    backend: str
    backend_path: Sequence[str]
    variables: Mapping[str, str]
    is_plugged: bool
