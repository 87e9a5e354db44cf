"""One build of one distribution: whether it is isolated, where, and until when.

It begins when a command asks for it, and ends after the commands; in a hook that makes
an archive, when the hook leaves its staging directory, whatever has happened by then.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _process, _roots, _slices
from ._locks.places import lock_place
from ._settings import Settings, read_settings
from ._setuptools import copying, distribution, hooks
from ._setuptools.output import tell, warn
from .errors import BuildRootError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from setuptools import Distribution

    from ._trees.tree import BuildTree

__all__ = [
    "Build",
    "current",
    "isolate",
    "settings_for",
    "under_way",
    "within",
]

_ATTRIBUTE = "_isolated_build"
_PUBLISHED = "after an archive was published, which is whole"


class Build:
    """How one distribution is built. Picklable, as distributions are.

    Attributes:
        settings: the project's and the user's.
        tree: the private directories.
        locks: the directory for the locks that all builds share, or None without one.
        ends_with_hook: whether the build ends later than its commands.
        is_published: whether an archive has been published.
    """

    ends_with_hook = False
    is_published = False

    def __init__(self, settings: Settings, tree: BuildTree, locks: str | None) -> None:
        self.settings = settings
        self.tree = tree
        self.locks = locks

    def check(self) -> None:
        """Check that the build tree is still this build's.

        Raises:
            BuildTreeLostError: it is not.
        """
        lease = _process.lease_of(self.tree)
        if lease is not None and self.is_published:
            lease.check(_PUBLISHED)
        elif lease is not None:
            lease.check()

    def keep_for_next(self, directory: str) -> None:
        """Leave *directory* for the next build, if the build tree is a kept one."""
        lease = _process.lease_of(self.tree)
        if lease is not None:
            lease.wanted.add(os.path.abspath(directory))

    def __deepcopy__(self, memo: Any) -> _Former:
        # Two distributions would build in one tree, each until the other removes it.
        return _Former(self.tree)


class _Former:
    """In a copy of a distribution, or after its build: the tree in its commands."""

    def __init__(self, tree: BuildTree) -> None:
        self.tree = tree


def current(dist: Distribution) -> Build | None:
    """Return what `isolate` has set up for *dist*, if it has."""
    found = vars(dist).get(_ATTRIBUTE)
    return isolate(dist) if isinstance(found, _Former) else found


def settings_for(dist: Distribution) -> Settings | None:
    """Return the settings for *dist*, also where its products stay in the tree.

    Returns:
        The settings, or None where the plugin is to do nothing.

    Raises:
        SettingsError: the settings are wrong.
    """
    build = current(dist)
    if build is not None:
        return build.settings
    settings = read_settings(distribution.source_dir(dist), os.environ)
    return None if distribution.is_sandboxed() or not settings.enabled else settings


def isolate(dist: Distribution) -> Build | None:
    """Set up the isolation of *dist*, once, and say so in the build's output.

    Returns:
        The build, or None where isolation is switched off or cannot be.

    Raises:
        IsolatedBuildError: setuptools is older than the oldest supported release.
        SettingsError: the settings are wrong.
        BuildRootError: there is no place for build trees.
    """
    former = vars(dist).get(_ATTRIBUTE)
    if _ATTRIBUTE in vars(dist) and not isinstance(former, _Former):
        return former
    settings = read_settings(distribution.source_dir(dist), os.environ)
    build = None
    if distribution.is_sandboxed():
        tell(f"not isolated: {distribution.SANDBOXED}")
    elif settings.enabled:
        distribution.check_release()
        is_live = former is not None and _process.lease_of(former.tree) is not None
        build = _begin(dist, settings)
        tell(f"isolated build: {build.tree.directory}")
    else:
        tell("not isolated: switched off by the setting 'enabled'")
    setattr(dist, _ATTRIBUTE, build)
    if build is not None:
        _move_commands(dist, build.tree)
        if former is not None:
            _take_over(dist, former.tree, build.tree, is_live=is_live)
    return build


@contextlib.contextmanager
def within(dist: Distribution) -> Iterator[None]:
    """Run the commands of *dist* in the block, and end its build after them.

    Raises:
        DiskFullError: in place of what the block has raised, if that was the reason.
        SystemExit: another build has kept the turn for too long.
    """
    in_hook = hooks.running_hook() is not None
    _process.say_in_turn(dist, distribution.command_line(dist))
    if not in_hook:
        from . import _turns  # loaded already, in `setup`

        _turns.take_by_hand(dist)
    _process.leave_turn(_process.SETUP_PHASE)
    failed = True
    try:
        with _slices.longer():
            yield
        if in_hook:
            from ._validation import results

            results.check(dist, under_way(dist))
        failed = False
    except (Exception, SystemExit) as exc:
        from . import _failures  # most builds do not fail

        if not _failures.is_repeated(exc, dist, under_way(dist)):
            raise
        failed = False
    finally:
        build = under_way(dist)
        if build is None or not build.ends_with_hook:
            _end(dist, failed=failed)


def _begin(dist: Distribution, settings: Settings) -> Build:
    source_dir = distribution.source_dir(dist)
    lease = _roots.lease(dist, settings, source_dir)
    copying.forget_made_directories()
    _process.add(lease, dist)
    build = Build(settings, lease.tree, lock_place(warn))
    hook = hooks.running_hook()
    if hook is not None and hook.result_staging is not None:
        # Setuptools removes it at the end of the hook, which a killed build has not.
        try:
            lease.tree.remember_staging(hook.result_staging)
        except OSError as exc:
            _process.end(lease.tree, failed=True, keep=False)
            raise BuildRootError(
                lease.tree.directory, exc.strerror or str(exc), _roots.REMEDY
            ) from exc
        # A forked child has the hook on its stack, but does not come to its end.
        build.ends_with_hook = not _process.is_forked() and hooks.at_end(
            hook.result_staging, partial(_hook_has_ended, dist)
        )
    return build


def _hook_has_ended(dist: Distribution) -> None:
    build = under_way(dist)
    _end(dist, failed=build is not None and not build.is_published)


def under_way(dist: Distribution) -> Build | None:
    """Return the build of *dist* if there is one, and begin none."""
    found = vars(dist).get(_ATTRIBUTE)
    return found if isinstance(found, Build) else None


def _end(dist: Distribution, *, failed: bool) -> None:
    build = vars(dist).pop(_ATTRIBUTE, None)
    if isinstance(build, _Former):
        setattr(dist, _ATTRIBUTE, build)
    elif build is not None:
        setattr(dist, _ATTRIBUTE, _Former(build.tree))
        wish = build.settings.keep
        keep = wish == "always" or (failed and wish == "on-failure")
        if keep and _process.lease_of(build.tree) is not None:
            warn(f"the build tree is kept: {build.tree.directory}")
        _process.end(build.tree, failed=failed, keep=keep)
    _process.leave_turn(dist)


def _move_commands(dist: Distribution, tree: BuildTree) -> None:
    build = dist.get_command_obj("build", create=False)
    if getattr(build, "finalized", False):
        from ._setuptools import finalized  # few are, at this time

        finalized.move(dist, tree)


def _take_over(
    dist: Distribution, was: BuildTree, tree: BuildTree, *, is_live: bool
) -> None:
    from ._setuptools import finalized

    finalized.replace_paths(dist, was.work, tree.work)
    if is_live:
        tree.copy_from(was)
    else:
        dist.have_run.clear()  # what they have made is gone
