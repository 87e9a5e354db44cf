"""Compilations through the extra's ccache: shared, each done once, and always right."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import textwrap
from pathlib import Path

import harness
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(os.name == "nt", reason="ccache is for Unix compilers")

SOURCES = ("one", "three", "two")  # in the order in which they are compiled
HEADER = "include/b/value.h"
SETUP_PY = """
    import os
    from setuptools import Extension, setup
    DIRECTORIES = os.environ.get("DIRECTORIES", "include/a include/b").split()
    FLAGS = os.environ.get("FLAGS", "-O1").split()
    options = dict(include_dirs=DIRECTORIES, extra_compile_args=FLAGS + ["-idirafterlast"],
                   define_macros=[("MACRO", os.environ.get("MACRO", "1"))])
    setup(name="n", version="1", packages=["p"], ext_modules=[
        Extension("p.fast", ["p/one.c", "p/two.c", "p/three.c"], **options)])
    """
MODULE = """
    #include <Python.h>
    #include <value.h>
    #include <environment.h>
    static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "NAME"};
    int NAME_value(void) { return VALUE * 100 + MACRO * 10 + ENVIRONMENT; }
    PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&m); }
    """
OTHER = "#include <value.h>\nint NAME(int x) {{ return x / {} + VALUE + MACRO; }}\n"
FILES = {
    "setup.py": SETUP_PY,
    "p/__init__.py": "",
    "p/one.c": MODULE.replace("NAME", "fast"),
    "p/two.c": OTHER.replace("NAME", "two").format(7),
    "p/three.c": OTHER.replace("NAME", "three").format(7),
    HEADER: "#define VALUE 1\n",
    "include/a/other.h": "",
    "last/environment.h": "#define ENVIRONMENT 1\n",
}
# A compiler that says when it compiles, and waits to be let go; or does so only once.
MEETING_COMPILER = (
    f"#!{sys.executable}\n"
    + harness.Meeting.CODE
    + textwrap.dedent(
        """
    import os, sys
    arguments = sys.argv[1:]
    if "-c" in arguments and "-E" not in arguments and "MEETING_PORT" in os.environ:
        (source,) = (a for a in arguments if a.endswith(".c"))
        once = os.environ.get("MEETING_ONCE")
        if not once or not os.path.exists(once):
            meet(os.environ["WHO"] + " " + os.path.basename(source)[:-2])
            if once:
                os.mkdir(once)
    name = os.path.basename(sys.argv[0])
    os.execvp(name, [name, *arguments])
    """
    )
)


@pytest.fixture
def cached(tmp_path):
    """The variables for builds with an empty cache."""
    return {"CCACHE_DIR": str(tmp_path / "ccache")}


@pytest.fixture
def counters(extra, cached):
    """Ask for what ccache has counted since the last time."""
    last = {}

    def count():
        now = harness.ccache_counters(cached, extra.python.parent / "ccache")
        news = {name: now[name] - last.get(name, 0) for name in now}
        last.update(now)
        return {
            "hits": news["direct_cache_hit"] + news["preprocessed_cache_hit"],
            "direct": news["direct_cache_hit"],
            "misses": news["cache_miss"],
        }

    return count


@pytest.fixture
def meeting_gcc(tmp_path, cached, meeting):
    """The variables for builds whose compilers come to the meeting."""
    directory = tmp_path / "compilers"
    directory.mkdir()
    for name in ("gcc", "clang"):
        (directory / name).write_text(MEETING_COMPILER)
        (directory / name).chmod(0o755)
    return {**cached, "CC": str(directory / "gcc"), "LDSHARED": "gcc -shared"}


def hits(number):
    return {"hits": number, "direct": number, "misses": 0}


MISSES = {"hits": 0, "direct": 0, "misses": 3}


def only_wheel(directory):
    (wheel,) = directory.glob("*.whl")
    return wheel.read_bytes()


def finish(run):
    output = run.finish()
    assert run.status == 0, output
    return output


def test_whatever_the_frontend(project, plain, extra, cached, counters, tmp_path):
    """The first build fills the cache, and all others hit, without a preprocessor."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected").read_bytes()
    before = harness.listing(source)
    for frontend in harness.FRONTENDS:
        wheel = extra.build(source, tmp_path / frontend, frontend, cached)
        assert wheel.read_bytes() == expected
        first = frontend == harness.FRONTENDS[0]
        assert counters() == (MISSES if first else hits(3)), frontend
    assert harness.listing(source) == before


def test_isolated_environments(
    project, plain, extra, at_once, cached, counters, tmp_path
):
    """Each frontend makes one of its own, with a path of its own."""
    requires = '["setuptools", "setuptools-isolated-build[ccache]"]'
    build_system = (
        f'[build-system]\nrequires = {requires}\nbuild-backend = "{extra.backend}"\n'
    )
    source = project({**FILES, "pyproject.toml": build_system})
    expected = harness.oracle(plain, source, tmp_path / "expected").read_bytes()
    python = str(extra.python)
    commands = {
        "pip": ["pip", "wheel", "--no-deps", "--wheel-dir"],
        "build": ["build", "--wheel", "--outdir"],
        "uv": ["uv", "build", "--wheel", "--python", python, "--out-dir"],
    }
    environment = {**cached, "SOURCE_DATE_EPOCH": "1700000000"}
    for name, command in commands.items():
        out = tmp_path / name
        at_once(
            source,
            [[python, "-m", *command, str(out), str(source)]],
            lambda number: environment,
        )
        assert only_wheel(out) == expected
        assert counters() == (MISSES if name == "pip" else hits(3)), name


@pytest.mark.parametrize("modules", ["one", "three", "three, one object"])
def test_one_flight_per_object(
    modules, project, plain, extra, meeting_gcc, meeting, counters, start, tmp_path
):
    """The second build compiles what the first has not, and waits for what it has."""
    files = dict(FILES)
    if modules != "one":
        shared = ', "p/shared.c"' if "object" in modules else ""
        extensions = "".join(
            f'Extension("p.{name}", ["p/{name}.c"{shared}], define_macros=[("M", "{name}")]),'
            for name in SOURCES
        )
        files["setup.py"] = (
            "from setuptools import Extension, setup\n"
            f'setup(name="n", version="1", packages=["p"], ext_modules=[{extensions}])\n'
        )
        for name in SOURCES:
            text = MODULE.replace("NAME", name).replace("#include <value.h>", "")
            text = text.replace("#include <environment.h>", "")
            files[f"p/{name}.c"] = text.replace(
                "VALUE * 100 + MACRO * 10 + ENVIRONMENT", "1"
            )
        if shared:
            files["p/shared.c"] = (
                "#define S(x) #x\n#define T(x) S(x)\nchar *s(void) { return T(M); }\n"
            )
    source = project(files)
    compiler = {key: meeting_gcc[key] for key in ("CC", "LDSHARED")}
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    first = start(extra, source, "wheel", "first", meeting_gcc)
    assert meeting.arrival() == "first one"
    second = start(extra, source, "wheel", "second", meeting_gcc)
    others = ["three", "two"] if modules != "three, one object" else ["shared"]
    for name in others:
        assert meeting.arrival() == f"second {name}"
        meeting.let_go(f"second {name}")
    meeting.let_go("first one")
    if modules == "three, one object":
        # The shared source is compiled for each of them, by whoever comes first.
        for _ in range(4):
            meeting.let_go(meeting.arrival())
    finish(first)
    finish(second)
    count = 6 if modules == "three, one object" else 3
    assert counters() == {"hits": count, "direct": count, "misses": count}
    for who in ("first", "second"):
        assert only_wheel(tmp_path / who) == expected.read_bytes()


@pytest.mark.parametrize("killed", ["all", "only the build"])
@pytest.mark.parametrize("at", SOURCES)
def test_killed_while_compiling(
    at, killed, project, plain, extra, meeting_gcc, meeting, start, tmp_path
):
    """Its lock is free, and the other build compiles the object."""
    source = project(FILES)
    compiler = {key: meeting_gcc[key] for key in ("CC", "LDSHARED")}
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    first = start(extra, source, "wheel", "first", meeting_gcc)
    while (arrived := meeting.arrival()) != f"first {at}":
        meeting.let_go(arrived)
    second = start(extra, source, "wheel", "second", meeting_gcc)
    for name in SOURCES[SOURCES.index(at) + 1 :]:
        assert meeting.arrival() == f"second {name}"
        meeting.let_go(f"second {name}")
    if killed == "all":
        first.kill_session()
    else:
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait(harness.TIMEOUT)
    assert meeting.arrival() == f"second {at}"
    if killed == "only the build":
        meeting.let_go(f"first {at}")  # an orphan, which stores the same object
    meeting.let_go(f"second {at}")
    finish(second)
    assert only_wheel(tmp_path / "second") == expected.read_bytes()
    # In the killed build's place, whose files it removes.
    wheel = extra.build(source, tmp_path / "third", variables=meeting_gcc)
    assert wheel.read_bytes() == expected.read_bytes()


def test_no_flights_without_a_cache(project, plugged, meeting_gcc, meeting, start):
    """Then nobody waits for anybody's object."""
    source = project(FILES)
    runs = [start(plugged, source, "wheel", who, meeting_gcc) for who in "ab"]
    for name in SOURCES:
        assert {meeting.arrival(), meeting.arrival()} == {f"a {name}", f"b {name}"}
        for who in "ab":
            meeting.let_go(f"{who} {name}")
    for run in runs:
        finish(run)


@pytest.mark.parametrize("changed", ["p/one.c", HEADER])
def test_changed_while_compiling(
    changed, project, plain, extra, meeting_gcc, meeting, start, tmp_path
):
    """ccache has hashed the old text, the compiler reads the new one: not stored."""
    source = project(FILES)
    compiler = {key: meeting_gcc[key] for key in ("CC", "LDSHARED")}
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    old = (source / changed).read_text()
    run = start(extra, source, "wheel", "first", meeting_gcc)
    assert meeting.arrival() == "first one"
    new = old.replace("100", "200").replace("VALUE 1", "VALUE 2")
    assert new != old
    (source / changed).write_text(new)
    meeting.let_go("first one")
    for name in ("one", "three", "two"):  # the first of them once more
        assert meeting.arrival() == f"first {name}"
        meeting.let_go(f"first {name}")
    assert "a source was changed meanwhile" in finish(run)
    of_the_new = harness.oracle(plain, source, tmp_path / "new", compiler)
    assert only_wheel(tmp_path / "first") == of_the_new.read_bytes()
    (source / changed).write_text(old)
    wheel = extra.build(source, tmp_path / "second", variables=meeting_gcc)
    assert wheel.read_bytes() == expected.read_bytes()


def test_a_new_header_in_front(project, plain, extra, cached, tmp_path):
    """It is found first, though all files that were included before are the same."""
    source = project(FILES)
    extra.build(source, tmp_path / "first", variables=cached)
    (source / "include" / "a" / "value.h").write_text("#define VALUE 2\n")
    expected = harness.oracle(plain, source, tmp_path / "expected")
    wheel = extra.build(source, tmp_path / "second", variables=cached)
    assert wheel.read_bytes() == expected.read_bytes()


# What changes between two builds: a file's text, or a variable that setup.py or the
# compiler reads.
CHANGES = {
    "p/two.c": [OTHER.replace("NAME", "two").format(n) for n in (7, 8)],
    HEADER: ["#define VALUE 1\n", "#define VALUE 2\n"],
    "include/a/value.h": [None, "#define VALUE 3\n"],
    "MACRO": ["1", "2"],
    "FLAGS": ["-O1", "-O2", "-O1 -DNDEBUG"],
    "DIRECTORIES": ["include/a include/b", "include/b include/a"],
    "CPATH": [None, "environment"],
    "CC": ["gcc", *(["clang"] if shutil.which("clang") else [])],
}
STATES = st.fixed_dictionaries(
    {name: st.sampled_from(CHANGES[name]) for name in CHANGES}
)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=STATES, after=STATES)
def test_whatever_changes(
    before, after, project, plain, extra, meeting_gcc, meeting, tmp_path
):
    """While another build compiles, and back again: the result is a private build's."""
    source = project({**FILES, "environment/environment.h": "#define ENVIRONMENT 2\n"})

    def become(state):
        for name in CHANGES:
            if "/" in name and state[name] is None:
                (source / name).unlink(missing_ok=True)
            elif "/" in name:
                (source / name).write_text(state[name])
        variables = {name: state[name] for name in CHANGES if "/" not in name}
        variables["LDSHARED"] = f"{state['CC']} -shared"
        variables["CC"] = str(Path(meeting_gcc["CC"]).with_name(state["CC"]))
        return {name: value for name, value in variables.items() if value}

    def check(variables, run):
        output = run.finish()
        assert run.status == 0, output
        shutil.rmtree(tmp_path / "expected", ignore_errors=True)
        expected = harness.oracle(plain, source, tmp_path / "expected", variables)
        assert only_wheel(out) == expected.read_bytes(), output
        shutil.rmtree(out)

    out = tmp_path / "out"
    cache = {"CCACHE_DIR": str(tmp_path / f"ccache-{len(list(tmp_path.iterdir()))}")}
    once = tmp_path / "once"
    shutil.rmtree(once, ignore_errors=True)

    def start(where, others):
        return extra.start(extra.command("hook", source, where), source, cache | others)

    variables = become(before)
    held = {**meeting.variables, "WHO": "first", "MEETING_ONCE": str(once)}
    first = start(tmp_path / "first", variables | held)
    with harness.many([first]):
        assert meeting.arrival() == "first one"
        variables = become(after)
        second = start(out, variables)
        with harness.many([second]):
            meeting.let_go("first one")
            check(variables, second)
        first.finish()
    variables = become(before)
    check(variables, start(out, variables))
