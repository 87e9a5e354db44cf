"""Whether advice does what it says: ``check --write`` on copies, and ``check`` again.

    python tests/advised.py [--place DIRECTORY] [-n N] [--rounds N] [OPTION …] [NAME ...]

For each project (NAMEs choose some: of the examples, of ``corpus.csv``, or of those that
are known to write into their trees): a copy without the plugin is checked, what is advised
is written, and the result is checked with the plugin. A row of the table says what was not
right without the plugin and with it, what was advised, and what came of that. The status
is 1 if a build is not right or had to be repeated with what was advised. Other options are
those of ``check``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import corpus
import harness

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUGIN = "setuptools-isolated-build"
# pyerfa's setup.py runs configure, datrie's translates with Cython; bottleneck's build_ext
# writes a header and C.
WRITERS = {"pyerfa": "2.0.1.5", "bottleneck": "1.6.0", "datrie": "0.8.3"}
REAL = (
    "cffi",
    "jmespath",
    "klein",
    "MarkupSafe",
    "oslo.utils",
    "pytest",
    "python-dateutil",
    "requests",
    "simplejson",
    "six",
    # Cython, in setup.py or before it
    "charset-normalizer",
    "fastavro",
    "SQLAlchemy",
)
# cythonize() is called then.
VARIABLES = {"charset-normalizer": {"CHARSET_NORMALIZER_USE_CYTHON": "1"}}
HEADER = ("project", "without", "with", "advice", "with the advice")
CHECK = ("-m", "setuptools_isolated_build", "check", "--json")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Take the advice of check.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("-n", "--at-once", default="10", metavar="N")
    parser.add_argument("--rounds", default="2", metavar="N")
    own = harness.REPOSITORY / ".corpus"
    parser.add_argument("--place", type=Path, default=own)
    options, more = parser.parse_known_args(arguments)
    names = options.names or [*WRITERS, *harness.PROJECTS, *REAL]
    known = {*WRITERS, *harness.PROJECTS, *dict(corpus.listed())}
    if unknown := set(names) - known:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    place = options.place.resolve()
    (place / "downloads").mkdir(parents=True, exist_ok=True)
    more += [f"--at-once={options.at_once}", f"--rounds={options.rounds}"]
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        wheel = harness.build_plugin(sys.executable, here / "wheelhouse")
        checker = harness.Environment.create(here / "checker", f"{wheel}[check]")
        command = [str(checker.python), *CHECK, *more]
        lines = [
            take_advice(command, name, unpacked(name, place, here / str(number)))
            for number, name in enumerate(names)
        ]
    for cells in (HEADER, ("---",) * len(HEADER), *(cells for cells, _ in lines)):
        print(f"| {' | '.join(cells)} |")
    bad = [cells[0] for cells, is_good in lines if not is_good]
    print(f"\n{len(lines)} projects; the advice does not do it for: {bad or 'none'}")
    return 1 if bad else 0


def unpacked(name: str, place: Path, target: Path) -> Path:
    """Return a copy of the project that does not ask for the plugin."""
    if name in harness.PROJECTS:
        copy = harness.copy(harness.EXAMPLES / name, target / Path(name).name)
        file = copy / "pyproject.toml"
        if file.exists():
            file.write_text(file.read_text().replace(f', "{PLUGIN}"', ""))
        return copy
    version = WRITERS.get(name) or dict(corpus.listed())[name]
    sdist = corpus.download(name, version, place / "downloads")
    return corpus.unpack(sdist, target)


def take_advice(
    command: list[str], name: str, tree: Path
) -> tuple[tuple[str, ...], bool]:
    """Check *tree*, write what is advised, and check it again.

    Returns:
        the row of the table, and whether all is right and nothing repeated.
    """
    variables = VARIABLES.get(name, {})
    first = check([*command, "--write"], tree, variables)
    title = tree.name if name not in harness.PROJECTS else name
    if "error" in first:
        return (title, first["error"], "", "", ""), False
    for line in first["advice"]["notes"] + first["advice"]["reasons"]:
        print(f"{title}: {line}", file=sys.stderr)
    before = (title, said(first["without"]), said(first["with"]))
    advice = ", ".join(text.partition(": ")[0] for text in first["advice"]["reasons"])
    if not first["advice"]["diff"]:
        return (*before, "nothing", ""), first["right_with_plugin"]
    # What it builds without the plugin is the reference; at once it was seen already.
    second = check([*command, "--only=with", "--no-ccache"], tree, variables)
    if "error" in second:
        return (*before, advice, second["error"]), False
    left = [f"left in the tree: {path}" for path in second["with"]["left_in_tree"]]
    for line in second["quiet_with_plugin"] + left + second["advice"]["notes"]:
        print(f"{title}, with the advice: {line}", file=sys.stderr)
    is_good = second["right_with_plugin"] and not second["with"]["repeated"]
    return (*before, advice, said(second["with"])), is_good


def check(command: list[str], tree: Path, variables: Mapping[str, str]) -> Any:
    """Return what is said of *tree*."""
    environ = {**os.environ, **variables}
    # What goes on is on its standard error.
    done = subprocess.run(
        [*command, tree], env=environ, stdout=subprocess.PIPE, check=False
    )
    (result,) = json.loads(done.stdout)["projects"]
    return result


def said(half: dict[str, Any]) -> str:
    """Say in a cell what came of builds."""
    parts = [f"{half['ok']} of {half['builds']} right"]
    parts += [f"{half['repeated']} repeated"] if half["repeated"] else []
    return ", ".join(parts) + f" ({half['seconds']:.0f} s)"


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
