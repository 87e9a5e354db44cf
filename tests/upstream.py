"""Setuptools' own tests, with the plugin beside it: ``python tests/upstream.py [RELEASE …]``.

They come with setuptools' sdist. It is unpacked and installed as upstream does for its
tests, editable, into two environments. One of them has the plugin too, and so have the
virtual environments that its tests make. A test that passes without the plugin must pass
with it, except those in upstream-expected.toml, each with the reason. An entry there
whose test passes with the plugin is an error too.

All tests run with the plugin. Those that do not pass there run without it, too: the
others cannot fail the comparison. ``--quick`` is what CI runs, the test files of the
commands that the plugin changes, of the newest release only.

setuptools/_distutils/tests are left out: they use distutils' own Distribution, which
knows no plugins, and fixtures that the sdist does not have.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable

RELEASES = ("newest", "75.8.2")
EXPECTED = Path(__file__).with_name("upstream-expected.toml")
PLACES = ("setuptools", "pkg_resources")  # the latter is gone in 82
QUICK = [
    f"setuptools/tests/test_{name}.py"
    for name in (
        *("editable_install", "egg_info", "build_meta", "dist"),
        *("bdist_wheel", "sdist", "build_ext", "build_py"),
    )
]
# pytest.ini names a warning of coverage's. A newer pip does not show a build's warnings,
# and a test that waits for them fails; virtualenv brings its own pip.
TOOLS = ("coverage", "pytest-reportlog", "pip<25.1", "virtualenv<20.30")
# With those of today tests fail, or are not collected, that have nothing wrong.
OF_THE_TIME = {"75.8.2": ("wheel<0.46", "pytest<9")}
NOT_NEEDED = ("jaraco.develop", "pytest-perf")  # in the tests of other directories
REPEATS = 3
LONGEST_RUN = 3600
LONGEST_TEST = 300
PASSED = ("passed", "xpassed")
FLAKY = "flaky without the plugin"

# Appended to the conftest.py of both trees. Half of the time goes into the environments
# that tests ask for, which are all the same: upstream's own code makes the first one,
# and the others are copies of it. Their scripts are not used, only ``python -m``.
CONFTEST = """

@pytest.fixture(scope="session", autouse=True)
def _environments_are_copies():
    import os
    import shutil

    import filelock

    from setuptools.tests.environment import VirtualEnv

    model, create = {model!r}, VirtualEnv.create

    def create_or_copy(env):
        with filelock.FileLock(model + ".lock"):
            if not os.path.exists(model):
                create(env)
                if {plugin!r}:
                    install = ["python", "-m", "pip", "install", "--no-index"]
                    install += ["--find-links", {wheelhouse!r}, {plugin!r}]
                    env.run(install)
                shutil.copytree(env.dir, model + ".new", symlinks=True)
                os.replace(model + ".new", model)
                return env
        shutil.copytree(model, env.dir, symlinks=True)
        return env

    VirtualEnv.create = create_or_copy
    yield
    VirtualEnv.create = create


@pytest.fixture(autouse=True)
def _source_written_twice_in_a_second(request, monkeypatch):
    # Python's cache then has the first one, which is of the same size, where an install
    # takes less than a second. Newer releases of setuptools give the file another time.
    names = ("test_editable_with_pyproject", "test_editable_install")
    if request.node.name.startswith(names):
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
"""
LOOK_UP = """
import setuptools
look_up = setuptools.Distribution().get_command_class
print(setuptools.__version__, getattr(look_up, "func", look_up).__module__)
"""


@dataclass(frozen=True)
class Release:
    """What the package index has of one release of setuptools."""

    sdist: Path
    wheel: Path

    @classmethod
    def download(cls, version: str, directory: Path) -> Release:
        """Download it, or the newest one."""
        requirement = "setuptools" if version == "newest" else f"setuptools=={version}"
        for form in ("--no-binary", "--only-binary"):
            options = ("--no-deps", f"{form}=setuptools", "--no-build-isolation")
            pip("download", *options, f"--dest={directory}", requirement)
        (sdist,) = directory.glob("setuptools-*.tar.gz")
        (wheel,) = directory.glob("setuptools-*.whl")
        return cls(sdist, wheel)

    @property
    def version(self) -> str:
        return self.sdist.name.removeprefix("setuptools-").removesuffix(".tar.gz")


@dataclass(frozen=True)
class Plugin:
    """The plugin's wheel, and those that it needs, for tests that make environments."""

    wheelhouse: Path

    @classmethod
    def build(cls, wheelhouse: Path) -> Plugin:
        wheel = harness.build_plugin(sys.executable, wheelhouse)
        pip("wheel", f"--wheel-dir={wheelhouse}", wheel)
        return cls(wheelhouse)

    @property
    def wheel(self) -> Path:
        (wheel,) = self.wheelhouse.glob("setuptools_isolated_build-*.whl")
        return wheel


@dataclass(frozen=True)
class Suite:
    """Setuptools' tests, in the tree that they come with and that is installed."""

    release: Release
    tree: Path
    python: Path

    @classmethod
    def create(
        cls, release: Release, place: Path, uv: Path, plugin: Plugin | None = None
    ) -> Suite:
        """Make it in *place*, with *plugin* or without."""
        tree = harness.unpack(release.sdist, place)
        with (tree / "conftest.py").open("a", encoding="utf-8") as conftest:
            conftest.write(
                CONFTEST.format(
                    model=str(place / "model"),
                    wheelhouse=str(plugin and plugin.wheelhouse),
                    plugin=str(plugin.wheel) if plugin else "",
                )
            )
        scripts = "Scripts" if os.name == "nt" else "bin"
        python = place / "environment" / scripts / "python"
        run(uv, "venv", "--seed", "--python", sys.executable, python.parent.parent)
        install = (uv, "pip", "install", "--python", python)
        run(*install, *TOOLS, *requirements_of_tests(tree, release.version))
        run(*install, "--editable", tree, *([plugin.wheel] if plugin else []))
        look_up = "setuptools_isolated_build._plugin" if plugin else "setuptools.dist"
        found = harness.run_python(harness.Environment(python), LOOK_UP, place).split()
        assert found == [release.version, look_up], found
        (place / "tmp").mkdir()
        return cls(release, tree, python)

    @property
    def output(self) -> Path:
        """What pytest has said in the last run."""
        return self.tree.with_name("output")

    def run(self, tests: Iterable[str] = ()) -> dict[str, str]:
        """Run *tests*, or all; return the outcome of each by its id."""
        # A class in one piece: what its set-up has made is gone when it is set up again
        # (TestZipProvider imports its module once, from an archive of the first time).
        options = ("--numprocesses=auto", "--dist=loadscope")
        return outcomes(self._pytest(tests, *options))

    def collect(self, tests: Iterable[str] = ()) -> list[str]:
        """Return the ids of *tests*, or of all."""
        self._pytest(tests, "--collect-only", "--quiet")
        ids, _, _ = self.output.read_text("utf-8").partition("\n\n")
        return ids.splitlines()

    def _pytest(self, tests: Iterable[str], *options: str) -> list[dict[str, Any]]:
        """Run pytest; return what pytest-reportlog has written."""
        log = self.tree.with_name("log")
        env = harness.build_variables() | {
            "TMPDIR": str(self.tree.with_name("tmp")),
            "PYTHONWARNDEFAULTENCODING": "1",  # as in setuptools' tox.ini
            # Each worker would build them anew, without the plugin in any case.
            "PRE_BUILT_SETUPTOOLS_SDIST": str(self.release.sdist),
            "PRE_BUILT_SETUPTOOLS_WHEEL": str(self.release.wheel),
            # One pip for all environments, so that it is compiled once.
            "VIRTUALENV_SYMLINK_APP_DATA": "true",
            "VIRTUALENV_NO_PERIODIC_UPDATE": "true",
            "VIRTUALENV_OVERRIDE_APP_DATA": str(self.tree.with_name("app-data")),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        del env["SOURCE_DATE_EPOCH"]
        command = [
            self.python.with_name("pytest"),
            *(f"--timeout={LONGEST_TEST}", *options),
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
        with log.open(encoding="utf-8") as lines:
            reports = [json.loads(line) for line in lines]
        # With workers, pytest goes on without the tests that it could not collect.
        for report in reports:
            broken = report["$report_type"], report.get("outcome")
            assert broken != ("CollectReport", "failed"), report["longrepr"]
        return reports


def requirements_of_tests(tree: Path, version: str) -> list[str]:
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    return [
        requirement
        for requirement in project["optional-dependencies"]["test"]
        if not requirement.startswith(NOT_NEEDED)
    ] + list(OF_THE_TIME.get(version, ()))


def outcomes(log: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Pick out how each test's set-up, call and tear-down have ended."""
    found = {}
    for report in log:
        if report["$report_type"] != "TestReport":
            continue
        outcome = report["outcome"]
        if "wasxfail" in report:
            outcome = "xpassed" if outcome == "passed" else "xfailed"
        if report["when"] == "call" or outcome != "passed":
            found[report["nodeid"]] = outcome
    return found


def run(*command: str | Path) -> None:
    """Run *command*; show what it says, which is a lot, only when it fails."""
    done = subprocess.run(
        command,
        env=harness.build_variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=harness.TIMEOUT,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")


def pip(*arguments: str | Path) -> None:
    run(sys.executable, "-m", "pip", *arguments)


def expected_failures(version: str) -> dict[str, str]:
    """Return the reasons by test, for this release."""
    entries = tomllib.loads(EXPECTED.read_text("utf-8"))
    return {
        test: entry["reason"]
        for test, entry in entries.items()
        if version in entry.get("releases", [version])
    }


def compare(plain: Suite, plugged: Suite, tests: list[str]) -> bool:
    """Run *tests* of one release, or all; print what the plugin changes.

    Returns:
        Whether all is as expected.
    """
    print("running its tests with the plugin", flush=True)
    with_it = plugged.run(tests)
    known = plain.collect(tests)
    assert all("::" in test for test in known), known
    left = [test for test in known if with_it.get(test) not in PASSED]
    assert len(left) < len(known) / 2, plugged.output.read_text(errors="replace")
    print(f"running {len(left)} of {len(known)} without the plugin", flush=True)
    without = plain.run(left) if left else {}

    expected = expected_failures(plain.release.version)
    newly = [test for test, outcome in without.items() if outcome in PASSED]
    verdicts = judge([test for test in newly if test not in expected], plain, plugged)
    stale = [
        test
        for test in expected
        if (not tests or test.partition("::")[0] in tests)
        and with_it.get(test, "passed") in PASSED
    ]

    counts = Counter(with_it.values()).most_common()
    print("with the plugin:", ", ".join(f"{n} {outcome}" for outcome, n in counts))
    counts = Counter(without.values()).most_common()
    print("the rest without:", ", ".join(f"{n} {outcome}" for outcome, n in counts))
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
        failed = 1 + sum(found.get(test) not in PASSED for found in with_it)
        verdicts[test] = f"NOT LISTED, failed {failed} of {1 + REPEATS} times"
        if any(found.get(test) not in PASSED for found in without):
            verdicts[test] = FLAKY
    print(plugged.output.read_text(errors="replace"))
    return verdicts


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("release", nargs="*", default=RELEASES)
    parser.add_argument("--quick", action="store_true", help="what CI runs of it")
    parser.add_argument("--keep", type=Path, help="a directory to work in, and leave")
    options = parser.parse_args(arguments)
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        place = (options.keep or Path(temporary)).resolve()
        pip("install", f"--target={place / 'tools'}", "uv")
        uv = place / "tools" / "bin" / "uv"
        plugin = Plugin.build(place / "wheelhouse")
        for version in options.release[:1] if options.quick else options.release:
            release = Release.download(version, place / version)
            print(f"\nsetuptools {release.version}: installing it", flush=True)
            plain = Suite.create(release, place / version / "plain", uv)
            plugged = Suite.create(release, place / version / "plugged", uv, plugin)
            good = compare(plain, plugged, QUICK if options.quick else []) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
