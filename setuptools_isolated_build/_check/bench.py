"""Builds of a copy of the project, always at the same path, which binaries name."""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TYPE_CHECKING

from . import archives, environments, frontends, runs, trees
from .errors import CheckError, cause
from .frontends import HOOKS_ALONE, Way
from .results import FAILED, OK, WRONG, Build, plain_error, repeated_files
from .waits import Waits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .place import Place
    from .reference import Reference
    from .results import Half
    from .side import Side
    from .tell import Watcher

__all__ = ["Bench"]

# pip copies what the hook has published to its own result directory, which no backend
# can do in one step; and the hooks' results have names that are given by a frontend.
_OWN_RESULT = {"pip", HOOKS_ALONE}
# setuptools.setup calls it. From there on the plugin is at work: a distribution asks it
# before all others, of which setuptools-scm writes version files.
_NO_SETUP = """
import tempfile
import setuptools, distutils.core
distutils.core.setup = lambda **attributes: sys.exit()
build_meta.build_wheel(tempfile.mkdtemp())
"""


class Bench:
    """Where trees are built, quietly or at once."""

    def __init__(
        self, place: Place, source: Path, timeout: float, uv: Sequence[str]
    ) -> None:
        self._place = place
        self.source = source
        self._timeout = timeout
        self._uv = uv

    def quiet(
        self, side: Side, python: str, way: Way, after: Sequence[Way] = ()
    ) -> tuple[Path, set[str], runs.Run, str]:
        """Build once, alone, in a pristine tree.

        Args:
            after: what is built in that tree before, one after the other.

        Returns:
            the product, what has changed in the tree, the run and its output.

        Raises:
            CheckError: it has failed.
        """
        before = self._renew(side)
        for one in after:
            self._build_alone(side, python, one)
        product, run, output = self._build_alone(side, python, way)
        return product, trees.changes(self.source, before), run, output

    def _build_alone(
        self, side: Side, python: str, way: Way
    ) -> tuple[Path, runs.Run, str]:
        result = self._place.new("quiet")
        result.mkdir()
        with self._at_one_path(side) as here:
            run, log = self._start(here, python, way, result, {})
            with runs.many([run]):
                for _ in runs.as_they_end([run], self._timeout):
                    output = run.output()
        what = f"a build alone, {side.name} ({way})"
        if run.is_expired:
            raise CheckError(
                f"{what}: not done in {self._timeout:.0f} s; see --timeout"
            )
        product = _product(result, way, None)
        if run.status or product is None:
            said = plain_error(cause(output), self.source)
            last = "".join(f"\n    {line}" for line in output.splitlines()[-8:])
            raise CheckError(f"{what}, fails by itself: {said}{last}", log)
        return product, run, output

    def written_by_setup(self, side: Side) -> set[str]:
        """Return what setup.py writes into the tree before it calls setup()."""
        before = self._renew(side)
        path = [str(self.source / name) for name in side.backend_path]
        program = frontends.backend_code(path) + _NO_SETUP
        env = self._place.variables(side.variables)
        log = self._place.new_log("setup.py without setup()")
        with self._at_one_path(side) as here:
            python = next(iter(here.pythons.values()))
            command = [str(python), "-c", program, side.backend]
            run = runs.start(command, self.source, env, log)
            with runs.many([run]):
                for _ in runs.as_they_end([run], self._timeout):
                    pass
        return trees.changes(self.source, before)

    def round(
        self,
        side: Side,
        half: Half,
        ways: Sequence[tuple[str, Way]],
        reference: Reference,
        watcher: Watcher,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Build at once by *ways* in one pristine tree; add the builds to *half*."""
        before = self._renew(side)
        began, waits = time.monotonic() - half.seconds, Waits()

        def meanwhile() -> None:
            now = time.monotonic() - began
            waits.look((build for build in builds.values() if not build.ended), now)
            watcher.tick(now)

        with self._at_one_path(side) as here, runs.many([]) as started:
            builds = self._start_all(here, half, ways, variables or {}, started)
            for build, run in zip(builds.values(), started):
                build.started = run.started - began
            watcher.round(side.name, half)
            for run in runs.as_they_end(started, self._timeout, meanwhile):
                build = builds[run]
                self._judge(build, run, reference)
                build.is_waiting = False
                build.ended = (run.ended or 0.0) - began
                watcher.ended(build)
        half.seconds = time.monotonic() - began
        changed = trees.changes(self.source, before)
        if any(way.artifact == "editable" for _, way in ways):
            changed -= trees.in_tree_products(changed)
        half.left |= reference.left(changed) if side.is_plugged else changed
        kept = {build.product for build in half.builds if build.product is not None}
        self._place.discard(*{build.result for build in builds.values()} - kept)

    @contextlib.contextmanager
    def _at_one_path(self, side: Side) -> Iterator[Side]:
        """Have the environments of *side* where those of every side are."""
        with environments.at_one_path(side.pythons, self._place.path) as pythons:
            yield side._replace(pythons=pythons)

    def _start_all(
        self,
        side: Side,
        half: Half,
        ways: Sequence[tuple[str, Way]],
        variables: Mapping[str, str],
        started: list[runs.Run],
    ) -> dict[runs.Run, Build]:
        number = 1 + max((build.round for build in half.builds), default=0)
        shared = self._place.new("results")
        builds = {}
        for python, way in ways:
            is_own = way.frontend in _OWN_RESULT
            result = self._place.new("own") if is_own else shared
            result.mkdir(exist_ok=True)
            run, log = self._start(side, python, way, result, variables)
            started.append(run)
            builds[run] = Build(way, python, number, log, result)
            half.builds.append(builds[run])
        return builds

    def _renew(self, side: Side) -> trees.Listing:
        shutil.rmtree(self.source, ignore_errors=True)
        trees.copy(side.tree, self.source, lambda _, __: set())
        return trees.listing(self.source)

    def _start(
        self,
        side: Side,
        python: str,
        way: Way,
        result: Path,
        variables: Mapping[str, str],
    ) -> tuple[runs.Run, Path]:
        command = frontends.command(
            way,
            str(side.pythons[python]),
            self.source,
            result,
            side.backend,
            [str(self.source / path) for path in side.backend_path],
            self._uv,
        )
        env = self._place.variables({**side.variables, **variables})
        log = self._place.new_log(f"{side.name} {way}")
        return runs.start(command, self.source, env, log), log

    def _judge(self, build: Build, run: runs.Run, reference: Reference) -> None:
        output = run.output()
        build.cpu = run.cpu
        build.repeated = repeated_files(output, self.source)
        build.note_remarks(output)
        if run.is_expired:
            build.verdict = FAILED
            build.error = f"killed, not done in {self._timeout:.0f} s; see --timeout"
            return
        if run.status:
            build.fail(output, self.source)
            return
        build.verdict = OK
        expected = reference.products[build.python, build.way.artifact]
        try:
            build.product = self._take(_product(build.result, build.way, expected.name))
        except FileNotFoundError:  # another build has just removed it
            build.differences = [archives.Difference(build.way.artifact, "missing")]
        else:
            build.differences = reference.differences(
                build.python, build.way, build.product
            )
        if build.differences:
            build.verdict = WRONG
        elif build.product is not None:
            if build.product.is_file():
                self._place.discard(build.product.parent)
            build.product = None

    def _take(self, product: Path | None) -> Path:
        """Have *product* for oneself, under its name, whatever others do to it."""
        if product is None:
            raise FileNotFoundError
        if product.is_dir():
            return product
        directory = self._place.new("product")
        directory.mkdir()
        return archives.taken(product, directory)


def _product(result: Path, way: Way, expected: str | None) -> Path | None:
    """Return what a build has made in *result*; there may be more, of other builds."""
    if way.artifact == "metadata":
        return result
    # A listing of the directory may lack what is replaced while it is read.
    if expected is not None and (result / expected).exists():
        return result / expected
    suffix = ".tar.gz" if way.artifact == "sdist" else ".whl"
    found = [path for path in result.iterdir() if path.name.endswith(suffix)]
    return found[0] if len(found) == 1 else None
