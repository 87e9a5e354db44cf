"""Environments, builds and comparisons: what the tests, the demo and nox share.

The oracle is setuptools without the plugin: a *plain* environment builds what a
*plugged* one is compared with. Nothing here imports the plugin. What the command `check`
shares with the tests is in its sub-package, which imports nothing else of the plugin
either: it is loaded from the checkout, also by a Python that has nothing installed.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if os.name != "nt":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent
_PLACE = REPOSITORY / "setuptools_isolated_build" / "_check"
_SPEC = importlib.util.spec_from_file_location("_check", _PLACE / "__init__.py")
sys.modules["_check"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["_check"])

from _check import environments, frontends, runs, trees  # noqa: E402
from _check.archives import contents as archive_contents  # noqa: E402, F401
from _check.archives import product, unpack, wheel_contents  # noqa: E402, F401
from _check.frontends import HOOKS, HOOKS_ALONE, Way  # noqa: E402
from _check.runs import Run, many  # noqa: E402, F401, TC002
from _check.trees import Listing, copy, digest, let_age  # noqa: E402, F401

EXAMPLES = REPOSITORY / "examples"
PACKAGES = REPOSITORY / "tests" / "packages"
# Each is a whole project; t is built by what requirements/ shows, too.
PROJECTS = ("report", "src-layout", "c-extension", "cmdclass", "requirements/t")
# Long enough for a loaded machine: it is there to end a hang, not to measure.
TIMEOUT = 600
FRONTENDS = ("hook", "setup.py", "pip", "build", "uv")

# An extension module that is compiled and linked, and never imported: with Python's
# headers it would take four times as long.
FAST_C = "void *PyInit_fast(void) { return 0; }\n"

SETUPTOOLS = "setuptools.build_meta"
# In place of a requirement: the setuptools that the interpreter has outside of
# environments, as Debian's has.
SYSTEM = "system"
# Set by `nox -s coverage`; coverage then starts by itself where it is installed.
COVERAGE = ["coverage>=7.10"] if "COVERAGE_PROCESS_START" in os.environ else []
OUR_BACKEND = "setuptools_isolated_build.build_meta"


@dataclass(frozen=True)
class Environment:
    """A virtual environment to build with, and the backend whose hooks it calls."""

    python: Path
    backend: str = SETUPTOOLS

    @classmethod
    def at(cls, path: Path) -> Environment:
        """Return the one that was made at *path*."""
        return cls(environments.python_in(path))

    @classmethod
    def create(cls, path: Path, *requirements: str) -> Environment:
        """Make it at *path* and install *requirements*, build and uv there.

        With `SYSTEM` among them it sees what is installed outside.
        """
        wanted = [name for name in requirements if name != SYSTEM]
        python = environments.create(
            path, ["build", "uv", "wheel", *wanted], sees_system=SYSTEM in requirements
        )
        return cls(python)

    def copy(self, path: Path, *requirements: str) -> Environment:
        """Copy this one to *path* and install *requirements* there, too.

        That takes a third of making it. Scripts are not for use: they run this one.
        """
        return Environment(environments.copy(self.python, path, requirements))

    def command(self, frontend: str, source: Path, out: Path) -> list[str]:
        """Return the command by which *frontend* builds a wheel into *out*.

        None of them isolates the environment: what is in this one is what builds.
        Instead of a frontend it can be one of `HOOKS`.
        """
        python = str(self.python)
        if frontend == "setup.py":
            script = ["setup.py"]
            if not (source / "setup.py").exists():
                script = ["-c", "from setuptools import setup; setup()"]
            return [python, *script, "bdist_wheel", "--dist-dir", str(out)]
        way = Way(frontend, "wheel")
        if frontend == "hook" or frontend in HOOKS:
            way = Way(HOOKS_ALONE, "wheel" if frontend == "hook" else frontend)
        uv = [python, "-m", "uv"]
        return frontends.command(way, python, source, out, self.backend, [""], uv)

    def start(
        self,
        command: Sequence[str],
        source: Path,
        variables: Mapping[str, str] | None = None,
    ) -> Run:
        """Start *command* with its output in a file, so that no pipe can fill."""
        env = build_variables() | dict(variables or {})
        return runs.start(command, source, env)

    def build(
        self,
        source: Path,
        out: Path,
        frontend: str = "hook",
        variables: Mapping[str, str] | None = None,
        says: Sequence[str] = (),
    ) -> Path:
        """Build a wheel and return it; fail with the build's output if that fails.

        Or if the output lacks one of the texts that the build *says*.
        """
        run = self.start(self.command(frontend, source, out), source, variables)
        output = run.finish()
        assert run.status == 0, output
        assert all(text in output for text in says), output
        (wheel,) = out.glob("*.whl")
        return wheel

    def hook(
        self,
        source: Path,
        name: str,
        *args: str,
        variables: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Call a hook of the backend; return its status and output."""
        command = [str(self.python), "-c", frontends.hook_code([""]), self.backend]
        run = self.start([*command, name, *args], source, variables)
        output = run.finish()
        return run.status, output

    def setup_py(
        self, source: Path, *args: str, variables: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run ``setup.py``; return its status and output."""
        run = self.start([str(self.python), "setup.py", *args], source, variables)
        output = run.finish()
        return run.status, output


def build_variables() -> dict[str, str]:
    """Return the environment for builds: this one's, made reproducible."""
    dropped = ("PYTHON", "PIP_", "UV_", "SETUPTOOLS_", "COV_", "VIRTUAL_ENV", "CFLAGS")
    env = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    network = ("PIP_INDEX_URL", "PIP_CERT", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
    env |= {k: os.environ[k] for k in network if k in os.environ}
    return env | {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": "0"}


@cache
def user() -> str:
    """Return the name of the user that runs the tests."""
    return getpass.getuser() if os.name == "nt" else pwd.getpwuid(os.getuid()).pw_name


def as_another_user() -> list[str]:
    """Return the command prefix for a user who can read everything and write nothing."""
    if os.geteuid() != 0:
        return []
    capabilities = "+dac_read_search"
    return [
        *"setpriv --reuid=65534 --regid=65534 --clear-groups".split(),
        *(f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", "--"),
    ]


def listing(tree: Path, without: Path | None = None) -> Listing:
    """List *tree*: of each path the mode, the mtime, the size and the content.

    Args:
        without: a temporary directory inside the tree: what is said of itself and of
            the root in it is left out.
    """
    if without is None:
        return trees.listing(tree)
    root = without / f".setuptools-isolated-build-{user()}"
    return trees.listing(
        tree, lambda path: path == without or root in (path, *path.parents)
    )


def leftovers(root: Path) -> list[str]:
    """Name what builds have left below *root*, or below the directories of theirs in it.

    Apart from the marks by which these directories are known, and from empty build
    trees, one of which the next lone build has again; it removes the others.
    """
    left = []
    for path in root.rglob("*"):
        name = f"setuptools-isolated-build-{user()}"
        is_root = path.name.lstrip(".") in (name, f"{name}-2")
        is_mark = path.name in ("CACHEDIR.TAG", ".gitignore")
        is_idle = path.name.startswith("tree-") and (path / "idle").exists()
        is_mark |= path.name == "idle" and path.parent.name.startswith("tree-")
        is_of_uv = path.name.startswith("uv-") and path.suffix == ".lock"
        if not (is_root or is_mark or is_idle or is_of_uv):
            left.append(str(path.relative_to(root)))
    return sorted(left)


def oracle(
    plain: Environment,
    source: Path,
    out: Path,
    variables: Mapping[str, str] | None = None,
) -> Path:
    """Build *source*, which is pristine and is so again afterwards, without the plugin.

    It is built where it is, since debug information in extension modules names the
    path.
    """
    with tempfile.TemporaryDirectory(dir=source.parent) as parent:
        pristine = shutil.copytree(source, Path(parent, "pristine"), symlinks=True)
        wheel = plain.build(source, out, variables=variables)
        shutil.rmtree(source)
        Path(pristine).rename(source)
    let_age(source)
    return wheel


def build_plugin(python: str | os.PathLike[str], wheelhouse: Path) -> Path:
    """Build this repository's wheel into *wheelhouse*, from a copy of it."""
    with tempfile.TemporaryDirectory() as parent:
        source = copy(REPOSITORY / "setuptools_isolated_build", Path(parent, "s", "x"))
        source = source.rename(source.parent / "setuptools_isolated_build").parent
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPOSITORY / name, source)
        subprocess.run(
            [python, "-m", "pip", "wheel", "--quiet", "--no-deps"]
            + ["--wheel-dir", str(wheelhouse), str(source)],
            check=True,
            timeout=TIMEOUT,
        )
    (wheel,) = wheelhouse.glob("setuptools_isolated_build-*.whl")
    return wheel


def prepare(place: Path, release: str, *others: str) -> dict[str, Environment]:
    """Make an environment without the plugin and one with it, with *others* in both."""
    setuptools = f"setuptools=={release}" if release else "setuptools"
    say("making an environment without the plugin")
    without = Environment.create(place / "without", setuptools, *others)
    say("building the plugin")
    wheel = build_plugin(without.python, place / "wheelhouse")
    say("making an environment with it")
    environment = Environment.create(place / "with", setuptools, str(wheel), *others)
    return {"without": without, "with": environment}


def say(message: str) -> None:
    """Show progress: on one line of a terminal, line by line elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{message}", end="", file=sys.stderr, flush=True)
    else:
        print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def member(directory: Path, name: str) -> object:
    """Return the contents of *name* in the one wheel in *directory*."""
    (wheel,) = directory.glob("*.whl")
    return {member: data for member, _, data in wheel_contents(wheel)}[name]


def run_python(environment: Environment, code: str, cwd: Path) -> str:
    """Run *code* in *environment*, failing on its warnings too."""
    done = subprocess.run(
        [environment.python, "-X", "dev", "-W", "error::ResourceWarning", "-c", code],
        cwd=cwd,
        env=build_variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def ccache_counters(
    variables: Mapping[str, str], program: str | Path = "ccache"
) -> dict[str, int]:
    """Return the counters of the ccache whose directory *variables* name."""
    done = subprocess.run(
        [program, "--print-stats"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT,
    )
    lines = (line.split("\t") for line in done.stdout.splitlines())
    return {name: int(count) for name, count in lines}


class Meeting:
    """Where builds meet: each arrives with a name and waits to be let go.

    A sample project's build step calls ``meet(name)``, whose text is `Meeting.CODE`.
    """

    CODE = textwrap.dedent(
        """
        def meet(name):
            import os, socket
            address = ("127.0.0.1", int(os.environ["MEETING_PORT"]))
            with socket.create_connection(address, timeout=120) as connection:
                connection.sendall(name.encode())
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(1) == b"!", "nobody came to let this build go"
        """
    )

    # A sitecustomize module: who has to wait for a turn comes here before that.
    BEFORE_A_TURN = CODE + textwrap.dedent(
        """
        import os
        from setuptools_isolated_build._locks import turns
        wait = turns.wait
        def meet_and_wait(path, *args):
            if os.path.basename(path).startswith(turns.PREFIX):
                meet("waits")
            return wait(path, *args)
        turns.wait = meet_and_wait
        """
    )

    # A sitecustomize module: who says that it waits comes here then, the first time.
    WHEN_IT_WAITS = CODE + textwrap.dedent(
        """
        import sys
        class Telling:
            told = False
            def __init__(self, stream):
                self.stream = stream
            def write(self, text):
                self.stream.write(text)
                if "waiting for another build" in text and not Telling.told:
                    Telling.told = True
                    self.stream.flush()
                    meet("waits")
                return len(text)
            def __getattr__(self, name):
                return getattr(self.stream, name)
        sys.stdout, sys.stderr = Telling(sys.stdout), Telling(sys.stderr)
        """
    )

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        port = self._server.getsockname()[1]
        self.variables = {"MEETING_PORT": str(port)}
        self._waiting: list[tuple[str, socket.socket]] = []

    def arrival(self, seconds: float = 120) -> str:
        """Wait for the next one to arrive, and return its name.

        Raises:
            TimeoutError: nobody does in that time.
        """
        self._server.settimeout(seconds)
        connection, _ = self._server.accept()
        connection.settimeout(120)
        name = connection.makefile("rb").read().decode()
        self._waiting.append((name, connection))
        return name

    def let_go(self, name: str) -> None:
        """Let the first one of this name go on."""
        for item in self._waiting:
            if item[0] == name:
                self._waiting.remove(item)
                with item[1] as connection:
                    connection.sendall(b"!")
                return
        msg = f"{name} is not here, but {[name for name, _ in self._waiting]}"
        raise AssertionError(msg)

    def close(self) -> None:
        for _, connection in self._waiting:
            connection.close()
        self._server.close()


# A setup.py whose build_py meets the test when it is done, if WHO names it.
MEETING_SETUP_PY = Meeting.CODE + textwrap.dedent(
    """
    import os
    from setuptools import setup
    from setuptools.command.build_py import build_py

    class meeting_build_py(build_py):
        def run(self):
            super().run()
            if "WHO" in os.environ:
                meet(os.environ["WHO"])

    setup(name="n", version="1", packages=["p"], cmdclass={"build_py": meeting_build_py})
    """
)


if __name__ == "__main__":
    sys.exit("this module is imported by the tests and the demo")
