"""What a build has copied from its source tree, and where it has that from."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build._setuptools.distribution import (
    is_unpacked_sdist,
    source_dir,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from setuptools import Distribution

    from setuptools_isolated_build._trees.tree import BuildTree

__all__ = [
    "are_alike",
    "are_equal",
    "by_source",
    "compiled",
    "copies",
    "directories",
    "in_tree_outputs",
    "newest",
    "outputs",
    "outside",
    "sources",
]

_CHUNK = 1 << 20  # bytes
# What copying keeps. The owner of a copy may write to it, and others by their umask.
_MODE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_MODE |= stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def copies(dist: Distribution, tree: BuildTree | None) -> Iterator[tuple[str, str]]:
    """Find the private copies of source files: each with its source's absolute path.

    There need be no such source: some of the files were not copied.
    """
    if tree is not None:
        yield from _in_build_lib(dist, tree)
        yield from _in_release_trees(dist, tree)


def by_source(dist: Distribution, tree: BuildTree | None) -> dict[str, list[str]]:
    """Return the copies of each source file, by its real path."""
    from setuptools_isolated_build._validation import changes  # most builds are alone

    real_directory = cache(os.path.realpath)  # it looks at each directory above
    found: dict[str, list[str]] = {}
    for copy, source in copies(dist, tree):
        directory, name = os.path.split(source)
        path = os.path.join(real_directory(directory), name)
        path = changes.real_path(path, is_link=os.path.islink(path))
        found.setdefault(path, []).append(copy)
    return found


def newest(
    dist: Distribution, tree: BuildTree | None, moment: int
) -> list[tuple[str, str]]:
    """Return the copies of sources that may have changed since *moment*.

    A copy has the time of its source. One that is older was not written since.
    """
    second = moment // 1_000_000_000 - 2  # FAT's precision; distutils' is a second
    return [
        (copy, source)
        for copy, source in copies(dist, tree)
        if os.lstat(copy).st_mtime >= second  # it may be a link that leads nowhere
    ]


def compiled(dist: Distribution) -> Iterator[str]:
    """Find the sources of extension modules and libraries; mypyc's are in build/."""
    named = [extension.sources for extension in dist.ext_modules or ()]
    named += [library.get("sources", ()) for _, library in dist.libraries or ()]
    for paths in named:
        for path in paths:
            yield os.path.realpath(os.path.join(source_dir(dist), path))


def outputs(dist: Distribution, tree: BuildTree | None) -> set[str]:
    """Return the absolute paths of what was made in the build tree, and not copied.

    As far as it is known: extension modules, and what setuptools puts into each sdist.
    """
    found: set[str] = set()
    build_ext: Any = dist.get_command_obj("build_ext", create=False)
    if getattr(build_ext, "finalized", False) and build_ext.extensions:
        found.update(map(os.path.abspath, build_ext.get_outputs()))
    if tree is not None and os.path.isdir(tree.release_root):
        made = {"PKG-INFO", "setup.cfg", *_egg_info_files(dist)}
        for name in os.listdir(tree.release_root):
            base = os.path.join(tree.release_root, name)
            found.update(os.path.join(base, file) for file in made)
    return found


def in_tree_outputs(dist: Distribution) -> set[str]:
    """Return where extension modules are put beside the sources, as real paths."""
    build_ext: Any = dist.get_command_obj("build_ext", create=False)
    build_py: Any = dist.get_command_obj("build_py", create=False)
    if not getattr(build_ext, "finalized", False) or build_py is None:
        return set()
    found = set()
    for extension in build_ext.extensions or ():
        name = build_ext.get_ext_fullname(extension.name)
        directory = build_py.get_package_dir(name.rpartition(".")[0])
        filename = os.path.basename(build_ext.get_ext_filename(name))
        path = os.path.join(source_dir(dist), directory, filename)
        found.add(os.path.realpath(path))
    return found


def sources(
    dist: Distribution, tree: BuildTree | None, copied: Iterable[str]
) -> set[str]:
    """Return the real paths of what was copied, or is stated as a source.

    But for what is made in the build tree.

    Args:
        dist: what is built; its commands have run.
        tree: this build's private directories, if it has any.
        copied: real paths.
    """
    found = {*copied, *compiled(dist)}
    if tree is None:
        return found
    own = os.path.join(os.path.realpath(tree.directory), "")
    return {path for path in found if not path.startswith(own)}


def directories(directory: str, paths: Iterable[str]) -> set[str]:
    """Return the real paths of the directories that sources are in, or below.

    Results may be put anywhere (``uv build -o .``), and a package may hold what looks
    like a cache or an environment.

    Args:
        directory: the source tree, in which setup.py is.
        paths: real paths of sources.
    """
    found: set[str] = set()
    for path in (os.path.join(os.path.realpath(directory), "setup.py"), *paths):
        parent = os.path.dirname(path)
        while parent not in found:
            found.add(parent)
            parent = os.path.dirname(parent)
    return found


def outside(directory: str, paths: Iterable[str]) -> set[str]:
    """Return those of the real *paths* that are in no place of this project.

    That is, of another one in the same repository; nobody else writes to temporary
    files.

    Args:
        directory: the source tree.
        paths: files.
    """
    places = [os.path.join(os.path.realpath(directory), "")]
    temporary = os.path.join(os.path.realpath(tempfile.gettempdir()), "")
    if not places[0].startswith(temporary):
        places.append(temporary)
    return {path for path in paths if not path.startswith(tuple(places))}


def are_alike(copy: str, source: str) -> bool:
    """Whether both are equal, and may be read and run by the same.

    A file that is written may be whole before its mode is set. Of modules setuptools
    copies no mode; one that may be run is taken for another file then.
    """
    try:
        modes = {os.stat(path).st_mode & _MODE for path in (copy, source)}
    except OSError:
        return False
    return len(modes) == 1 and are_equal(copy, source)


def are_equal(copy: str, source: str) -> bool:
    """Whether both are files of the same contents, and nobody has written meanwhile."""
    # Most compare nothing.
    from setuptools_isolated_build._validation import changes, writing

    before = changes.state(source)
    try:
        with open(copy, "rb") as one, open(source, "rb") as other:
            while (chunk := one.read(_CHUNK)) == other.read(_CHUNK):
                if not chunk:
                    break
            else:
                return False
    except OSError:
        return False
    return changes.state(source) == before and not writing.is_being_written(source)


def _in_build_lib(dist: Distribution, tree: BuildTree) -> Iterator[tuple[str, str]]:
    build_py: Any = dist.get_command_obj("build_py", create=False)
    if build_py is None or not build_py.finalized or not build_py.build_lib:
        return
    build_lib = os.path.abspath(build_py.build_lib)
    if not tree.holds(build_lib):
        return
    packages = set(build_py.packages or ())
    for directory, _, names in os.walk(build_lib):
        inside = os.path.relpath(directory, build_lib)
        parts = [] if inside == os.curdir else inside.split(os.sep)
        # Of a package's data in directories that are no packages, the package counts.
        for depth in range(len(parts), -1, -1):
            package = ".".join(parts[:depth])
            if package in packages or not depth:
                break
        source = os.path.join(build_py.get_package_dir(package), *parts[depth:])
        for name in names:
            yield (
                os.path.join(directory, name),
                os.path.abspath(os.path.join(source, name)),
            )


def _in_release_trees(dist: Distribution, tree: BuildTree) -> Iterator[tuple[str, str]]:
    root, directory_of_sources = tree.release_root, source_dir(dist)
    # That of an unpacked sdist was copied, before it was made anew.
    made = set() if is_unpacked_sdist(dist) else _egg_info_files(dist)
    for directory, _, names in os.walk(root):
        parts = os.path.relpath(directory, root).split(os.sep)
        for name in names:
            inside = os.path.join(*parts[1:], name)
            if inside not in made:
                source = os.path.join(directory_of_sources, inside)
                yield os.path.join(directory, name), source


def _egg_info_files(dist: Distribution) -> set[str]:
    """Return what the files of a private egg-info are called in an sdist."""
    egg_info: Any = dist.get_command_obj("egg_info", create=False)
    return (
        set(egg_info.private_files()) if hasattr(egg_info, "private_files") else set()
    )
