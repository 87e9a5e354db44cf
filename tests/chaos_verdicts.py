"""What is right, wrong, lost and left in a run of chaos.py."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import harness
import storm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chaos_plan import Event
    from chaos_rooms import Room

COLUMNS = (
    *("builds", "right", "failed", "wrong", "lost", "killed", "told", "untold"),
    *("cleanings", "plants", "full disks", "removals", "not done", "orphans"),
    *("staged", "left"),
)
ARCHIVES = {".whl", ".gz"}
OF_UV = ".gitignore"
# What a killed build has staged stays if a cleaner takes its tree, and with it the record,
# before the next build finds it; and a hook that is killed early leaves it empty.
STAGED = ".tmp-"
FRONTENDS = {"pip", "build", "uv"}
BY_DISTUTILS = re.compile(r"^\s*error: \[Errno \d+\]", re.MULTILINE)
# What a build says whose tree was removed after that.
SAID = "removed during the build, after an archive was published"
TAIL = 60  # lines of a faulty build's output


@dataclass
class Project:
    """A source tree, and what a quiet build without the plugin makes of it."""

    name: str
    source: Path
    # By the name in `harness.HOOKS`; and the digest of the wheel.
    products: Mapping[str, str]
    wheel: str
    was: harness.Listing = field(default_factory=dict, repr=False)

    def listing(self) -> harness.Listing:
        """List the source tree, but for the TMPDIR that may stand in it."""
        listed = harness.listing(self.source)
        return {k: v for k, v in listed.items() if Path(k).parts[:1] != (".tmp",)}


class Verdicts:
    """Counts of what has happened, and a text for each fault."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(COLUMNS, 0)
        self.faults: defaultdict[str, list[str]] = defaultdict(list)
        self.excused: Counter[str] = Counter()
        self.published: set[Path] = set()  # directories that have had a right wheel
        self._lock = threading.Lock()

    def count(self, column: str) -> None:
        with self._lock:
            self.counts[column] += 1

    def fault(self, column: str, text: str) -> None:
        self.count(column)
        self.faults[column].append(text)
        # At once, since a run of hours may be interrupted.
        print(f"\n{column}: {text}", flush=True)

    def judge(
        self,
        event: Event,
        room: Room,
        project: Project,
        result: Path,
        status: int,
        output: str,
    ) -> bool:
        """Judge a build that has ended by itself; return whether it is right."""
        what, how = str(event), event.how
        tail = "\n".join(output.splitlines()[-TAIL:])
        archives = [path for path in result.iterdir() if path.suffix in ARCHIVES]
        is_own = result.parent.name == "results"
        published = storm.wheel_digest(result) if archives else ""
        if status != 0 and is_own and archives and how != "pip":
            # The frontend itself may find its disk full when the hook has ended well.
            is_excused = room.name == "full" or SAID in output
            if is_excused and published == project.wheel:
                self.count("told")
            else:
                self.fault("wrong", f"{what}\nhas failed and published\n{tail}")
        elif status != 0 and room.may_fail and not event.is_alone:
            self._judge_failure(event, room, output, tail)
        elif status != 0:
            self.fault("failed", f"{what}\n{tail}")
        elif how in harness.HOOKS:
            is_expected = harness.HOOKS[how][-1] == "{}"
            if is_expected and not any(result.iterdir()):
                self.fault("lost", f"{what}\n{tail}")
            elif harness.product(result, output) != project.products[how]:
                names = sorted(str(path) for path in result.rglob("*"))
                self.fault("wrong", f"{what}\n{names}\n{tail}")
            else:
                self.count("right")
                return True
        else:
            digest = storm.wheel_digest(result)
            if digest == project.wheel:
                self.count("right")
                self.published.add(result)
                return True
            column = "lost" if digest == storm.UNUSABLE else "wrong"
            self.fault(column, f"{what}\n{archives}\n{tail}")
        return False

    def _judge_failure(self, event: Event, room: Room, output: str, tail: str) -> None:
        # The plugin's own line begins with the path; others may have it in a command.
        start = rf"^.*\berror: {re.escape(str(room.tmpdir))}.*$"
        told = re.findall(start, output, re.MULTILINE)
        # A frontend has files of its own on that disk; distutils prints what is ours.
        is_ours = event.how not in FRONTENDS or BY_DISTUTILS.search(output)
        if not told and room.name == "full" and is_ours:
            errors = re.findall(r"^.*\berror: .*$", output, re.MULTILINE)
            self.fault("failed", "\n".join([str(event), *errors, tail]))
            return
        said = told or re.findall(r"^.*\berror: .*$", output, re.MULTILINE)
        last = (said or output.strip().splitlines() or ["(no output)"])[-1]
        column = "told" if told else "untold"
        self.count(column)
        line = re.sub(r"\(.*\)", "(…)", last.strip())
        line = re.sub(r"[0-9a-f]{8,}|\d+", "N", line.replace(str(room.tmpdir), "…"))
        with self._lock:
            self.excused[f"{column}, {room.name}: {line[:120]}"] += 1

    def look(self, column: str, names: Iterable[str]) -> None:
        """Take each of *names* for a fault."""
        for name in names:
            self.fault(column, name)

    def look_at_source(self, project: Project) -> None:
        """Compare a tree with what it was, but for what editable installs need in it."""
        was, is_now = project.was, project.listing()
        changed = {k for k in was.keys() | is_now if was.get(k) != is_now.get(k)}
        changed -= storm.in_tree_products(changed)
        for name in sorted(changed):
            if any(part.startswith(STAGED) for part in Path(name).parts):
                self.count("staged")
                continue
            column = "left" if name in is_now else "lost"
            change = f"{was.get(name)} is now {is_now.get(name)}"
            self.fault(column, f"{project.source}/{name}: {change}")

    def look_at_dist(self, directory: Path, wheel: str | None = None) -> None:
        """Look at a directory that archives were published in."""
        paths = sorted(directory.iterdir())
        for path in paths:
            is_known = path.suffix in ARCHIVES if wheel else path.name[0] != "."
            if path.name.startswith(STAGED):
                self.count("staged")
            elif not is_known and path.name != OF_UV:
                inside = sorted(map(str, path.rglob("*")))
                self.fault("left", f"{path}: {inside}")
        # Where each build was killed, there may be none.
        is_expected = directory in self.published or any(directory.glob("*.whl"))
        if wheel and is_expected and storm.wheel_digest(directory) != wheel:
            self.fault("lost", f"the archive in {directory}: {paths}")

    def look_at_children(self, scratch: Path, inner: str) -> None:
        """Look at the builds of the children that have outlived their parents."""
        for path in scratch.glob("*/*/*"):
            if path.suffix == ".whl" and harness.digest(path) != inner:
                self.fault("wrong", str(path))
            elif path.name == "failed":
                self.fault("failed", f"{path}\n{path.read_text()}")


if __name__ == "__main__":
    raise SystemExit("this module is imported by chaos.py")
