"""Builds of one tree, measured against what else a user could do.

    python benchmarks/bench.py [--rounds N] [--scenario NAME ...] [--write]

Each scenario by each contender, in turn within each round; medians, CPU and wall time,
and the most that lay in the build tree. Prints the table of targets and one for each
scenario; ``--write`` puts them, with a chart, into ``docs/benchmarks.md`` and ``.svg``.
Needs the machine for itself, and flock; ccache takes part if it is installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "examples")]

import harness
import projects

ISOLATED = "uv, isolated"  # uv build as users run it: an sdist, and a wheel from that


@dataclass(frozen=True)
class Contender:
    """A way to build *n* times at once.

    Attributes:
        name: what the tables call it.
        plugin: which environment builds: "with" it, "without", or "with the extra".
        frontend: one of `harness.FRONTENDS`, or `ISOLATED`.
        backend: what pyproject.toml names, and whose hooks are called.
        prefix: put before each build's command.
        has_copies: whether each build gets a copy of the tree; copying is not counted.
        is_private: whether DIST_EXTRA_CONFIG gives each a build_base and an egg_base.
    """

    name: str
    plugin: str = "without"
    frontend: str = "hook"
    backend: str = harness.SETUPTOOLS
    prefix: tuple[str, ...] = ()
    has_copies: bool = False
    is_private: bool = False


ALONE = Contender("setuptools alone")
PLUGIN = Contender("the plugin", "with")
UV_LOCK = Contender("uv, its own lock", frontend="uv")
FLOCK = Contender("flock", prefix=("flock", "../flock"))
COPIES = Contender("a copy for each", has_copies=True)
PRIVATE = Contender("private directories", is_private=True)
BACKEND = Contender("uv, our backend", "with", "uv", harness.OUR_BACKEND)
PLUGIN_UV = Contender("uv, its own lock, the plugin", "with", "uv")
HATCHLING = Contender("hatchling", backend="hatchling.build")
FLIT = Contender("flit-core", backend="flit_core.buildapi")
EXTRA = Contender("the plugin, the extra", "with the extra")
PIP = Contender("pip", frontend="pip")
EXTRA_PIP = Contender("pip, the extra", "with the extra", "pip")
UV_ISOLATED = Contender("uv build, isolated", frontend=ISOLATED)
EXTRA_ISOLATED = Contender(
    "uv build, isolated, the extra", "with the extra", frontend=ISOLATED
)
REQUIRES = {
    "without": '["setuptools"]',
    "with the extra": '["setuptools", "setuptools-isolated-build[ccache]"]',
}
SETUPTOOLS = (ALONE, PLUGIN, UV_LOCK, PLUGIN_UV, FLOCK, COPIES, PRIVATE, BACKEND)
PURE = (*SETUPTOOLS, HATCHLING, FLIT)


@dataclass(frozen=True)
class Scenario:
    """What is built, how many times at once, and by whom.

    Attributes:
        name: what the tables call it.
        make: writes the tree, for a backend; one of `projects`.
        at_once: how many builds, one after the other.
        contenders: who builds.
        change: None for builds of a fresh tree. For warm ones, the file that is changed
            in a tree that has been built once, or "" if none is.
        rounds: how often each contender has its turn.
    """

    name: str
    make: Callable[[Path, str], None]
    at_once: tuple[int, ...]
    contenders: tuple[Contender, ...]
    change: str | None = None
    rounds: int = 3


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("report", projects.report, (1,), (ALONE, PLUGIN), rounds=40),
        Scenario("report, many", projects.report, (1, 50), (PLUGIN, COPIES)),
        Scenario("300 modules", projects.modules, (1, 2, 5, 10), PURE),
        Scenario(
            "300 modules, ten", projects.modules, (10,), (PLUGIN, COPIES), rounds=10
        ),
        Scenario(
            "300 modules, many", projects.modules, (50,), (PLUGIN, COPIES), rounds=1
        ),
        Scenario(
            "20,000 files", projects.files, (1,), (ALONE, PLUGIN, HATCHLING), rounds=5
        ),
        Scenario(
            "report, the extra", projects.report, (1,), (PLUGIN, EXTRA), rounds=40
        ),
        Scenario("C extension", projects.c_extension, (1,), (ALONE, PLUGIN, EXTRA)),
        Scenario(
            "C extension, ten",
            projects.c_extension,
            (10,),
            (*SETUPTOOLS, EXTRA),
            rounds=2,
        ),
        Scenario(
            "C extension, ten, the extra",
            projects.c_extension,
            (10,),
            (UV_LOCK, EXTRA),
            rounds=5,
        ),
        Scenario(
            "C, nothing changed",
            projects.c_extension,
            (1,),
            (ALONE, PLUGIN, EXTRA),
            "",
            rounds=5,
        ),
        Scenario(
            "C, nothing changed, by pip",
            projects.c_extension,
            (1,),
            (PIP, EXTRA_PIP),
            "",
            rounds=5,
        ),
        Scenario(
            "C, nothing changed, ten",
            projects.c_extension,
            (10,),
            (UV_LOCK, EXTRA),
            "",
        ),
        Scenario(
            "C, one file changed",
            projects.c_extension,
            (1,),
            (ALONE, PLUGIN, EXTRA),
            "c/part0.c",
            rounds=2,
        ),
        Scenario(
            "C extension, uv build, ten",
            projects.c_extension,
            (10,),
            (UV_ISOLATED, EXTRA_ISOLATED),
            rounds=2,
        ),
    )
}


@dataclass
class Result:
    """What the rounds gave; medians are what counts."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    failed: int = 0
    total: int = 0
    disk: int = 0


Results = dict[tuple[str, int, str], Result]


@dataclass(frozen=True)
class Bench:
    """Where it is measured, with what, and what came of it."""

    place: Path
    environments: dict[str, harness.Environment]
    results: Results = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="instead of each scenario's own")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS)
    parser.add_argument("--write", action="store_true", help="into docs/")
    options = parser.parse_args()
    with projects.place("bench-") as name:
        place = Path(name).resolve()
        environments = harness.prepare(place, "", "hatchling", "flit-core")
        harness.say("making one with the extra")
        (wheel,) = place.joinpath("wheelhouse").glob("*.whl")
        environments["with the extra"] = harness.Environment.create(
            place / "extra", "setuptools", f"{wheel}[ccache]"
        )
        bench = Bench(place, environments)
        for scenario in options.scenario or SCENARIOS:
            run(SCENARIOS[scenario], bench, options.rounds)
        versions = describe(bench)
    text = f"{versions}\n{targets(bench.results)}\n{tables(bench.results)}"
    print(text)
    if options.write:
        write(text, bench.results)


def run(scenario: Scenario, bench: Bench, rounds: int | None) -> None:
    """Let all contenders build it, in turn within each round."""
    contenders = scenario.contenders
    for count in scenario.at_once:
        for number in range(rounds or scenario.rounds):
            # Who goes first takes turns: the second finds a warmer machine.
            for contender in contenders if number % 2 else contenders[::-1]:
                key = scenario.name, count, contender.name
                result = bench.results.setdefault(key, Result())
                measure(scenario, contender, count, bench)
                harness.say(f"{key}: {result.wall[-1]:.2f} s, {result.failed} failed")
    for contender in contenders:
        key = scenario.name, scenario.at_once[0], contender.name
        bench.results[key].disk = peak_disk(scenario, contender, bench)


def measure(scenario: Scenario, contender: Contender, count: int, bench: Bench) -> None:
    """Build *count* times at once, in fresh trees."""
    result = bench.results[scenario.name, count, contender.name]
    with tempfile.TemporaryDirectory(dir=bench.place) as name:
        here = Path(name)
        trees = make_trees(scenario, contender, here, count, bench)
        if scenario.change is not None:
            finish(start(contender, bench, here, trees[:1]))
            if scenario.change:
                with trees[0].joinpath(scenario.change).open("a") as file:
                    file.write("int changed;\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        result.failed += finish(start(contender, bench, here, trees))
        result.wall.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
        result.cpu.append(used)
        result.total += count


def make_trees(scenario, contender, here, count, bench) -> list[Path]:
    """Copy the scenario's tree, which is made once for each backend."""
    name = f"{scenario.make.__name__}-{contender.backend}-{contender.plugin}"
    template = bench.place / "templates" / name
    if not template.exists():
        scenario.make(template, contender.backend)
        pyproject = template / "pyproject.toml"
        requires = REQUIRES.get(contender.plugin, "[]")
        text = pyproject.read_text().replace("requires = []", f"requires = {requires}")
        pyproject.write_text(text)
    (here / "tmp").mkdir()
    copies = range(count if contender.has_copies else 1)
    trees = [harness.copy(template, here / f"tree{number}") for number in copies]
    return trees if contender.has_copies else trees * count


def start(contender, bench, here, trees) -> list[harness.Run]:
    environment = bench.environments[contender.plugin]
    environment = replace(environment, backend=contender.backend)
    variables = {
        "TMPDIR": str(here / "tmp"),
        "CCACHE_DIR": str(here / "ccache"),
        "UV_CACHE_DIR": str(bench.place / "uv-cache"),
        "UV_FIND_LINKS": str(bench.place / "wheelhouse"),
    }
    runs = []
    for number, tree in enumerate(trees):
        (here / f"out{number}").mkdir(exist_ok=True)
        command = uv_build(environment, tree, here / f"out{number}")
        if contender.frontend != ISOLATED:
            out = here / f"out{number}"
            command = environment.command(contender.frontend, tree, out)
        own = private(here, number) if contender.is_private else {}
        command = [*contender.prefix, *command]
        runs.append(environment.start(command, tree, {**variables, **own}))
    return runs


def private(here: Path, number: int) -> dict[str, str]:
    """Return the variables by which a build has directories of its own, by hand."""
    place = here / f"private{number}"
    (place / "egg").mkdir(parents=True, exist_ok=True)
    text = f"[build]\nbuild_base = {place}/build\n[egg_info]\negg_base = {place}/egg\n"
    (place / "distutils.cfg").write_text(text)
    return {"DIST_EXTRA_CONFIG": str(place / "distutils.cfg")}


def uv_build(environment, tree, out) -> list[str]:
    python = str(environment.python)
    options = ["--python", python, "--out-dir", str(out), str(tree)]
    return [python, "-m", "uv", "build", *options]


def finish(runs) -> int:
    """Wait for all, and return how many failed."""
    with harness.many(runs):
        for each in runs:
            each.finish()
    return sum(each.status != 0 for each in runs)


def peak_disk(scenario: Scenario, contender: Contender, bench: Bench) -> int:
    """Return the most bytes on disk beyond the sources in one build, sampled."""
    with tempfile.TemporaryDirectory(dir=bench.place) as name:
        here = Path(name)
        trees = make_trees(scenario, contender, here, 1, bench)
        sources, most = on_disk(here), 0
        done = threading.Event()

        def sample() -> None:
            nonlocal most
            while not done.wait(0.05):
                most = max(most, on_disk(here) - sources)

        sampler = threading.Thread(target=sample)
        sampler.start()
        finish(start(contender, bench, here, trees))
        done.set()
        sampler.join()
    return most


def on_disk(directory: Path) -> int:
    """Return the bytes below *directory*; what has two names counts once."""
    found = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(parent, name))
            except FileNotFoundError:
                continue
            found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def describe(bench: Bench) -> str:
    python = bench.environments["with"].python
    listed = subprocess.run(  # noqa: S603
        [python, "-m", "pip", "freeze", "--all"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    names = ("setuptools==", "fasteners==", "uv==", "hatchling==", "flit_core==")
    found = [line.replace("==", " ") for line in listed if line.startswith(names)]
    return (
        f"Measured on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores, "
        f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, "
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{', '.join(found)}; on {file_system(bench.place)}.\n"
    )


def file_system(place: Path) -> str:
    """Return the type of the file system that *place* is on, as far as it is told."""
    stat = ["stat", "--file-system", "--format=%T", str(place)]
    found = subprocess.run(  # noqa: S603
        stat, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "an unknown file system"


def targets(results: Results) -> str:
    """The aims: ratios of medians; of paired runs where there are two in one round."""
    cores = os.cpu_count() or 1

    def median(scenario: str, count: int, contender: Contender, what: str) -> float:
        return statistics.median(
            getattr(results[scenario, count, contender.name], what)
        )

    def paired(
        scenario: str, count: int, ours: Contender, theirs: Contender, what: str
    ):
        values = [
            getattr(results[scenario, count, each.name], what)
            for each in (ours, theirs)
        ]
        return statistics.median(a / b for a, b in zip(*values))

    rows: list[tuple[str, float | None, Callable[[], float]]] = [
        (
            "one build, report's project, CPU, with the plugin / without",
            1.02,
            lambda: paired("report", 1, PLUGIN, ALONE, "cpu"),
        ),
        (
            "one build, 20,000 files, wall, with / without",
            0.60,
            lambda: paired("20,000 files", 1, PLUGIN, ALONE, "wall"),
        ),
        (
            "one build, 20,000 files, CPU, with / without",
            0.60,
            lambda: paired("20,000 files", 1, PLUGIN, ALONE, "cpu"),
        ),
        (
            "ten at once, C extension, wall, plugin / (its own CPU ÷ cores)",
            1.15,
            lambda: (
                median("C extension, ten", 10, PLUGIN, "wall")
                / (median("C extension, ten", 10, PLUGIN, "cpu") / cores)
            ),
        ),
        (
            "ten at once, 300 modules, wall, our backend under uv / uv's lock",
            0.70,
            lambda: paired("300 modules", 10, BACKEND, UV_LOCK, "wall"),
        ),
        (
            "ten at once, 300 modules, wall, plugin / copies of the tree",
            0.80,
            lambda: paired("300 modules, ten", 10, PLUGIN, COPIES, "wall"),
        ),
        (
            "ten at once, C extension, wall, plugin / copies of the tree",
            1.00,
            lambda: paired("C extension, ten", 10, PLUGIN, COPIES, "wall"),
        ),
        (
            "ten at once, C extension, wall, plugin / private directories by hand",
            None,
            lambda: paired("C extension, ten", 10, PLUGIN, PRIVATE, "wall"),
        ),
        (
            "CPU per build, report's project, 50 at once / 1 alone",
            1.10,
            lambda: (
                median("report, many", 50, PLUGIN, "cpu")
                / 50
                / median("report, many", 1, PLUGIN, "cpu")
            ),
        ),
        (
            "ten at once, C extension, wall, plugin / uv's lock, which reuses objects",
            None,
            lambda: paired("C extension, ten", 10, PLUGIN, UV_LOCK, "wall"),
        ),
        (
            "with the extra: warm, nothing changed / setuptools' warm build/, wall",
            1.00,
            lambda: paired("C, nothing changed", 1, EXTRA, ALONE, "wall"),
        ),
        (
            "the same by pip",
            1.00,
            lambda: paired("C, nothing changed, by pip", 1, EXTRA_PIP, PIP, "wall"),
        ),
        (
            "with the extra: first build, cold cache / without the extra, wall",
            1.15,
            lambda: paired("C extension", 1, EXTRA, PLUGIN, "wall"),
        ),
        (
            "with the extra: ten at once, cold, CPU / (one cold + nine warm)",
            1.15,
            lambda: (
                median("C extension, ten, the extra", 10, EXTRA, "cpu")
                / (
                    median("C extension", 1, EXTRA, "cpu")
                    + 9 * median("C, nothing changed", 1, EXTRA, "cpu")
                )
            ),
        ),
        (
            "with the extra: ten at once, cold, wall / ten through uv's lock",
            0.40,
            lambda: paired("C extension, ten, the extra", 10, EXTRA, UV_LOCK, "wall"),
        ),
        (
            "with the extra: ten at once, warm, wall / the same",
            0.25,
            lambda: (
                median("C, nothing changed, ten", 10, EXTRA, "wall")
                / median("C extension, ten, the extra", 10, UV_LOCK, "wall")
            ),
        ),
        (
            "with the extra: ten uv build with isolation, wall / without the plugin",
            1.10,
            lambda: paired(
                "C extension, uv build, ten", 10, EXTRA_ISOLATED, UV_ISOLATED, "wall"
            ),
        ),
        (
            "with the extra: the report's project, CPU / without the extra",
            1.01,
            lambda: paired("report, the extra", 1, EXTRA, PLUGIN, "cpu"),
        ),
    ]
    lines = ["| what | at most | measured |", "|---|---|---|"]
    for what, limit, ratio in rows:
        try:
            measured = f"{ratio():.3f}"
        except KeyError:
            continue  # its scenario was not asked for
        at_most = "(none)" if limit is None else f"{limit:.2f}"
        lines.append(f"| {what} | {at_most} | {measured} |")
    return "\n".join(lines) + "\n"


def tables(results: Results) -> str:
    parts = []
    for scenario, count in dict.fromkeys(key[:2] for key in results):
        parts.append(
            f"\n### {scenario}, {count} at once\n\n"
            "| who | wall, s | CPU, s | failed | disk, MB |\n|---|---|---|---|---|"
        )
        for (name, number, contender), result in results.items():
            if (name, number) == (scenario, count):
                disk = f"{result.disk / 1e6:.1f}" if result.disk else ""
                failed = f"{result.failed} of {result.total}" if result.failed else ""
                parts.append(
                    f"| {contender} | {statistics.median(result.wall):.2f} "
                    f"| {statistics.median(result.cpu):.2f} | {failed} | {disk} |"
                )
    return "\n".join(parts) + "\n"


def write(text: str, results: Results) -> None:
    """Put the tables and the chart into the docs, between what is written by hand."""
    page = REPOSITORY / "docs" / "benchmarks.md"
    begin, end = "<!-- measured -->", "<!-- end of what is measured -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    draw(results, page.with_suffix(".svg"))


def draw(results: Results, path: Path) -> None:
    """Ten builds at once, by each contender: wall time."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "setuptools-isolated-build"
    from matplotlib import pyplot as plt

    scenarios = ("300 modules", "C extension, ten")
    figure, axes = plt.subplots(1, len(scenarios), figsize=(11, 3.6))
    for axis, scenario in zip(axes, scenarios):
        bars = [
            (contender, result)
            for (name, count, contender), result in results.items()
            if (name, count) == (scenario, 10)
        ]
        bars.sort(key=lambda bar: statistics.median(bar[1].wall), reverse=True)
        names = [
            f"{name} ({result.failed} of {result.total} failed)"
            if result.failed
            else name
            for name, result in bars
        ]
        colours = [
            "#c44"
            if "failed" in n
            else "#4a8"
            if "our" in n or "plugin" in n
            else "#999"
            for n in names
        ]
        walls = [statistics.median(result.wall) for _, result in bars]
        axis.bar_label(axis.barh(names, walls, color=colours), fmt="%.1f", padding=3)
        axis.set_title(
            f"{scenario.removesuffix(', ten')}: ten builds at once, s", fontsize=10
        )
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.12)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
