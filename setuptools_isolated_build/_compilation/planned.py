"""A job of a plan, until it had its turn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from setuptools_isolated_build._compilation.captured import Captured

if TYPE_CHECKING:
    from setuptools_isolated_build._compilation.jobs import Job

__all__ = ["LOOK", "Planned", "interval"]

LOOK = 0.02  # seconds between two looks for a token, or for another build's object
_SELDOM = 0.2  # the same after a while: looking takes time that others compile in


def interval(waited: float) -> float:
    """Return the seconds until the next look for what was waited for so long."""
    return min(max(LOOK, waited / 4), _SELDOM)


class Planned:
    """What is known of *job* by now.

    Attributes:
        captured: what it says, while it runs and when it is done.
        is_running: whether somebody compiles it.
        has_failed: whether its compiler has failed, and was not ended by us.
        first_asked: when another build was first seen to compile it, or 0.
        asked: when that was seen last.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.captured: Captured | None = None
        self.is_running = False
        self.has_failed = False
        self.first_asked = 0.0
        self.asked = 0.0

    def claim(self) -> Captured:
        """Let it be compiled by the caller alone."""
        self.is_running = True
        self.captured = captured = Captured()
        return captured

    def has_stopped(self) -> bool:
        """Whether nobody compiles it now."""
        return not self.is_running

    @property
    def waits(self) -> bool:
        """Whether nobody compiles it, nor has done so."""
        return not (self.is_running or self.has_failed or self.captured)

    @property
    def is_due(self) -> bool:
        """Whether it waits, and no other build was just seen to compile it."""
        since = time.monotonic() - self.asked
        return self.waits and since > interval(self.asked - self.first_asked)
