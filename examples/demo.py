"""Build the examples many times at once, without the plugin and with it.

    python examples/demo.py [--at-once N] [--builds N] [--example NAME] [--frontend NAME]

Needs nothing but Python and pip: it makes two virtual environments in a temporary
directory, one with the plugin and one without, and removes them at the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import harness
import storm

MIXED = "mixed"
ALL_HOOKS = "all hooks"
FRONTENDS = [*harness.FRONTENDS, MIXED, *harness.HOOKS, ALL_HOOKS]
DEFAULT = [*harness.FRONTENDS, MIXED, ALL_HOOKS]
HEADER = ("project", "frontend", "plugin", "ok", "failed", "wrong", "left", "seconds")


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        place = Path(name).resolve()
        environments = prepare(place, options.setuptools)
        rows = []
        for project in options.example or harness.PROJECTS:
            for frontend in options.frontend or DEFAULT:
                rows += compare(place, environments, project, frontend, options)
        print_table(rows)
    with_plugin = [outcome for _, _, plugin, outcome in rows if plugin == "with"]
    without = [outcome for _, _, plugin, outcome in rows if plugin == "without"]
    broken = sum(o.failed + o.wrong + len(o.left) for o in with_plugin)
    shown = sum(o.failed + o.wrong for o in without)
    print(
        f"\n{sum(o.total for o in with_plugin)} builds with the plugin: "
        f"{sum(o.failed for o in with_plugin)} failed, "
        f"{sum(o.wrong for o in with_plugin)} with wrong contents.\n"
        f"{sum(o.total for o in without)} builds without it: "
        f"{sum(o.failed for o in without)} failed, "
        f"{sum(o.wrong for o in without)} with wrong contents."
    )
    return 1 if broken or (without and not shown) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Build the examples many times at once, without and with the plugin."
    )
    parser.add_argument("--at-once", type=int, default=10, help="builds that run at once")
    parser.add_argument("--builds", type=int, default=10, help="builds of each kind")
    parser.add_argument("--example", action="append", choices=harness.PROJECTS)
    parser.add_argument(
        "--frontend", action="append", choices=FRONTENDS
    )
    parser.add_argument(
        "--each-hook", action="store_true", help="each hook of setuptools.build_meta alone"
    )
    parser.add_argument("--setuptools", default="", help="a release, or the newest")
    parser.add_argument("--only", choices=["with", "without"], help="one half of it")
    options = parser.parse_args(arguments)
    if options.each_hook:
        options.frontend = [*(options.frontend or ()), *harness.HOOKS]
    return options


def prepare(
    place: Path, release: str, *others: str
) -> dict[str, harness.Environment]:
    """Make the two environments, with *others* in both."""
    setuptools = f"setuptools=={release}" if release else "setuptools"
    say("making an environment without the plugin")
    without = harness.Environment.create(place / "without", setuptools, *others)
    say("building the plugin")
    wheel = harness.build_plugin(without.python, place / "wheelhouse")
    say("making an environment with it")
    environment = harness.Environment.create(
        place / "with", setuptools, str(wheel), *others
    )
    return {"without": without, "with": environment}


def compare(place, environments, project, frontend, options):
    """Build one project by one frontend in both environments."""
    rows = []
    mixtures = {MIXED: harness.FRONTENDS, ALL_HOOKS: list(harness.HOOKS)}
    frontends = mixtures.get(frontend, [frontend])
    for plugin, environment in environments.items():
        if options.only not in (None, plugin):
            continue
        with tempfile.TemporaryDirectory(dir=place) as name:
            here = Path(name)
            source = harness.copy(harness.EXAMPLES / project, here / "source")
            plain = environments["without"]
            if harness.HOOKS.keys() >= set(frontends):
                expected = storm.expectations(plain, source, here / "oracle")
            else:
                expected = harness.digest(harness.oracle(plain, source, here / "oracle"))
            (here / "tmp").mkdir()

            def once(count: int) -> storm.Outcome:
                return storm.build_at_once(
                    environment,
                    [source] * count,
                    expected,
                    frontends,
                    here / "out",
                    {"TMPDIR": str(here / "tmp")},
                )

            def progress(outcome: storm.Outcome) -> None:
                say(
                    f"{project} by {frontend} {plugin} the plugin: "
                    f"{outcome.total} of {options.builds}, {outcome.failed} failed, "
                    f"{outcome.wrong} wrong"
                )

            outcome = storm.rounds(options.builds, options.at_once, once, progress)
            rows.append((project, frontend, plugin, outcome))
    return rows


def say(message: str) -> None:
    """Show progress: on one line of a terminal, line by line elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{message}", end="", file=sys.stderr, flush=True)
    else:
        print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def print_table(rows) -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    lines = [HEADER] + [
        (project, frontend, plugin, o.ok, o.failed, o.wrong, len(o.left), f"{o.seconds:.1f}")
        for project, frontend, plugin, o in rows
    ]
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(HEADER))]
    for line in lines:
        cells = [
            str(cell).ljust(width) if i < 3 else str(cell).rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
