"""Environments, builds and comparisons: what the tests, the demo and nox share.

The oracle is setuptools without the plugin: a *plain* environment builds what a
*plugged* one is compared with. Nothing here imports the plugin.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import time
import threading
import venv
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

if os.name != "nt":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "examples"
PACKAGES = REPOSITORY / "tests" / "packages"
# Each is a whole project; t is built by what requirements/ shows, too.
PROJECTS = ("report", "src-layout", "c-extension", "cmdclass", "requirements/t")
# Long enough for a loaded machine: it is there to end a hang, not to measure.
TIMEOUT = 600
FRONTENDS = ("hook", "setup.py", "pip", "build", "uv")

# What frontends ask a backend for, by the name of what they get: the hook and how it is
# called, with "{}" for the result directory.
HOOKS = {
    "wheel": ("build_wheel", "{}"),
    "sdist": ("build_sdist", "{}"),
    "editable": ("build_editable", "{}"),
    "strict editable": ("build_editable", "{}", {"editable_mode": "strict"}),
    "metadata": ("prepare_metadata_for_build_wheel", "{}"),
    "editable metadata": ("prepare_metadata_for_build_editable", "{}"),
    "requires": ("get_requires_for_build_wheel",),
    "sdist requires": ("get_requires_for_build_sdist",),
    "editable requires": ("get_requires_for_build_editable",),
}

# An extension module that is compiled and linked, and never imported: with Python's
# headers it would take four times as long.
FAST_C = "void *PyInit_fast(void) { return 0; }\n"

Listing = dict[str, tuple[int, int, int, str]]
SETUPTOOLS = "setuptools.build_meta"
# In place of a requirement: the setuptools that the interpreter has outside of
# environments, as Debian's has.
SYSTEM = "system"
# Set by `nox -s coverage`; coverage then starts by itself where it is installed.
COVERAGE = ["coverage>=7.10"] if "COVERAGE_PROCESS_START" in os.environ else []
OUR_BACKEND = "setuptools_isolated_build.build_meta"
_HOOK = """
import sys
from importlib import import_module
module, hook, *args = sys.argv[1:]
del sys.argv[1:]
build_meta = import_module(module)
args = [eval(arg) if arg[:1] == "{" else arg for arg in args]  # config_settings
print("result:", getattr(build_meta, hook)(*args))
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment to build with, and the backend whose hooks it calls."""

    python: Path
    backend: str = SETUPTOOLS

    @classmethod
    def at(cls, path: Path) -> Environment:
        """Return the one that was made at *path*."""
        return cls(path / ("Scripts" if os.name == "nt" else "bin") / "python")

    @classmethod
    def create(cls, path: Path, *requirements: str) -> Environment:
        """Make it at *path* and install *requirements*, build and uv there.

        With `SYSTEM` among them it sees what is installed outside.
        """
        wanted = [name for name in requirements if name != SYSTEM]
        scripts = Path(sys.executable).parent
        ours = sys.prefix != sys.base_prefix and shutil.which("pip", path=scripts)
        venv.create(
            path,
            system_site_packages=SYSTEM in requirements,
            with_pip=not ours,
            symlinks=os.name == "posix",
        )
        environment = cls.at(path)
        pip = [str(environment.python), "-m", "pip"]
        if ours:
            # The pip of an environment that was made here is new enough to install
            # into another one, and saves unpacking and replacing Python's own there.
            pip = [sys.executable, "-m", "pip", "--python", str(environment.python)]
        # A pip newer than the interpreter's own, which may lack options that are used.
        subprocess.run(
            [*pip, "install", "--quiet", "--upgrade"]
            + ["pip", "build", "uv", "wheel", *wanted],
            check=True,
            timeout=TIMEOUT,
        )
        return environment

    def copy(self, path: Path, *requirements: str) -> Environment:
        """Copy this one to *path* and install *requirements* there, too.

        That takes a third of making it. Scripts are not for use: they run this one.
        """
        prefix = self.python.parent.parent
        shutil.copytree(prefix, path, symlinks=True, dirs_exist_ok=True)
        made = self.at(path)
        pip = [made.python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *requirements], check=True, timeout=TIMEOUT)
        return made

    def command(self, frontend: str, source: Path, out: Path) -> list[str]:
        """Return the command by which *frontend* builds a wheel into *out*.

        None of them isolates the environment: what is in this one is what builds.
        Instead of a frontend it can be one of `HOOKS`.
        """
        python = str(self.python)
        if frontend in HOOKS:
            arguments = [str(arg).replace("{}", str(out)) for arg in HOOKS[frontend]]
            return [python, "-c", _HOOK, self.backend, *arguments]
        script = ["setup.py"]
        if not (source / "setup.py").exists():
            script = ["-c", "from setuptools import setup; setup()"]
        commands = {
            "hook": ["-c", _HOOK, self.backend, "build_wheel", str(out)],
            "setup.py": [*script, "bdist_wheel", "--dist-dir", str(out)],
            "pip": "-m pip wheel --no-deps --no-build-isolation --no-cache-dir"
            " --disable-pip-version-check -vv --wheel-dir".split()
            + [str(out), str(source)],
            "build": "-m build --wheel --no-isolation --skip-dependency-check"
            " --outdir".split()
            + [str(out), str(source)],
            "uv": "-m uv build --wheel --no-build-isolation --offline --python".split()
            + [python, "--out-dir", str(out), str(source)],
        }
        return [python, *commands[frontend]]

    def start(
        self,
        command: Sequence[str],
        source: Path,
        variables: Mapping[str, str] | None = None,
    ) -> Run:
        """Start *command* with its output in a file, so that no pipe can fill."""
        env = build_variables() | dict(variables or {})
        output = tempfile.TemporaryFile()  # the Run closes it
        process = subprocess.Popen(
            command,
            cwd=source,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return Run(process, output)

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
        command = [str(self.python), "-c", _HOOK, self.backend, name, *args]
        run = self.start(command, source, variables)
        output = run.finish()
        return run.status, output

    def setup_py(
        self, source: Path, *args: str, variables: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run ``setup.py``; return its status and output."""
        run = self.start([str(self.python), "setup.py", *args], source, variables)
        output = run.finish()
        return run.status, output


@dataclass
class Run:
    """A build that is running, and what it has said."""

    process: subprocess.Popen[bytes]
    _output: tempfile._TemporaryFileWrapper[bytes] = field(repr=False)

    @property
    def status(self) -> int:
        return self.process.returncode

    def finish(self, timeout: float = TIMEOUT) -> str:
        """Wait for the end, reap it, and return the output."""
        # Popen.wait(timeout) looks every 50 ms, which is a third of a small build.
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.kill_session()

        timer = threading.Timer(timeout, expire)
        timer.start()
        try:
            self.process.wait()
        finally:
            timer.cancel()
        if expired.is_set():
            raise subprocess.TimeoutExpired(self.process.args, timeout)
        return self.output()

    def output(self) -> str:
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        self.close()
        return text

    def close(self) -> None:
        self._output.close()

    def kill_session(self) -> None:
        """Kill the build with all its children, as the OOM killer or CI would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait(TIMEOUT)


def let_age(path: Path) -> None:
    """Wait until *path* is older than what could be taken for a build's own writing."""
    written = path.stat().st_ctime_ns
    with tempfile.NamedTemporaryFile() as now:  # not there: that would change it, too
        for _ in range(1000):
            os.utime(now.name)
            if os.stat(now.name).st_ctime_ns > written + 30_000_000:
                break
            time.sleep(0.002)


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


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listing(tree: Path, without: Path | None = None) -> Listing:
    """List *tree*: of each path the mode, the mtime, the size and the content.

    Args:
        without: a temporary directory inside the tree: what is said of itself and of
            the root in it is left out.
    """
    paths = [tree, *tree.rglob("*")]
    if without is not None:
        root = without / f".setuptools-isolated-build-{user()}"
        paths = [
            path
            for path in paths
            if path != without and root not in (path, *path.parents)
        ]
    return {
        str(path.relative_to(tree)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            0 if path.is_dir() else path.lstat().st_size,
            digest(path) if path.is_file() else "",
        )
        for path in paths
    }


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


def copy(project: Path, target: Path) -> Path:
    """Copy a project without what building it by hand may have left in it."""
    ignored = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(project, target, ignore=ignored, symlinks=True)
    let_age(target)
    return target


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


def wheel_contents(wheel: Path) -> list[tuple[object, ...]]:
    """List a wheel in the archive's order, so that a difference can be read."""
    with ZipFile(wheel) as archive:
        return [
            (info.filename, oct(info.external_attr >> 16), archive.read(info))
            for info in archive.infolist()
        ]


def member(directory: Path, name: str) -> object:
    """Return the contents of *name* in the one wheel in *directory*."""
    (wheel,) = directory.glob("*.whl")
    return {member: data for member, _, data in wheel_contents(wheel)}[name]


def archive_contents(path: Path) -> list[tuple[object, ...]]:
    """List a wheel or an sdist: names, modes and contents in the archive's order."""
    if path.suffix == ".whl":
        return wheel_contents(path)
    with tarfile.open(path) as archive:
        return [
            (
                member.name,
                member.type,
                oct(member.mode),
                member.isfile() and archive.extractfile(member).read(),
            )
            for member in archive
        ]


def unpack(sdist: Path, target: Path) -> Path:
    """Unpack an sdist below *target* and return the tree that was in it."""
    if sdist.suffix == ".zip":
        with ZipFile(sdist) as archive:
            archive.extractall(target)
    else:
        with tarfile.open(sdist) as archive:
            # Newer Pythons warn without it, older ones do not know it.
            known = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(target, **known)
    (tree,) = target.iterdir()
    return tree


def product(result: Path, output: str) -> str:
    """Return a digest of all that a hook has put into *result*, or has returned.

    Of archives and directories: names, order, modes and contents. The times in an sdist
    are those of its making, without the plugin too; and the egg-info that comes with a
    dist-info, which frontends do not read, names the result directory.
    """
    parts: list[object] = [output.rpartition("result: ")[2]]
    for path in sorted(result.rglob("*")):
        if any(part.endswith(".egg-info") for part in path.parts):
            continue
        parts.append(path.relative_to(result).as_posix())
        if path.suffix in (".whl", ".gz"):
            parts.append(archive_contents(path))
        elif path.is_file():
            parts.append(path.read_bytes())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


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
        import os, fasteners
        acquire = fasteners.InterProcessLock.acquire
        met = []
        def meeting_acquire(self, blocking=True, **kwargs):
            if blocking and b"turn-" in os.fsencode(self.path) and not met:
                met.append(True)  # it looks now and then who is before it
                meet("waits")
            return acquire(self, blocking=blocking, **kwargs)
        fasteners.InterProcessLock.acquire = meeting_acquire
        """
    )

    # A sitecustomize module: who says that it waits comes here then.
    WHEN_IT_WAITS = CODE + textwrap.dedent(
        """
        import sys
        class Telling:
            def __init__(self, stream):
                self.stream = stream
            def write(self, text):
                self.stream.write(text)
                if "waiting for another build" in text:
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
        self._server.settimeout(120)
        port = self._server.getsockname()[1]
        self.variables = {"MEETING_PORT": str(port)}
        self._waiting: list[tuple[str, socket.socket]] = []

    def arrival(self) -> str:
        """Wait for the next one to arrive, and return its name."""
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


@contextlib.contextmanager
def many(runs: list[Run]) -> Iterator[list[Run]]:
    """Let *runs* run in the block, and reap all of them whatever happens in it."""
    try:
        yield runs
    finally:
        for run in runs:
            if run.process.poll() is None:
                run.kill_session()
            run.close()


if __name__ == "__main__":
    sys.exit("this module is imported by the tests and the demo")
