"""What the list of sources should hold, and what only seems to.

setuptools' list takes in what a ``graft`` or ``global-include`` matches, also what
other builds have left in the tree, or are about to. It prunes the build_base of its own
build, which is elsewhere now; and a pristine copy of the tree has none of the rest, so
neither does the archive.
"""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Callable

from setuptools.errors import BaseError as DistutilsError

from setuptools_isolated_build._setuptools import hooks
from setuptools_isolated_build._setuptools.distribution import is_unpacked_sdist
from setuptools_isolated_build._trees.tree import is_staging

if TYPE_CHECKING:
    from setuptools import Distribution

    from setuptools_isolated_build._trees.tree import BuildTree

__all__ = ["by_template", "left_over_finder", "products"]

# Only what builds put into dist/, with a version in its name: a project may have files
# of its own there.
_RESULTS = (
    *(".whl", ".egg", ".zip", ".rpm", ".deb", ".msi", ".exe", ".asc", ".sigstore"),
    *(".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.Z", ".tar.zst"),
)
# What `setuptools_isolated_build._commands.config` makes, and removes at once.
_CONFIGTEST = "_configtest-"
# What roots of build trees inside a source tree are called, whoever builds there.
_ROOT = f"{os.sep}.setuptools-isolated-build-"
# "uv build" writes it into its result directory. It is empty for a moment.
_UV_MARK, _TEXT_OF_IT = ".gitignore", {"", "*"}


def left_over_finder(egg_info: Any, tree: BuildTree) -> Callable[[str], bool]:
    """Return whether a name in the list of sources is a left-over, as a function.

    Args:
        egg_info: the finalized command; its egg-info is complete.
        tree: the build tree of this build, whose siblings may lie in the source tree.
    """
    here = os.getcwd()
    in_tree, private = egg_info.egg_info_in_tree, os.path.abspath(egg_info.egg_info)
    roots = _roots(egg_info.distribution, tree, here)
    results = _result_directories(egg_info.distribution)
    # Its shipped list is what names an unpacked sdist's files, so all of them stay.
    is_checkout = not is_unpacked_sdist(egg_info.distribution)
    egg_bases = {here, os.path.dirname(in_tree)}

    @cache
    def is_of_a_build(directory: str) -> bool:
        return (
            (directory + os.sep).startswith(roots)
            or _ROOT in directory[len(here) :]
            or _is_staged(directory, results)
        )

    @cache
    def is_in_egg_info(directory: str) -> bool:
        return is_checkout and _is_in_egg_info(directory, egg_bases)

    def is_left_over(name: str) -> bool:
        if os.path.isabs(name):
            return False  # the private egg-info, which has its own place in the list
        directory, base = os.path.split(os.path.abspath(name))
        if is_of_a_build(directory) or _is_configtest(base):
            return True
        if directory in results and _is_result(directory, base):
            return True
        if (directory + os.sep).startswith(in_tree + os.sep):
            # In a checkout the old egg-info may have files that are not made any more.
            inside = os.path.relpath(os.path.join(directory, base), in_tree)
            return not os.path.lexists(os.path.join(private, inside))
        return is_in_egg_info(directory) or (
            base.endswith(".egg-info") and is_in_egg_info(os.path.join(directory, base))
        )

    return is_left_over


def products(dist: Distribution) -> set[str]:
    """Return the directories of the source tree in which setuptools has products."""
    build: Any = dist.get_command_obj("build")
    found = {getattr(build, "build_base_in_tree", build.build_base)}
    if not is_unpacked_sdist(dist):
        egg_info: Any = dist.get_command_obj("egg_info", create=False)
        found.add(getattr(egg_info, "egg_info_in_tree", ""))
    return set(map(os.path.abspath, filter(None, found))) | _result_directories(dist)


def by_template(names: list[str], directory: str) -> list[str]:
    """Return by which names MANIFEST.in has the files of the egg-info in the list.

    `setuptools.command.egg_info.manifest_maker` has read it when these had private
    names: ``prune *.egg-info`` does not match them, and ``recursive-include . *.txt``
    lists what is in the tree once more, as ``./name.egg-info/…``.

    Args:
        names: what they are called in the source tree, which are in the list already.
        directory: an empty one, in which setuptools' own code finds nothing but these.
    """
    template = "MANIFEST.in"
    above = os.path.join(os.pardir, "")
    is_outside = any(os.path.isabs(x) or x.startswith(above) for x in names)
    if is_outside or not os.path.isfile(template):
        return names
    from distutils import log
    from distutils.text_file import TextFile

    from setuptools.command.egg_info import FileList

    file = TextFile(template, join_lines=True, lstrip_ws=True, collapse_join=True)
    try:
        lines = file.readlines()
    finally:
        file.close()
    for name in names:
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "x", encoding="utf-8").close()
    filelist: Any = FileList()
    filelist.files = list(names)
    here, threshold = os.getcwd(), log.set_threshold(log.FATAL)
    try:
        os.chdir(directory)
        for line in lines:
            with contextlib.suppress(DistutilsError, ValueError):  # it was warned of
                filelist.process_template_line(line)
    finally:
        os.chdir(here)
        log.set_threshold(threshold)
    own = set(names)
    return [name for name in filelist.files if os.path.normpath(name) in own]


def _roots(dist: Distribution, tree: BuildTree, here: str) -> tuple[str, ...]:
    build: Any = dist.get_command_obj("build")
    build.ensure_finalized()
    # TMPDIR, with the trees of running builds, may lie in the source tree.
    paths = (
        getattr(build, "build_base_in_tree", build.build_base),
        tree.directory,
    )
    return tuple(
        os.path.abspath(path) + os.sep
        for path in paths
        # A root above the source tree holds all of it, and nothing of it is pruned.
        if not (here + os.sep).startswith(os.path.abspath(path) + os.sep)
    )


def _result_directories(dist: Distribution) -> set[str]:
    names = ("sdist", "bdist_wheel", "bdist")
    commands = [dist.get_command_obj(name, create=False) for name in names]
    paths = ["dist", *(getattr(command, "dist_dir", None) for command in commands)]
    hook = hooks.running_hook()
    if hook is not None and hook.result_staging is not None:
        paths.append(os.path.dirname(hook.result_staging))
    return {os.path.abspath(path) for path in paths if path}


def _is_staged(directory: str, results: set[str]) -> bool:
    while directory != os.path.dirname(directory):
        directory, name = os.path.split(directory)
        # With the dot it is nobody else's: in-place extensions are staged elsewhere.
        if is_staging(name) and (name[0] == "." or directory in results):
            return True
    return False


def _is_result(directory: str, name: str) -> bool:
    if name != _UV_MARK:
        return name.endswith(_RESULTS) and re.search(r"[-_]v?[0-9]", name) is not None
    try:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            return file.read().strip() in _TEXT_OF_IT
    except (OSError, ValueError):
        return False


def _is_configtest(name: str) -> bool:
    return (
        name.startswith(_CONFIGTEST)  # compiling the pattern takes longer than this
        and re.fullmatch(r"[0-9a-f]{16}(\.\w+)?", name[len(_CONFIGTEST) :]) is not None
    )


def _is_in_egg_info(path: str, egg_bases: set[str]) -> bool:
    while (parent := os.path.dirname(path)) != path:
        if path.endswith(".egg-info") and parent in egg_bases:
            # Without these no build has made it: setuptools' own tree has one that is
            # a source (bootstrap.egg-info).
            names = ("PKG-INFO", "SOURCES.txt")
            return any(os.path.lexists(os.path.join(path, name)) for name in names)
        path = parent
    return False
