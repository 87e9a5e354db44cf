"""What came of builds."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import cause

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from .archives import Difference
    from .frontends import Way

__all__ = [
    "FAILED",
    "OK",
    "RUNNING",
    "WRONG",
    "Build",
    "Counts",
    "Half",
    "few",
    "plain_error",
    "repeated_files",
]

RUNNING, OK, FAILED, WRONG = "running", "ok", "failed", "wrong"
_REPEATED = re.compile(r"^(.+?): (?:another build was writing it|a build that begins)")
_NAMED = 3
_SHARED = "shared with other builds"
_RANDOM = re.compile(r"tree-[0-9a-z]+|tmp[0-9a-z_]{8}|\.tmp-[0-9a-z_]+|0x[0-9a-f]+")


@dataclass
class Build:
    """One build.

    Attributes:
        started, ended: in seconds since its half of the check began.
        cpu: in seconds, or None where it cannot be known.
        waits: when it stood behind a lock.
        repeated: the files for which it was done once more.
        remarks: what the plugin says of what it could not isolate.
        product: a copy of what is wrong.
        log: all its output.
        result: the directory that it puts its product into.
    """

    way: Way
    python: str
    round: int
    log: Path
    result: Path
    started: float = 0.0
    ended: float = 0.0
    cpu: float | None = None
    verdict: str = RUNNING
    error: str = ""
    differences: list[Difference] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    product: Path | None = None
    is_waiting: bool = False

    def fail(self, output: str, source: Path) -> None:
        """Note why it has failed."""
        self.verdict = FAILED
        self.error = plain_error(cause(output), source)

    def note_remarks(self, output: str) -> None:
        """Note what the plugin says of what it could not isolate."""
        lines = (line.strip() for line in output.splitlines())
        self.remarks = [line for line in lines if _SHARED in line]


def repeated_files(output: str, source: Path) -> list[str]:
    """Return the files for which the plugin has done a build of *source* again."""
    lines = (_REPEATED.match(line.strip()) for line in output.splitlines())
    paths = [found.group(1) for found in lines if found]
    return [path.replace(f"{source}/", "") for path in paths]


def plain_error(text: str, source: Path) -> str:
    """Return *text* without what is another one each time, so that it counts once."""
    text = text.replace(f"{source}/", "").replace(str(source), ".")
    return _RANDOM.sub("…", text)


def few(paths: Collection[str]) -> str:
    """Name the first of *paths*, and say how many more there are."""
    more = len(paths) - _NAMED
    return ", ".join(sorted(paths)[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@dataclass
class Half:
    """All builds without the plugin, or with it.

    Attributes:
        left: what they have left in the tree, that quiet builds without it do not.
        seconds: how long it took, from the first start to the last end of each round.
        explanation: what diffoscope says of the first wrong result.
    """

    name: str
    builds: list[Build] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    seconds: float = 0.0
    explanation: list[str] = field(default_factory=list)

    def count(self, way: Way | None = None, python: str | None = None) -> Counts:
        """Count the builds, or those of *way*, or those of an interpreter."""
        return Counts(
            [
                build
                for build in self.builds
                if way in (None, build.way) and python in (None, build.python)
            ]
        )

    @property
    def headline(self) -> str:
        """What came of it in a few words."""
        count = self.count()
        if self.is_right:
            return f"all {count.total} builds were right"
        bad = [f"{count.failed} failed"] if count.failed else []
        bad += [f"{count.wrong} had wrong contents"] if count.wrong else []
        if not bad:
            return f"left in the tree: {few(self.left)}"
        return f"of {count.total} builds {' and '.join(bad)}"

    @property
    def is_right(self) -> bool:
        """Whether no build has failed, was wrong or has left something."""
        return not self.left and all(build.verdict == OK for build in self.builds)


class Counts:
    """How many builds ended how."""

    def __init__(self, builds: list[Build]) -> None:
        verdicts = Counter(build.verdict for build in builds)
        self.total = len(builds)
        self.ok = verdicts[OK]
        self.failed = verdicts[FAILED]
        self.wrong = verdicts[WRONG]
        self.repeated = sum(bool(build.repeated) for build in builds)
        self.wall = sum(build.ended - build.started for build in builds)
        self.cpu = sum(build.cpu or 0.0 for build in builds)
        errors = Counter(build.error for build in builds if build.verdict == FAILED)
        errors += Counter(
            f"wrong: {build.differences[0]}" for build in builds if build.differences
        )
        self.errors = errors.most_common()

    @property
    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "builds": self.total,
            "ok": self.ok,
            "failed": self.failed,
            "wrong": self.wrong,
            "repeated": self.repeated,
            "cpu_seconds": round(self.cpu, 3),
            "errors": [{"count": n, "error": error} for error, n in self.errors],
        }

    @property
    def bad(self) -> int:
        """How many have failed or were wrong."""
        return self.failed + self.wrong

    def __str__(self) -> str:
        return f"{self.total} builds: {self.failed} failed, {self.wrong} wrong"
