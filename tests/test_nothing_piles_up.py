"""After any history of kills the next lone build leaves a bounded set of files."""

from __future__ import annotations

import hashlib
import os
import signal
import textwrap
from pathlib import Path

import harness
import pytest
import remains

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's"),
]
MEETING = harness.Meeting.CODE
MEETS = harness.MEETING_SETUP_PY
FILES = {"setup.py": MEETS, "p/__init__.py": ""}
TURNS = "[tool.setuptools-isolated-build]\ntake-turns = true\n"


def is_trunk(path: Path) -> bool:
    """Whether *path* is a directory in a root and not a mark or a lock."""
    return path.is_dir() and not path.is_symlink()


def test_three_killed_together(
    project, plugged, start, meeting, tmp_path, tmpdir_of_builds
):
    """One lone build removes what all of them have left, and not what it takes itself."""
    source = project(FILES)
    runs = [start(plugged, source, "wheel", who) for who in ("one", "two", "three")]
    assert {meeting.arrival() for _ in runs} == {"one", "two", "three"}
    for run in runs:
        run.kill_session()
    assert remains.litter(tmpdir_of_builds) != []
    plugged.build(source, tmp_path / "out")
    assert remains.litter(tmpdir_of_builds) == []
    (root,) = filter(remains.is_root, tmpdir_of_builds.iterdir())
    assert len([path for path in root.iterdir() if is_trunk(path)]) <= 1
    for who in ("one", "two", "three"):
        assert list((tmp_path / who).iterdir()) == []


def turn_locks(tmp_path: Path) -> list[Path]:
    """Return the lock files of turns in this test's trees, which must be some.

    Whoever begins a turn looks at all that lie there, also at those of other builds.
    """
    paths = map(os.fsencode, tmp_path.iterdir())
    own = {f"turn-{hashlib.sha256(path).hexdigest()[:16]}.lock" for path in paths}
    opened = map(Path, (tmp_path / "turns").read_text().splitlines())
    found = [path for path in opened if path.name in own]
    assert found
    return found


@pytest.fixture
def writes_down_turns(tmp_path):
    """The variables of builds that write down the lock files of their turns."""
    variables = remains.hooked(tmp_path / "hooked", remains.WRITE_DOWN_TURNS)
    return {**variables, "TURNS": str(tmp_path / "turns")}


@pytest.mark.parametrize("by", ["the setting", "hand", "our backend"])
@pytest.mark.parametrize("ends", ["well", "badly"])
def test_locks_of_turns(by, ends, project, plugged, tmp_path, writes_down_turns):
    """There is one for each source path there ever was, unless the turn removes it."""
    fails = "\nraise RuntimeError('after setup()')\n" if ends == "badly" else ""
    for number in range(2):
        files = {**FILES, "setup.py": MEETS + fails}
        if by == "the setting":
            files["pyproject.toml"] = TURNS
        source = project(files, at=f"project{number}")
        if by == "hand":
            status, _ = plugged.setup_py(source, "build", variables=writes_down_turns)
        else:
            environment = harness.Environment(
                plugged.python,
                harness.OUR_BACKEND if by == "our backend" else plugged.backend,
            )
            status, _ = environment.hook(
                source,
                "build_wheel",
                str(tmp_path / "out"),
                variables=writes_down_turns,
            )
        assert (status == 0) == (ends == "well")
    assert [path for path in turn_locks(tmp_path) if path.exists()] == []


def test_locks_of_killed_turns(
    project, plugged, meeting, tmp_path, writes_down_turns, tmpdir_of_builds
):
    """The next lone build removes them, whichever tree it builds."""
    files = {**FILES, "pyproject.toml": TURNS}
    runs = []
    with harness.many(runs):
        for number in range(3):
            source = project(files, at=f"killed{number}")
            command = plugged.command("wheel", source, tmp_path / "killed")
            variables = {**meeting.variables, **writes_down_turns, "WHO": "killed"}
            runs.append(plugged.start(command, source, variables))
            assert meeting.arrival() == "killed"
        for run in runs:
            run.kill_session()
    plugged.build(project(files), tmp_path / "out", variables=writes_down_turns)
    assert [path for path in turn_locks(tmp_path) if path.exists()] == []
    assert remains.litter(tmpdir_of_builds) == []


STATE = MEETING + textwrap.dedent(
    """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext

    class with_state(build_ext):
        def run(self):
            os.makedirs(self.build_temp, exist_ok=True)
            with open(os.path.join(self.build_temp, "state"), "w") as file:
                file.write(os.environ["CFLAGS"])
            if "WHO" in os.environ:
                meet(os.environ["WHO"])

    setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": with_state},
          ext_modules=[Extension("p.x", ["x.c"])])
    """
)
# One process that builds with many flags, and is killed or not while it builds.
MANY_FLAGS = """
import os, signal, sys
from setuptools import build_meta
first, last, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
del sys.argv[1:]
for number in range(first, last):
    pid = os.fork()
    if not pid:
        os.environ["CFLAGS"] = f"-DNUMBER={number}"
        build_meta.build_wheel(out)
        os._exit(0)
    print("status:", os.waitpid(pid, 0)[1], flush=True)
"""


def test_kept_trees_of_other_flags(project, plugged, tmp_path):
    """No more than sixteen stay, killed ones with them, and no directory of none."""
    source = project(
        {
            "setup.py": STATE.replace(
                'meet(os.environ["WHO"])', "os.kill(os.getpid(), 9)"
            ),
            "p/__init__.py": "",
            "x.c": "",
            "pyproject.toml": "[tool.setuptools-isolated-build]\nbuild-dir = '.build'\n",
        }
    )

    def build(first: int, last: int, variables: dict[str, str]) -> list[int]:
        argv = [str(plugged.python), "-c", MANY_FLAGS, str(first), str(last)]
        argv.append(str(tmp_path / "out"))
        run = plugged.start(argv, source, variables)
        output = run.finish()
        assert run.status == 0, output
        lines = output.splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith("status: ")]

    assert build(0, 12, {"WHO": "killed"}) == [signal.SIGKILL] * 12
    assert build(12, 24, {}) == [0] * 12
    assert build(24, 36, {"WHO": "killed"}) == [signal.SIGKILL] * 12
    assert build(36, 37, {}) == [0]
    states = list((source / ".build").rglob("state"))
    assert 1 <= len(states) <= 16
    assert "-DNUMBER=36" in {path.read_text() for path in states}
    # The directories down to where the trees are, and no others.
    used = {parent for path in states for parent in path.parents}
    tops = {path for path in (source / ".build").glob("*/*") if is_trunk(path)}
    tops |= {path for path in (source / ".build").iterdir() if is_trunk(path)}
    assert [path for path in tops if path not in used and not any_file(path)] == []
    assert len(list((source / ".build").rglob("*.lock"))) <= 17


def any_file(path: Path) -> bool:
    """Whether there is anything but lock files below *path*."""
    return any(file.suffix != ".lock" for file in path.rglob("*") if file.is_file())


# Counts the file operations after the failure, and kills the build at the Nth of them.
KILLED_AFTER_ITS_FAILURE = """
import atexit, os, signal, sys
EVENTS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree",
          "os.listdir", "os.scandir", "os.chmod"}
count = None
def fail():
    global count
    count = 0
    raise RuntimeError("this build fails")
def hook(event, args):
    global count
    if count is None or event not in EVENTS:
        return
    count += 1
    if count == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
atexit.register(lambda: print("operations:", count))
"""


@pytest.mark.parametrize(
    "hook", ["wheel", pytest.param("sdist", marks=pytest.mark.long)]
)
def test_killed_after_its_failure(hook, project, plugged, tmp_path, tmpdir_of_builds):
    """Whatever it was about to remove, the next build does."""
    source = project(
        {
            "setup.py": """
                import os
                from setuptools import setup
                from setuptools.command.egg_info import egg_info

                class failing(egg_info):
                    def run(self):
                        super().run()
                        if "KILL_AT" in os.environ:
                            import sitecustomize
                            sitecustomize.fail()

                setup(name="n", version="1", packages=["p"], cmdclass={"egg_info": failing})
                """,
            "p/__init__.py": "",
        }
    )
    out = tmp_path / "out"
    hooked = remains.hooked(tmp_path / "hooked", KILLED_AFTER_ITS_FAILURE)
    command = plugged.command(hook, source, out)

    def build(kill_at: int) -> tuple[int, str]:
        variables = {**hooked, "KILL_AT": str(kill_at)}
        run = plugged.start(command, source, variables)
        output = run.finish()
        return run.status, output

    status, output = build(0)
    assert status not in (0, -signal.SIGKILL)
    assert "this build fails" in output
    operations = int(output.split("operations:")[1].split()[0])
    assert operations > 1
    # Not one after the other kill: what stays, stays for good, and is seen at the end.
    step = max(1, operations // 12)
    for kill_at in range(1, operations + 1, step):
        build(kill_at)
    plugged.hook(source, f"build_{hook}", str(out))
    (archive,) = out.iterdir()
    assert archive.name.startswith("n-1")
    assert remains.litter(tmpdir_of_builds) == []
