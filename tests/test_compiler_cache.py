"""Compilations through the extra's ccache: shared, each done once, and always right."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import harness
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="ccache is for Unix compilers"),
]

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
    #include <value.h>
    #include <environment.h>
    int NAME_value(void) { return VALUE * 100 + MACRO * 10 + ENVIRONMENT; }
    void *PyInit_NAME(void) { return 0; }
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
# Python's headers cost more than all else, and are of interest where paths are.
WITH_HEADERS = {**FILES, "p/one.c": f"#include <Python.h>\n{FILES['p/one.c']}"}
# A compiler that says when it compiles, and waits to be let go; or does so only once.
# A program and no script, since scripts are not compiled through the cache.
MEETING_COMPILER = """
    #include <libgen.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/wait.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        int compiles = 0, asked = 0, status = 0;
        for (int i = 1; i < argc; i++) {
            compiles |= strcmp(argv[i], "-c") == 0;
            asked |= strcmp(argv[i], "-###") == 0;
        }
        if (compiles && !asked && getenv("MEETING_PORT")) {
            if (fork() == 0) {
                char **python = calloc(argc + 3, sizeof *python);
                python[0] = "PYTHON", python[1] = "-S", python[2] = "SCRIPT";
                memcpy(python + 3, argv + 1, (argc - 1) * sizeof *python);
                return execv(python[0], python);
            }
            wait(&status);
            if (status) return 1;
        }
        argv[0] = basename(argv[0]);
        return execvp(argv[0], argv);
    }
    """
MEETING_SCRIPT = harness.Meeting.CODE + textwrap.dedent(
    """
    import os, sys
    (source,) = (a for a in sys.argv[1:] if a.endswith(".c"))
    once = os.environ.get("MEETING_ONCE")
    if not once or not os.path.exists(once):
        meet(os.environ["WHO"] + " " + os.path.basename(source)[:-2])
        if once:
            os.mkdir(once)
    """
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
    script = directory / "meeting.py"
    script.write_text(MEETING_SCRIPT)
    text = MEETING_COMPILER.replace("PYTHON", sys.executable)
    source = directory / "meeting.c"
    source.write_text(text.replace("SCRIPT", str(script)))
    subprocess.run(["gcc", source, "-o", directory / "gcc"], check=True)
    shutil.copy(directory / "gcc", directory / "clang")
    # In setuptools' order: what comes at once is in test_parallel.
    one = {"SETUPTOOLS_ISOLATED_BUILD_JOBS": "1"}
    return {**cached, **one, "CC": str(directory / "gcc"), "LDSHARED": "gcc -shared"}


OWN_COMMAND = """
from setuptools.command.build_ext import build_ext
class own(build_ext):
    def build_extension(self, ext):
        super().build_extension(ext)
        assert os.path.exists(self.get_ext_fullpath(ext.name))
"""


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
    source = project(WITH_HEADERS)
    expected = harness.oracle(plain, source, tmp_path / "expected").read_bytes()
    before = harness.listing(source)
    for frontend in harness.FRONTENDS:
        wheel = extra.build(source, tmp_path / frontend, frontend, cached)
        assert wheel.read_bytes() == expected
        first = frontend == harness.FRONTENDS[0]
        assert counters() == (MISSES if first else hits(3)), frontend
    assert harness.listing(source) == before


def test_isolated_environments(
    requirements, project, plain, extra, at_once, cached, counters, tmp_path
):
    """Each frontend makes one of its own, with a path of its own."""
    if requirements == [harness.SYSTEM]:
        pytest.skip("the system's setuptools is in none of them")
    requires = json.dumps([*requirements, "setuptools-isolated-build[ccache]"])
    build_system = (
        f'[build-system]\nrequires = {requires}\nbuild-backend = "{extra.backend}"\n'
    )
    source = project({**WITH_HEADERS, "pyproject.toml": build_system})
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


# Longer than anybody waits for a lock by default.
SLOWLY = "one, for a minute"


@pytest.mark.parametrize(
    "modules",
    [
        *("one", "one, own command", "three", "three, one object"),
        pytest.param(SLOWLY, marks=pytest.mark.long),
    ],
)
def test_one_flight_per_object(
    modules, project, plain, extra, meeting_gcc, meeting, counters, start, tmp_path
):
    """The second build compiles what the first has not, and waits for what it has."""
    files = dict(FILES)
    if modules == "one, own command":
        # What it does after each extension may need the extension.
        files["setup.py"] = (
            textwrap.dedent(SETUP_PY)
            .replace("setup(", 'setup(cmdclass={"build_ext": own}, ')
            .replace("DIRECTORIES", OWN_COMMAND + "DIRECTORIES", 1)
        )
    elif modules not in {"one", SLOWLY}:
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
    others = ["shared"] if modules == "three, one object" else ["three", "two"]
    for name in others:
        assert meeting.arrival() == f"second {name}"
        meeting.let_go(f"second {name}")
    if modules == SLOWLY:
        with pytest.raises(socket.timeout):  # the second one waits
            meeting.arrival(65)
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


# What a project does around a compilation may need its object, or another compiler.
WRAPPED_COMPILE = """
from setuptools.command.build_ext import build_ext
class own(build_ext):
    def build_extensions(self):
        compile_one = self.compiler._compile
        def compile_and_look(obj, *args):
            program, self.compiler.compiler_so[0] = self.compiler.compiler_so[0], CC
            try:
                compile_one(obj, *args)
            finally:
                self.compiler.compiler_so[0] = program
            assert os.path.exists(obj)
        self.compiler._compile = compile_and_look
        super().build_extensions()
CC = os.environ["CC"]
os.environ["CC"] = "no-such-compiler"
"""
PARALLEL = """
from setuptools.command.build_ext import build_ext
class own(build_ext):
    def finalize_options(self):
        super().finalize_options()
        self.parallel = 3
    def build_extension(self, ext):
        super().build_extension(ext)
        assert os.path.exists(self.get_ext_fullpath(ext.name))
"""


@pytest.mark.parametrize("own", ["_compile", "build_extension"])
def test_flights_that_are_not_put_off(
    own, project, plain, extra, meeting_gcc, meeting, counters, start, tmp_path
):
    """Where somebody else has a part in it, a build waits, and each object is whole."""
    setup_py = textwrap.dedent(SETUP_PY)
    if own == "_compile":
        code = WRAPPED_COMPILE
    else:
        code = PARALLEL
        extensions = "".join(
            f'Extension("p.{name}", ["p/{name}.c"], **options),' for name in SOURCES
        )
        setup_py = setup_py[: setup_py.index("setup(")] + (
            f'setup(name="n", version="1", packages=["p"], ext_modules=[{extensions}])\n'
        )
    setup_py = setup_py.replace("setup(", 'setup(cmdclass={"build_ext": own}, ')
    files = {
        **FILES,
        "setup.py": setup_py.replace("DIRECTORIES", code + "DIRECTORIES", 1),
    }
    if own == "build_extension":
        files |= {f"p/{name}.c": MODULE.replace("NAME", name) for name in SOURCES}
    source = project(files)
    compiler = {key: meeting_gcc[key] for key in ("CC", "LDSHARED")}
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    first = start(extra, source, "wheel", "first", meeting_gcc)
    held = meeting.arrival()
    second = start(extra, source, "wheel", "second", meeting_gcc)
    meeting.let_go(held)
    for _ in range(2):
        meeting.let_go(meeting.arrival())
    finish(first)
    finish(second)
    assert counters() == {"hits": 3, "direct": 3, "misses": 3}
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


# A compiler that is killed once, as for want of memory. A program, see above.
KILLED_COMPILER = """
    #include <signal.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/stat.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        int compiles = 0, is_three = 0;
        for (int i = 1; i < argc; i++) {
            compiles |= strcmp(argv[i], "-c") == 0;
            is_three |= strcmp(argv[i], "p/three.c") == 0;
        }
        if (compiles && is_three && mkdir(getenv("KILLED"), 0700) == 0)
            raise(SIGKILL);
        argv[0] = "gcc";
        return execvp(argv[0], argv);
    }
    """


def test_a_killed_compiler(project, plain, extra, cached, counters, tmp_path):
    """It is run once more, through the cache, which is not what has failed."""
    source = project(FILES)
    program, code = tmp_path / "gcc", tmp_path / "killed.c"
    code.write_text(KILLED_COMPILER)
    subprocess.run(["gcc", code, "-o", program], check=True)
    compiler = {"CC": str(program), "LDSHARED": "gcc -shared"}
    compiler["KILLED"] = str(tmp_path)  # which is there
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    killed = tmp_path / "killed"
    command = extra.command("hook", source, tmp_path / "out")
    variables = {**cached, **compiler, "KILLED": str(killed)}
    output = finish(extra.start(command, source, variables))
    assert killed.exists()
    assert "fails where the compiler does not" not in output
    assert only_wheel(tmp_path / "out") == expected.read_bytes()
    # One that ran beside it is ended. If its object is stored by then, that is found;
    # and ccache may have counted a miss for it, or not yet.
    first = counters()
    assert (first["hits"], first["misses"]) in {(0, 3), (1, 2), (1, 3)}
    extra.build(source, tmp_path / "warm", variables=variables)
    assert counters() == {"hits": 3, "direct": 3, "misses": 0}


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
    for name in ("three", "two"):  # and the first of them not once more
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


def test_a_new_file_that_no_compiler_reads(project, extra, cached, counters, tmp_path):
    """Beside a source at the top of the tree, everything is."""
    setup_py = textwrap.dedent(SETUP_PY).replace("p/one.c", "one.c")
    text = FILES["p/one.c"].replace("<value.h>", '"include/b/value.h"')
    source = project({**FILES, "setup.py": setup_py, "one.c": text})
    extra.build(source, tmp_path / "first", variables=cached)
    assert counters() == MISSES
    (source / "docs").mkdir()
    for name in ("docs/NOTES", "docs/notes.h", "other.h"):
        (source / name).write_text("#error nobody reads this\n")
    extra.build(source, tmp_path / "second", variables=cached)
    assert counters() == hits(3)


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
    settings.get_profile("builds"),
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
    held["SETUPTOOLS_ISOLATED_BUILD_JOBS"] = "1"
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


def fake(directory, name, text):
    """Put a program on the PATH of builds, and return that PATH."""
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text)
    (directory / name).chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


# Called as ``swig -python -o p/one_wrap.c p/one.i``.
SWIG = (
    "#!/bin/sh\nwhile [ $# -gt 1 ]; do [ $1 = -o ] && out=$2; shift; done\ncp $1 $out\n"
)


def test_generated_one_by_one(project, plain, extra, cached, counters, tmp_path):
    """Each extension's source appears, or is written anew, after the others' objects."""
    extensions = [f'Extension("p.{name}", ["p/{name}.i"])' for name in SOURCES]
    text = '#include "value.h"\nvoid *PyInit_{}(void) {{ return 0; }}\nint i = VALUE;\n'
    source = project(
        {
            "setup.py": "from setuptools import Extension, setup\n"
            f'setup(name="n", version="1", ext_modules=[{", ".join(extensions)}])\n',
            "p/value.h": "#define VALUE 1\n",
            **{f"p/{name}.i": text.format(name) for name in SOURCES},
        }
    )
    variables = {**cached, "PATH": fake(tmp_path / "programs", "swig", SWIG)}
    expected = harness.oracle(plain, source, tmp_path / "expected", variables)
    for out in ("first", "second"):
        wheel = extra.build(source, tmp_path / out, variables=variables)
        assert wheel.read_bytes() == expected.read_bytes()
        assert (source / "p" / "one_wrap.c").exists()
        assert counters() == (MISSES if out == "first" else hits(3))


SETTING = "SETUPTOOLS_ISOLATED_BUILD_COMPILER_CACHE"
IS_DELETED = '#!/bin/sh\n[ "$1" = --show-config ] && exit 0\nrm -f "$0"\nexec "$@"\n'
FAILS_ONCE_IT_HAS_RUN = (
    '#!/bin/sh\n[ "$1" = --show-config ] && exit 0\n'
    'mkdir "$0.ran" 2>/dev/null || exit 1\nexec "$@"\n'
)


@pytest.mark.parametrize(
    "text",
    ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nkill -9 $$\n", "#!/nowhere\n", "no program"]
    + [FAILS_ONCE_IT_HAS_RUN, IS_DELETED],
    ids=["fails", "is killed", "no interpreter", "no program", "fails at the second"]
    + ["is deleted"],
)
def test_broken(text, project, plain, extra, tmp_path):
    """The build is right, and says what it did without."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    path = fake(tmp_path / "programs", "ccache", text)
    run = extra.start(
        extra.command("hook", source, tmp_path / "out"),
        source,
        {SETTING: "ccache", "PATH": path},
    )
    output = finish(run)
    assert output.count("fails where the compiler does not") == 1
    assert str(tmp_path / "programs" / "ccache") in output
    assert only_wheel(tmp_path / "out") == expected.read_bytes()


def test_unwritable_directory(project, plain, extra, tmp_path):
    """ccache itself fails then, for each object."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    (tmp_path / "file").touch()
    cached = {"CCACHE_DIR": str(tmp_path / "file" / "ccache")}
    run = extra.start(extra.command("hook", source, tmp_path / "out"), source, cached)
    assert "fails where the compiler does not" in finish(run)
    assert only_wheel(tmp_path / "out") == expected.read_bytes()


def mounted(directory, options, command):
    """Return *command* as it has to be to see a file system on *directory*."""
    script = f'mount {options} "{directory}" && exec "$@"'
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *as_root, "sh", "-c", script, "sh", *command]


def finish_mounted(run):
    output = run.finish()
    if "unshare" in output or "mount:" in output:
        pytest.skip("this user may not mount anything")
    assert run.status == 0, output
    return output


@pytest.mark.parametrize("limit", ["size=20k", "size=120k", "nr_inodes=9"])
def test_full_directory(limit, project, plain, extra, tmp_path):
    """A file system of a few pages: what ccache cannot store is compiled all the same."""
    source = project(WITH_HEADERS)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    small = tmp_path / "small"
    small.mkdir()
    command = extra.command("hook", source, tmp_path / "out")
    run = extra.start(
        mounted(small, f"-t tmpfs -o {limit} none", command),
        source,
        {"CCACHE_DIR": str(small)},
    )
    finish_mounted(run)
    assert only_wheel(tmp_path / "out") == expected.read_bytes()


def test_read_only_file_system(project, plain, extra, cached, tmp_path):
    """A cache that was filled elsewhere, as one in an image: what is in it is found."""
    source = project(FILES)
    extra.build(source, tmp_path / "first", variables=cached)
    (source / "p" / "two.c").write_text(CHANGES["p/two.c"][1])
    expected = harness.oracle(plain, source, tmp_path / "expected")
    directory, results = cached["CCACHE_DIR"], tmp_path / "results"
    command = extra.command("hook", source, tmp_path / "out")
    run = extra.start(
        mounted(directory, f'--bind -o ro "{directory}"', command),
        source,
        # In setuptools' order: the one that cannot be stored is the last.
        {
            **cached,
            "CCACHE_STATSLOG": str(results),
            "SETUPTOOLS_ISOLATED_BUILD_JOBS": "1",
        },
    )
    finish_mounted(run)
    assert only_wheel(tmp_path / "out") == expected.read_bytes()
    counted = results.read_text().split()
    assert [counted.count(f"direct_cache_{what}") for what in ("hit", "miss")] == [2, 1]


def test_directory_that_is_removed(
    project, plain, extra, meeting_gcc, meeting, start, tmp_path
):
    """While a build has it in use: what ccache cannot store is compiled once more."""
    source = project(FILES)
    compiler = {key: meeting_gcc[key] for key in ("CC", "LDSHARED")}
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    run = start(extra, source, "wheel", "first", meeting_gcc)
    arrived = ""
    while arrived != "first two":
        arrived = meeting.arrival()
        if arrived == "first three":
            shutil.rmtree(meeting_gcc["CCACHE_DIR"], ignore_errors=True)
        meeting.let_go(arrived)
    finish(run)
    assert only_wheel(tmp_path / "first") == expected.read_bytes()


def test_a_frontend_that_finds_any_metadata(
    project, plain, extra, cached, counters, finding_any, tmp_path
):
    """That of the project, when the extra's is looked for."""
    data = "Metadata-Version: 2.1\nName: n\nVersion: 1\n"
    source = project({**FILES, "n.egg-info/PKG-INFO": data})
    expected = harness.oracle(plain, source, tmp_path / "expected", finding_any)
    variables = {**finding_any, **cached}
    wheel = extra.build(source, tmp_path / "out", variables=variables)
    assert wheel.read_bytes() == expected.read_bytes()
    assert counters() == MISSES


def test_missing(project, plain, extra, cached, tmp_path):
    """The extra is installed, but its program is gone."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    own = extra.copy(tmp_path / "own", "setuptools")  # the other one is in use
    (own.python.parent / "ccache").unlink()
    run = own.start(own.command("hook", source, tmp_path / "out"), source, cached)
    output = finish(run)
    assert "missing, so compilations are not cached" in output
    assert "setuptools-isolated-build[ccache]" in output
    assert only_wheel(tmp_path / "out") == expected.read_bytes()


@pytest.mark.parametrize("name", ["ccache", "sccache"])
def test_asked_for_by_name(name, project, extra, plain, cached, tmp_path):
    """It has to be on PATH: an error that names the extra, or it is run."""
    source = project(FILES)
    without = tmp_path / "PATH"
    without.mkdir()
    for directory in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(directory).glob("*"):
            (without / program.name).unlink(missing_ok=True)
            (without / program.name).symlink_to(program)
    (without / name).unlink(missing_ok=True)
    command = extra.command("hook", source, tmp_path / "out")
    run = extra.start(command, source, {**cached, SETTING: name, "PATH": str(without)})
    output = run.finish()
    assert run.status == 1
    assert f"there is no {name} on PATH" in output.strip().splitlines()[-1]
    assert "setuptools-isolated-build[ccache]" in output.strip().splitlines()[-1]

    text = '#!/bin/sh\necho "launched $0"\nexec "$@"\n'
    path = fake(tmp_path / "programs", name, text)
    run = extra.start(command, source, {**cached, SETTING: name, "PATH": path})
    output = finish(run)
    assert output.count(f"launched {tmp_path / 'programs' / name}\n") >= 3
    expected = harness.oracle(plain, source, tmp_path / "expected")
    assert only_wheel(tmp_path / "out") == expected.read_bytes()


def test_off(project, extra, cached, tmp_path):
    source = project(FILES)
    extra.build(source, tmp_path / "out", variables={**cached, SETTING: "off"})
    assert not (tmp_path / "ccache").exists()


@pytest.mark.parametrize("how", ["by name", "after another", "by a link"])
@pytest.mark.parametrize("name", ["ccache", "sccache", "distcc"])
def test_already_wrapped(name, how, project, extra, cached, tmp_path):
    """Whoever has put something in front of the compiler gets no second one."""
    text = '#!/bin/sh\necho "launched $0"\n[ "$1" = gcc ] && shift\nexec gcc "$@"\n'
    path = fake(tmp_path / "programs", name, text)
    variables = {**cached, "PATH": path, "CC": f"{name} gcc", "LDSHARED": "gcc -shared"}
    if how == "after another":
        variables["CC"] = f"env A=1 {name} gcc"
    if how == "by a link":
        (tmp_path / "programs" / "cc").symlink_to(name)
        variables["CC"] = "cc"
    source = project(FILES)
    run = extra.start(
        extra.command("hook", source, tmp_path / "out"), source, variables
    )
    assert finish(run).count("launched ") >= 3
    assert not (tmp_path / "ccache").exists()


@pytest.mark.parametrize(
    "argument", ["-MMD", "-frecord-gcc-switches", "-Wmissing-include-dirs"]
)
def test_flags_that_tell_of_the_cache(
    argument, project, plain, extra, cached, tmp_path
):
    """What they write down is what it is without us."""
    source = project(FILES)
    variables = {"FLAGS": f"-O1 {argument}"}
    expected = harness.oracle(plain, source, tmp_path / "expected", variables)
    for out in ("cold", "warm"):
        wheel = extra.build(source, tmp_path / out, variables={**cached, **variables})
        assert wheel.read_bytes() == expected.read_bytes()


def test_the_users_configuration(project, extra, cached, counters, tmp_path):
    """A prefix and files to be hashed of the user's stay in force."""
    source = project(FILES)
    ran = tmp_path / "ran"
    text = f'#!/bin/sh\necho >> "{ran}"\nexec "$@"\n'
    path = fake(tmp_path / "programs", "own-prefix", text)
    (tmp_path / "own").write_text("1")
    variables = {
        **cached,
        "PATH": path,
        "CCACHE_PREFIX": "own-prefix",
        "CCACHE_EXTRAFILES": str(tmp_path / "own"),
    }
    for out, expected in (("a", MISSES), ("b", hits(3)), ("c", MISSES)):
        run = extra.start(
            extra.command("hook", source, tmp_path / out), source, variables
        )
        finish(run)
        assert counters() == expected
        assert ran.read_text().count("\n") == (6 if out == "c" else 3)
        (tmp_path / "own").write_text("2" if out == "b" else "1")


@pytest.mark.parametrize("text", ["#error my own error\n", "int f(my_own error);\n"])
def test_a_compiler_error(text, project, plain, extra, cached, tmp_path):
    """It is the compiler's, and shown once, as without the cache, which stays in use."""
    source = project({**FILES, "p/one.c": text})
    last = set()
    for environment in (plain, extra):
        run = environment.start(
            environment.command("setup.py", source, tmp_path / "out"), source, cached
        )
        output = run.finish()
        assert run.status == 1
        assert len(re.findall(r"error:.*my.own", output)) == 1
        assert "fails where the compiler does not" not in output
        line = output.strip().splitlines()[-1]
        # Newer setuptools repeats the command, with the object's path.
        line = line.partition("'-o'")[0]
        last.add(line.replace(str(environment.python.parent.parent), "venv"))
    assert len(last) == 1


def test_a_colon_in_the_root(project, plain, extra, cached, tmp_path):
    """Lists of paths cannot hold it: nothing is cached, and the output says so."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    root = tmp_path / "with:colon"
    root.mkdir()
    variables = {**cached, "SETUPTOOLS_ISOLATED_BUILD_BUILD_ROOT": str(root)}
    command = extra.command("hook", source, tmp_path / "out")
    output = finish(extra.start(command, source, variables))
    assert "compilations are not cached" in output
    assert "fails" not in output
    assert only_wheel(tmp_path / "out") == expected.read_bytes()


@pytest.mark.parametrize("is_filled", [False, True])
def test_somebody_elses_directory(is_filled, project, plain, extra, tmp_path):
    """ccache cannot write there, and the build does without it."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    for name in ("out", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o755)
    if is_filled:
        cached = {"CCACHE_DIR": str(mine)}
        extra.build(source, tmp_path / "first", variables=cached)
    before = harness.listing(mine)
    variables = {name: str(tmp_path / "theirs") for name in ("TMPDIR", "HOME")}
    command = extra.command("hook", source, tmp_path / "out")
    run = extra.start(
        [*harness.as_another_user(), *command],
        source,
        {**variables, "CCACHE_DIR": str(mine)},
    )
    finish(run)
    assert only_wheel(tmp_path / "out") == expected.read_bytes()
    assert harness.listing(mine) == before


CMAKE_VARIABLES = """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext
    NAMES = ("CMAKE_C_COMPILER_LAUNCHER", "CMAKE_CXX_COMPILER_LAUNCHER")
    class cmake(build_ext):
        def build_extension(self, ext):
            print("launchers:", *(os.environ.get(name) for name in NAMES))
    setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": cmake},
          ext_modules=[Extension("p.fast", [])])
    print("afterwards:", *(os.environ.get(name) for name in NAMES))
    """


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "{0} {0}"),
        ({"CMAKE_C_COMPILER_LAUNCHER": "mine"}, "mine {0}"),
        ({"CC": "ccache gcc"}, "None {0}"),
        ({"CC": "ccache gcc", "CXX": "distcc g++"}, "None None"),
        ({SETTING: "off"}, "None None"),
    ],
)
def test_launchers_for_cmake(variables, expected, project, extra, tmp_path):
    """Unless somebody has set them, or wrapped the compiler."""
    source = project({"setup.py": CMAKE_VARIABLES, "p/__init__.py": ""})
    run = extra.start(
        extra.command("hook", source, tmp_path / "out"), source, variables
    )
    lines = finish(run).splitlines()
    (line,) = (line for line in lines if line.startswith("launchers:"))
    own = [os.path.basename(word) for word in line.split()[1:]]
    assert " ".join(own) == expected.format("setuptools-isolated-build-launcher")
    after = [line for line in lines if line.startswith("afterwards:")][-1]
    mine = variables.get("CMAKE_C_COMPILER_LAUNCHER")
    assert after == f"afterwards: {mine} None"


@pytest.mark.skipif(not shutil.which("redis-server"), reason="there is no redis-server")
def test_several_machines(project, plain, extra, tmp_path):
    """Two directories that share through Redis: the second machine hits for all."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    redis = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert any("eady to accept connections" in line for line in redis.stdout)
        for machine in ("one", "other"):
            variables = {
                "CCACHE_DIR": str(tmp_path / machine),
                "CCACHE_REMOTE_STORAGE": f"redis://127.0.0.1:{port}",
            }
            out = tmp_path / f"out-{machine}"
            wheel = extra.build(source, out, variables=variables)
            assert wheel.read_bytes() == expected.read_bytes()
        counted = harness.ccache_counters(variables, extra.python.parent / "ccache")
        assert counted["cache_miss"] == 0
        assert counted["direct_cache_hit"] == 3
        assert counted["remote_storage_read_hit"] > 0
    finally:
        redis.kill()
        redis.communicate()
