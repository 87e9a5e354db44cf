"""Fixtures: the two environments, projects, and a place where builds can meet."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import fasteners  # noqa: TID251 - the tests' own lock
import harness
import pytest
import remains
import setuptools_isolated_build
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


# A shell that starts the tests in the background lets them, and so their builds, ignore it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--setuptools",
        default="",
        help="the release to build with, a URL of one, or 'system': that of the "
        "interpreter; the newest by default",
    )
    parser.addoption(
        "--backend",
        default=harness.SETUPTOOLS,
        help="whose hooks the plugin is tested by",
    )
    parser.addoption("--builds", type=int, default=10, help="builds per stress test")
    parser.addoption(
        "--cases", type=int, default=0, help="at most so many cases of each test"
    )
    parser.addoption(
        "--long",
        action="store_true",
        help="kill and change at each point, not at some; what is marked as long, too",
    )
    parser.addoption(
        "--wheelhouse", type=Path, help="where the plugin's wheel is, or it is built"
    )
    parser.addoption(
        "--generators", action="store_true", help="test beside other projects' tools"
    )
    parser.addoption(
        "--docs",
        action="store_true",
        help="run all commands of docs/, with their tools",
    )


def pytest_configure(config: pytest.Config) -> None:
    # For tests each of whose examples takes builds.
    examples = 60 if config.getoption("--long") else 3
    settings.register_profile("builds", max_examples=examples, deadline=None)
    tested = Path(setuptools_isolated_build.__file__)
    if harness.REPOSITORY / "setuptools_isolated_build" in tested.parents:
        pytest.exit("the installed wheel is tested, not the checkout: see tests/run.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # It installs all of these tools.
    is_left_out = not config.getoption("--generators")
    return (collection_path.name == "test_generators.py" and is_left_out) or None


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    late = []
    if not config.getoption("--long"):
        late = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in late]
    most = config.getoption("--cases")
    if most:
        cases: dict[str, list[pytest.Item]] = {}
        for item in items:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
        first = {item for those in cases.values() for item in those[:most]}
        late += [item for item in items if item not in first]
        items[:] = [item for item in items if item in first]
    config.hook.pytest_deselected(items=late)
    # What needs no environment comes first: a core has work while these are made.
    items.sort(key=lambda item: "plain" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def requirements(request: pytest.FixtureRequest) -> list[str]:
    """What both environments hold: the setuptools under test."""
    release = request.config.getoption("--setuptools")
    if release in ("", harness.SYSTEM):
        return [release or "setuptools"]
    how = "@" if "://" in release else "=="
    return [f"setuptools {how} {release}"]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a directory by a function, once for all workers of this run.

    A worker that dies while it makes one leaves no mark that it is made, and its lock is
    free: the next worker empties the directory and makes it anew.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    if sys.implementation.name == "pypy":
        # Another user's PyPy finds its environment by access(), which knows no capability.
        for directory in (shared, shared.parent):
            directory.chmod(directory.stat().st_mode | 0o011)

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        path, made = shared / name, shared / f"{name}.made"
        lock = fasteners.InterProcessLock(shared / f"{name}.lock")
        assert lock.acquire(timeout=harness.TIMEOUT), f"another worker makes {path}"
        try:
            if not made.exists():
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir()
                fill(path)
                made.touch()
        finally:
            lock.release()
        return path

    return make


@pytest.fixture(scope="session")
def plain(once: Callable[..., Path], requirements: list[str]) -> harness.Environment:
    """The oracle: setuptools without the plugin."""
    path = once("plain", lambda path: harness.Environment.create(path, *requirements))
    return harness.Environment.at(path)


@pytest.fixture(scope="session")
def make_environment(
    once: Callable[..., Path], plain: harness.Environment
) -> Callable[..., harness.Environment]:
    """Make an environment by its name, with the setuptools under test and more."""

    def make(name: str, *more: str) -> harness.Environment:
        return harness.Environment.at(once(name, lambda path: plain.copy(path, *more)))

    return make


@pytest.fixture(scope="session")
def wheelhouse(request: pytest.FixtureRequest, once: Callable[..., Path]) -> Path:
    """A directory with the plugin's wheel, for frontends that install it."""
    if request.config.getoption("--wheelhouse"):
        return request.config.getoption("--wheelhouse")
    return once("wheelhouse", lambda path: harness.build_plugin(sys.executable, path))


@pytest.fixture(scope="session")
def plugged(
    request: pytest.FixtureRequest,
    make_environment: Callable[..., harness.Environment],
    wheelhouse: Path,
) -> harness.Environment:
    """The same with the plugin."""
    (wheel,) = wheelhouse.iterdir()
    made = make_environment("plugged", str(wheel), *harness.COVERAGE)
    return replace(made, backend=request.config.getoption("--backend"))


@pytest.fixture(scope="session")
def setup_at_once(plugged: harness.Environment) -> harness.Environment:
    """The same by setuptools' own backend: setup.py runs while another one does.

    By the plugin's, which `--backend` may name, it would wait for its turn.
    """
    return replace(plugged, backend=harness.SETUPTOOLS)


@pytest.fixture(scope="session")
def extra(
    request: pytest.FixtureRequest,
    make_environment: Callable[..., harness.Environment],
    wheelhouse: Path,
) -> harness.Environment:
    """The same with the plugin's extra: ccache."""
    (wheel,) = wheelhouse.iterdir()
    made = make_environment("extra", f"{wheel}[ccache]", *harness.COVERAGE)
    return replace(made, backend=request.config.getoption("--backend"))


@pytest.fixture(autouse=True)
def tmpdir_of_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR for this test's builds, in which nothing may be left."""
    path = tmp_path / "TMPDIR"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    yield path
    assert harness.leftovers(path) == []


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Make a source tree at always the same path, from the texts of its files."""

    def make(files: dict[str, str], at: str = "project") -> Path:
        source = tmp_path / at
        for name, text in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        harness.let_age(path)
        return source

    return make


@pytest.fixture
def same_wheel(
    plain: harness.Environment,
    plugged: harness.Environment,
    tmp_path: Path,
) -> Callable[..., Path]:
    """Build a pristine tree without the plugin and the tree itself with it.

    Asserts that the wheels have the same name and bytes and that the tree stayed as it
    was; returns the wheel. ``dirty`` does to the tree what a pristine copy lacks, and
    ``says`` is what the build with the plugin says.
    """

    def check(
        source: Path,
        frontend: str = "hook",
        dirty: Callable[[Path], object] = lambda source: None,
        variables: dict[str, str] | None = None,
        says: Sequence[str] = (),
    ) -> Path:
        expected = harness.oracle(plain, source, tmp_path / "expected", variables)
        dirty(source)
        inside = Path((variables or {}).get("TMPDIR", tmp_path))
        before = harness.listing(source, without=inside)
        wheel = plugged.build(source, tmp_path / "out", frontend, variables, says)
        assert wheel.name == expected.name
        assert harness.wheel_contents(wheel) == harness.wheel_contents(expected)
        assert wheel.read_bytes() == expected.read_bytes()
        assert harness.listing(source, without=inside) == before
        return wheel

    return check


@pytest.fixture
def finding_any(plain: harness.Environment, tmp_path: Path) -> dict[str, str]:
    """Variables of a frontend that finds what is in the tree under any name."""
    variables = remains.hooked(tmp_path / "hooked", remains.ANY_NAME)
    tree = tmp_path / "found"
    (tree / "n.egg-info").mkdir(parents=True)
    code = "from setuptools._importlib import metadata as m; m.entry_points(group='n')"
    run = plain.start([str(plain.python), "-c", code], tree, variables)
    output = run.finish()
    if run.status:
        assert sys.version_info < (3, 10), output  # where it brings importlib_metadata
        pytest.skip(f"setuptools alone fails: {output.splitlines()[-1]}")
    return variables


@pytest.fixture
def call_read_only(
    plugged: harness.Environment, tmp_path: Path
) -> Callable[..., tuple[int, str]]:
    """Call a hook on a tree that the caller cannot write to; return status and output.

    The result directory is ``out``. The tree has its old modes afterwards.
    """

    def call(source: Path, hook: str, *settings: str) -> tuple[int, str]:
        modes = {path: path.stat().st_mode for path in (source, *source.rglob("*"))}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        out, theirs = tmp_path / "out", tmp_path / "theirs"
        for path in (out, theirs):
            path.mkdir()
            path.chmod(0o777)
        command = plugged.command("hook", source, out)[:4]
        variables = {"TMPDIR": str(theirs), "HOME": str(theirs)}
        run = plugged.start(
            [*harness.as_another_user(), *command, hook, str(out), *settings],
            source,
            variables,
        )
        output = run.finish()
        for path, mode in modes.items():
            path.chmod(mode)
        return run.status, output

    return call


@pytest.fixture
def meeting() -> Iterator[harness.Meeting]:
    meeting = harness.Meeting()
    yield meeting
    meeting.close()


@pytest.fixture
def start(
    tmp_path: Path, meeting: harness.Meeting
) -> Iterator[Callable[..., harness.Run]]:
    """Start a build as somebody, who has a result directory; all are reaped at the end."""
    runs = []

    def begin(
        environment: harness.Environment,
        source: Path,
        frontend: str,
        who: str,
        variables: Mapping[str, str] | None = None,
    ) -> harness.Run:
        (tmp_path / who).mkdir(exist_ok=True)  # frontends make it for metadata
        command = environment.command(frontend, source, tmp_path / who)
        variables = {**meeting.variables, "WHO": who, **(variables or {})}
        runs.append(environment.start(command, source, variables))
        return runs[-1]

    yield begin
    with harness.many(runs):
        pass


@pytest.fixture
def at_once(plugged, wheelhouse, tmp_path):
    """Run commands at once and return their outputs; all must end well."""

    def run(source, commands, variables=None):
        runs = []
        for number, command in enumerate(commands):
            # A cache each: with one, uv and pip would build once for all.
            caches = {"UV_CACHE_DIR": str(tmp_path / f"cache-{number}")}
            links = {
                "PIP_FIND_LINKS": str(wheelhouse),
                "UV_FIND_LINKS": str(wheelhouse),
            }
            links |= {"PIP_NO_CACHE_DIR": "1", "VIRTUALENV_NO_PERIODIC_UPDATE": "1"}
            own = variables(number) if variables else {}
            runs.append(plugged.start(command, source, {**links, **caches, **own}))
        with harness.many(runs):
            outputs = [item.finish() for item in runs]
            for item, output in zip(runs, outputs):
                assert item.status == 0, output
        return outputs

    return run


@pytest.fixture
def some(request):
    """Take some of what a test tries, as CI does; all of it with ``--long``."""
    is_long = request.config.getoption("--long")
    return lambda points, step=2: points if is_long else points[::step]


@pytest.fixture
def telling(tmp_path):
    """Variables by which a build and all its children tell that they wait."""
    path = tmp_path / "telling"
    path.mkdir()
    (path / "sitecustomize.py").write_text(harness.Meeting.WHEN_IT_WAITS)
    return {"PYTHONPATH": str(path)}


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A directory of this user's alone, for build trees."""
    path = tmp_path / "root"
    path.mkdir(0o700)
    return str(path)
