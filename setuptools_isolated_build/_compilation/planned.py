"""A job of a plan, until it had its turn."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from setuptools_isolated_build._compilation import flights
from setuptools_isolated_build._compilation.captured import Captured

if TYPE_CHECKING:
    from setuptools_isolated_build._compilation.jobs import Job

__all__ = ["LOOK", "Planned", "interval"]

LOOK = 0.05  # seconds between two looks for a token, or for another build's object
_SELDOM = 0.2  # the same after a while: looking takes time that others compile in
_KILLED = 1.0  # seconds until it is seen that another build was killed


def interval(waited: float) -> float:
    """Return the seconds until the next look for a token waited for so long."""
    return min(max(LOOK, waited / 4), _SELDOM)


class Planned:
    """What is known of *job* by now.

    Attributes:
        captured: what it says, while it runs and when it is done.
        is_running: whether somebody compiles it.
        has_failed: whether its compiler has failed, and was not ended by us.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.captured: Captured | None = None
        self.is_running = False
        self.has_failed = False
        self._flight = ""  # the lock file of another build that compiles it
        self._first_seen = 0.0  # when that was first seen
        self._last_seen = 0.0

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

    def put_off(self, flight: str) -> None:
        """Let it wait for another build, whose lock file *flight* is."""
        self._flight, self._last_seen = flight, time.monotonic()
        self._first_seen = self._first_seen or self._last_seen

    @property
    def is_due(self) -> bool:
        """Whether it waits, and for no other build that is known to compile it."""
        return self.waits and (
            not self._is_in_flight or time.monotonic() - self._last_seen > _KILLED
        )

    @property
    def seconds(self) -> float | None:
        """For how long it waits for another build: see `flights.alone`.

        It is in the cache if one has compiled it; one that is stopped never ends.
        """
        late = time.monotonic() - self._first_seen > flights.LONGEST
        return None if self._flight and (late or not self._is_in_flight) else 0

    @property
    def _is_in_flight(self) -> bool:
        return bool(self._flight) and os.path.exists(self._flight)
