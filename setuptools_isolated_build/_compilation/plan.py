"""A build's compilations on several cores, and what setuptools makes on one.

The build runs as setuptools runs it, in its own order: each extension is compiled and
linked in its turn, and what fails, fails then. But what it will compile is known
(`jobs`), and is compiled before its turn, by threads that wait for compilers. When its
turn comes, what the compiler has said is passed on. Meanwhile others are compiled.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Callable

from setuptools_isolated_build._compilation import flights
from setuptools_isolated_build._compilation.made import Made
from setuptools_isolated_build._compilation.planned import LOOK, Planned, interval
from setuptools_isolated_build._setuptools.output import tell, warn

if TYPE_CHECKING:
    from setuptools_isolated_build._compilation.captured import Captured
    from setuptools_isolated_build._compilation.jobs import Job
    from setuptools_isolated_build._compilation.pool import Pool
    from setuptools_isolated_build._compilation.progress import Line

    Token = Callable[[], object]  # what gives it back

__all__ = ["Plan"]

_GRACE = 0.5  # seconds for a compiler to remove its temporary files
_LATEST = 10.0  # seconds for a thread to give its token back; make would lack it


class Plan:
    """What one thread of a build compiles before its turn.

    Args:
        size: how many compilers may run at once.
        pool: where tokens are for those but the first; None if there is one only.
        line: where to show how far it is, on a terminal.

    Attributes:
        made: what need not be compiled once more.
    """

    def __init__(self, size: int, pool: Pool | None, line: Line | None = None) -> None:
        self._size = size
        self._pool = pool
        self._line = line
        self._changed = threading.Condition()
        self._asking = threading.Lock()
        self._planned: list[Planned] = []  # those to come, in setuptools' order
        self.made = Made()
        self._finished = 0  # how many had their turn
        self._threads: list[threading.Thread] = []
        self._has_own = True  # the token for the compiler that needs none of the pool
        self._is_paused = False
        self._is_alone = False
        self._is_ended = False

    def add(self, jobs: list[Job]) -> None:
        """Plan *jobs*, next in setuptools' order, but for those that are planned."""
        with self._changed:
            old = {planned.job.obj: planned for planned in self._planned}
            new = []
            for job in jobs:
                found = old.get(job.obj)
                if found is not None and found.job.equals(job):
                    continue
                if found is not None:  # of an extension that has failed
                    if found.is_running and found.captured is not None:
                        found.captured.end()
                        self._changed.wait_for(found.has_stopped)
                    self._planned.remove(found)
                if not self.made.has(job):
                    new.append(Planned(job))
            self._planned[:0] = new
            self._changed.notify_all()
        number = min(self._size, len(self._planned))
        if self._pool is None or number == 1:
            return
        for index in range(len(self._threads), number):
            own, more = (self._take_own, threading.Lock()), self._pool.acquire
            asked = (more, self._asking) if index else own
            thread = threading.Thread(target=self._work, args=asked, daemon=True)
            with contextlib.suppress(RuntimeError):  # there are too many of them
                thread.start()
                self._threads.append(thread)

    def compile(self, job: Job, by_setuptools: Callable[[], object]) -> None:
        """Have *job* compiled, whose turn it is; *by_setuptools* does so without us."""
        found = [planned for planned in self._planned if planned.job.equals(job)]
        if not found:
            if self.made.has(job):
                tell(f"{job.obj}: made already, by the same command")
                os.utime(job.obj)  # as a compiler would, for what looks at times
                return
            self.made.replaced(job)
            by_setuptools()
            return
        (planned,) = found
        if not self._is_alone:
            with self._changed:
                self._is_paused = False
                self._changed.notify_all()
        with self._line.open() if self._line else contextlib.nullcontext():
            captured = self._finish(planned)
        with self._changed:
            self._planned.remove(planned)
            self._finished += 1
        if captured is None:
            self._once_more(job, by_setuptools)
        else:
            captured.pass_on()
        self.made.add(job)

    def end(self) -> None:
        """End what still runs."""
        self._is_ended = True
        self._pause()
        for thread in self._threads:
            thread.join(_LATEST)
        if self._pool is not None:
            self._pool.close()

    def _finish(self, planned: Planned) -> Captured | None:
        """Return what was said of *planned* once it is compiled; None if it fails."""
        while True:
            with self._changed:
                if planned.has_failed:
                    return None
                if planned.captured is not None and not planned.is_running:
                    return planned.captured
                # Without threads, others while another build compiles this one.
                other = None if self._threads else self._next()
                mine = planned if planned.is_due else other
                give_back = self._take_own() if mine else None
                if mine is None or give_back is None:
                    self._show()
                    self._changed.wait(LOOK if planned.waits else None)
                    continue
                captured = self._claim(mine)
            try:
                self._run(mine, captured)
            finally:
                give_back()

    def _work(self, ask: Callable[[], Token | None], asking: threading.Lock) -> None:
        while not self._is_ended:
            with asking:  # one thread asks the pool, the others wait for that
                give_back = self._token(ask)
            if give_back is None:
                continue
            try:
                with self._changed:
                    mine = self._next()
                    captured = self._claim(mine) if mine is not None else None
                if mine is not None and captured is not None:
                    self._run(mine, captured)
            finally:
                give_back()

    def _token(self, ask: Callable[[], Token | None]) -> Token | None:
        with self._changed:
            while self._next() is None and not self._is_ended:
                waits = any(planned.waits for planned in self._planned)
                self._changed.wait(LOOK if waits else None)
        since = time.monotonic()
        while not self._is_ended:
            give_back = ask()
            with self._changed:
                if give_back is not None or self._next() is None:
                    return give_back
                self._changed.wait(interval(time.monotonic() - since))
        return None

    def _take_own(self) -> Token | None:
        with self._changed:
            has_own, self._has_own = self._has_own, False
        return self._give_own if has_own else None

    def _give_own(self) -> None:
        with self._changed:
            self._has_own = True
            self._changed.notify_all()

    def _next(self) -> Planned | None:
        if self._is_paused:
            return None
        return next((planned for planned in self._planned if planned.is_due), None)

    def _claim(self, planned: Planned) -> Captured:
        captured = planned.claim()
        self._show()
        return captured

    def _show(self) -> None:
        if self._line is not None:
            total = self._finished + len(self._planned)
            begun = total - sum(planned.waits for planned in self._planned)
            self._line.show(begun, total, len(self._running()))

    def _run(self, planned: Planned, captured: Captured) -> None:
        is_done = has_failed = False
        try:
            planned.job.compile(captured, planned.seconds)
            is_done = True
        except flights.InFlightError as exc:
            planned.put_off(exc.path)
        except Exception:  # noqa: BLE001  # raised by setuptools, in its turn
            has_failed = True
        finally:
            with self._changed:
                planned.is_running = False
                planned.captured = captured if is_done else None
                # What was ended has not failed.
                planned.has_failed = has_failed and not captured.is_ended
                self._show()
                self._changed.notify_all()

    def _once_more(self, job: Job, by_setuptools: Callable[[], object]) -> None:
        """Compile what has failed by itself, as setuptools does.

        Its error is then setuptools' own. And what was ended for want of memory, or
        failed in another way because of the others, does not fail.
        """
        self._pause()
        by_setuptools()
        if self._threads:
            beside = f"failed beside up to {len(self._threads) - 1} other compilers"
            rest = "compiles by itself; from here on one runs after the other"
            warn(f"{job.source}: {beside}, and {rest}")
        self._is_alone = True

    def _pause(self) -> None:
        """Start nothing, end what runs, and wait for that."""
        with self._changed:
            self._is_paused = True
            self._changed.notify_all()
            for captured in self._running():
                captured.end()
            self._changed.wait_for(lambda: not self._running(), _GRACE)
            for captured in self._running():
                captured.kill()
            self._changed.wait_for(lambda: not self._running())

    def _running(self) -> list[Captured]:
        return [p.captured for p in self._planned if p.is_running and p.captured]
