"""The runs that are too slow for every push; ``nox -l`` lists them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "venv"

LOWEST, NEWEST = "64.0.3", ""
RELEASES = [LOWEST, "69.5.1", "75.8.2", "80.9.0", NEWEST]
# setuptools 64 and 65 import pkgutil.ImpImporter, which 3.12 no longer has.
WITH_LOWEST = ["3.9", "3.10", "3.11"]
PYTHONS = [*WITH_LOWEST, "3.12", "3.13", "3.14", "3.14t", "3.15", "pypy3", "graalpy"]


@nox.session
def tests(session: nox.Session) -> None:
    """The README's test command."""
    session.run("python", "tests/run.py", *session.posargs)


@nox.session(venv_backend="none")
@nox.parametrize("setuptools", RELEASES)
@nox.parametrize("interpreter", PYTHONS)
def matrix(session: nox.Session, interpreter: str, setuptools: str) -> None:
    """Every supported setuptools with every Python that is found on the machine."""
    if setuptools == LOWEST and interpreter not in WITH_LOWEST:
        session.skip(f"setuptools {LOWEST} is tested with {', '.join(WITH_LOWEST)}")
    python = _found(interpreter)
    if python is None:
        session.skip(f"there is no {interpreter} on PATH or below pyenv's root")
    _test_with(session, python, setuptools)


@nox.session(venv_backend="none")
def debian(session: nox.Session) -> None:
    """The system's Python with the system's setuptools, which Debian has changed."""
    _test_with(session, "/usr/bin/python3", "system")


def _test_with(session: nox.Session, python: str, setuptools: str) -> None:
    release = [f"--setuptools={setuptools}"] if setuptools else []
    command = [python, "tests/run.py", "-q", "--builds=2", *release, *session.posargs]
    session.run(*command, external=True)


def _found(interpreter: str) -> str | None:
    """Return the path of that interpreter: on PATH, or pyenv's."""
    name = f"python{interpreter}" if interpreter[0].isdigit() else interpreter
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    path = shutil.which(name)
    if path is not None and root not in Path(path).parents:
        return path
    # pyenv's shims run what is selected, if it is; these are what is installed.
    return next((str(x) for x in root.glob(f"versions/*/bin/{name}")), None)


@nox.session
def coverage(session: nox.Session) -> None:
    """Which lines of the plugin the tests run, in all the processes of builds."""
    session.install("coverage>=7.10")
    config, data = Path("pyproject.toml").resolve(), Path(session.create_tmp())
    files = str(data.resolve() / ".coverage")
    env = {"COVERAGE_PROCESS_START": str(config), "COVERAGE_FILE": files}
    session.run("coverage", "erase", env=env)
    session.run("python", "tests/run.py", "-q", *session.posargs, env=env)
    session.run("coverage", "combine", "--quiet", env=env)
    session.run("coverage", "report", env=env)


@nox.session
def stress(session: nox.Session) -> None:
    """500 builds of each example by all frontends, 500 by each hook and setup.py."""
    session.run("python", "examples/demo.py", "--rounds=50")
    tests = ("tests/test_concurrent_builds.py", "tests/test_editable.py")
    session.run("python", "tests/run.py", "--builds=500", *tests)


@nox.session
def long(session: nox.Session) -> None:
    """All tests with all of their cases: builds killed at each point, among others."""
    session.run("python", "tests/run.py", "-q", "--long", *session.posargs)


@nox.session
def shared(session: nox.Session) -> None:
    """200 builds of each kind of project that writes into its source tree."""
    session.run("python", "tests/shared.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """The examples, ten at once, without the plugin and with it."""
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session
def check(session: nox.Session) -> None:
    """The command ``check`` over the examples, with all that it can measure."""
    session.run("python", "examples/demo.py", "--rounds=3", *session.posargs)


@nox.session
def advised(session: nox.Session) -> None:
    """Whether the advice of ``check`` does it: examples and real projects; or names."""
    session.run("python", "tests/advised.py", *session.posargs)


@nox.session
def overhead(session: nox.Session) -> None:
    """What isolation costs."""
    session.run("python", "benchmarks/overhead.py", *session.posargs)


@nox.session
def cores(session: nox.Session) -> None:
    """What compiling on all cores saves."""
    session.run("python", "benchmarks/cores.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Builds at once, against what else one could do; writes the page in docs/."""
    session.install("matplotlib")
    session.run("python", "benchmarks/bench.py", "--write", *session.posargs)


@nox.session
def backend(session: nox.Session) -> None:
    """All tests by the hooks of the opt-in backend."""
    option = "--backend=setuptools_isolated_build.build_meta"
    session.run("python", "tests/run.py", "-q", option, *session.posargs)


@nox.session
def upstream(session: nox.Session) -> None:
    """Setuptools' own tests, with the plugin beside it; ``--quick``, as CI does."""
    session.run("python", "tests/upstream.py", *session.posargs)


@nox.session
def upstream_patches(session: nox.Session) -> None:
    """The patches in docs/upstream: their tests, and setuptools' own with them."""
    session.run("python", "tests/upstream_patches.py", *session.posargs)


@nox.session
def generators(session: nox.Session) -> None:
    """Builds at once beside setuptools-scm, pbr, Cython, cffi and others."""
    session.install(".[ccache]")  # for those that look for it on PATH
    command = ["tests/run.py", "--generators", "tests/test_generators.py"]
    session.run("python", *command, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, and run every command that is in it."""
    session.run("python", "tests/site.py")
    command = ["tests/run.py", "--docs", "tests/test_docs.py"]
    session.run("python", *command, *session.posargs)


@nox.session
def corpus(session: nox.Session) -> None:
    """Real projects, byte for byte; with names, those."""
    session.run("python", "tests/corpus.py", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Builds at random, beside all that could harm them; says its seed."""
    session.run("python", "tests/chaos.py", *session.posargs)


@nox.session
def long_lived(session: nox.Session) -> None:
    """200 builds in one process: as flat as with setuptools alone."""
    command = ["tests/run.py", "--builds=100", "--long", "tests/test_long_lived.py"]
    session.run("python", *command, *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """A release on this machine, index included: ``-- --dry-run``."""
    tools = ("build", "twine", "check-wheel-contents", "pypiserver", "setuptools")
    session.install(*tools)
    session.run("python", "tests/release.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff and mypy."""
    session.install("ruff", "mypy", "types-setuptools", "nox")
    session.install("check-jsonschema", "zizmor")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    workflows = [str(path) for path in Path(".github/workflows").glob("*.yml")]
    schema = "vendor.github-workflows"
    session.run("check-jsonschema", "--builtin-schema", schema, *workflows)
    session.run("zizmor", "--offline", "--quiet", *workflows)
