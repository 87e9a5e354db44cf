"""What is done in a run of chaos.py, and in which order."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOWS = (*harness.HOOKS, *harness.FRONTENDS)
# How often a build has which TMPDIR.
ROOMS = {"first": 6, "second": 4, "inside": 2, "stated": 2, "shared": 2}
ROOMS |= {"full": 1, "removed": 2}
KILLED = 0.2  # how often a build is killed
CLEANED = 0.3  # how often a cleaner runs while a build does
REMOVED = 0.4  # how often a build has its root removed, where that may happen
PLANTED = 0.5  # how often a build comes into a new shared TMPDIR, and a planter with it


@dataclass(frozen=True)
class Event:
    """A build, and what is done while it runs, at which part of the time it takes."""

    number: int
    project: str
    how: str  # one of `harness.HOOKS` or of `harness.FRONTENDS`
    backend: str
    room: str
    is_own: bool = True  # its result directory
    kill_at: float | None = None
    is_session_killed: bool = False
    is_cleaned: bool = False
    is_by_systemd: bool = False
    rival_at: float = 0
    # Decides how much is left on the disk, whether the root is removed, what is planted.
    amount: float = 1
    is_alone: bool = False


def plan(seed: int, projects: Sequence[str]) -> Iterator[Event]:
    """Say what is done, without end; the same for the same seed and projects."""
    dice = random.Random(seed)
    for number in count():
        yield Event(
            number=number,
            project=dice.choice(projects),
            how=dice.choice(HOWS),
            backend=dice.choice((harness.SETUPTOOLS, harness.OUR_BACKEND)),
            room=dice.choices(list(ROOMS), list(ROOMS.values()))[0],
            is_own=dice.random() < 0.5,
            kill_at=dice.uniform(0, 1.2) if dice.random() < KILLED else None,
            is_session_killed=dice.random() < 0.5,
            is_cleaned=dice.random() < CLEANED,
            rival_at=dice.random(),
            is_by_systemd=dice.random() < 0.5,
            amount=dice.random(),
        )


def alone(number: int, room: str, project: str) -> Event:
    """Return the build of a wheel that nothing disturbs; *number* is its own, below 0."""
    backend = harness.SETUPTOOLS
    return Event(-1 - number, project, "wheel", backend, room, is_alone=True)


if __name__ == "__main__":
    sys.exit("this module is imported by chaos.py")
