"""A copy of the project: without what builds have left, with its history."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from . import trees
from .archives import is_archive
from .errors import CheckError

__all__ = ["copy_history", "copy_project"]

_CACHES = {"__pycache__", ".tox", ".nox", ".git"}
_OF_BUILD = ("lib", "temp", "bdist", "__editable__", "scripts")
# Of a repository: what nobody needs who looks at its history, or what is linked.
_NOT_COPIED = ("objects", "worktrees", "modules", "lfs", "hooks")


def copy_project(project: Path, target: Path) -> Path:
    """Copy *project* to *target*, which is not there yet.

    Left out are environments, caches, what builds have left in ``build``, ``dist``
    and, in a checkout, egg-infos. An unpacked sdist needs its own.

    Raises:
        CheckError: something in it cannot be read.
    """
    is_unpacked = (project / "PKG-INFO").is_file()

    def left_out(directory: str, names: list[str]) -> set[str]:
        here = Path(directory)
        return {
            name
            for name in names
            if name in _CACHES
            or here / name in target.parents  # a TMPDIR inside the project
            or (name.endswith(".egg-info") and not is_unpacked)
            or _is_special(here / name)
            or (here == project and _is_left_by_builds(here / name))
            or (here / name / "pyvenv.cfg").is_file()
        }

    try:
        trees.copy(project, target, left_out)
        copy_history(project, target)
    except (OSError, shutil.Error) as exc:
        reason = exc.args[0][0][-1] if isinstance(exc, shutil.Error) else exc
        raise CheckError(f"{project}: cannot be copied: {reason}") from None
    trees.let_age(target)
    return target


def copy_history(project: Path, target: Path) -> None:
    """Give the copy *target* the git repository of *project*, if it has one.

    Its objects are not copied, they are read where they are (git's alternates).
    """
    own = project / ".git"
    if not own.exists():
        return
    directory = own
    if own.is_file():  # of a worktree or a submodule
        directory = project / own.read_text().partition("gitdir:")[2].strip()
    common = directory
    if (directory / "commondir").is_file():
        common = directory / (directory / "commondir").read_text().strip()
    ignore = shutil.ignore_patterns(*_NOT_COPIED, "*.lock")
    shutil.copytree(common, target / ".git", ignore=ignore, symlinks=True)
    for name in ("HEAD", "index"):
        if (directory / name).is_file():
            shutil.copy2(directory / name, target / ".git")
    info = target / ".git" / "objects" / "info"
    info.mkdir(parents=True)
    (info / "alternates").write_text(f"{(common / 'objects').resolve()}\n")
    config = target / ".git" / "config"
    if config.is_file():  # a submodule's says where its files are
        lines = config.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.split("=")[0].strip() != "worktree"]
        config.write_text("".join(kept))


def _is_special(path: Path) -> bool:
    mode = os.lstat(path).st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _is_left_by_builds(path: Path) -> bool:
    """Whether *path* is a ``build`` or a ``dist`` without files of the project."""
    if path.is_symlink() or not path.is_dir():
        return False
    names = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    if path.name == "build":
        return all(entry.name.startswith(_OF_BUILD) for entry in names)
    return path.name == "dist" and all(is_archive(entry) for entry in names)
