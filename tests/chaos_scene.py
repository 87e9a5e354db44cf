"""Where chaos.py builds, and what is done there to whom."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import chaos_rivals as rivals
import harness
import storm
from chaos_plan import PLANTED, REMOVED, alone
from chaos_rooms import Disk, Room
from chaos_verdicts import Project, Verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_plan import Event

LONGEST_BUILD = 300
ALMOST_FULL = 400_000  # bytes, at most, that are free on a full disk
FIXED_TIME = 1_000_000_000


class Scene:
    """The rooms and projects of one run."""

    def __init__(self, place: Path, plugged: harness.Environment, at_once: int) -> None:
        self.verdicts = Verdicts()
        self._place = place
        self._environment = plugged
        self._at_once = at_once
        self._run = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._until = 0.0
        self._seconds: dict[tuple[str, str], float] = {}
        self._projects: dict[str, Project] = {}
        self._disk = Disk(place / "full")
        self._victim = place / "victim"
        self._victim.mkdir()
        (self._victim / "data").write_text("ours")
        self._victim_was = harness.listing(self._victim)
        self._rooms = {
            "first": Room("first", place / "first"),
            "second": Room("second", place / "second"),
            "stated": Room("stated", place / "stated", place / "stated-root"),
            "removed": Room("removed", place / "removed", may_fail=True),
        }
        if self._disk.is_there:
            self._rooms["full"] = Room("full", place / "full", may_fail=True)
        self._shared = self._new_shared_room()
        self._turns_were = rivals.free_turns().items()

    def prepare(self, name: str, path: Path, plain: harness.Environment) -> None:
        """Copy the project *path* and build it quietly."""
        source = harness.copy(path, self._place / "sources" / name)
        for item in (*source.rglob("*"), source):
            os.utime(item, (FIXED_TIME, FIXED_TIME))
        out = self._place / "expected" / name
        products = storm.expectations(plain, source, out / "products")
        wheel = harness.oracle(plain, source, out / "wheel")
        project = Project(name, source, products, harness.digest(wheel))
        project.was = project.listing()
        if name == "copies":
            self._rooms["inside"] = Room("inside", source / ".tmp")
            os.utime(source, (FIXED_TIME, FIXED_TIME))
        self._projects[name] = project

    def run(
        self, events: Iterator[Event], seconds: float, say: Callable[[str], None]
    ) -> None:
        """Do what *events* say, for so many *seconds*."""
        self._until = time.monotonic() + seconds

        def work() -> None:
            while time.monotonic() < self._until:
                with self._lock:
                    event = next(events)
                try:
                    self._build(event)
                except Exception:  # noqa: BLE001 - the other threads go on
                    self.verdicts.fault("failed", f"{event}\n{traceback.format_exc()}")

        threads = [threading.Thread(target=work) for _ in range(self._at_once)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.join(60) or thread.is_alive():
                    say(str({k: v for k, v in self.verdicts.counts.items() if v}))
        finally:
            self._until = 0
            for thread in threads:
                thread.join()

    def end(self) -> None:
        """Build once more with each TMPDIR, alone, and look at what is left."""
        self.verdicts.counts["orphans"] = rivals.end_orphans(self._run)
        self._disk.empty()
        names = [name for name in self._projects if name != "copies"] or ["copies"]
        projects = cycle(names)
        events = [
            alone(number, room, "copies" if room == "inside" else next(projects))
            for number, room in enumerate(self._rooms)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self._build, events))
        # Each project, since a killed build may have left half a generated file.
        for number, name in enumerate(self._projects, len(events)):
            self._build(alone(number, "first", name))
        rivals.end_orphans(self._run)
        free = rivals.free_turns().items()
        self._build(alone(len(events) + len(self._projects), "first", names[-1]))
        rivals.end_orphans(self._run)
        free &= rivals.free_turns().items() - self._turns_were
        self._look([name for name, _ in free])

    def _look(self, turns: list[str]) -> None:
        self.verdicts.look("left", turns)
        for room in self._rooms.values():
            self.verdicts.look("left", room.left())
            self.verdicts.look("lost", room.lost())
        if harness.listing(self._victim) != self._victim_was:
            self.verdicts.fault("lost", "what a link of another user's led to")
        for project in self._projects.values():
            self.verdicts.look_at_source(project)
            dist = self._place / "dist" / project.name
            if dist.exists():
                self.verdicts.look_at_dist(dist, project.wheel)
        for directory in (self._place / "results").iterdir():
            self.verdicts.look_at_dist(directory)
        if "forks" in self._projects:
            (wheel,) = (self._place / "expected" / "forks" / "wheel").glob("*.whl")
            inner = harness.member(wheel.parent, "forks/inner.txt").decode()
            self.verdicts.look_at_children(self._place / "scratch", inner)

    def close(self) -> None:
        rivals.end_orphans(self._run)
        self._disk.close()

    def _build(self, event: Event) -> None:
        room = self._room_of(event)
        project = self._projects["copies" if room.name == "inside" else event.project]
        environment = replace(self._environment, backend=event.backend)
        is_own = event.is_own or event.how in {*harness.HOOKS, *storm.OWN_RESULT}
        name = f"results/{event.number}" if is_own else f"dist/{project.name}"
        result = self._place / name
        result.mkdir(parents=True, exist_ok=True)
        variables = {**room.variables, rivals.RUN: self._run}
        if not room.may_fail:
            variables["CHAOS_SCRATCH"] = str(self._place / "scratch" / room.name)
        key = (project.name, event.how)
        seconds = self._seconds.get(key, 1.0)
        moments = sorted(self._moments(event, room), key=lambda moment: moment[0])
        started = time.monotonic()
        command = environment.command(event.how, project.source, result)
        run = environment.start(command, project.source, variables)
        self.verdicts.count("builds")
        with harness.many([run]):
            for at, action in moments:
                try:
                    run.process.wait(max(0, started + at * seconds - time.monotonic()))
                    break
                except subprocess.TimeoutExpired:
                    action(run)
            try:
                output = run.finish(LONGEST_BUILD)
            except subprocess.TimeoutExpired:
                text = f"{event}\nhas not ended:\n{run.output()}"
                self.verdicts.fault("failed", text)
                return
        if event.kill_at is not None and run.status == -9:
            self.verdicts.count("killed")
            return
        self._seconds[key] = (seconds + time.monotonic() - started) / 2
        is_right = self.verdicts.judge(event, room, project, result, run.status, output)
        if is_right and is_own:
            shutil.rmtree(result)

    def _room_of(self, event: Event) -> Room:
        if event.room == "shared":
            if event.amount < PLANTED:
                self._shared = self._new_shared_room()
            return self._shared
        if event.room in self._rooms:
            return self._rooms[event.room]
        if event.room == "full":
            self.verdicts.count("not done")
        return self._rooms["first"]

    def _new_shared_room(self) -> Room:
        with self._lock:
            number = len(self._rooms)
            room = Room(f"shared-{number}", self._place / f"shared-{number}")
            room.tmpdir.chmod(0o1777)
            self._rooms[room.name] = room
        return room

    def _moments(
        self, event: Event, room: Room
    ) -> Iterator[tuple[float, Callable[[harness.Run], object]]]:
        """Say what is done while *event* runs; do what has to be done before."""
        if event.kill_at is not None:
            if event.is_session_killed:
                yield event.kill_at, harness.Run.kill_session
            else:
                yield event.kill_at, lambda run: run.process.kill()
        if event.is_cleaned:
            yield event.rival_at, lambda run: self._clean(event)
        if room.name == "removed" and event.amount < REMOVED:
            yield event.rival_at, lambda run: self._remove(room)
        if room.name == "full" and not event.is_alone:
            self._disk.leave(int(event.amount * ALMOST_FULL))
            self.verdicts.count("full disks")
        if event.room == "shared" and event.amount < PLANTED:
            kind = int(event.amount / PLANTED * 4)
            if event.rival_at < PLANTED:
                self._plant(room, kind)
            else:
                yield event.rival_at - PLANTED, lambda run: self._plant(room, kind)

    def _clean(self, event: Event) -> None:
        names = ("first", "second", "inside", "stated")
        cleaned = [self._rooms[name] for name in names if name in self._rooms]
        rivals.clean(cleaned, self._place, by_systemd=event.is_by_systemd)
        self.verdicts.count("cleanings")

    def _remove(self, room: Room) -> None:
        room.remove_roots()
        self.verdicts.count("removals")

    def _plant(self, room: Room, kind: int) -> None:
        is_done = rivals.plant(room.tmpdir, self._victim, kind)
        self.verdicts.count("plants" if is_done else "not done")


if __name__ == "__main__":
    raise SystemExit("this module is imported by chaos.py")
