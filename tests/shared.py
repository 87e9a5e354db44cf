"""Builds at once of projects that write into their source tree: ``nox -s shared``.

    python tests/shared.py [--builds N] [--environments PYTHON PYTHON] [NAME ...]

Each project writes a file in two parts, with a pause between them, in another step of its
build: setup.py itself, build_py, egg_info, build_ext (a header), or Cython. With NAMEs it
is these projects of ``corpus.csv`` instead, which need no more than setuptools and Cython.
They are built six and ten at once, in step and 0.17 s apart, without the plugin and with
it, each time from a fresh tree. A wheel is right if it is the one of a quiet build.
Returns 1 if one with the plugin is not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import corpus
import harness

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "first = 1\nsecond = 2\n"
HEADER = "#define FIRST 1\n#define SECOND 2\n"
WRITE = """
import time
def write(path, text):
    lines = text.splitlines(keepends=True)
    with open(path, "w") as file:
        file.write(lines[0])
        file.flush()
        time.sleep(0.1)
        file.writelines(lines[1:])
"""
OWN = """
from setuptools import Extension, setup
from setuptools.command.{command} import {command}
class own({command}):
    def run(self):
        write({path!r}, {text!r})
        super().run()
setup(name="n", version="1", packages=["p"], package_data={{"p": ["*.txt"]}},
      cmdclass={{{command!r}: own}}, ext_modules=[{extensions}])
"""
NATIVE = """
#include <Python.h>
#include "made.h"
static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "fast", 0, FIRST - SECOND};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&m); }
"""


def own(command: str, path: str, text: str = TEXT, extensions: str = "") -> str:
    return WRITE + OWN.format(
        command=command, path=path, text=text, extensions=extensions
    )


PROJECTS = {
    "a module, by its own build_py": {"setup.py": own("build_py", "p/made.py")},
    "package data, by its own egg_info": {"setup.py": own("egg_info", "p/made.txt")},
    "a module, by setup.py itself": {
        "setup.py": f'{WRITE}\nwrite("p/made.py", {TEXT!r})\n'
        "from setuptools import setup\n"
        'setup(name="n", version="1", packages=["p"])\n'
    },
    "a header, by its own build_ext": {
        "setup.py": own(
            *("build_ext", "p/made.h", HEADER),
            'Extension("p.fast", ["p/fast.c"], include_dirs=["p"])',
        ),
        "p/fast.c": NATIVE,
    },
    "C from .pyx, by setuptools with Cython": {
        "setup.py": "from setuptools import Extension, setup\n"
        'setup(name="n", version="1", packages=["p"],'
        ' ext_modules=[Extension("p.fast", ["p/fast.pyx"])])\n',
        "p/fast.pyx": "def twice(int n): return 2 * n\n",
    },
}
# What is made has been made before, or the first build would be another one.
FILES = {
    "p/__init__.py": "",
    "p/made.py": TEXT,
    "p/made.txt": TEXT,
    "p/made.h": HEADER,
}
WAYS = [(6, 0.0), (6, 0.17), (10, 0.0), (10, 0.17)]  # how many, how far apart in s


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Build what writes into its tree.")
    parser.add_argument(
        "--builds", type=int, default=200, help="of each, with; an eighth without"
    )
    parser.add_argument("--environments", nargs=2, type=Path, metavar="PYTHON")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args(arguments)
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        plain, plugged = environments(place, options.environments)
        for title, pristine in projects(place, options.names):
            source = harness.copy(pristine, place / "project")
            expected = harness.oracle(plain, source, place / "expected").read_bytes()
            shutil.rmtree(place / "expected")
            for words, environment in (("without", plain), ("with", plugged)):
                builds = (
                    options.builds if environment is plugged else options.builds // 8
                )
                counts = run(environment, pristine, source, expected, builds)
                print(f"{title}, {words} the plugin: {dict(counts)}", flush=True)
                if environment is plugged:
                    wrong += counts["failed"] + counts["wrong"]
            shutil.rmtree(source)
    return 1 if wrong else 0


def environments(
    place: Path, given: list[Path] | None
) -> tuple[harness.Environment, harness.Environment]:
    if given:
        plain, plugged = map(harness.Environment, given)
        return plain, plugged
    plain = harness.Environment.create(place / "plain", "setuptools", "cython")
    wheel = harness.build_plugin(plain.python, place / "wheelhouse")
    requirements = ("setuptools", "cython", str(wheel))
    return plain, harness.Environment.create(place / "plugged", *requirements)


def projects(place: Path, names: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield what each project is called, and a tree of it that nothing is built in."""
    if names:
        versions = dict(corpus.listed())
        for name in names:
            sdist = corpus.download(name, versions[name], place / "downloads")
            yield name, corpus.unpack(sdist, place / name)
        return
    for number, (title, files) in enumerate(PROJECTS.items()):
        tree = place / str(number)
        for path, text in {**FILES, **files}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(textwrap.dedent(text).lstrip("\n"))
        yield title, tree


def run(
    environment: harness.Environment,
    pristine: Path,
    source: Path,
    expected: bytes,
    builds: int,
) -> Counter[str]:
    """Build *builds* times, in each of `WAYS` as often; return what came of it."""
    counts: Counter[str] = Counter(failed=0, wrong=0, repeated=0)
    done = 0
    while done < builds:
        for number, gap in WAYS:
            shutil.rmtree(source)
            harness.copy(pristine, source)
            with tempfile.TemporaryDirectory(dir=source.parent) as out:
                judge(
                    counts,
                    at_once(environment, source, number, gap, Path(out)),
                    expected,
                )
            done += number
    counts["builds"] = done
    return counts


def at_once(
    environment: harness.Environment, source: Path, number: int, gap: float, out: Path
) -> list[tuple[harness.Run, Path]]:
    runs = []
    for index in range(number):
        result = out / str(index)
        result.mkdir()
        command = environment.command("hook", source, result)
        runs.append((environment.start(command, source), result))
        time.sleep(gap)
    return runs


def judge(
    counts: Counter[str], runs: list[tuple[harness.Run, Path]], expected: bytes
) -> None:
    with harness.many([run for run, _ in runs]):
        for started, result in runs:
            output = started.finish()
            counts["repeated"] += "this build runs again, alone" in output
            if started.status != 0:
                counts["failed"] += 1
                continue
            (wheel,) = result.glob("*.whl")
            counts["wrong"] += wheel.read_bytes() != expected


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
