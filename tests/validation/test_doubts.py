"""Whether a lone build waits for one that has not come to the plugin yet."""

from __future__ import annotations

import os

import pytest
from setuptools_isolated_build._locks.beside import Others
from setuptools_isolated_build._locks.records import Line
from setuptools_isolated_build._validation import doubts

pytestmark = pytest.mark.any_setuptools


class Presence:
    """Of a build beside which another one is known, or stands at the gate, later."""

    def __init__(self, *, known_at=None, waits_at=None):
        self.known_at, self.waits_at = known_at, waits_at
        self.looks = 0
        self.began = 0

    def stop(self):
        return Others([Line.of(1, "own", set())])

    def others(self):
        self.looks += 1
        own = Line.of(1, "own", set())
        return Others([own, own] if self.looks == self.known_at else [own])

    def is_waited_for(self):
        return self.looks == self.waits_at


class Clock:
    """Goes on only while somebody sleeps: how busy the machine is does not count."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


@pytest.mark.parametrize(
    ("later", "looks", "seconds"),
    [
        ({"known_at": 4}, {4}, 0.03),
        ({"waits_at": 4}, {4}, 0.03),
        ({}, {201, 202}, 2),  # as far as parts of a second add up
    ],
)
def test_who_comes_later(later, looks, seconds, monkeypatch):
    """It looks again until somebody is there, or until that has taken too long."""
    clock = Clock()
    monkeypatch.setattr(doubts, "time", clock)
    presence = Presence(**later)
    assert doubts._has_company(presence) == bool(later)
    assert presence.looks in looks
    assert clock.seconds == pytest.approx(seconds, abs=0.011)


@pytest.mark.parametrize("is_gone", [True, False])
def test_what_failed_alone(is_gone, tmp_path):
    """A name that has gone meanwhile is of the one that stands at the gate."""
    (tmp_path / "made.py").touch()
    (tmp_path / "made.py").unlink()
    presence = Presence(waits_at=2)
    presence.began = os.stat(tmp_path).st_ctime_ns
    if not is_gone:
        presence.began += 10_000_000_000
    found = doubts.after_failure(str(tmp_path), presence, None)
    assert found == (os.path.realpath(tmp_path) if is_gone else None)
