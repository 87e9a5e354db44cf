"""Many builds of one source tree at once, and what came of them."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import harness
from _check.runs import as_they_end
from _check.trees import in_tree_products

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# pip copies the wheel that the hook has published to its own result directory, and no
# backend can make that step atomic: its builds get a result directory each.
OWN_RESULT = {"pip"}
UNUSABLE = "(no wheel)"
EDITABLE = {"editable", "strict editable"}


@dataclass
class Outcome:
    """What came of some builds: how many ended how, and how long they took."""

    ok: int = 0
    failed: int = 0
    wrong: int = 0
    seconds: float = 0.0
    left: set[str] = field(default_factory=set)
    outputs: list[str] = field(default_factory=list, repr=False)

    @property
    def total(self) -> int:
        return self.ok + self.failed + self.wrong

    def __iadd__(self, other: Outcome) -> Outcome:
        self.ok += other.ok
        self.failed += other.failed
        self.wrong += other.wrong
        self.seconds += other.seconds
        self.left |= other.left
        self.outputs += other.outputs
        return self


def build_at_once(
    environment: harness.Environment,
    sources: Sequence[Path],
    expected: str | Mapping[str, str],
    frontends: Sequence[str],
    out: Path,
    variables: Mapping[str, str],
) -> Outcome:
    """Start a build in each of *sources* (often the same one) and wait for all.

    Args:
        expected: the digest that every wheel must have; with `harness.HOOKS`, those of
            their products.
        frontends: who builds, in turn; or which of `harness.HOOKS`.
        out: the result directory, shared by all whose last step is setuptools'.
        variables: the environment's, besides `harness.build_variables`.
    """
    outcome = Outcome()
    before = {source: harness.listing(source) for source in set(sources)}
    started = time.perf_counter()
    by_run = {}
    for number, frontend in enumerate(islice(cycle(frontends), len(sources))):
        is_own = frontend in OWN_RESULT or frontend in harness.HOOKS
        result = out / (f"own-{number}" if is_own else "shared")
        if frontend in harness.HOOKS:
            shutil.rmtree(result, ignore_errors=True)
        result.mkdir(parents=True, exist_ok=True)
        command = environment.command(frontend, sources[number], result)
        run = environment.start(command, sources[number], variables)
        by_run[run] = (result, frontend)
    with harness.many(list(by_run)):
        for run in as_they_end(list(by_run)):
            _judge(run, *by_run[run], expected, outcome)
    outcome.seconds = time.perf_counter() - started
    for source, was in before.items():
        is_now = harness.listing(source)
        changed = {
            name for name in was.keys() | is_now if was.get(name) != is_now.get(name)
        }
        if not EDITABLE.isdisjoint(frontends):
            changed -= in_tree_products(changed)
        outcome.left |= changed
    return outcome


def expectations(
    plain: harness.Environment,
    source: Path,
    place: Path,
    hooks: Iterable[str] = harness.HOOKS,
) -> dict[str, str]:
    """Call each hook once, in a quiet, pristine *source*, without the plugin."""
    expected = {}
    for number, name in enumerate(hooks):
        shutil.copytree(source, place / "pristine", symlinks=True)
        result = place / str(number)
        result.mkdir(parents=True)
        run = plain.start(plain.command(name, source, result), source)
        output = run.finish()
        assert run.status == 0, output
        expected[name] = harness.product(result, output)
        shutil.rmtree(source)
        (place / "pristine").rename(source)
    return expected


def rounds(
    count: int,
    at_once: int,
    once: Callable[[int], Outcome],
    progress: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Call *once* with the number of builds, until *count* builds have been made."""
    outcome = Outcome()
    while outcome.total < count:
        outcome += once(min(at_once, count - outcome.total))
        progress(outcome)
    return outcome


def wheel_digest(directory: Path) -> str:
    """Return the digest of the one wheel in *directory*."""
    wheels = list(directory.glob("*.whl"))
    return harness.digest(wheels[0]) if len(wheels) == 1 else UNUSABLE


def causes(outcome: Outcome) -> Counter[str]:
    """Count the last lines of the failed builds' output."""
    return Counter(
        text.strip().splitlines()[-1] if text.strip() else "(no output)"
        for text in outcome.outputs
    )


def _judge(
    run: harness.Run,
    result: Path,
    frontend: str,
    expected: str | Mapping[str, str],
    outcome: Outcome,
) -> None:
    output = run.finish()
    if run.status != 0:
        outcome.failed += 1
        outcome.outputs.append(output)
        return
    if isinstance(expected, str):
        is_right = wheel_digest(result) == expected
    else:
        is_right = harness.product(result, output) == expected[frontend]
    if is_right:
        outcome.ok += 1
    else:
        outcome.wrong += 1
        outcome.outputs.append(f"{output}\nwrong: {frontend}, {result}")
