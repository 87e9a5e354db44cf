"""A process that calls the hooks and lives on keeps nothing of the builds that it made."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

import harness
import pytest
import remains

IS_PYPY = sys.implementation.name == "pypy"
MEETING = harness.Meeting.CODE
TURNS = "[tool.setuptools-isolated-build]\ntake-turns = true\n"
SETUP_PY = """
    from setuptools import setup
    setup(name="n", version="1", packages=["p"])
    """


@pytest.mark.parametrize("how", ["held", "in a circle", "dropped"])
def test_a_distribution_that_was_once_made(
    how, project, plugged, start, meeting, tmp_path
):
    """It has run no command and never will, so nobody waits for it."""
    source = project(
        {"setup.py": SETUP_PY, "p/__init__.py": "", "pyproject.toml": TURNS}
    )
    code = MEETING + textwrap.dedent(
        f"""
        import gc
        from setuptools import Distribution
        gc.disable()
        made = Distribution()
        if {how == "in a circle"}:
            made.itself = made
        if {how != "held"}:
            del made
        meet("made")
        """
    )
    idle = plugged.start([str(plugged.python), "-c", code], source, meeting.variables)
    with harness.many([idle]):
        assert meeting.arrival() == "made"
        other = start(plugged, source, "wheel", "other")
        output = other.finish(timeout=30)
        assert other.status == 0, output
        meeting.let_go("made")
        idle.finish()


# After setup() the hook itself fails, or setup.py does. OUT is the result directory.
FAILURES = {
    "the wheel is gone": """
        for path in pathlib.Path(os.environ["OUT"]).glob("*/*.whl"):
            os.remove(path)
        """,
    "there are two": """
        for path in pathlib.Path(os.environ["OUT"]).glob("*/*.whl"):
            shutil.copy(path, path.with_name("n-2-py3-none-any.whl"))
        """,
    "setup.py fails": "raise RuntimeError('after setup()')\n",
    "setup.py exits": "raise SystemExit(3)\n",
    "setup.py is interrupted": "raise KeyboardInterrupt\n",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_hook_that_fails_after_its_command(
    failure, project, plugged, start, meeting, tmp_path, tmpdir_of_builds
):
    """The process goes on, and holds the exception with all its frames."""
    fails = f"if 'OUT' in os.environ:\n{textwrap.indent(textwrap.dedent(FAILURES[failure]), '    ')}"
    source = project(
        {
            "setup.py": "import os, pathlib, shutil\n"
            + textwrap.dedent(SETUP_PY)
            + fails,
            "p/__init__.py": "",
            "pyproject.toml": TURNS,
        }
    )
    out = tmp_path / "out"
    code = MEETING + textwrap.dedent(
        """
        import gc, os
        from setuptools import build_meta
        gc.disable()
        try:
            build_meta.build_wheel(os.environ["OUT"])
        except BaseException as exc:
            held = exc
        print("failed:", repr(held))
        meet("failed")
        """
    )
    idle = plugged.start(
        [str(plugged.python), "-c", code],
        source,
        {**meeting.variables, "OUT": str(out)},
    )
    with harness.many([idle]):
        assert meeting.arrival() == "failed"
        assert remains.litter(tmpdir_of_builds) == []
        assert list(out.iterdir()) == []
        other = start(plugged, source, "wheel", "other")
        output = other.finish(timeout=30)
        assert other.status == 0, output
        meeting.let_go("failed")
        output = idle.finish()
        assert "failed: " in output


BALLAST = 1 << 20
# The command class is made anew by each build, as setup.py is run anew.
HEAVY = f"""
    import os
    from setuptools import setup
    from setuptools.command.build_py import build_py

    class heavy(build_py):
        ballast = bytearray(os.urandom(16)) * ({BALLAST} // 16)
        def run(self):
            super().run()
            if "FAILS" in os.environ:
                raise RuntimeError("this build fails")

    setup(name="n", version="1", packages=["p"], cmdclass={{"build_py": heavy}})
    if "FAILS_LATER" in os.environ:
        raise RuntimeError("this build fails after its command")
    """
# How much more one process holds after its builds than after the first three of them.
GROWTH = """
import contextlib, gc, os, shutil, sys, tracemalloc
from setuptools import build_meta
from distutils import dir_util

builds, out = int(sys.argv[1]), sys.argv[2]
del sys.argv[1:]
hooks = {
    "build_wheel": (out,), "build_sdist": (out,), "build_editable": (out,),
    "get_requires_for_build_wheel": (), "prepare_metadata_for_build_wheel": (out,),
}
quiet, loud = os.open(os.devnull, os.O_WRONLY), os.dup(1)

def held():
    gc.collect()
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    classes = sum(isinstance(x, type) and x.__name__ == "heavy" for x in gc.get_objects())
    return tracemalloc.get_traced_memory()[0], descriptors, classes

def build(number):
    name = list(hooks)[number % len(hooks)] if "FAILS" not in os.environ else "build_wheel"
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out)
    os.dup2(quiet, 1)
    # Older setuptools does not make a directory again that it has made once.
    getattr(dir_util, "_path_created", {}).clear()
    try:
        getattr(build_meta, name)(*hooks[name])
    except Exception as exc:
        if "this build fails" not in str(exc):
            raise
    finally:
        sys.stdout.flush()
        os.dup2(loud, 1)

tracemalloc.start()
for number in range(5):
    build(number)
first = held()
for number in range(builds):
    build(number)
print("grown:", *(now - then for now, then in zip(held(), first)))
"""


def growth(environment, source, out, builds, variables):
    """Return how many bytes, descriptors and classes more *builds* builds hold."""
    argv = [
        str(environment.python),
        "-W",
        "ignore",
        "-c",
        GROWTH,
        str(builds),
        str(out),
    ]
    run = environment.start(argv, source, variables)
    output = run.finish()
    assert run.status == 0, output
    return [int(number) for number in output.partition("grown: ")[2].split()]


@pytest.mark.skipif(
    os.name == "nt", reason="descriptors are moved by the means of POSIX"
)
@pytest.mark.skipif(IS_PYPY, reason="there is no tracemalloc")
@pytest.mark.parametrize(
    "ends", ["well", pytest.param("FAILS", marks=pytest.mark.long), "FAILS_LATER"]
)
def test_flat(ends, project, plain, plugged, tmp_path, request):
    """In memory, descriptors and classes, as with setuptools alone."""
    builds = request.config.getoption("--builds") * (2 if ends == "well" else 1)
    source = project({"setup.py": HEAVY, "p/__init__.py": ""})
    variables = {} if ends == "well" else {ends: "1"}
    out = tmp_path / "out"
    ours = growth(plugged, source, out, builds, variables)
    theirs = growth(plain, harness.copy(source, tmp_path / "o"), out, builds, variables)
    print("grown by bytes, descriptors, classes:", theirs, ours)
    # setuptools itself holds the last one or two.
    assert ours[1] <= theirs[1]
    assert ours[2] <= theirs[2] + 1
    assert ours[0] <= theirs[0] + 2 * BALLAST + builds * 2000


IN_A_THREAD = """
import os, threading
from setuptools import setup

def build():
    setup(name="n", version="1", packages=["p"])

threading.stack_size(64 << 20)
thread = threading.Thread(target=build)
thread.start()
thread.join()
"""
# The gap of setuptools' own last step: the old archive is removed before the new one.
WRITE_DOWN_REMOVALS = """
import os, sys
def write_down(event, args):
    if event == "os.remove" and os.fsdecode(args[0]).endswith((".whl", ".tar.gz")):
        if "tmp" not in os.path.basename(os.path.dirname(os.fsdecode(args[0]))):
            with open(os.environ["REMOVED"], "a") as file:
                file.write(os.fsdecode(args[0]) + "\\n")
sys.addaudithook(write_down)
"""


@pytest.mark.parametrize(
    "hook",
    [
        *("wheel", "sdist", "editable"),
        pytest.param("metadata", marks=pytest.mark.long),
        pytest.param("requires", marks=pytest.mark.long),
    ],
)
@pytest.mark.skipif(IS_PYPY, reason="removals are no audit events there")
def test_setup_in_a_thread(hook, project, plain, plugged, tmp_path, tmpdir_of_builds):
    """It is the hook's all the same: private, and its last step is mended."""
    source = project({"setup.py": IN_A_THREAD, "p/__init__.py": ""})
    removed = tmp_path / "removed"
    variables = remains.hooked(tmp_path / "hooked", WRITE_DOWN_REMOVALS)
    variables["REMOVED"] = str(removed)
    pristine = harness.copy(source, tmp_path / "pristine")
    products = []
    for environment in (plain, plugged):
        out = tmp_path / f"out{len(products)}"
        out.mkdir()
        before = harness.listing(source)
        for _ in range(2):  # the second one replaces an archive
            command = environment.command(hook, source, out)
            run = environment.start(command, source, variables)
            output = run.finish()
            assert run.status == 0, output
        products.append(harness.product(out, output))
        if environment is plain:
            if hook in ("wheel", "sdist"):
                removed.unlink()  # it is there, or this test proves nothing
            shutil.rmtree(source)
            pristine.rename(source)
    assert harness.listing(source) == before
    assert remains.litter(tmpdir_of_builds) == []
    assert products[1] == products[0]
    if hook in ("wheel", "sdist"):
        assert not removed.exists(), removed.read_text()
