"""Which objects of a plan need not be compiled once more.

Extensions of shared sources may ask for one object by the same command. It is what it
would be, unless something was written since then that the compiler may find.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from setuptools_isolated_build._compilation import jobs

if TYPE_CHECKING:
    from setuptools_isolated_build._compilation.jobs import Job

__all__ = ["Made"]


class Made:
    """The objects that were made, each by its latest job."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._linked_into: set[str] = set()

    def has(self, job: Job) -> bool:
        """Whether *job* would make the object that is there."""
        made = self._jobs.get(job.obj)
        if made is None or not made.equals(job) or job.names(self._linked_into):
            return False
        return os.path.exists(job.obj)

    def add(self, job: Job) -> None:
        """Note that *job* is done."""
        self._jobs[job.obj] = job

    def replaced(self, job: Job) -> None:
        """Note that *job* is done by setuptools, and may have written anything."""
        self._jobs.pop(job.obj, None)
        if not job.writes_only_its_object():
            self._jobs.clear()

    def linked(self, path: str, *, is_all: bool) -> None:
        """Note that *path* was linked, and whether that *is all* that was written."""
        self._linked_into.add(jobs.directory_of(path))
        if not is_all:
            self._jobs.clear()
