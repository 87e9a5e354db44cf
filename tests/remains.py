"""What builds leave behind: which of it is a place at rest, and which is litter."""

from __future__ import annotations

import re
import subprocess
import textwrap
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from pathlib import Path

MARKS = {"CACHEDIR.TAG", ".gitignore"}
IDLE = "idle"
_TREE = re.compile(r"tree-[0-9a-f]{8}")

# A sitecustomize module: writes down each turn's lock file that the process opens.
# They stand in one place for all trees of a user, so a listing would show others', too.
WRITE_DOWN_TURNS = textwrap.dedent(
    """
    import os, re, sys

    def write_down(event, args, seen=set()):
        if event != "open" or not isinstance(args[0], (str, bytes)):
            return
        path = os.fsdecode(args[0])
        name = path.rpartition("/")[2]
        if re.fullmatch(r"turn-.*\\.lock", name) and path not in seen:
            seen.add(path)
            with open(os.environ["TURNS"], "a") as file:
                file.write(path + "\\n")

    sys.addaudithook(write_down)
    """
)


def is_root(path: Path) -> bool:
    """Whether *path* is a directory of ours, by its name."""
    name = path.name.lstrip(".")
    return name.startswith(f"setuptools-isolated-build-{harness.user()}")


def litter(place: Path) -> list[str]:
    """Name what is below *place*, but for roots at rest.

    These hold their marks, lock files, and trees of builds that have ended well: empty
    but for a mark of their own.
    """
    return sorted(
        str(path.relative_to(place))
        for path in place.rglob("*")
        if not (
            is_root(path)
            or path.suffix == ".lock"
            or (path.name in MARKS and is_root(path.parent))
            or is_idle_tree(path)
            or (path.name == IDLE and is_idle_tree(path.parent))
        )
    )


def is_idle_tree(path: Path) -> bool:
    """Whether *path* is a build tree that waits for the next build."""
    is_tree = _TREE.fullmatch(path.name) is not None and is_root(path.parent)
    return is_tree and path.is_dir() and {x.name for x in path.iterdir()} <= {IDLE}


# The finder of pyproject_hooks 1.2.0, in pip 26.0.1: it passes over the name.
ANY_NAME = """
import sys
from importlib.metadata import DistributionFinder, MetadataPathFinder
class Finder:
    def find_spec(self, *args):
        return None
    def find_distributions(self, context=None):
        context = DistributionFinder.Context(path=["."])
        return MetadataPathFinder.find_distributions(context)
sys.meta_path.insert(0, Finder())
"""


def hooked(directory: Path, code: str) -> dict[str, str]:
    """Return the variables by which every process of a build runs *code* first."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(code, encoding="utf-8")
    return {"PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}


def can_be_another_user() -> bool:
    """Whether the command prefix of `harness.as_another_user` works here."""
    command = [*harness.as_another_user(), "true"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
