"""The runs that are too slow for every push; ``nox -l`` lists them."""

from __future__ import annotations

import shutil

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "venv"

LOWEST, NEWEST = "64.0.3", ""
RELEASES = [LOWEST, "69.5.1", "75.8.2", "80.9.0", NEWEST]
# setuptools 64 and 65 import pkgutil.ImpImporter, which 3.12 no longer has.
PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]


@nox.session
def tests(session: nox.Session) -> None:
    """The README's test command."""
    session.run("python", "tests/run.py", *session.posargs)


@nox.session
@nox.parametrize("setuptools", RELEASES)
@nox.parametrize("interpreter", PYTHONS)
def matrix(session: nox.Session, interpreter: str, setuptools: str) -> None:
    """Every supported setuptools with every Python that is found on the machine."""
    if setuptools == LOWEST and interpreter in ("3.12", "3.13"):
        session.skip("setuptools 64 does not run on Python 3.12 and later")
    python = shutil.which(f"python{interpreter}")
    if python is None:
        session.skip(f"there is no python{interpreter}")
    release = [f"--setuptools={setuptools}"] if setuptools else []
    command = [python, "tests/run.py", "-q", "--builds=2", *release, *session.posargs]
    session.run(*command, external=True)


@nox.session
def stress(session: nox.Session) -> None:
    """500 wheels of each example by the hooks, 100 by each frontend, 500 of all."""
    session.run("python", "examples/demo.py", "--frontend=hook", "--builds=500")
    names = ("setup.py", "pip", "build", "uv", "mixed")
    others = [f"--frontend={name}" for name in names]
    session.run("python", "examples/demo.py", "--builds=100", *others)
    session.run("python", "examples/demo.py", "--builds=500", "--frontend=all hooks")
    session.run("python", "examples/demo.py", "--builds=500", "--each-hook")


@nox.session
def shared(session: nox.Session) -> None:
    """200 builds of each kind of project that writes into its source tree."""
    session.run("python", "tests/shared.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """The README's demo."""
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session
def overhead(session: nox.Session) -> None:
    """What isolation costs."""
    session.run("python", "benchmarks/overhead.py", *session.posargs)


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
    command = ["tests/run.py", "--generators", "tests/test_generators.py"]
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
    command = ["tests/run.py", "--builds=67", "tests/test_long_lived.py"]
    session.run("python", *command, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff and mypy."""
    session.install("ruff", "mypy", "types-setuptools", "nox")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
