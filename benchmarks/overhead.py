"""What isolation costs: paired runs, medians of ratios.

    python benchmarks/overhead.py [--pairs N] [cpu|copies|check|shared|cython ...]

cpu     CPU time of one build of the report's project, with the plugin / without
copies  ten builds of the C example at once, wall: in one tree with the plugin / in ten
        copies of the tree without it (the copying is not counted), by each frontend
check   a wheel of 100 MB: checking it against its RECORD / building it, CPU
shared  ten builds at once of a project that writes nothing into its tree, wall: with
        validation / with take-turns = false
cython  ten builds at once of a project whose sources Cython translates, wall: with
        validation / with take-turns = true
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "examples")]

import harness
import projects

AT_ONCE = 10
NAMES = ["a", "b"]
FRONTENDS = ("pip", "build", "setup.py")


def cpu_of(environment, command, source, variables) -> float:
    """Return the CPU seconds of *command* and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = environment.start(command, source, variables)
    output = run.finish()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.status == 0, output
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def cpu(place, environments, pairs):
    """One build with the plugin / without, in turn, each in a pristine tree."""
    seconds = {plugin: [] for plugin in environments}
    if hasattr(os, "sched_setaffinity"):
        # One core for all: moving between cores costs more than what is measured.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    source, out = place / "source", place / "out"
    for number in range(pairs + 1):
        # Who goes first takes turns too: the second finds a warmer machine.
        for plugin in sorted(environments, reverse=number % 2 == 0):
            environment = environments[plugin]
            harness.copy(harness.EXAMPLES / "report", source)
            command = environment.command("hook", source, out)
            taken = cpu_of(environment, command, source, {"TMPDIR": str(place)})
            if number:  # the first pair compiles what Python caches
                seconds[plugin].append(taken)
            shutil.rmtree(source)
            shutil.rmtree(out)
    report("one build, CPU", "with / without", seconds["with"], seconds["without"])


def copies(place, environments, pairs):
    """Ten at once in one tree with the plugin / in ten trees without it."""
    for frontend in FRONTENDS:
        ours, theirs = [], []
        for number in range(pairs):
            with tempfile.TemporaryDirectory(dir=place) as name:
                for plugin in sorted(environments, reverse=number % 2 == 0):
                    here = Path(name, plugin)
                    trees = [here / f"{n}" for n in range(AT_ONCE)]
                    if plugin == "with":
                        trees = trees[:1] * AT_ONCE
                    for tree in set(trees):
                        harness.copy(harness.EXAMPLES / "c-extension", tree)
                    (here / "tmp").mkdir()
                    started = time.perf_counter()
                    runs = []
                    for index, tree in enumerate(trees):
                        command = environments[plugin].command(
                            frontend, tree, here / f"out{index}"
                        )
                        variables = {"TMPDIR": str(here / "tmp")}
                        runs.append(
                            environments[plugin].start(command, tree, variables)
                        )
                    with harness.many(runs):
                        for run in runs:
                            output = run.finish()
                            assert run.status == 0, output
                    taken = time.perf_counter() - started
                    (ours if plugin == "with" else theirs).append(taken)
        report(f"ten at once by {frontend}, wall", "one tree / ten", ours, theirs)


def check(place, environments, pairs):
    """The RECORD check / the build of a wheel of about 100 MB."""
    source = place / "big"
    (source / "p").mkdir(parents=True)
    (source / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='big', version='1', packages=['p'],"
        " package_data={'p': ['*.dat']})\n"
    )
    (source / "p" / "__init__.py").write_text("")
    # Shared libraries, which are what makes wheels large; those of this machine.
    libraries = [
        *Path(sys.base_prefix).rglob("*.so*"),
        *Path("/usr/lib").rglob("*.so*"),
    ]
    size = 0
    for number, library in enumerate(path for path in libraries if path.is_file()):
        if size > 250 << 20:
            break
        shutil.copyfile(library, source / "p" / f"{number}.dat")
        size += library.stat().st_size
    seconds = {"true": [], "false": []}
    for _ in range(pairs):
        for verify, taken in seconds.items():
            environment = environments["with"]
            variables = {
                "TMPDIR": str(place),
                "SETUPTOOLS_ISOLATED_BUILD_VERIFY": verify,
            }
            command = environment.command("hook", source, place / "bigs")
            taken.append(cpu_of(environment, command, source, variables))
    report("a wheel of 100 MB, CPU", "checked / not", seconds["true"], seconds["false"])


def shared(place, environments, pairs):
    """Ten at once of a project that writes nothing: validated / not."""
    source = harness.EXAMPLES / "src-layout"
    seconds = by_turns(place, environments["with"], source, ("auto", "false"), pairs)
    what = "ten at once, nothing is written, wall"
    report(what, "validated / not", *seconds)


def cython(place, environments, pairs):
    """Ten at once of a project with two .pyx: validated / whole builds by turns."""
    python = environments["with"].python
    pip = [python, "-m", "pip", "install", "-q", "cython"]
    subprocess.run(pip, check=True)  # noqa: S603
    source = place / "cython"
    source.mkdir()
    for name in NAMES:
        text = f"def {name}(int n):\n    return [i * n for i in range(n)]\n"
        (source / f"{name}.pyx").write_text(text)
    (source / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        f"extensions = [Extension(name, [name + '.pyx']) for name in {NAMES}]\n"
        "setup(name='n', version='1', py_modules=[], ext_modules=extensions)\n"
    )
    seconds = by_turns(place, environments["with"], source, ("auto", "true"), pairs)
    what = "ten at once, two .pyx, wall"
    report(what, "validated / whole builds by turns", *seconds)


def by_turns(place, environment, project, settings, pairs):
    """Return the seconds of ten builds at once with each of two settings."""
    seconds = {setting: [] for setting in settings}
    for number in range(pairs):
        for setting in sorted(settings, reverse=number % 2 == 0):
            with tempfile.TemporaryDirectory(dir=place) as name:
                source = harness.copy(project, Path(name, "source"))
                variables = {
                    "TMPDIR": name,
                    "SETUPTOOLS_ISOLATED_BUILD_TAKE_TURNS": setting,
                    "CFLAGS": "-O0",
                }
                started = time.perf_counter()
                runs = [
                    environment.start(
                        environment.command("hook", source, Path(name, f"out-{n}")),
                        source,
                        variables,
                    )
                    for n in range(AT_ONCE)
                ]
                with harness.many(runs):
                    outputs = [run.finish() for run in runs]
                seconds[setting].append(time.perf_counter() - started)
                assert not any(run.status for run in runs), outputs
    return [seconds[setting] for setting in settings]


def report(what: str, pair: str, ours: list[float], theirs: list[float]) -> None:
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    quarter = len(ratios) // 4
    print(
        f"{what}: {pair} = {statistics.median(ratios):.3f} "
        f"(quartiles {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}, "
        f"medians {statistics.median(ours):.3f} s / {statistics.median(theirs):.3f} s, "
        f"{len(ratios)} pairs)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What isolation costs.")
    functions = (cpu, copies, check, shared, cython)
    measures = {function.__name__: function for function in functions}
    parser.add_argument("measure", nargs="*", choices=[*measures, []])
    parser.add_argument("--pairs", type=int, default=30)
    options = parser.parse_args()
    with projects.place("overhead-") as name:
        place = Path(name).resolve()
        environments = harness.prepare(place, "")
        for measure in options.measure or measures:
            measures[measure](place, environments, options.pairs)


if __name__ == "__main__":
    main()
