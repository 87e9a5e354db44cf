"""Compiling on all cores: paired runs against setuptools alone, medians of ratios.

    python benchmarks/cores.py [--pairs N] [eight|many|threads|one ...]

eight    one extension of eight large files and a small one, cold, wall
many     24 extensions of one file, cold, wall
threads  the same against setuptools' own threads, parallel = 2
one      one extension of one file, wall and CPU

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
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tests")]

import harness
import overhead
import projects

THREADS = "[build_ext]\nparallel = 2\n"
MEASURES = {
    "eight": projects.c_extension,
    "many": projects.extensions,
    "threads": projects.extensions,
    "one": partial(projects.extensions, number=1),
}


def seconds_of(environment, place, make, variables):
    """Return the wall and the CPU time of one build of a fresh tree."""
    source, out = place / "source", place / "out"
    make(source, harness.SETUPTOOLS)
    harness.let_age(source)
    command = environment.command("hook", source, out)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = environment.start(command, source, {"TMPDIR": str(place), **variables})
    output = run.finish()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.status == 0, output
    shutil.rmtree(source)
    shutil.rmtree(out)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall, cpu


def measure(name, place, environments, pairs):
    """Build with the plugin / without, in turn, and report."""
    configuration = place / "threads.cfg"
    configuration.write_text(THREADS)
    taken = {plugin: [] for plugin in environments}
    for number in range(pairs + 1):
        # Who goes first takes turns too: the second finds a warmer machine.
        for plugin in sorted(environments, reverse=number % 2 == 0):
            variables = {}
            if name == "threads" and plugin == "without":
                variables["DIST_EXTRA_CONFIG"] = str(configuration)
            environment = environments[plugin]
            seconds = seconds_of(environment, place, MEASURES[name], variables)
            if number:  # the first pair compiles what Python caches
                taken[plugin].append(seconds)
    for kind, what in enumerate(("wall", "CPU")):
        ours, theirs = (
            [seconds[kind] for seconds in taken[plugin]]
            for plugin in ("with", "without")
        )
        overhead.report(f"{name}, {what}", "with / without", ours, theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compiling on all cores.")
    parser.add_argument("measure", nargs="*", choices=[*MEASURES, []])
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    with projects.place("cores-") as name:
        place = Path(name).resolve()
        environments = harness.prepare(place, "")
        for each in options.measure or MEASURES:
            measure(each, place, environments, options.pairs)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
