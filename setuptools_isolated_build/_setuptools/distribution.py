"""What a distribution was asked for, and by whom."""

from __future__ import annotations

import builtins
import os
from typing import TYPE_CHECKING, Any

import setuptools

from setuptools_isolated_build._setuptools.hooks import in_setup, running_hook
from setuptools_isolated_build.errors import SetuptoolsTooOldError

if TYPE_CHECKING:
    from setuptools import Distribution

__all__ = [
    "ARCHIVES",
    "SANDBOXED",
    "SHARING",
    "TAKE_TURNS",
    "archive_of",
    "check_release",
    "command_line",
    "is_build_wanted",
    "is_sandboxed",
    "is_setuptools",
    "is_setuptools_module",
    "is_unpacked_sdist",
    "project_build_base",
    "requested",
    "requested_by_hook",
    "source_dir",
    "stated_by_user",
]

# By hand, these are asked for what they leave in the source tree.
_IN_TREE = frozenset(
    {
        "bdist_dumb",
        "bdist_egg",
        "bdist_rpm",
        "build",
        "build_clib",
        "build_ext",
        "build_py",
        "build_scripts",
        "develop",
        "egg_info",
        "install",
        "install_egg_info",
        "install_lib",
    }
)
# Nor can these share their products, which are not made from what lies in build/.
TAKE_TURNS = _IN_TREE | {"bdist", "dist_info", "editable_wheel"}
# What these leave, or remove, is the next one's too, also if another command runs them.
SHARING = TAKE_TURNS | {"clean"}
SANDBOXED = "easy_install runs this command, and lets it write nowhere else"

# These leave nothing below build_base that anybody asks for. All others may: those of
# the list above, and a project's or a plugin's, as ``build_docs`` or ``build_exe``.
_NOT_BUILDING = {
    *("bdist", "bdist_wheel", "dist_info", "editable_wheel", "egg_info"),
    *("alias", "check", "clean", "register", "rotate", "saveopts", "sdist", "setopt"),
    *("install_egg_info", "upload", "upload_docs"),
}
ARCHIVES = {"bdist_wheel", "sdist"}
_THEIR_PACKAGES = {"distutils", "setuptools", "wheel"}
_OLDEST = (64, 0, 3)


def check_release() -> None:
    """Check that setuptools is not older than the oldest release that is supported.

    pip and uv see to that, unless somebody installs without dependencies or overrides
    them. Older releases fail with an absolute egg_base, in their own code.

    Raises:
        SetuptoolsTooOldError: it is older.
    """
    if _is_too_old(setuptools.__version__) and _is_too_old(_version_beside()):
        oldest = ".".join(map(str, _OLDEST))
        cause = f"setuptools-isolated-build needs {oldest} or later"
        remedy = f'require "setuptools>={oldest}", or set enabled = false'
        what = f"setuptools {_version_beside()}"
        raise SetuptoolsTooOldError(what, cause, remedy)


def _is_too_old(version: str) -> bool:
    release = tuple(int(n) for n in version.split(".")[:3] if n.isdigit())
    return bool(release) and release < _OLDEST  # "unknown" without its metadata


def _version_beside() -> str:
    """Return what the metadata beside setuptools says, or its ``__version__``.

    ``__version__`` is that of the project, where ``backend-path`` has its metadata and
    the frontend finds any name there: pyproject_hooks 1.2.0, in pip 26.0.1, does so.
    """
    from importlib import metadata

    directory = os.path.dirname(os.path.dirname(setuptools.__file__))
    context = metadata.DistributionFinder.Context(name="setuptools", path=[directory])
    found = metadata.MetadataPathFinder.find_distributions(context)
    return next((one.version for one in found), setuptools.__version__)


def source_dir(dist: Distribution) -> str:
    """Return the absolute path of the source tree of *dist*."""
    return os.path.abspath(dist.src_root or os.curdir)


def is_unpacked_sdist(dist: Distribution) -> bool:
    """Whether the source tree is an unpacked sdist, whose egg-info is a source."""
    return os.path.isfile(os.path.join(source_dir(dist), "PKG-INFO"))


def requested(dist: Distribution) -> set[str]:
    """Return the commands of the command line, as far as it has been read."""
    return set(getattr(dist, "commands", ()))


def command_line(dist: Distribution) -> str:
    """Return the commands of the command line, for others to read."""
    return " ".join(getattr(dist, "commands", ()))


def requested_by_hook(dist: Distribution) -> bool:
    """Whether it is a hook that runs these commands.

    Commands that make something in the source tree (``setup.py build``, ``egg_info``)
    keep it there, unless it is a frontend that runs them for something else.
    """
    return bool(requested(dist)) and running_hook() is not None


def stated_by_user(dist: Distribution, command: str, option: str) -> bool:
    """Whether whoever runs the build has set this option, and not the project.

    That is: on the command line, in a file that DIST_EXTRA_CONFIG names, or in the
    user's or the interpreter's distutils configuration.
    """
    options = dist.get_option_dict(command)
    if option not in options:
        return False
    source = str(options[option][0])
    own_files = {os.path.abspath(name) for name in ("setup.cfg", "pyproject.toml")}
    return source != "setup script" and os.path.abspath(source) not in own_files


def archive_of(command_class: type) -> str:
    """Return which archive's command a class is derived from, or "" for all others.

    A project may have its own under another name, beside setuptools'.
    """
    names = (
        cls.__name__
        for cls in command_class.__mro__
        if cls.__module__.partition(".")[0] in _THEIR_PACKAGES
    )
    return next((name for name in names if name in ARCHIVES), "")


def is_build_wanted(dist: Distribution) -> bool:
    """Whether what is below build_base is, or may be, wanted where it is without us.

    Not in a hook, and not by hand where nothing is asked for but what is known. A
    project's own command may run ``build`` and then ``bdist_wheel``: a wheel from a
    build tree would be empty, since ``build`` does not run once more.
    """
    if running_hook() is not None:
        return False
    names = requested(dist)
    if not names:  # it has not been read, or nobody runs a command line
        return not in_setup()
    return not all(
        name in _NOT_BUILDING or archive_of(dist.get_command_class(name))
        for name in names
    )


def project_build_base(dist: Distribution) -> str | None:
    """Return the build_base that the project has chosen, in whatever way."""
    if stated_by_user(dist, "build", "build_base"):
        return None
    build: Any = dist.get_command_obj("build")
    # Of a copied distribution it is private already, to another build.
    build_base: str = getattr(build, "build_base_in_tree", build.build_base)
    return None if build_base == "build" else build_base


def is_setuptools(method: Any) -> bool:
    """Whether *method* is setuptools' own, and no project or plugin overrides it."""
    return is_setuptools_module(method.__module__)


def is_setuptools_module(name: str | None) -> bool:
    """Whether a module of this *name* is setuptools' own."""
    return str(name).partition(".")[0] in {"distutils", "setuptools"}


def is_sandboxed() -> bool:
    """Whether easy_install builds an egg in this process, before setuptools 80.

    `setuptools.sandbox` has replaced open() then, and what it has not foreseen ends in
    a TypeError.
    """
    sandbox = getattr(builtins.open, "__self__", None)
    return type(sandbox).__module__ == "setuptools.sandbox"
