"""Setuptools' own tests, with the plugin beside it: ``python tests/upstream.py [RELEASE …]``.

They come with setuptools' sdist. It is unpacked and installed as upstream does for its
tests, editable, into two environments, of which one has the plugin too, also in the
virtual environments that the tests make. No test that passes in the one may fail in
the other, but for those in upstream-expected.toml, each with the reason. An entry there
whose test passes with the plugin is an error too.

setuptools/_distutils/tests are left out: they use distutils' own Distribution, which
knows no plugins, and fixtures that the sdist does not have.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable

RELEASES = ("newest", "75.8.2")
EXPECTED = Path(__file__).with_name("upstream-expected.toml")
PLACES = ("setuptools", "pkg_resources")  # the latter is gone in 82
# pytest.ini names a warning of coverage's.
TOOLS = ("coverage", "pytest-reportlog")
# With those of today tests fail that have nothing wrong; virtualenv brings a pip, too.
OF_THE_TIME = {"75.8.2": ("pip<25.1", "wheel<0.46", "virtualenv<20.30")}
NOT_NEEDED = ("jaraco.develop", "pytest-perf")  # in the tests of other directories
REPEATS = 3
LONGEST_RUN = 3600
LONGEST_TEST = 300
FLAKY = "flaky without the plugin"

# Appended to the conftest.py of the tree that is tested with the plugin.
CONFTEST = """

@pytest.fixture
def venv(venv):
    venv.run(
        ["python", "-m", "pip", "install", "--quiet", "--no-index"]
        + ["--find-links", {wheelhouse!r}, "setuptools-isolated-build"]
    )
    return venv
"""
LOOK_UP = """
import setuptools
look_up = setuptools.Distribution().get_command_class
print(setuptools.__version__, getattr(look_up, "func", look_up).__module__)
"""


@dataclass(frozen=True)
class Suite:
    """Setuptools' tests, in the tree that they come with and that is installed."""

    environment: harness.Environment
    tree: Path

    @classmethod
    def create(cls, sdist: Path, place: Path, wheelhouse: Path | None = None) -> Suite:
        """Make it in *place*; with a *wheelhouse*, with the plugin from there."""
        tree = harness.unpack(sdist, place)
        version = tree.name.partition("-")[2]
        plugin, look_up = [], "setuptools.dist"
        if wheelhouse is not None:
            plugin = list(wheelhouse.glob("setuptools_isolated_build-*.whl"))
            look_up = "setuptools_isolated_build._plugin"
            with (tree / "conftest.py").open("a", encoding="utf-8") as conftest:
                conftest.write(CONFTEST.format(wheelhouse=str(wheelhouse)))
        requirements = [*TOOLS, *requirements_of_tests(tree, version)]
        environment = harness.Environment.create(place / "environment", *requirements)
        pip(environment.python, "install", f"--editable={tree}", *plugin)
        found = harness.run_python(environment, LOOK_UP, place).split()
        assert found == [version, look_up], found
        (place / "tmp").mkdir()
        return cls(environment, tree)

    @property
    def output(self) -> Path:
        """What pytest has said in the last run."""
        return self.tree.with_name("output")

    def run(self, tests: Iterable[str] = ()) -> dict[str, str]:
        """Run *tests*, or all; return the outcome of each by its id."""
        log = self.tree.with_name("log")
        env = harness.build_variables() | {
            "TMPDIR": str(self.tree.with_name("tmp")),
            "PYTHONWARNDEFAULTENCODING": "1",  # as in setuptools' tox.ini
        }
        del env["SOURCE_DATE_EPOCH"]
        command = [
            self.environment.python.with_name("pytest"),
            *("--numprocesses=auto", f"--timeout={LONGEST_TEST}"),
            *("-p", "no:cacheprovider", f"--report-log={log}"),
            *(tests or [name for name in PLACES if (self.tree / name).exists()]),
        ]
        with self.output.open("wb") as file:
            status = subprocess.run(
                command,
                cwd=self.tree,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=LONGEST_RUN,
            ).returncode
        # Tests have failed, at worst; anything else has kept them from running.
        assert status in (0, 1), self.output.read_text(errors="replace")
        return outcomes(log)


def requirements_of_tests(tree: Path, version: str) -> list[str]:
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    return [
        requirement
        for requirement in project["optional-dependencies"]["test"]
        if not requirement.startswith(NOT_NEEDED)
    ] + list(OF_THE_TIME.get(version, ()))


def outcomes(log: Path) -> dict[str, str]:
    """Read what pytest-reportlog has written of each test's set-up, call and tear-down."""
    found = {}
    with log.open(encoding="utf-8") as lines:
        for report in map(json.loads, lines):
            if report["$report_type"] != "TestReport":
                continue
            outcome = "xfailed" if "wasxfail" in report else report["outcome"]
            if report["when"] == "call" or outcome != "passed":
                found[report["nodeid"]] = outcome
    return found


def pip(python: str | Path, *arguments: str | Path) -> None:
    """Run pip; show what it says, which is a lot, only when it fails."""
    done = subprocess.run(
        [python, "-m", "pip", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=harness.TIMEOUT,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")


def download(release: str, directory: Path) -> Path:
    """Download the sdist of a release of setuptools, or of the newest one."""
    requirement = "setuptools" if release == "newest" else f"setuptools=={release}"
    options = ("--no-deps", "--no-binary=setuptools", "--no-build-isolation")
    pip(sys.executable, "download", *options, f"--dest={directory}", requirement)
    (sdist,) = directory.glob("setuptools-*.tar.gz")
    return sdist


def wheels(directory: Path) -> Path:
    """Build the plugin's wheel into *directory*, and put there what it needs."""
    wheel = harness.build_plugin(sys.executable, directory)
    pip(sys.executable, "wheel", f"--wheel-dir={directory}", wheel)
    return directory


def expected_failures(version: str) -> dict[str, str]:
    """Return the reasons by test, for this release."""
    entries = tomllib.loads(EXPECTED.read_text("utf-8"))
    return {
        test: entry["reason"]
        for test, entry in entries.items()
        if version in entry.get("releases", [version])
    }


def compare(release: str, place: Path) -> bool:
    """Run the tests of one release without and with the plugin; print what differs.

    Returns:
        Whether all is as expected.
    """
    sdist = download(release, place)
    print(f"\n{sdist.name}: installing it, without and with the plugin", flush=True)
    wheelhouse = wheels(place / "wheelhouse")
    plain = Suite.create(sdist, place / "plain")
    plugged = Suite.create(sdist, place / "plugged", wheelhouse)
    print("running its tests without the plugin", flush=True)
    without = plain.run()
    print("running its tests with the plugin", flush=True)
    with_it = plugged.run()
    counts = Counter(without.values()), Counter(with_it.values())
    assert counts[0]["passed"] > len(without) / 2, plain.output.read_text()

    expected = expected_failures(plain.tree.name.partition("-")[2])
    newly = [
        test
        for test, outcome in without.items()
        if outcome == "passed" and with_it.get(test) not in ("passed", "xfailed")
    ]
    verdicts = judge([test for test in newly if test not in expected], plain, plugged)
    stale = [test for test in expected if with_it.get(test, "passed") == "passed"]

    print(f"{'outcome':<10}{'without':>8}{'with':>8}")
    for outcome in sorted({*counts[0], *counts[1]}):
        print(f"{outcome:<10}{counts[0][outcome]:>8}{counts[1][outcome]:>8}")
    for test in newly:
        print(test, verdicts.get(test) or f"listed, {expected[test]}", sep=": ")
    for test in stale:
        print(test, "STALE, it passes with the plugin or is gone", sep=": ")
    return not stale and all(verdict == FLAKY for verdict in verdicts.values())


def judge(tests: list[str], plain: Suite, plugged: Suite) -> dict[str, str]:
    """Run *tests* again; say of each whose failure it is."""
    if not tests:
        return {}
    print(f"running {len(tests)} that failed {REPEATS} times again", flush=True)
    without = [plain.run(tests) for _ in range(REPEATS)]
    with_it = [plugged.run(tests) for _ in range(REPEATS)]
    verdicts = {}
    for test in tests:
        failed = 1 + sum(found.get(test) != "passed" for found in with_it)
        verdicts[test] = f"NOT LISTED, failed {failed} of {1 + REPEATS} times"
        if any(found.get(test) != "passed" for found in without):
            verdicts[test] = FLAKY
    print(plugged.output.read_text(errors="replace"))
    return verdicts


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("release", nargs="*", default=RELEASES)
    parser.add_argument("--keep", type=Path, help="a directory to work in, and leave")
    options = parser.parse_args(arguments)
    good = True
    for release in options.release:
        with tempfile.TemporaryDirectory() as temporary:
            place = (options.keep or Path(temporary)) / release
            place.mkdir(parents=True)
            good = compare(release, place) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
