"""Many builds of one source tree at once, and what came of them."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import harness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# pip copies the wheel that the hook has published to its own result directory, and no
# backend can make that step atomic: its builds get a result directory each.
OWN_RESULT = {"pip"}
UNUSABLE = "(no wheel)"


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
    expected: str,
    frontends: Sequence[str],
    out: Path,
    variables: Mapping[str, str],
) -> Outcome:
    """Start a build in each of *sources* (often the same one) and wait for all.

    Args:
        expected: the digest that every wheel must have.
        frontends: who builds, in turn.
        out: the result directory, shared by all whose last step is setuptools'.
        variables: the environment's, besides `harness.build_variables`.
    """
    outcome = Outcome()
    before = {source: harness.listing(source) for source in set(sources)}
    started = time.perf_counter()
    runs = []
    for number, frontend in enumerate(islice(cycle(frontends), len(sources))):
        result = out / (f"own-{number}" if frontend in OWN_RESULT else "shared")
        result.mkdir(parents=True, exist_ok=True)
        command = environment.command(frontend, sources[number], result)
        runs.append((environment.start(command, sources[number], variables), result))
    with harness.many([run for run, _ in runs]):
        while runs:
            # The wheel is read the moment that its build ends: others of the round are
            # still replacing it, and a reader must never find half of one.
            ended = [item for item in runs if item[0].process.poll() is not None]
            for run, result in ended:
                _judge(run, result, expected, outcome)
                runs.remove((run, result))
            if not ended:
                _wait_for_any([run for run, _ in runs])
    outcome.seconds = time.perf_counter() - started
    for source, was in before.items():
        is_now = harness.listing(source)
        changed = {
            name for name in was.keys() | is_now if was.get(name) != is_now.get(name)
        }
        outcome.left |= changed
    return outcome


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


def _judge(run: harness.Run, result: Path, expected: str, outcome: Outcome) -> None:
    output = run.finish()
    if run.status != 0:
        outcome.failed += 1
        outcome.outputs.append(output)
    elif wheel_digest(result) != expected:
        outcome.wrong += 1
        outcome.outputs.append(f"{output}\nwrong: {result}")
    else:
        outcome.ok += 1


def _wait_for_any(runs: list[harness.Run]) -> None:
    if hasattr(os, "waitid"):
        # Wait for any child without reaping it, which is the Popen's to do.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    else:
        runs[0].process.wait(harness.TIMEOUT)
