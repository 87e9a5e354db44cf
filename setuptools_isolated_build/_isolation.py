"""The isolation of one `Distribution`: whether, where, and until when."""

from __future__ import annotations

import builtins
import contextlib
import os
import weakref
from typing import TYPE_CHECKING, Any, Callable

from . import _build_tree, _locks, _roots, _turns
from ._build_meta import running_hook
from ._settings import Settings, read_settings
from .errors import BuildRootError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from setuptools import Distribution

    from ._build_tree import BuildTree

__all__ = [
    "IN_TREE",
    "Isolation",
    "current",
    "hook_is_done",
    "is_setuptools",
    "isolate",
    "keep_for_hook",
    "keep_tree",
    "requested",
    "requested_by_hook",
    "setup_in_turn",
    "stated_by_user",
    "take_turn",
    "tell",
    "warn",
    "within",
]

_ATTRIBUTE = "_isolated_build"
# By hand, these are asked for what they leave in the source tree.
IN_TREE = frozenset(
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
_SANDBOXED = "easy_install runs this command, and lets it write nowhere else"


# Nor can these share their products, which are not made from what lies in build/.
_TAKE_TURNS = IN_TREE | {"bdist", "dist_info", "editable_wheel"}


class Isolation:
    """How a distribution's build is kept apart. Picklable, as distributions are.

    Attributes:
        settings: the project's and the user's.
        tree: the private directories.
        lock_root: where the publish locks are, or None if there is no place for them.
    """

    def __init__(
        self, settings: Settings, tree: BuildTree, lock_root: str | None
    ) -> None:
        self.settings = settings
        self.tree = tree
        self.lock_root = lock_root


class _Unpublished:
    def __init__(self, isolation: Isolation, end_turn: Callable[[], object]) -> None:
        self.isolation = isolation
        self.end_turn = end_turn


class _SetupPhase:
    """What owns the turn of a setup.py that has not come to its commands."""


_setup_phase = _SetupPhase()
# Whose each tree is. They also end a tree whose distribution is gone, or left over at
# the end of the process: not every caller uses Distribution.run_commands.
_owners: dict[BuildTree, weakref.finalize] = {}  # type: ignore[type-arg]
# The build whose archive is finished, but not yet published by the hook it runs in.
_unpublished: _Unpublished | None = None


def current(dist: Distribution) -> Isolation | None:
    """Return what `isolate` has set up for *dist*, if it has."""
    isolation: Isolation | None = vars(dist).get(_ATTRIBUTE)
    return isolation


def requested(dist: Distribution) -> set[str]:
    """Return the commands of the command line, as far as it has been read."""
    return set(getattr(dist, "commands", ()))


def requested_by_hook(dist: Distribution) -> bool:
    """Whether it is a hook that runs these commands.

    Commands that make something in the source tree (``setup.py build``, ``egg_info``)
    keep it there, unless it is a frontend that runs them for something else.
    """
    return bool(requested(dist)) and running_hook() is not None


def isolate(dist: Distribution) -> Isolation | None:
    """Set up the isolation of *dist*, once, and say so in the build's output.

    Returns:
        The isolation, or None where it is switched off or cannot be.

    Raises:
        SettingsError: the settings are wrong.
        BuildRootError: there is no place for build trees.
    """
    if _ATTRIBUTE not in vars(dist):
        hook_is_done()  # it has failed to publish the last one in this process
        source_dir = os.path.abspath(dist.src_root or os.curdir)
        settings = read_settings(source_dir, os.environ)
        isolation = None
        if _is_sandboxed():
            tell(f"not isolated: {_SANDBOXED}")
        elif settings.enabled:
            isolation = _set_up(dist, settings, source_dir)
            tell(f"isolated build: {isolation.tree.directory}")
        else:
            tell("not isolated: switched off by the setting 'enabled'")
        setattr(dist, _ATTRIBUTE, isolation)
    return current(dist)


def keep_tree(dist: Distribution) -> None:
    """Keep the build tree of *dist* after its build, as with ``keep = "always"``."""
    isolation = current(dist)
    assert isolation is not None
    isolation.settings.keep = "always"


def keep_for_hook(dist: Distribution) -> None:
    """Let the build tree of *dist* stay after its commands, until `hook_is_done`.

    It holds the record of the hook's staging directory, by which the next build removes
    that if this one is killed before the archive is published.
    """
    global _unpublished
    isolation = current(dist)
    assert isolation is not None
    _unpublished = _Unpublished(isolation, _turns.ender(dist))


def hook_is_done(*, failed: bool = False) -> None:
    """Remove what `keep_for_hook` has kept."""
    if _unpublished is not None:
        end_turn = _unpublished.end_turn
        _release(_unpublished.isolation, failed=failed)
        end_turn()


@contextlib.contextmanager
def within(dist: Distribution) -> Iterator[None]:
    """Run the commands of *dist* in the block, and end its isolation after them.

    Raises:
        DiskFullError: in place of what the block has raised, if that was the reason.
    """
    if not _TAKE_TURNS.isdisjoint(requested(dist)) and running_hook() is None:
        take_turn(dist, dist.src_root, what=_turns.PRODUCTS)
    _turns.ender(_setup_phase)()
    failed = True
    try:
        yield
        failed = False
    except Exception as exc:
        isolation = current(dist)
        if isolation is not None:
            from . import _full_disk  # most builds do not fail

            _full_disk.explain(exc, dist, isolation.tree)
        raise
    finally:
        _end(dist, failed=failed)
        _turns.ender(dist)()


@contextlib.contextmanager
def setup_in_turn() -> Iterator[None]:
    """Run setup.py in the block, in turn with other builds until its commands begin."""
    take_turn(_setup_phase, None)
    try:
        yield
    finally:
        _turns.ender(_setup_phase)()


def take_turn(
    owner: object,
    src_root: str | None,
    *,
    what: str = _turns.SOURCES,
    only_if_set: bool = False,
) -> None:
    """Wait until no other build that takes turns is at work in the source tree.

    The turn of a distribution ends with its commands; in a hook, with the publication.

    Args:
        owner: whose turn it is, for as long as it lives.
        src_root: the distribution's, where it is known.
        what: which of the things in the tree is shared.
        only_if_set: whether the setting ``take-turns`` decides.
    """
    source_dir = os.path.abspath(src_root or os.curdir)
    try:
        settings = read_settings(source_dir, os.environ)
    except SettingsError:
        return  # `isolate` raises it, where distutils knows how to print it
    if not settings.enabled or (only_if_set and not settings.take_turns):
        return
    try:
        if _is_sandboxed():
            root, reason = "", _SANDBOXED
        elif settings.build_root is not None:
            root, reason = _roots.stated_root(settings.build_root), None
        else:
            root = _roots.default_root(source_dir)
            reason = _roots.why_not_private(root)
        if reason is None:
            _turns.begin(owner, what, source_dir, root, warn)
    except (BuildRootError, OSError, _locks.LocksUnavailableError) as exc:
        reason = str(exc)
    if reason is not None:
        warn(f"builds of this tree do not take turns: {reason}")


def _is_sandboxed() -> bool:
    # Before 80 easy_install builds eggs in a process in which `setuptools.sandbox` has
    # replaced open(), and what it has not foreseen ends in a TypeError.
    sandbox = getattr(builtins.open, "__self__", None)
    return type(sandbox).__module__ == "setuptools.sandbox"


def _end(dist: Distribution, *, failed: bool) -> None:
    isolation = current(dist)
    vars(dist).pop(_ATTRIBUTE, None)
    if isolation is None or not _owns(dist, isolation.tree):
        return
    if failed or _unpublished is None or _unpublished.isolation.tree != isolation.tree:
        _release(isolation, failed=failed)


def tell(message: str) -> None:
    """Put *message* into the build's output, at the verbosity of "running …"."""
    from distutils import log  # setuptools' own; it has to be imported first

    log.info(message)


def warn(message: str) -> None:
    """Put *message* into the build's output, also under ``--quiet``."""
    from distutils import log

    log.warn(message)


def is_setuptools(method: Any) -> bool:
    """Whether *method* is setuptools' own, and no project or plugin overrides it."""
    return str(method.__module__).partition(".")[0] in {"distutils", "setuptools"}


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


def _owns(dist: Distribution, tree: BuildTree) -> bool:
    # A deep copy of a distribution carries the paths of a tree that is not its own.
    owner = _owners.get(tree)
    found = owner.peek() if owner is not None else None
    return found is not None and found[0] is dist


def _release(isolation: Isolation, *, failed: bool) -> None:
    global _unpublished
    if _unpublished is not None and _unpublished.isolation.tree == isolation.tree:
        _unpublished = None
    owner = _owners.pop(isolation.tree, None)
    if owner is not None:
        owner.detach()
    wish = isolation.settings.keep
    keep = wish == "always" or (failed and wish == "on-failure")
    kept = _build_tree.release(isolation.tree, keep=keep)
    if kept is not None:
        warn(f"the build tree is kept: {kept}")


def _set_up(dist: Distribution, settings: Settings, source_dir: str) -> Isolation:
    tree, lock_root = _make_tree(dist, settings, source_dir)
    hook = running_hook()
    if hook is not None and hook.result_staging is not None:
        # Setuptools removes it at the end of the hook, which a killed build has not.
        tree.remember_staging(hook.result_staging)
    _owners[tree] = weakref.finalize(dist, _build_tree.release, tree)
    return Isolation(settings, tree, lock_root)


def _make_tree(
    dist: Distribution, settings: Settings, source_dir: str
) -> tuple[BuildTree, str | None]:
    """Return the build tree and, where locks can stand in it, its root."""
    if settings.build_dir is not None:
        from . import _kept  # most builds keep nothing

        try:
            return _lease(_kept.root(settings.build_dir, os.environ), is_kept=True)
        except BuildRootError as exc:
            warn(f"no build tree is kept: {exc}")
    if settings.build_root is not None:
        return _lease(_roots.stated_root(settings.build_root))
    project_base = _project_build_base(dist)
    if project_base is not None:
        try:
            return _lease(_roots.stated_root(project_base))
        except BuildRootError as exc:
            warn(f"no build tree below the project's build_base: {exc}")
    root = _roots.default_root(source_dir)
    reason = _roots.why_not_private(root)
    if reason is None:
        return _lease(root)
    warn(
        f"{root}: {reason}, so the build tree gets a name of its own and no lock; "
        "remove it, or set TMPDIR or build-root to a directory of your own"
    )
    return _build_tree.private_tree(os.path.dirname(root)), None


def _lease(root: str, *, is_kept: bool = False) -> tuple[BuildTree, str | None]:
    try:
        return _build_tree.lease(root, is_kept=is_kept), root
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
