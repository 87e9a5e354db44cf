"""Builds killed at many points, while others run: the others and the next ones win."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import harness
import pytest

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's"),
]

# Counts what the build does to files once it has its tree, and kills it at the Nth.
SETUP_PY = (
    "import os, signal, sys\n"
    + harness.Meeting.CODE
    + """
KILL_AT = int(os.environ.get("KILL_AT", -1))
EVENTS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "subprocess.Popen"}
count = None
def hook(event, args):
    global count
    if event not in EVENTS:
        return
    if count is None:
        if event == "open" and str(args[0]).endswith("/staging"):
            count = 0
        return
    count += 1
    if count == KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)
if KILL_AT >= 0:
    sys.addaudithook(hook)
    import atexit
    atexit.register(lambda: print("operations:", count))

from setuptools import Extension, setup
from setuptools.command.build_py import build_py
class meeting_build_py(build_py):
    def run(self):
        super().run()
        if "MEETING_PORT" in os.environ:
            meet("built")
setup(
    name="n", version="1", packages=["p"], cmdclass={"build_py": meeting_build_py},
    ext_modules=[Extension("p.fast", ["p/fast.c"])],
)
"""
)


@pytest.fixture
def source(project):
    return project(
        {"setup.py": SETUP_PY, "p/__init__.py": "", "p/fast.c": harness.FAST_C}
    )


def root_of(tmpdir: Path) -> Path:
    return tmpdir / f"setuptools-isolated-build-{harness.user()}"


def operations(environment, command, source, variables=None):
    """Count what a build does to files, with whatever it finds there."""
    counted = environment.start(command, source, {**(variables or {}), "KILL_AT": "0"})
    output = counted.finish()
    assert counted.status == 0, output
    return done_by(output)


def done_by(output):
    """Return the number of operations that a build has told at its end, or None."""
    _, found, told = output.partition("operations:")
    return int(told.split()[0]) if found else None


@pytest.mark.parametrize(("frontend", "step"), [("hook", 2), ("setup.py", 4)])
def test_killed(
    source, plain, plugged, some, tmp_path, tmpdir_of_builds, frontend, step
):
    """Points between the first file operation of a build and its last."""
    expected = harness.digest(harness.oracle(plain, source, tmp_path / "expected"))
    before = harness.listing(source)
    out = tmp_path / "out"
    command = plugged.command(frontend, source, out)
    points = some(range(16, 0, -1), step)
    # The first build of all writes Python's caches too.
    count = min(operations(plugged, command, source) for _ in range(2))
    for sixteenth in points:
        kill_at = max(1, count * sixteenth // 16)
        killed = {"KILL_AT": str(kill_at)}
        # The other one begins after it, or before it.
        both = [killed, {}] if points.index(sixteenth) % 2 else [{}, killed]
        runs = [plugged.start(command, source, variables) for variables in both]
        with harness.many(runs):
            outputs = [run.finish() for run in runs]
        for variables, run, output in zip(both, runs, outputs):
            # Beside another one, which has made directories, there is less to do.
            done = done_by(output)
            is_killed = variables and (done is None or done >= kill_at)
            status = -signal.SIGKILL if is_killed else 0
            assert run.status == status, (sixteenth, outputs)
        assert harness.digest(out / f"n-1-{tag(out)}.whl") == expected

        # A lone build removes all that is left, whatever tree it leases.
        wheel = plugged.build(source, out, frontend)
        assert [path.name for path in out.iterdir()] == [wheel.name]
        assert harness.digest(wheel) == expected
        assert harness.leftovers(root_of(tmpdir_of_builds)) == [], sixteenth
        assert harness.listing(source) == before


def test_killed_with_a_compiler_cache(
    source, plain, extra, some, tmp_path, tmpdir_of_builds
):
    """The others go on, and what it has put into the cache is right."""
    expected = harness.digest(harness.oracle(plain, source, tmp_path / "expected"))
    cache, out = tmp_path / "ccache", tmp_path / "out"
    variables = {"CCACHE_DIR": str(cache)}
    command = extra.command("hook", source, out)
    counts = []
    for _ in range(2):
        counts.append(operations(extra, command, source, variables))
        shutil.rmtree(cache)
    for eighth in some(range(1, 9)):
        kill_at = max(1, min(counts) * eighth // 8)
        runs = [
            extra.start(command, source, {**variables, **more})
            for more in ({"KILL_AT": str(kill_at)}, {})
        ]
        with harness.many(runs):
            outputs = [run.finish() for run in runs]
        # Where the other one has compiled the object, there is less to do.
        done = done_by(outputs[0])
        status = -signal.SIGKILL if done is None or done >= kill_at else 0
        assert [run.status for run in runs] == [status, 0], (eighth, outputs)
        assert harness.digest(out / f"n-1-{tag(out)}.whl") == expected
        warm = tmp_path / f"warm-{eighth}"
        wheel = extra.build(source, warm, variables=variables)
        assert harness.digest(wheel) == expected
        shutil.rmtree(cache)
        # What the killed one has left.
        shutil.rmtree(root_of(tmpdir_of_builds))


def tag(out: Path) -> str:
    (wheel,) = out.glob("*.whl")
    return wheel.stem[len("n-1-") :]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(source, plugged, meeting, tmp_path, tmpdir_of_builds, sent):
    """Ctrl-C cleans up at once; what SIGTERM leaves goes with the next build."""
    out = tmp_path / "out"
    command = plugged.command("hook", source, out)
    before = harness.listing(source)
    run = plugged.start(command, source, meeting.variables)
    assert meeting.arrival() == "built"
    os.kill(run.process.pid, sent)
    output = run.finish()
    assert run.status != 0, output
    if sent == signal.SIGTERM:
        plugged.build(source, out)
        (out / f"n-1-{tag(out)}.whl").unlink()
    assert list(out.iterdir()) == []
    assert harness.leftovers(root_of(tmpdir_of_builds)) == []
    assert harness.listing(source) == before


def test_failing_build(project, plugged, tmp_path, tmpdir_of_builds):
    """A build that fails leaves nothing, in the tree or beside it."""
    source = project(
        {
            "setup.py": "from setuptools import Extension, setup\n"
            "setup(name='n', version='1', ext_modules=[Extension('x', ['x.c'])])\n",
            "x.c": "#error broken\n",
        }
    )
    before = harness.listing(source)
    for frontend in ("hook", "setup.py"):
        run = plugged.start(plugged.command(frontend, source, tmp_path / "out"), source)
        output = run.finish()
        assert run.status == 1
        assert [x for x in output.splitlines() if x.startswith("error: ")]
        assert harness.leftovers(root_of(tmpdir_of_builds)) == []
        assert harness.listing(source) == before
        assert list((tmp_path / "out").iterdir()) == []


def test_children_of_a_build(project, plugged, tmp_path):
    """Forked and spawned workers of a build step leave its tree alone."""
    source = project(
        {
            "setup.py": """
                import multiprocessing, os, sys
                import work
                from setuptools import setup
                from setuptools.command.build_py import build_py
                class parallel(build_py):
                    def run(self):
                        super().run()
                        for method in multiprocessing.get_all_start_methods():
                            context = multiprocessing.get_context(method)
                            with context.Pool(2) as pool:
                                pool.map(work.write, [self.build_lib + "/" + method] * 2)
                        if hasattr(os, "fork"):
                            pid = os.fork()
                            if pid == 0:
                                sys.exit(0)  # runs the atexit handlers
                            os.waitpid(pid, 0)
                        assert os.path.isdir(self.build_lib)
                if __name__ == "__main__":
                    setup(name="n", version="1", py_modules=["m"],
                          cmdclass={"build_py": parallel})
                """,
            "m.py": "",
            "work.py": """
                def write(path):
                    with open(path + ".txt", "w") as file:
                        file.write("done")
                """,
        }
    )
    variables = {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    wheel = plugged.build(source, tmp_path / "out", "setup.py", variables)
    names = [name for name, *_ in harness.wheel_contents(wheel)]
    assert "spawn.txt" in names
    assert "m.py" in names


def test_one_process_builds_many(project, plugged, tmp_path, tmpdir_of_builds):
    """An in-process caller of the hooks piles nothing up, and gets whole wheels."""
    source = project(
        {
            "setup.py": "from setuptools import setup\nsetup(name='n', version='1', packages=['p'])\n",
            "p/__init__.py": "",
        }
    )
    code = f"""
import os, sys
from setuptools import build_meta
root = {str(root_of(tmpdir_of_builds))!r}
for number in range(5):
    build_meta.get_requires_for_build_wheel()
    out = {str(tmp_path)!r} + f"/out{{number}}"
    assert build_meta.build_wheel(out) == "n-1-py3-none-any.whl"
    names = [name for name in os.listdir(root) if name.startswith("tree-")]
    assert len(names) == 1, names
    assert os.listdir(os.path.join(root, names[0])) == ["idle"]
"""
    run = plugged.start([str(plugged.python), "-c", code], source)
    output = run.finish()
    assert run.status == 0, output
    wheels = {harness.digest(path) for path in tmp_path.glob("out*/*.whl")}
    assert len(wheels) == 1
