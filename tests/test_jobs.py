"""How many compilers run at once: in one build, and in all builds of a machine."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from itertools import accumulate

import harness
import pytest

if os.name == "nt":
    pytest.skip("it compiles by gcc or clang", allow_module_level=True)

sys.path.append(str(harness.EXAMPLES))
import distcc

JOBS = "SETUPTOOLS_ISOLATED_BUILD_JOBS"
NAMES = "abcd"
FILES = {
    "setup.py": """
        from setuptools import Extension, setup
        setup(name="n", version="1", ext_modules=[
            Extension("a", ["a.c", "b.c", "c.c", "d.c"])])
        """,
    "a.c": "void *PyInit_a(void) { return 0; }\n",
    **{f"{name}.c": f"int {name};\n" for name in "bcd"},
}
# A compiler that writes down when it begins and ends, and comes to the meeting between.
COMPILER = (
    f"#!{sys.executable} -SE\n"
    + harness.Meeting.CODE
    + textwrap.dedent(
        """
    import os, subprocess, sys
    if "-c" not in sys.argv:
        os.execvp("gcc", ["gcc", *sys.argv[1:]])
    counted = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND)
    os.write(counted, b"+")
    source = sys.argv[sys.argv.index("-c") + 1]
    meet(os.environ["WHO"] + " " + source[:-len(".c")])
    status = subprocess.call(["gcc", *sys.argv[1:]])
    os.write(counted, b"-")
    sys.exit(status)
    """
    )
)


@pytest.fixture
def compiler(tmp_path):
    """The variables for builds whose compilers are counted."""
    path, counted = tmp_path / "compiler", tmp_path / "counted"
    path.write_text(COMPILER)
    path.chmod(0o755)
    counted.touch()
    return {
        "CC": str(path),
        "LDSHARED": "gcc -shared",
        "COUNTED": str(counted),
    }


@pytest.fixture
def at_once(tmp_path):
    """Ask for how many compilers have begun, and how many ran at once at most."""

    def count():
        text = (tmp_path / "counted").read_text()
        running = list(accumulate(1 if sign == "+" else -1 for sign in text))
        assert running[-1] == 0
        return text.count("+"), max(running)

    return count


@pytest.mark.parametrize("stated", ["MAX_JOBS", JOBS, "affinity"])
def test_one_at_a_time(stated, project, plugged, compiler, meeting, at_once, tmp_path):
    """In setuptools' order, each one when the one before it is done."""
    source = project(FILES)
    command = plugged.command("hook", source, tmp_path / "out")
    variables = {**compiler, **meeting.variables, "WHO": "it"}
    if stated != "affinity":
        variables[stated] = "1"
    elif not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not say on which cores a process may run")
    else:
        core = min(os.sched_getaffinity(0))
        code = f"import os, sys; os.sched_setaffinity(0, [{core}])"
        code += "; os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", code, *command]
    run = plugged.start(command, source, variables)
    with harness.many([run]):
        for name in NAMES:
            assert meeting.arrival() == f"it {name}"
            meeting.let_go(f"it {name}")
        output = run.finish()
    assert run.status == 0, output
    assert at_once() == (len(NAMES), 1)


def test_ten_builds(project, plugged, compiler, meeting, at_once, start):
    """Each may run one compiler, and all together two more, as there are tokens."""
    source = project(FILES)
    builds = [f"build-{number}" for number in range(10)]
    variables = {**compiler, JOBS: "2"}
    runs = [start(plugged, source, "wheel", who, variables) for who in builds]
    held = []
    # None goes on before all are here: without a pool each would have two by then.
    while {name.partition(" ")[0] for name in held} != set(builds):
        held.append(meeting.arrival())
    for name in held:
        meeting.let_go(name)
    for _ in range(len(builds) * len(NAMES) - len(held)):
        meeting.let_go(meeting.arrival())
    for run in runs:
        output = run.finish()
        assert run.status == 0, output
    total, most = at_once()
    assert total == len(builds) * len(NAMES)
    assert len(builds) <= most <= len(builds) + 2


@pytest.mark.skipif(
    not all(map(shutil.which, distcc.PROGRAMS)), reason="there is no distcc"
)
def test_on_other_machines(project, plain, plugged, tmp_path):
    """More than there are cores; all of it there, and the bytes of one at a time."""
    source = project(FILES)
    directory = tmp_path / "distcc"
    directory.mkdir()
    with distcc.Server() as first, distcc.Server() as second:
        variables = {
            "CC": "distcc gcc",
            "DISTCC_HOSTS": f"{first.host} {second.host}",
            "DISTCC_DIR": str(directory),
            "DISTCC_FALLBACK": "0",
        }
        expected = harness.oracle(plain, source, tmp_path / "expected", variables)
        wheel = plugged.build(
            source, tmp_path / "out", variables={**variables, JOBS: "4"}
        )
    assert first.count + second.count == 2 * len(NAMES)
    assert wheel.read_bytes() == expected.read_bytes()
