"""The isolation of one `Distribution`: whether, where, and until when."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import _build_tree, _locks, _roots
from ._build_meta import running_hook
from ._settings import Settings, read_settings
from .errors import BuildRootError, DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from setuptools import Distribution

    from ._build_tree import BuildTree

__all__ = [
    "Isolation",
    "current",
    "isolate",
    "keep_tree",
    "release_idle",
    "stated_by_user",
    "tell",
    "wanted",
    "warn",
    "within",
]

_ATTRIBUTE = "_isolated_build"
_ALMOST_NOTHING = 1 << 16  # bytes; a compiler removes the little that it could write


@dataclass(frozen=True)
class Isolation:
    """How a distribution's build is kept apart. Picklable, as distributions are.

    Attributes:
        settings: the project's and the user's.
        source_dir: the absolute path of the source tree.
        tree: the private directories.
        lock_root: where the publish locks are, or None if there is no place for them.
    """

    settings: Settings
    source_dir: str
    tree: BuildTree
    lock_root: str | None


@dataclass(frozen=True)
class _Idle:
    source_dir: str
    tree: BuildTree
    keep: bool


# The tree of the last successful setup() of this process. A setup script that calls
# setup() again finds in it what the first call built, as it would find build/.
_idle: _Idle | None = None
# End a tree whose distribution nobody has any more and that never ran its commands.
_guards: dict[BuildTree, weakref.finalize] = {}  # type: ignore[type-arg]


def current(dist: Distribution) -> Isolation | None:
    """Return what `isolate` has set up for *dist*, if it has."""
    isolation: Isolation | None = vars(dist).get(_ATTRIBUTE)
    return isolation


def isolate(dist: Distribution) -> Isolation | None:
    """Set up the isolation of *dist*, once, and say so in the build's output.

    Returns:
        The isolation, or None where it is switched off.

    Raises:
        SettingsError: the settings are wrong.
        BuildRootError: there is no place for build trees.
    """
    if _ATTRIBUTE not in vars(dist):
        source_dir = os.path.abspath(dist.src_root or os.curdir)
        settings = read_settings(source_dir, os.environ)
        isolation = None
        if settings.enabled:
            isolation = _set_up(dist, settings, source_dir)
            tell(f"isolated build: {isolation.tree.directory}")
        else:
            tell("not isolated: switched off by the setting 'enabled'")
        setattr(dist, _ATTRIBUTE, isolation)
    return current(dist)


def wanted(dist: Distribution) -> Isolation | None:
    """Return the isolation of *dist*, which is set up now if its product is private.

    Commands that make something in the source tree (``setup.py build``, ``egg_info``,
    ``develop``) are not isolated, unless it is a frontend that runs them on the way to
    something else.
    """
    commands = set(getattr(dist, "commands", ()))
    private = "bdist_wheel" in commands or commands == {"egg_info"}
    if private and running_hook():
        return isolate(dist)
    return current(dist)


def keep_tree(dist: Distribution) -> None:
    """Keep the build tree of *dist* after its build, as with ``keep = "always"``."""
    isolation = current(dist)
    assert isolation is not None
    settings = replace(isolation.settings, keep="always")
    setattr(dist, _ATTRIBUTE, replace(isolation, settings=settings))


@contextlib.contextmanager
def within(dist: Distribution) -> Iterator[None]:
    """Run the commands of *dist* in the block, and end its isolation after them."""
    failed = True
    try:
        yield
        failed = False
    except Exception as exc:
        isolation = current(dist)
        if isolation is not None:
            _explain_full_disk(exc, isolation.tree)
        raise
    finally:
        _end(dist, failed=failed)


def _end(dist: Distribution, *, failed: bool) -> None:
    """End the isolation of *dist*.

    The build tree of a wheel that was built stays until the setup script is done (the
    process ends, or the hook has published the wheel): the script may go on with it.
    """
    global _idle
    isolation = current(dist)
    vars(dist).pop(_ATTRIBUTE, None)
    if isolation is None:
        return
    _guards.pop(isolation.tree).detach()
    keep = isolation.settings.keep == "always"
    keep |= failed and isolation.settings.keep == "on-failure"
    release_idle()
    _idle = _Idle(isolation.source_dir, isolation.tree, keep)
    if failed or "bdist_wheel" not in dist.have_run:
        release_idle()


def release_idle() -> None:
    """Remove the build tree that was left for the rest of the setup script."""
    global _idle
    if _idle is not None:
        kept = _build_tree.release(_idle.tree, keep=_idle.keep)
        _idle = None
        if kept is not None:
            print(f"the build tree is kept: {kept}", flush=True)


atexit.register(release_idle)


def tell(message: str) -> None:
    """Put *message* into the build's output, at the verbosity of "running …"."""
    from distutils import log  # setuptools' own; it has to be imported first

    log.info(message)


def warn(message: str) -> None:
    """Put *message* into the build's output, also under ``--quiet``."""
    from distutils import log

    log.warn(message)


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


def _set_up(dist: Distribution, settings: Settings, source_dir: str) -> Isolation:
    root, lock_root = _root(dist, settings)
    if _idle is not None and _idle.source_dir == source_dir:
        tree = _take_over_idle()
    else:
        release_idle()  # first, so that a lone process always builds in slot 0
        tree, lock_root = _make_tree(root, lock_root)
    hook = running_hook()
    if hook is not None and hook.result_staging is not None:
        # Setuptools removes it at the end of the hook, which a killed build has not.
        tree.remember_staging(hook.result_staging)
    _guards[tree] = weakref.finalize(dist, _build_tree.release, tree)
    return Isolation(settings, source_dir, tree, lock_root)


def _root(dist: Distribution, settings: Settings) -> tuple[str, str | None]:
    """Return the root and, where locks can stand in it, the root once more."""
    if settings.build_root is not None:
        root = _roots.stated_root(settings.build_root)
        return root, root
    project_base = _project_build_base(dist)
    if project_base is not None:
        try:
            root = _roots.stated_root(project_base)
        except BuildRootError as exc:
            warn(f"build trees do not stand below build_base: {exc}")
        else:
            return root, root
    root = _roots.default_root()
    reason = _roots.why_not_private(root)
    if reason is None:
        return root, root
    warn(
        f"{root}: {reason}, so the build tree gets a name of its own and no lock; "
        "remove it, or set TMPDIR or build-root to a directory of your own"
    )
    return os.path.dirname(root), None


def _make_tree(root: str, lock_root: str | None) -> tuple[BuildTree, str | None]:
    if lock_root is not None:
        try:
            return _build_tree.lease(root), lock_root
        except _locks.LocksUnavailableError as exc:
            warn(
                f"{root}: its file system has no locks ({exc}), so the build tree "
                "gets a name of its own; set build-root to a file system that has them"
            )
    return _build_tree.private_tree(root), None


def _take_over_idle() -> BuildTree:
    global _idle
    assert _idle is not None
    tree, _idle = _idle.tree, None
    return tree


def _project_build_base(dist: Distribution) -> str | None:
    """Return the build_base that the project has chosen, in whatever way."""
    if stated_by_user(dist, "build", "build_base"):
        return None
    build_base = getattr(dist.get_command_obj("build"), "build_base", None)
    if "build_base" in dist.get_option_dict("build") or build_base != "build":
        return build_base
    return None


def _explain_full_disk(exc: Exception, tree: BuildTree) -> None:
    """Raise `DiskFullError` if that is why a command failed, whatever it has raised.

    distutils keeps only the text of an OSError, and of a compiler's only the status.
    """
    full = os.strerror(errno.ENOSPC)
    chain: BaseException | None = exc
    while chain is not None:
        numbers = (errno.ENOSPC, errno.EDQUOT)
        if getattr(chain, "errno", None) in numbers or full in str(chain):
            path = getattr(chain, "filename", None) or tree.directory
            break
        chain = chain.__cause__ or chain.__context__
    else:
        if shutil.disk_usage(tree.directory).free >= _ALMOST_NOTHING:
            return
        path = tree.directory
    remedy = "free some space, or set TMPDIR or build-root to a larger file system"
    raise DiskFullError(str(path), f"{full} ({exc})", remedy) from exc
