"""Real projects, byte for byte: ``check`` over sdists from PyPI.

    python tests/corpus.py [--place DIRECTORY] [--quick] [NAME ...]

For each project of ``corpus.csv`` (NAMEs choose some): the wheel and the sdist, built
twice without the plugin, once with it, and ten at once with it in one tree (four with
--quick), from fresh trees at the same path; the wheel of a project that compiles also
with the extra, at once from an empty cache and from a full one. A build that says that
it shares something with others fails here. What differs is printed; downloads are kept
in --place.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import harness

CORPUS = Path(__file__).with_name("corpus.csv")
# They are built in CI as well.
QUICK = ("six", "MarkupSafe", "requests", "treq", "setuptools")
HEADER = ("project", "wheel", "sdist", "at once", "tree", "ccache")
CHECK = "--json --only=with --frontend=build --artifact=wheel --artifact=sdist".split()
# Of mercurial, which writes into its tree, ten builds may each be repeated alone.
CHECK += ["--timeout=1800"]
GOOD = ("same", "untouched", "as without", "")
VARIES = "varies without"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build real projects.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    own = harness.REPOSITORY / ".corpus"
    parser.add_argument("--place", type=Path, default=own)
    options = parser.parse_args(arguments)
    projects = chosen(parser, options)
    place = options.place.resolve()
    (place / "downloads").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        trees = [
            unpack(download(*item, place / "downloads"), here / "-".join(item))
            for item in projects
        ]
        outcomes = check(here, trees, 4 if options.quick else 10)
    rows = [row(outcome) for outcome in outcomes]
    print_table([HEADER, *rows])
    for outcome in outcomes:
        for line in details(outcome):
            print(f"{name_of(outcome)}: {line}")
    unbuilt = sum(row[1] == "not built" for row in rows)
    bad = [row for row in rows if not {*row[1:]} <= {*GOOD, VARIES, "not built"}]
    same = sum({*row[1:]} <= {*GOOD} for row in rows)
    print(
        f"\n{len(rows)} projects: {same} the same in all, "
        f"{len(bad)} that fail or differ with the plugin, "
        f"{len(rows) - same - len(bad) - unbuilt} that vary without the plugin, "
        f"{unbuilt} not built without it."
    )
    return 1 if bad or unbuilt else 0


def chosen(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> list[tuple[str, str]]:
    projects = listed()
    names = options.names or (QUICK if options.quick else [])
    unknown = set(names) - {name for name, _ in projects}
    if unknown:
        parser.error(f"not in {CORPUS.name}: {', '.join(sorted(unknown))}")
    return [item for item in projects if not names or item[0] in names]


def listed() -> list[tuple[str, str]]:
    """Return the projects of the corpus: names and versions."""
    with CORPUS.open(encoding="utf-8", newline="") as file:
        return [(row["name"], row["version"]) for row in csv.DictReader(file)]


def check(place: Path, trees: list[Path], at_once: int) -> list[dict[str, Any]]:
    """Check the projects, and return what is said of each."""
    wheel = harness.build_plugin(sys.executable, place / "wheelhouse")
    checker = harness.Environment.create(place / "checker", f"{wheel}[check]")
    command = [checker.python, "-m", "setuptools_isolated_build", "check", *CHECK]
    command += [f"--at-once={at_once}", "--rounds=1"]
    # What goes on is on its standard error.
    done = subprocess.run([*command, *trees], stdout=subprocess.PIPE, check=False)
    return json.loads(done.stdout)["projects"]


def name_of(outcome: dict[str, Any]) -> str:
    return Path(outcome["path"]).parent.name


def row(outcome: dict[str, Any]) -> tuple[str, ...]:
    """Return what the table says of one project."""
    if "error" in outcome:
        return (name_of(outcome), "not built", "", "", "", "")
    quiet, half = outcome["quiet_with_plugin"], outcome["with"]
    kinds = [
        "differs"
        if any(line.startswith(f"{kind}: ") for line in quiet)
        else VARIES
        if outcome["varies_by_itself"]
        else "same"
        for kind in ("wheel", "sdist")
    ]
    is_same = half["ok"] == half["builds"] and not half["remarks"]
    touched = "touched" if half["left_in_tree"] else "untouched"
    if outcome["written_into_tree"] and touched == "untouched":
        touched = "as without"
    cached = [item["ok"] == item["builds"] for item in outcome["ccache"]]
    ccache = ("same" if all(cached) else "differs") if cached else ""
    return (name_of(outcome), *kinds, "same" if is_same else "differs", touched, ccache)


def details(outcome: dict[str, Any]) -> list[str]:
    if "error" in outcome:
        return [outcome["error"]]
    lines = list(outcome["quiet_with_plugin"])
    for half in (outcome["with"], *outcome["ccache"]):
        lines += [item["error"] for item in half["errors"]]
        lines += [f"left: {name}" for name in half["left_in_tree"]] + half["remarks"]
    return lines


def download(name: str, version: str, downloads: Path) -> Path:
    directory = downloads / f"{name}-{version}"
    if not directory.exists():
        part = f"{directory}.part"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--no-binary", name, "--dest", part, f"{name}=={version}"]
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(pip, timeout=harness.TIMEOUT, check=True)
        Path(part).replace(directory)
    (sdist,) = directory.iterdir()
    return sdist


def unpack(sdist: Path, target: Path) -> Path:
    """Unpack *sdist* with the modes that are written in it, as ``tar -xp`` does.

    Python's filter for archives takes away what group and others may write.
    """
    tree = harness.unpack(sdist, target)
    if tarfile.is_tarfile(sdist):
        with tarfile.open(sdist) as archive:
            for member in archive:
                if member.isfile():
                    (target / member.name).chmod(member.mode & 0o777)
    return tree


def print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
