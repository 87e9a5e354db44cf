"""The isolation of one `Distribution`: whether, where, and until when."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import weakref
from typing import TYPE_CHECKING, NamedTuple

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
    "hook_is_done",
    "isolate",
    "keep_for_hook",
    "keep_tree",
    "requested",
    "stated_by_user",
    "tell",
    "warn",
    "within",
]

_ATTRIBUTE = "_isolated_build"
_ALMOST_NOTHING = 16 << 20  # bytes; compilers remove what they could not finish


class Isolation(NamedTuple):
    """How a distribution's build is kept apart. Picklable, as distributions are.

    Attributes:
        settings: the project's and the user's.
        tree: the private directories.
        lock_root: where the publish locks are, or None if there is no place for them.
    """

    settings: Settings
    tree: BuildTree
    lock_root: str | None


# Ends a tree whose distribution is gone or left over at the end of the process: not
# every caller uses Distribution.run_commands.
_guards: dict[BuildTree, weakref.finalize] = {}  # type: ignore[type-arg]


# The build whose archive is finished, but not yet published by the hook it runs in.
_unpublished: Isolation | None = None


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
        hook_is_done()  # it has failed to publish the last one in this process
        source_dir = os.path.abspath(dist.src_root or os.curdir)
        settings = read_settings(source_dir, os.environ)
        isolation = None
        if settings.enabled:
            isolation = _set_up(dist, settings)
            tell(f"isolated build: {isolation.tree.directory}")
        else:
            tell("not isolated: switched off by the setting 'enabled'")
        setattr(dist, _ATTRIBUTE, isolation)
    return current(dist)


def requested(dist: Distribution) -> set[str]:
    """Return the commands of the command line, as far as it has been read."""
    return set(getattr(dist, "commands", ()))


def keep_tree(dist: Distribution) -> None:
    """Keep the build tree of *dist* after its build, as with ``keep = "always"``."""
    isolation = current(dist)
    assert isolation is not None
    settings = isolation.settings._replace(keep="always")
    setattr(dist, _ATTRIBUTE, isolation._replace(settings=settings))


def keep_for_hook(isolation: Isolation) -> None:
    """Let the build tree stay until `hook_is_done`, after the commands.

    It holds the record of the hook's staging directory, by which the next build removes
    that if this one is killed before the archive is published.
    """
    global _unpublished
    _unpublished = isolation


def hook_is_done() -> None:
    """Remove what `keep_for_hook` has kept."""
    global _unpublished
    if _unpublished is not None:
        isolation, _unpublished = _unpublished, None
        _release(isolation, failed=False)


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
            _explain_full_disk(exc, dist, isolation.tree)
        raise
    finally:
        _end(dist, failed=failed)


def _end(dist: Distribution, *, failed: bool) -> None:
    isolation = current(dist)
    vars(dist).pop(_ATTRIBUTE, None)
    if isolation is not None and (failed or isolation is not _unpublished):
        _release(isolation, failed=failed)


def _release(isolation: Isolation, *, failed: bool) -> None:
    _guards.pop(isolation.tree).detach()
    wish = isolation.settings.keep
    keep = wish == "always" or (failed and wish == "on-failure")
    kept = _build_tree.release(isolation.tree, keep=keep)
    if kept is not None:
        warn(f"the build tree is kept: {kept}")


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


def _set_up(dist: Distribution, settings: Settings) -> Isolation:
    tree, lock_root = _make_tree(*_root(dist, settings))
    hook = running_hook()
    if hook is not None and hook.result_staging is not None:
        # Setuptools removes it at the end of the hook, which a killed build has not.
        tree.remember_staging(hook.result_staging)
    _guards[tree] = weakref.finalize(dist, _build_tree.release, tree)
    return Isolation(settings, tree, lock_root)


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


def _project_build_base(dist: Distribution) -> str | None:
    """Return the build_base that the project has chosen, in whatever way."""
    if stated_by_user(dist, "build", "build_base"):
        return None
    build_base = getattr(dist.get_command_obj("build"), "build_base", None)
    if "build_base" in dist.get_option_dict("build") or build_base != "build":
        return build_base
    return None


def _explain_full_disk(exc: Exception, dist: Distribution, tree: BuildTree) -> None:
    """Raise `DiskFullError` if that is why a command failed, whatever it has raised.

    distutils keeps only the text of an OSError, and of a compiler's only its status:
    then what is left on the file systems has to tell.
    """
    directories = [tree.directory]
    dist_dir = getattr(dist.get_command_obj("bdist_wheel"), "dist_dir", None)
    if dist_dir and os.path.isdir(dist_dir):
        directories.append(os.path.abspath(dist_dir))
    free = {path: shutil.disk_usage(path).free for path in directories}
    path = min(directories, key=free.__getitem__)
    full = os.strerror(errno.ENOSPC)
    chain: BaseException | None = exc
    while chain is not None:
        numbers = (errno.ENOSPC, errno.EDQUOT)
        if getattr(chain, "errno", None) in numbers or full in str(chain):
            path = getattr(chain, "filename", None) or path
            break
        chain = chain.__cause__ or chain.__context__
    else:
        if free[path] >= _ALMOST_NOTHING:
            return
    remedy = "free some space, or set TMPDIR or build-root to a larger file system"
    raise DiskFullError(str(path), f"{full} ({exc})", remedy) from exc
