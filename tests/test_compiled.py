"""Compiled bytes: the build tree's path is not in them, whatever was generated there."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig

import harness
import pytest

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
# Sources, a header and a library, generated in build_temp as cffi, swig and others do.
GENERATING = """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext
    from setuptools.command.build_clib import build_clib

    MODULE = '''
    #include <assert.h>
    #include <Python.h>
    #include "generated.h"
    int library(void);
    static const char *file = __FILE__;
    static PyObject *where(PyObject *self, PyObject *args) {
        assert(answer() == 42);
        return PyUnicode_FromFormat("%s %d", file, library());
    }
    static PyMethodDef methods[] = {{"where", where, METH_NOARGS, ""}, {0}};
    static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "NAME", 0, -1, methods};
    PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&m); }
    '''

    def generate(directory, name, text):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    class generating_clib(build_clib):
        def build_libraries(self, libraries):
            for _, info in libraries:
                text = "int library(void) { return __FILE__[0] != 0; }\\n"
                info["sources"] = [generate(self.build_temp, "library.c", text)]
            super().build_libraries(libraries)

    class generating(build_ext):
        def run(self):
            self.run_command("build_clib")
            for ext in self.extensions:
                name = ext.name.rpartition(".")[2]
                text = MODULE.replace("NAME", name)
                if name == "plus":
                    text = text.replace("int library", 'extern "C" int library')
                suffix = "cpp" if name == "plus" else "c"
                include = os.path.join(self.build_temp, "include")
                ext.sources = [
                    generate(self.build_temp, name + "." + suffix, text)]
                ext.include_dirs.append(include)
                header = "static int answer(void) { return __FILE__[0] ? 42 : 0; }\\n"
                generate(include, "generated.h", header)
            super().run()

    setup(name="n", version="1", packages=["p"],
          libraries=[("library", {"sources": ["library.c"]})],
          cmdclass={"build_ext": generating, "build_clib": generating_clib},
          ext_modules=[Extension("p.plain", ["x.c"], undef_macros=["NDEBUG"]),
                       Extension("p.plus", ["x.cpp"], undef_macros=["NDEBUG"])])
    """
FILES = {
    "setup.py": GENERATING,
    "p/__init__.py": "",
    "library.c": "",
    "x.c": "",
    "x.cpp": "",
}


CFFI = """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext

    class generating(build_ext):
        def run(self):
            (ext,) = self.extensions
            os.makedirs(self.build_temp, exist_ok=True)
            path = os.path.join(self.build_temp, "made.c")
            with open(path, "w") as file:
                file.write('#include "own.h"\\nPyMODINIT_FUNC PyInit_made(void) {'
                           ' return PyModule_Create(own(__FILE__)); }\\n')
            ext.sources = [path]
            super().run()

    setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": generating},
          ext_modules=[Extension("p.made", ["x.c"], include_dirs=["include"])])
    """
CFFI_FILES = {
    "setup.py": CFFI,
    "p/__init__.py": "",
    "x.c": "",
    "include/own.h": """
        #include <Python.h>
        static struct PyModuleDef made = {PyModuleDef_HEAD_INIT, "made"};
        static struct PyModuleDef *own(const char *file) {
            made.m_doc = file[0] == __FILE__[0] ? file : __FILE__;
            return &made;
        }
        """,
}


# The source is in the tree, and a header of it is generated.
HEADER = """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext

    class generating(build_ext):
        def run(self):
            (ext,) = self.extensions
            os.makedirs(self.build_temp, exist_ok=True)
            with open(os.path.join(self.build_temp, "config.h"), "w") as file:
                file.write('static const char *config(void) { return __FILE__; }\\n')
            ext.include_dirs.append(self.build_temp)
            super().run()

    setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": generating},
          ext_modules=[Extension("p.made", ["DIRmade.c"], include_dirs=["include"])])
    """
HEADER_FILES = {
    "p/__init__.py": "",
    "DIRmade.c": """
        #include "own.h"
        #include "beside.h"
        #include "config.h"
        PyMODINIT_FUNC PyInit_made(void) {
            beside(config()); return PyModule_Create(own(__FILE__)); }
        """,
    "DIRbeside.h": """
        static int beside(const char *file) { return file[0] == __FILE__[0]; }
        """,
    "include/own.h": CFFI_FILES["include/own.h"],
}
IN_TREE, AT_TOP = (
    {
        "setup.py": HEADER.replace("DIR", at),
        **{name.replace("DIR", at): text for name, text in HEADER_FILES.items()},
    }
    for at in ("p/", "")
)


def variables(compiler):
    plus = {"gcc": "g++", "clang": "clang++"}[compiler]
    return {"CC": compiler, "CXX": plus, "LDSHARED": f"{compiler} -shared"}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_generated_sources(compiler, project, same_wheel):
    """The bytes of a build without the plugin."""
    same_wheel(project(FILES), variables=variables(compiler))


# Flags by which an object names itself, or a file beside it.
NAMING = [
    ("gcc", "-g -gsplit-dwarf"),
    ("gcc", "--coverage -frandom-seed=1"),
    ("gcc", "-fprofile-generate -frandom-seed=1"),
    pytest.param("clang", "-g -gsplit-dwarf", marks=pytest.mark.long),
    pytest.param("clang", "--coverage", marks=pytest.mark.long),
    ("clang", "-g -save-temps=obj"),
]
NAMING_FILES = {
    "setup.py": """
        import os
        from setuptools import Extension, setup
        flags = os.environ["FLAGS"].split()
        setup(name="n", version="1", ext_modules=[
            Extension("m", ["src/m.c", "src/in/n.c"], extra_compile_args=flags,
                      extra_link_args=flags)])
        """,
    "src/m.c": "void *PyInit_m(void) { return 0; }\n",
    "src/in/n.c": "int n(int a) { return a ? 4 : 5; }\n",
}


@pytest.fixture
def named(project, plain, tmp_path):
    """A project whose objects name their place, and its wheel without the plugin."""

    def make(compiler, flags):
        if not shutil.which(compiler):
            pytest.skip(f"there is no {compiler}")
        source = project(NAMING_FILES)
        given = {**variables(compiler), "FLAGS": flags}
        return source, given, harness.oracle(plain, source, tmp_path / "1", given)

    return make


def contents(source):
    return {path: path.is_file() and path.read_bytes() for path in source.rglob("*")}


@pytest.mark.parametrize(("compiler", "flags"), NAMING)
def test_objects_that_name_their_place(compiler, flags, named, plugged, tmp_path):
    """They have the bytes of a build without the plugin; nothing stays in the tree."""
    source, given, expected = named(compiler, flags)
    before = contents(source)
    says = ("n.o: it names its own place, and is compiled once more there",)
    wheel = plugged.build(source, tmp_path / "2", "hook", given, says)
    assert wheel.read_bytes() == expected.read_bytes()
    assert contents(source) == before


def test_names_are_taken(named, plugged, tmp_path):
    """What is there stays, and the build says what is wrong with the object."""
    source, given, expected = named("gcc", "-g -gsplit-dwarf")
    plugged.build(source, tmp_path / "2", "hook", given)
    platform = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    taken = source / "build" / f"temp.{platform}" / "src" / "n.o"
    taken.parent.mkdir(parents=True)
    taken.write_text("mine")
    before = contents(source)
    says = ("m.o: names the private build tree", "something is in build/temp")
    wheel = plugged.build(source, tmp_path / "3", "hook", given, says)
    assert contents(source) == before
    assert wheel.read_bytes() != expected.read_bytes()


def test_a_compiler_that_fails_in_place(named, plugged, tmp_path):
    """The build goes on with what it has, and says so."""
    source, given, _ = named("gcc", "-g -gsplit-dwarf")
    path = tmp_path / "compiler"
    path.write_text(
        '#!/bin/sh\ncase "$*" in *" build/"*) exit 1; esac\nexec gcc "$@"\n'
    )
    path.chmod(0o755)
    before = contents(source)
    says = ("n.o: names the private build tree", "(the compiler fails there)")
    plugged.build(source, tmp_path / "2", "hook", {**given, "CC": str(path)}, says)
    assert contents(source) == before


COMPILER_IN_PLACE = """\
#!{python}
{meeting}
import os, sys
if "-c" in sys.argv and "MEETING_PORT" in os.environ:
    obj = sys.argv[sys.argv.index("-o") + 1]
    meet("private" if os.path.isabs(obj) else "in place")
os.execvp("gcc", ["gcc", *sys.argv[1:]])
"""


@pytest.fixture
def begin_in_place(named, plugged, meeting, tmp_path):
    """Start builds of which compilers come to the meeting; the wheel that they make."""
    source, given, expected = named("gcc", "-g -gsplit-dwarf")
    path = tmp_path / "compiler"
    path.write_text(
        COMPILER_IN_PLACE.format(python=sys.executable, meeting=harness.Meeting.CODE)
    )
    path.chmod(0o755)
    given = {**given, **meeting.variables, "CC": str(path)}

    def begin(name):
        command = plugged.command("hook", source, tmp_path / name)
        return plugged.start(command, source, given)

    return begin, source, expected


def come_and_go(meeting, *names):
    for name in names:
        assert meeting.arrival() == name
        meeting.let_go(name)


def test_one_build_at_a_time_in_place(begin_in_place, meeting, tmp_path):
    """A second one waits for it."""
    begin, source, expected = begin_in_place
    before = contents(source)
    first = begin("2")
    with harness.many([first]):
        come_and_go(meeting, "private")
        assert meeting.arrival() == "in place"
        second = begin("3")
        with harness.many([second]):
            come_and_go(meeting, "private")
            with pytest.raises(TimeoutError):
                meeting.arrival(2)
            meeting.let_go("in place")
            for _ in range(5):  # the first one's next object, and both of the second's
                meeting.let_go(meeting.arrival())
            outputs = [first.finish(), second.finish()]
    assert [first.status, second.status] == [0, 0], outputs
    for name in "23":
        (wheel,) = (tmp_path / name).glob("*.whl")
        assert wheel.read_bytes() == expected.read_bytes()
    assert contents(source) == before


def test_killed_in_place(begin_in_place, meeting, tmp_path):
    """The next build takes what was left, and removes it."""
    begin, source, expected = begin_in_place
    before = contents(source)
    killed = begin("2")
    with harness.many([killed]):
        come_and_go(meeting, "private")
        assert meeting.arrival() == "in place"
        killed.kill_session()
    with contextlib.suppress(OSError):
        meeting.let_go("in place")  # who is dead, and no longer among those who wait
    assert contents(source) != before
    run = begin("3")
    with harness.many([run]):
        come_and_go(meeting, *["private", "in place"] * 2)
        output = run.finish()
    assert run.status == 0, output
    (wheel,) = (tmp_path / "3").glob("*.whl")
    assert wheel.read_bytes() == expected.read_bytes()
    assert contents(source) == before


@pytest.mark.parametrize("compiler", COMPILERS)
def test_many_build_trees(compiler, project, plain, plugged, tmp_path):
    """Four at once, in trees of their own: four wheels with the same bytes."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected", variables(compiler))
    runs = [
        plugged.start(
            plugged.command("hook", source, tmp_path / str(number)),
            source,
            variables(compiler),
        )
        for number in range(4)
    ]
    with harness.many(runs):
        outputs = [run.finish() for run in runs]
        assert [run.status for run in runs] == [0] * 4, outputs
    trees = {
        line
        for text in outputs
        for line in text.splitlines()
        if "isolated build:" in line
    }
    assert len(trees) > 1
    for number in range(4):
        (wheel,) = (tmp_path / str(number)).glob("*.whl")
        assert wheel.read_bytes() == expected.read_bytes()


@pytest.fixture
def ccache(extra):
    """The ccache that the extra brings, or the one on PATH where it brings none."""
    program = shutil.which("ccache", path=extra.python.parent) or shutil.which("ccache")
    return program or pytest.skip("there is no ccache")


@pytest.mark.any_setuptools
@pytest.mark.parametrize(
    ("compiler", "wrapped", "files"),
    [
        pytest.param(
            *(compiler, wrapped, files),
            # With gcc by its name in every run.
            marks=pytest.mark.long
            if name == "many" and (compiler, wrapped) != ("gcc", "by name")
            else [],
            id=f"{compiler}-{wrapped}-{name}",
        )
        for compiler, wrapped in [
            *((compiler, "by name") for compiler in COMPILERS),
            ("gcc", "by a link"),
        ]
        for name, files in {
            "many": FILES,
            "like cffi": CFFI_FILES,
            "a header": IN_TREE,
            "a header, source at the top": AT_TOP,
        }.items()
    ],
)
def test_ccache(
    compiler, files, wrapped, ccache, project, plain, plugged, tmp_path, meeting
):
    """One build fills it; two at once, in two build trees, compile nothing.

    But for a source at the top, which is not compiled inside the build tree. And the
    bytes are those of a build without the plugin and without ccache.
    """
    is_at_top = files is AT_TOP
    files = dict(files)
    files["setup.py"] = files["setup.py"].replace(
        "super().run()\n\n",
        "meet('generated') if 'MEETING_PORT' in os.environ else None\n"
        "            super().run()\n\n",
    )
    files["setup.py"] = (
        "import os\n"
        + harness.Meeting.CODE
        + harness.textwrap.dedent(files["setup.py"])
    )
    source = project(files)
    expected = harness.oracle(plain, source, tmp_path / "expected", variables(compiler))
    cached = variables(compiler)
    cached["CCACHE_DIR"] = str(tmp_path / "ccache")
    links = tmp_path / "links"
    links.mkdir()
    names = ["ccache"]
    if wrapped == "by name":
        cached |= {name: f"ccache {cached[name]}" for name in ("CC", "CXX")}
    else:
        names = [cached["CC"], cached["CXX"]]
    for name in names:
        (links / name).symlink_to(ccache)
    cached["PATH"] = f"{links}{os.pathsep}{os.environ['PATH']}"
    first = plugged.build(source, tmp_path / "first", variables=cached)
    assert first.read_bytes() == expected.read_bytes()
    cold = harness.ccache_counters(cached, ccache)
    assert cold["cache_miss"] > 0

    at_once = [
        plugged.start(
            plugged.command("hook", source, tmp_path / str(number)),
            source,
            {**cached, **meeting.variables},
        )
        for number in range(2)
    ]
    with harness.many(at_once):
        for _ in at_once:
            meeting.arrival()  # both have their build trees
        for _ in at_once:
            meeting.let_go("generated")
        outputs = [run.finish() for run in at_once]
        assert [run.status for run in at_once] == [0] * 2, outputs
    warm = harness.ccache_counters(cached, ccache)
    hits = [
        each["direct_cache_hit"] + each["preprocessed_cache_hit"]
        for each in (cold, warm)
    ]
    if not is_at_top:
        assert warm["cache_miss"] == cold["cache_miss"], outputs
        assert hits[1] - hits[0] == 2 * cold["cache_miss"]
    for number in range(2):
        (wheel,) = (tmp_path / str(number)).glob("*.whl")
        assert wheel.read_bytes() == expected.read_bytes()


# What a generated source may say of where it is from, and flags; and what becomes of it.
LINES = {
    "the build tree": ('#line 7 "{self.build_temp}/gen/x.y"', "-g", "build/temp"),
    "the source tree": ('#line 7 "{os.getcwd()}/include/x.y"', "-g", "{here}/include"),
    "a header": ('#include "line.h"', "-g", "{here}/include"),
    "a map": ("", "-g -ffile-prefix-map={here}=/mapped", "/mapped"),
}


@pytest.mark.parametrize(
    ("line", "compiler"),
    [
        ("the build tree", "clang"),
        *((line, "gcc") for line in LINES),
        *(pytest.param(line, "clang", marks=pytest.mark.long) for line in [*LINES][1:]),
    ],
)
def test_lines_of_generated_sources(line, compiler, project, plain, extra, tmp_path):
    """They name a file by its absolute path, through the extra's cache."""
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    text, flags, becomes = LINES[line]
    setup_py = CFFI.replace(
        '\'#include "own.h"',
        f"f'{text}\\n'\n                           '#include \"own.h\"",
    )
    header = f'#line 7 "{tmp_path}/project/include/x.y"\nint line;\n'
    source = project({**CFFI_FILES, "setup.py": setup_py, "include/line.h": header})
    debugging = {**variables(compiler), "CFLAGS": flags.format(here=source)}
    expected = harness.oracle(plain, source, tmp_path / "expected", debugging)
    name = becomes.format(here=source)
    if compiler == "clang":  # which names a directory by its path in the current one
        name = name.removeprefix(f"{source}{os.sep}")
    assert name.encode() in harness.member(
        expected.parent,
        next(n for n, _, _ in harness.wheel_contents(expected) if n.endswith(".so")),
    )
    cached = {**debugging, "CCACHE_DIR": str(tmp_path / "ccache")}
    for out in ("cold", "warm"):
        wheel = extra.build(source, tmp_path / out, variables=cached)
        assert wheel.read_bytes() == expected.read_bytes()


def test_flags_stay_as_they_are(project, plain, plugged, tmp_path):
    """The interpreter's, the project's and the user's: none gone, none moved."""
    source = project(FILES)
    lines = []
    for environment in (plain, plugged):
        run = environment.start(
            environment.command("hook", source, tmp_path / "out"),
            source,
            {"CFLAGS": "-O1 -DUSER=1", "CPPFLAGS": "-DPRE=2"},
        )
        output = run.finish()
        assert run.status == 0, output
        (line,) = (
            line for line in output.splitlines() if "-c " in line and "plain.c" in line
        )
        lines.append(
            line.replace(str(environment.python.parent.parent), "venv").split()
        )
        shutil.rmtree(source / "build", ignore_errors=True)
    theirs, ours = lines
    for words in lines:
        del words[words.index("-o") + 1]  # an object, whose name is nowhere in it
    option = ours.pop()
    private = option.partition("=")[2].rpartition("=")[0]
    assert option == f"-ffile-prefix-map={private}=build"
    assert [word.replace(private, "build") for word in ours] == theirs


def test_a_compiler_without_the_option(project, plugged, tmp_path):
    """It is left alone."""
    old = tmp_path / "old-cc"
    refuse = 'case "$*" in *-ffile-prefix-map*) exit 1;; esac'
    old.write_text(f'#!/bin/sh\n{refuse}\nexec cc "$@"\n')
    old.chmod(0o755)
    source = project(FILES)
    output = plugged.start(
        plugged.command("hook", source, tmp_path / "out"),
        source,
        {"CC": str(old), "LDSHARED": "cc -shared"},
    )
    text = output.finish()
    assert output.status == 0, text
    assert "-ffile-prefix-map" not in text
