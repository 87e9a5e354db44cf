"""The check of one project, step by step."""

from __future__ import annotations

import os
import shutil
from itertools import cycle, islice
from statistics import mean
from typing import TYPE_CHECKING

from . import deep, edit, saving, trees
from .advice import Trial, advise, candidates
from .bench import Bench
from .copies import copy_project
from .errors import CheckError
from .frontends import HOOKS_ALONE, Way
from .outcome import Result
from .reference import Reference
from .results import Half
from .setups import OFF

if TYPE_CHECKING:
    from .edit import Change
    from .options import Options
    from .place import Place
    from .project import Project
    from .setups import Setups
    from .side import Side
    from .tell import Watcher

__all__ = ["check"]

WITHOUT, WITH = "without", "with"


def check(
    project: Project, options: Options, place: Place, setups: Setups, watcher: Watcher
) -> Result:
    """Check *project*; all of it happens in *place*.

    Raises:
        CheckError: it cannot be told.
    """
    return _Check(project, options, place, setups, watcher).run()


class _Check:
    def __init__(
        self,
        project: Project,
        options: Options,
        place: Place,
        setups: Setups,
        watcher: Watcher,
    ) -> None:
        self._project = project
        self._options = options
        self._place = place
        self._setups = setups
        self._watcher = watcher
        self._ways = options.ways(setups.frontends)
        self._artifacts = list(dict.fromkeys(way.artifact for way in self._ways))
        here = place.new("project")
        here.mkdir()
        pristine = copy_project(project.path, here / "pristine")
        self._source = here / "source" / project.path.name
        self._without, self._plugged = setups.sides(project, pristine, watcher)
        self._bench = Bench(place, self._source, options.timeout, setups.uv)
        self._reference = Reference(self._bench, self._without)
        self._result = Result(project, Half(WITHOUT), Half(WITH))

    def run(self) -> Result:
        """Take all the steps."""
        self._build_alone()
        self._build_at_once()
        own = trees.own(self._reference.written)
        by_setup = trees.without_bytecode(
            trees.own(self._bench.written_by_setup(self._without))
        )
        self._try_settings(by_setup)
        self._measure_ccache()
        result = self._result
        result.varying = self._reference.varying
        result.written = sorted(own)
        result.advice = advise(
            self._project,
            (result.without, result.with_plugin),
            (by_setup, trees.without_bytecode(own)),
            result.trial,
            result.saving.text if result.saving else "",
        )
        shutil.rmtree(self._source, ignore_errors=True)
        return result

    def _build_alone(self) -> None:
        """Build each artifact twice without the plugin, and once with it.

        Raises:
            CheckError: one fails, or no setuptools was at work.
        """
        self._reference.make(self._artifacts, self._watcher.step)
        for python in self._plugged.pythons:
            for artifact in self._artifacts:
                self._watcher.step(f"{artifact} alone, with the plugin")
                self._build_alone_with(python, Way(HOOKS_ALONE, artifact))

    def _build_alone_with(self, python: str, way: Way) -> None:
        product, changed, _, output = self._bench.quiet(self._plugged, python, way)
        _, _, known = output.rpartition("built with:")
        if "setuptools_isolated_build" not in known.split():
            raise CheckError(
                f"{self._project.backend} has built it without setuptools, so there is "
                "nothing that the plugin could do"
            )
        found = self._reference.differences(python, way, product)
        if found:
            found = self._reference.second_look(python, way, product)
        left = sorted(self._reference.left(changed))
        wrong = [f"{way.artifact}: {item}" for item in found]
        self._result.quiet += wrong + [f"{way.artifact}: left {name}" for name in left]

    def _build_at_once(self) -> None:
        options, result = self._options, self._result
        halves = 2 - bool(options.only)
        self._watcher.plan(halves, options.rounds, options.at_once)
        each = mean(self._reference.seconds[way.artifact] for way in self._ways)
        builds = halves * options.rounds * options.at_once
        seconds = builds * each / (os.cpu_count() or 1)
        self._watcher.say(f"{builds} builds at once may take {seconds:.0f} s or more.")
        sides = (self._without, self._plugged)
        for side, half in zip(sides, (result.without, result.with_plugin)):
            if options.only in (None, half.name):
                self._storm(side, half, self._reference)
                half.explanation = deep.explain(half, self._reference, self._place)

    def _storm(self, side: Side, half: Half, reference: Reference) -> None:
        """Build at once, round by round."""
        endless = cycle((python, way) for way in self._ways for python in side.pythons)
        for _ in range(self._options.rounds):
            ways = list(islice(endless, self._options.at_once))
            self._bench.round(side, half, ways, reference, self._watcher)
        reference.look_again(half)

    def _try_settings(self, by_setup: set[str]) -> None:
        """Try settings in turn until all is right with one, and nothing repeated.

        Args:
            by_setup: what setup.py writes before it calls setup(): nothing proves that
                no other build reads half of it.
        """
        without, half = self._result.without, self._result.with_plugin
        is_unproven = by_setup and not self._project.has_our_backend
        # Where nothing fails without the plugin, its settings are not advised.
        is_in_use = without.count().bad or self._project.own or not without.builds
        is_worth_it = half.count().repeated or (is_in_use and is_unproven)
        if half.is_right and not is_worth_it:
            return
        for change in candidates(self._project, by_setup):
            try:
                trial = Trial(change, self._try(change))
            except CheckError as exc:  # it fails alone: no reason to know nothing
                self._watcher.say(f"{change.title}: {exc}")
                continue
            if trial.half.is_right and not trial.repeated:
                self._result.trial = trial
                return

    def _try(self, change: Change) -> Half:
        """Build at once with a changed pyproject.toml, which goes into sdists, too."""
        self._watcher.step(f"trying {change.title}")
        tree = self._place.new("tried")
        trees.copy(self._plugged.tree, tree, lambda _, __: set())
        text = edit.changed_text(self._project, change)
        (tree / "pyproject.toml").write_bytes(text.encode())
        side = self._plugged._replace(
            name=f"with {change.title}",
            tree=tree,
            backend=edit.backend_of(self._project, change),
        )
        without = side._replace(variables=OFF, is_plugged=False)
        reference = Reference(self._bench, without)
        reference.make(self._artifacts, self._watcher.step, self._reference)
        half = Half(side.name)
        self._storm(side, half, reference)
        return half

    def _measure_ccache(self) -> None:
        if not self._options.has_ccache or not self._reference.has_extensions:
            return
        sides = (self._without, self._plugged)
        both = self._setups.of_ccache(sides, self._watcher)
        if both is not None:
            self._result.saving = saving.measure(
                self._bench,
                both,
                self._reference,
                self._options.at_once,
                {"CCACHE_DIR": str(self._place.new("ccache"))},
                self._watcher,
            )
