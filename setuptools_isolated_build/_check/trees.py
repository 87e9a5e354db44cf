"""Source trees: what is in them, what has changed, and copies of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Callable

__all__ = [
    "Listing",
    "changes",
    "copy",
    "digest",
    "in_tree_products",
    "is_of_setuptools",
    "let_age",
    "listing",
    "own",
]

# Of each path the mode, the mtime in ns, the size and the content's digest.
Listing = dict[str, tuple[int, int, int, str]]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listing(
    tree: Path, is_left_out: Callable[[Path], bool] = lambda _: False
) -> Listing:
    """List *tree*: of each path the mode, the mtime, the size and the content."""
    return {
        str(path.relative_to(tree)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            0 if path.is_dir() else path.lstat().st_size,
            digest(path) if path.is_file() else "",
        )
        for path in (tree, *tree.rglob("*"))
        if not is_left_out(path)
    }


def changes(tree: Path, before: Listing) -> set[str]:
    """Name what has changed in *tree*, without directories that have other entries."""
    after = listing(tree)
    return {
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
        and (not (tree / name).is_dir() or name not in before.keys() & after.keys())
    }


def is_of_setuptools(name: str) -> bool:
    """Whether setuptools alone puts this path into the tree."""
    parts = Path(name).parts
    return parts[:1] == ("build",) or any(part.endswith(".egg-info") for part in parts)


def own(names: set[str]) -> set[str]:
    """Return those *names* that the project writes, and not setuptools for it."""
    products = in_tree_products(names)
    return {name for name in names - products if not is_of_setuptools(name)}


def without_bytecode(names: set[str]) -> set[str]:
    """Return those *names* that are not Python's cache of what setup.py imports.

    Python puts a file in place whole, and takes none that is not of its source.
    """
    return {name for name in names if "__pycache__" not in Path(name).parts}


def in_tree_products(names: set[str]) -> set[str]:
    """Return those *names* that an editable install needs in the tree.

    With the directories whose times change when they appear, or are staged there.
    """
    products = {
        name
        for name in names
        if name == "build"
        or name.startswith("build/__editable__")
        or name.endswith((".so", ".pyd"))
    }
    parents = {str(parent) for name in products for parent in Path(name).parents}
    return products | (parents & names)


def copy(
    project: Path,
    target: Path,
    ignore: Callable[[str, list[str]], set[str]] = shutil.ignore_patterns(
        "build", "dist", "*.egg-info", "__pycache__"
    ),
) -> Path:
    """Copy a project without what building it by hand may have left in it."""
    shutil.copytree(project, target, ignore=ignore, symlinks=True)
    let_age(target)
    return target


def let_age(path: Path) -> None:
    """Wait until *path* is older than what could be taken for a build's own writing."""
    written = path.stat().st_ctime_ns
    with tempfile.NamedTemporaryFile() as now:  # not there: that would change it, too
        for _ in range(1000):
            os.utime(now.name)
            if os.stat(now.name).st_ctime_ns > written + 30_000_000:
                break
            time.sleep(0.002)
