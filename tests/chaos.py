"""Builds at random, beside all that could harm them: ``nox -s chaos``.

    python tests/chaos.py [--minutes N] [--seed N] [--at-once N]

All projects are built by all hooks and frontends, several at once, each build with one of
several TMPDIRs. Meanwhile builds are killed, temp cleaners run, a disk fills, somebody
removes all build trees and another user puts things in the way. Each result is compared
with that of a quiet build without the plugin. One seed decides what is done, though not
how long it takes.

A build may fail only where its disk is full or its tree was removed, and only with a line
that says so. At the end one lone build with each TMPDIR has to remove what is left.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import harness
import chaos_rooms as rooms
from chaos_plan import plan
from chaos_scene import Scene

SAMPLES = {path.name: path for path in sorted(harness.PACKAGES.iterdir())}
EXAMPLES = {name: harness.EXAMPLES / name for name in harness.PROJECTS}
PROJECTS = {**EXAMPLES, **{k: SAMPLES[k] for k in ("copies", "forks", "turns")}}
SHOWN = 5  # faults of each kind, with all their output


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.place is not None:
        return run(options)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        place = Path(name).resolve()
        needed = [harness.REPOSITORY, place, Path(sys.prefix), Path(sys.base_prefix)]
        needed += [python.parent.parent for python in options.environments or ()]
        prefix = rooms.with_private_tmp(place, needed)
        command = [*prefix, sys.executable, __file__, *arguments]
        command += [f"--place={place}", f"--seed={options.seed}"]
        with subprocess.Popen(command, env={**os.environ, "TMPDIR": name}) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:
                return process.wait(harness.TIMEOUT)  # it was interrupted, too


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Build at random, beside all that could harm the builds."
    )
    parser.add_argument("--minutes", type=float, default=5, help="how long")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="what is done"
    )
    parser.add_argument(
        "--at-once", type=int, default=6, help="builds that run at once"
    )
    parser.add_argument(
        "--project", action="append", choices=PROJECTS, help="instead of all"
    )
    parser.add_argument("--setuptools", default="", help="a release, or the newest")
    parser.add_argument(
        "--environments",
        nargs=2,
        type=Path,
        metavar="PYTHON",
        help="without the plugin, and with it, instead of new ones",
    )
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Prepare, build, and look at what is left; return the exit status."""
    say(f"seed {options.seed}; /tmp is {'' if rooms.is_private() else 'not '}its own")
    projects = options.project or list(PROJECTS)
    plain, plugged = environments(options)
    scene = Scene(options.place, plugged, options.at_once)
    try:
        say("building each project quietly")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            paths = [PROJECTS[name] for name in projects]
            list(pool.map(scene.prepare, projects, paths, [plain] * len(paths)))
        say(f"{options.minutes} minutes of builds, {options.at_once} at once")
        scene.run(plan(options.seed, projects), options.minutes * 60, say)
        say("one more build alone with each TMPDIR")
        scene.end()
    finally:
        scene.close()
    return report(scene, options.seed)


def environments(
    options: argparse.Namespace,
) -> tuple[harness.Environment, harness.Environment]:
    """Return the one without the plugin and the one with it."""
    if options.environments:
        plain, plugged = map(harness.Environment, options.environments)
        return plain, plugged
    release = (
        f"setuptools=={options.setuptools}" if options.setuptools else "setuptools"
    )
    say("making two environments")
    plain = harness.Environment.create(options.place / "plain", release)
    wheel = harness.build_plugin(plain.python, options.place / "wheelhouse")
    return plain, harness.Environment.create(
        options.place / "plugged", release, str(wheel)
    )


def report(scene: Scene, seed: int) -> int:
    """Print what came of it; return 1 if something is wrong, lost or left."""
    verdicts = scene.verdicts
    for column, faults in verdicts.faults.items():
        for fault in faults[:SHOWN]:
            say(f"\n{column}: {fault}")
        for fault in faults[SHOWN:]:
            first, *_, last = (fault.splitlines() or [""]) * 2
            say(f"\n{column}, too: {first}\n{last[:200]}")
    for line, number in verdicts.excused.most_common():
        say(f"{number} times where a build may fail: {line}")
    names = list(verdicts.counts)
    say("\n| " + " | ".join(names) + " |\n" + "|---:" * len(names) + "|")
    say("| " + " | ".join(str(verdicts.counts[name]) for name in names) + " |")
    total = sum(map(len, verdicts.faults.values()))
    say(f"\nseed {seed}: {total} faults")
    return 1 if total else 0


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
