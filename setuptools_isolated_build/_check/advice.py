"""What to write into pyproject.toml, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import edit, trees
from .edit import Change
from .results import few

if TYPE_CHECKING:
    from .project import Project
    from .results import Half

__all__ = ["Advice", "Trial", "advise", "candidates"]

_SETUPTOOLS = "setuptools.build_meta"
# What is repeated costs CPU, and nobody can foresee it; but no queue is worth any time.
_MUCH_SLOWER = 2.0


@dataclass
class Trial:
    """A change of the settings, and what came of the builds with it."""

    change: Change
    half: Half

    @property
    def repeated(self) -> int:
        """How many builds had to be done once more."""
        return self.half.count().repeated


@dataclass
class Advice:
    """What is advised.

    Attributes:
        text: that of pyproject.toml after it, or None if nothing is to be changed.
        diff: its lines.
        reasons: what was seen, for each change.
        notes: what is not cured, or cannot be told.
    """

    text: str | None = None
    diff: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def candidates(project: Project, by_setup: set[str]) -> list[Change]:
    """Return the changes that are tried where builds are repeated, in this order.

    Args:
        by_setup: what setup.py has written before it called setup().
    """
    turns, backend = Change(takes_turns=True), Change(has_backend=True)
    if project.backend.partition(":")[0] != _SETUPTOOLS:
        return [turns]
    both = Change(has_backend=True, takes_turns=True)
    return [backend, both, turns] if by_setup else [turns, backend, both]


def advise(
    project: Project,
    halves: tuple[Half, Half],
    written: tuple[set[str], set[str]],
    trial: Trial | None,
    saving: str,
) -> Advice:
    """Say what to write.

    Args:
        halves: without the plugin, and with it.
        written: what setup.py has written itself, and what builds write in all.
        trial: the change that has cured what was not right, or was repeated.
        saving: what the extra saves, or "" if that is nothing.
    """
    without = halves[0].count()
    advice = Advice()
    is_needed = bool(without.bad or project.own or not without.total)
    if without.bad and not project.own:
        advice.reasons.append(
            f"setuptools-isolated-build: without it {halves[0].headline}"
        )
    elif without.total and not without.bad:
        advice.notes.append(
            f"No failure was seen in {without.total} builds without the plugin."
        )
    change = _cure(advice, halves[1], written, trial, is_needed=is_needed)
    if saving and is_needed and "ccache" not in project.own:
        change = change._replace(extra="ccache")
        advice.reasons.append(f"[ccache]: {saving}")
    if without.bad or project.own or change != Change():
        text = edit.changed_text(project, change)
        if text != project.text:
            advice.text, advice.diff = text, edit.diff(project, text)
    return advice


def _cure(
    advice: Advice,
    plugged: Half,
    written: tuple[set[str], set[str]],
    trial: Trial | None,
    *,
    is_needed: bool,
) -> Change:
    """Return what is to be set; add to *advice* why, or why not."""
    counts = plugged.count()
    if trial and _is_worth_it(trial, plugged, written[0]):
        reason = _reason(trial, plugged, written)
        if is_needed:
            advice.reasons.append(reason)
            return trial.change
        advice.notes.append(f"If you use the plugin: {reason}")
    elif trial and counts.repeated:
        advice.notes.append(_no_reason(trial, plugged))
    elif counts.repeated:
        advice.notes.append(
            f"With the plugin {counts.repeated} of {counts.total} builds had to be "
            "done once more; no setting was found with which none has."
        )
    if not trial and not plugged.is_right:
        advice.notes.append("No setting cures what is wrong with the plugin.")
    return Change()


def _is_worth_it(trial: Trial, plugged: Half, by_setup: set[str]) -> bool:
    """Whether it cures what is wrong or unproven, or is not too slow for the rest."""
    is_for_setup = bool(by_setup) and trial.change.has_backend
    is_too_slow = trial.half.seconds > _MUCH_SLOWER * plugged.seconds
    return not plugged.is_right or is_for_setup or not is_too_slow


def _reason(trial: Trial, plugged: Half, written: tuple[set[str], set[str]]) -> str:
    counts, tried = plugged.count(), trial.half.count()
    by_setup, in_all = written
    repeated = {path for build in plugged.builds for path in build.repeated}
    if by_setup and trial.change.has_backend:
        cause = f"setup.py writes {few(by_setup)} before it calls setup()"
    elif repeated and repeated <= trees.in_tree_products(repeated):
        cause = f"editable builds put {few(repeated)} beside the sources"
    elif in_all or repeated:
        cause = f"builds write {few(in_all or repeated)}"
    else:
        cause = plugged.headline
    seen = f"{counts.repeated} of {counts.total} builds had to be done once more"
    if counts.bad:
        seen += f" and {counts.bad} failed or were wrong"
    return (
        f"{trial.change.title}: {cause}; {seen} ({plugged.seconds:.0f} s in all), with "
        f"it none of {tried.total} ({trial.half.seconds:.0f} s)"
    )


def _no_reason(trial: Trial, plugged: Half) -> str:
    counts = plugged.count()
    repeated = {path for build in plugged.builds for path in build.repeated}
    return (
        f"With the plugin {counts.repeated} of {counts.total} builds had to be done "
        f"once more, since another wrote {few(repeated)}. A queue would cost more: "
        f"with {trial.change.title} none had to, and it took "
        f"{trial.half.seconds:.0f} s in place of {plugged.seconds:.0f} s."
    )
