"""One build that compiles several files at once: the bytes of one after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import harness
import pytest
import remains

pytestmark = pytest.mark.skipif(os.name == "nt", reason="it compiles by gcc or clang")

NUMBERS = range(4)
# Extensions of the same two sources: each object has one name in all of them.
SETUP_PY = """
    from setuptools import Extension, setup
    setup(name="n", version="1", packages=["p"], ext_modules=[
        Extension(f"p.fast{number}", ["p/module.c", "p/value.c"],
                  define_macros=[("NUMBER", str(number))])
        for number in range(4)])
    """
MODULE = """
    #include <Python.h>
    #define JOIN(a, b) a##b
    #define NAMED(a, b) JOIN(a, b)
    int value(void);
    int number(void) { return NUMBER * 1000 + value(); }
    static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "fast"};
    PyMODINIT_FUNC NAMED(PyInit_fast, NUMBER)(void) { return PyModule_Create(&m); }
    """
FILES = {
    "setup.py": SETUP_PY,
    "p/__init__.py": "",
    "p/module.c": MODULE,
    "p/value.c": "int value(void) { return NUMBER; }\n",
}
PARALLEL = {"setup.cfg": "[build_ext]\nparallel = 4\n"}
# A compiler that comes to the meeting, as the number and the source of what it compiles.
COMPILER = (
    f"#!{sys.executable}\n"
    + harness.Meeting.CODE
    + textwrap.dedent(
        """
    import os, sys
    arguments = sys.argv[1:]
    if "-c" in arguments and "MEETING_PORT" in os.environ:
        (source,) = (a for a in arguments if a.endswith(".c"))
        numbers = [a[len("-DNUMBER="):] for a in arguments if a.startswith("-DNUMBER=")]
        meet(" ".join([*numbers, os.path.basename(source)[:-2]]))
    elif "-shared" in arguments and "MEETING_PORT" in os.environ:
        meet("link")
    os.execvp("gcc", ["gcc", *arguments])
    """
    )
)


@pytest.fixture
def at_four(tmp_path):
    """The variables for builds that run up to four compilers at once.

    They take their tokens from a make, since other tests use the machine's.
    """
    path = tmp_path / "jobserver"
    os.mkfifo(path)
    number = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(number, b"+++")
    yield {
        "SETUPTOOLS_ISOLATED_BUILD_JOBS": "4",
        "MAKEFLAGS": f"-j4 --jobserver-auth=fifo:{path}",
    }
    assert len(os.read(number, 9)) == 3  # all were given back
    os.close(number)


@pytest.fixture
def compiler(tmp_path):
    """The variables for builds whose compilers come to the meeting."""
    path = tmp_path / "compiler"
    path.write_text(COMPILER)
    path.chmod(0o755)
    return {"CC": str(path), "LDSHARED": "gcc -shared"}


STATED = {
    "by the command": ["build_ext", "-j", "4"],
    "by build": ["build", "-j", "4"],
    "in place": ["build_ext", "-j", "4", "--inplace"],
}


@pytest.mark.parametrize("stated", ["setup.cfg", "a user's file", *STATED])
def test_objects_of_one_name(
    stated, project, plain, plugged, compiler, at_four, meeting, tmp_path
):
    """No compiler writes an object that the extension before it still needs."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    variables = {**compiler, **meeting.variables, **at_four}
    command = plugged.command("hook", source, tmp_path / "out")
    if stated == "setup.cfg":
        (source / "setup.cfg").write_text(PARALLEL["setup.cfg"])
    elif stated == "a user's file":
        (tmp_path / "parallel.cfg").write_text(PARALLEL["setup.cfg"])
        variables["DIST_EXTRA_CONFIG"] = str(tmp_path / "parallel.cfg")
    else:
        command = [str(plugged.python), "setup.py", *STATED[stated]]
    run = plugged.start(command, source, variables)
    with harness.many([run]):
        for number in NUMBERS:
            # Its two files compile at once: both are here before either goes on.
            names = {meeting.arrival(), meeting.arrival()}
            assert names == {f"{number} module", f"{number} value"}
            for name in names:
                meeting.let_go(name)
        output = run.finish()
    assert run.status == 0, output
    if stated in STATED:
        built = {path: path.read_bytes() for path in source.rglob("*.so")}
        assert len(built) == len(NUMBERS) * (2 if stated == "in place" else 1)
        for path, data in built.items():
            assert data == modules(expected)[path.name]
    else:
        (wheel,) = (tmp_path / "out").glob("*.whl")
        assert wheel.read_bytes() == expected.read_bytes()


def modules(wheel):
    """Return the extension modules in *wheel*: their bytes by their names."""
    return {
        os.path.basename(name): data
        for name, _, data in harness.wheel_contents(wheel)
        if name.endswith(".so")
    }


def test_objects_of_one_name_without_the_plugin(
    project, plain, compiler, meeting, tmp_path
):
    """The race that is closed: every extension is linked with the last one's object."""
    source = project({**FILES, **PARALLEL})
    command = plain.command("hook", source, tmp_path / "out")
    variables = {**compiler, "LDSHARED": f"{compiler['CC']} -shared"}
    run = plain.start(command, source, {**variables, **meeting.variables})
    with harness.many([run]):
        first = {meeting.arrival() for _ in NUMBERS}
        assert first == {f"{number} module" for number in NUMBERS}
        for number in NUMBERS:
            meeting.let_go(f"{number} module")
            assert meeting.arrival() == f"{number} value"
        for number in NUMBERS:
            meeting.let_go(f"{number} value")
            assert meeting.arrival() == "link"  # the object is whole
        for _ in NUMBERS:
            meeting.let_go("link")
        output = run.finish()
    assert run.status == 0, output
    (wheel,) = (tmp_path / "out").glob("*.whl")
    built = modules(wheel)
    assert len(built) == len(NUMBERS)
    assert all(b"PyInit_fast3" in data for data in built.values())


EXTENSIONS = """
    from setuptools import Extension, setup
    setup(name="n", version="1", packages=["p"], ext_modules=[
        Extension(f"p.{name}", [f"p/{name}.c"], optional=name in OPTIONAL)
        for name in ("a", "b", "c", "d")])
    """
ONE = """
    #include <Python.h>
    static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "NAME"};
    static int nobody_calls_NAME(void) { return 0; }
    PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&m); }
    """
BROKEN = "#error broken NAME\n"


def four(optional="", **broken):
    """Return the files of a project of four extensions, each with a warning."""
    files = {
        f"p/{name}.c": broken.get(name, ONE).replace("NAME", name) for name in "abcd"
    }
    setup_py = EXTENSIONS.replace("OPTIONAL", repr(optional))
    return {"setup.py": setup_py, "p/__init__.py": "", **files}


def told(output, replaced):
    """Return what compilers and setuptools say, with the names that differ replaced."""
    for old, new in replaced.items():
        output = output.replace(old, new)
    # Older releases say which directories they make, and these are made before.
    return [line for line in output.splitlines() if not line.startswith("creating ")]


@pytest.mark.parametrize(
    ("files", "status", "built"),
    [
        (four(), 0, "abcd"),
        (four(b=BROKEN, d=BROKEN), 1, "a"),
        (four("b", b=BROKEN), 0, "acd"),
    ],
    ids=["warnings", "errors", "optional"],
)
def test_what_one_reads(
    files, status, built, project, plain, plugged, at_four, tmp_path
):
    """Line by line what setuptools says: warnings in its order, and the first error."""
    source = project(files)
    said = []
    for environment in (plain, plugged):
        lib = tmp_path / environment.python.parent.parent.name
        command = [str(environment.python), "setup.py", "build_ext"]
        command += ["--build-temp=t", f"--build-lib={lib}"]
        variables = {"CFLAGS": "-O1 -Wall", **at_four}
        run = environment.start(command, source, variables)
        prefix = environment.python.parent.parent
        said.append(told(run.finish(), {str(lib): "LIB", str(prefix): "ENV"}))
        assert run.status == status, said
        assert "".join(sorted(p.name[0] for p in lib.rglob("*.so"))) == built
        harness.shutil.rmtree(source / "t")
    assert said[0] == said[1]
    assert any("nobody_calls_a" in line for line in said[0])


FAILING = """
import os, sys
done = os.environ["DONE"]
if not os.path.exists(done) and "p/c.c" in arguments:
    open(done, "w").close()
    os.kill(os.getpid(), 9)
"""


def test_killed_for_want_of_memory(project, plain, plugged, at_four, tmp_path):
    """It is compiled once more, by itself, and the output says so."""
    source = project(four())
    expected = harness.oracle(plain, source, tmp_path / "expected")
    path = tmp_path / "gcc"
    path.write_text(
        f"#!{sys.executable}\nimport sys\narguments = sys.argv[1:]\n{FAILING}\n"
        "os.execv('/usr/bin/env', ['env', 'gcc', *arguments])\n"
    )
    path.chmod(0o755)
    variables = {"CC": str(path), "LDSHARED": "gcc -shared", **at_four}
    variables["DONE"] = str(tmp_path / "done")
    run = plugged.start(
        plugged.command("hook", source, tmp_path / "out"), source, variables
    )
    output = run.finish()
    assert run.status == 0, output
    assert "p/c.c: failed beside" in output
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert modules(wheel).keys() == modules(expected).keys()


def running(path):
    """Return how many processes run the compiler at *path*."""
    command = ["ps", "-A", "-ww", "-o", "args"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sum(f"{path} -" in line for line in done.stdout.splitlines())


# Starts the compiler proper, and waits for it, as gcc does.
DRIVER = """\
#!{python}
import subprocess, sys
sys.exit(subprocess.call([{compiler!r}, *sys.argv[1:]]))
"""


# As macOS before Python 3.13, and PyPy.
NO_WAITID = "import os\nvars(os).pop('waitid', None)\n"


@pytest.mark.parametrize(
    "what",
    [
        "compiler",
        pytest.param(
            "driver",
            marks=pytest.mark.skipif(
                sys.platform != "linux", reason="elsewhere children are not found"
            ),
        ),
        "no waitid",
    ],
)
def test_ctrl_c(what, project, plugged, compiler, at_four, meeting, start, tmp_path):
    """The build ends, and no compiler goes on."""
    source = project(four())
    variables = {**compiler, **at_four}
    if what == "no waitid":
        variables |= remains.hooked(tmp_path / "hooked", NO_WAITID)
    if what == "driver":
        driver = tmp_path / "driver"
        text = DRIVER.format(python=sys.executable, compiler=compiler["CC"])
        driver.write_text(text)
        driver.chmod(0o755)
        variables["CC"] = str(driver)
    run = start(plugged, source, "wheel", "out", variables)
    assert {meeting.arrival() for _ in "abcd"} == set("abcd")
    assert running(compiler["CC"]) == 4
    os.kill(run.process.pid, signal.SIGINT)
    output = run.finish(60)
    assert run.status != 0
    assert "KeyboardInterrupt" in output or "interrupted" in output
    assert running(compiler["CC"]) == 0


def test_ended_by_an_error(project, plugged, compiler, at_four, meeting, start):
    """What is compiled ahead ends when a file before it has failed."""
    source = project(four(a=BROKEN))
    run = start(plugged, source, "wheel", "out", {**compiler, **at_four})
    assert {meeting.arrival() for _ in "abcd"} == set("abcd")
    meeting.let_go("a")
    assert meeting.arrival() == "a"  # once more, by itself
    assert running(compiler["CC"]) == 1
    meeting.let_go("a")
    output = run.finish(60)
    assert run.status == 1
    assert output.count("broken a") == 2  # the message, and the line that it shows


# Where a project has a part in it.
OWN = {
    "build_extension": """
from setuptools.command.build_ext import build_ext
class own(build_ext):
    def build_extension(self, ext):
        super().build_extension(ext)
        assert os.path.exists(self.get_ext_fullpath(ext.name))
""",
    "_compile": """
from setuptools.command.build_ext import build_ext
class own(build_ext):
    def build_extensions(self):
        theirs = self.compiler._compile
        def compile_it(obj, *args):
            theirs(obj, *args)
            assert os.path.exists(obj)
        self.compiler._compile = compile_it
        super().build_extensions()
""",
    "compile": """
from setuptools.command.build_ext import build_ext
class own(build_ext):
    def build_extensions(self):
        theirs = self.compiler.compile
        def compile_all(*args, **kwargs):
            self.compiler.set_executables(compiler_so="gcc -O1 -DMORE")
            try:
                return theirs(*args, **kwargs)
            finally:
                self.compiler.set_executables(compiler_so="false")
        self.compiler.compile = compile_all
        super().build_extensions()
""",
    "spawn": """
from distutils import ccompiler
from setuptools.command.build_ext import build_ext
runs = "call" if hasattr(ccompiler.CCompiler, "call") else "spawn"
theirs = getattr(ccompiler.CCompiler, runs)
def run(self, command, **kwargs):
    theirs(self, command, **kwargs)
    assert os.path.exists(command[command.index("-o") + 1])
setattr(ccompiler.CCompiler, runs, run)
own = build_ext
""",
}
AT_ONCE = {"build_extension": 2, "_compile": 1, "compile": 1, "spawn": 1}


@pytest.mark.parametrize("own", OWN)
def test_a_projects_own_part(
    own, project, plain, plugged, compiler, at_four, meeting, tmp_path
):
    """Nothing is compiled ahead of what it does; parallel is right nonetheless."""
    setup_py = textwrap.dedent(SETUP_PY).replace(
        "setup(", "setup(cmdclass={'build_ext': own}, "
    )
    setup_py = setup_py.replace(
        "import setup(cmdclass={'build_ext': own}, ", "import setup"
    )
    source = project({**FILES, "setup.py": "import os\n" + OWN[own] + setup_py})
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    (source / "setup.cfg").write_text(PARALLEL["setup.cfg"])
    run = plugged.start(
        plugged.command("hook", source, tmp_path / "out"),
        source,
        {**compiler, **meeting.variables, **at_four},
    )
    with harness.many([run]):
        for number in NUMBERS if own != "compile" else ():
            left = ["module", "value"]
            while left:
                names = {meeting.arrival() for _ in range(AT_ONCE[own])}
                assert names == {f"{number} {name}" for name in left[: AT_ONCE[own]]}
                for name in names:
                    meeting.let_go(name)
                del left[: AT_ONCE[own]]
        output = run.finish()
    assert run.status == 0, output
    assert ("parallel: one extension" in output) == (own == "build_extension")
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert wheel.read_bytes() == expected.read_bytes()


MAKING = """
    import os
    from setuptools import Distribution, Extension, setup
    from setuptools.command.build_ext import build_ext

    def make(command):
        if any("a.o" in names for *_, names in os.walk(command.build_temp)):
            with open("p/made.h", "w") as file:
                file.write("#define MADE 2\\n")

    own, args, args_of_m = build_ext, {}, {}
    """
# Where a project may have a part, between the compilers of two extensions.
BETWEEN = {
    "its compiler": """
        class own(build_ext):
            def build_extensions(self):
                theirs = self.compiler.link_shared_object
                def link(*args, **kwargs):
                    theirs(*args, **kwargs)
                    make(self)
                self.compiler.link_shared_object = link
                super().build_extensions()
        """,
    "its compiler's class": """
        class own(build_ext):
            def build_extensions(self):
                theirs = self.compiler.link_shared_object
                def link(_, *args, **kwargs):
                    theirs(*args, **kwargs)
                    make(self)
                type(self.compiler).link_shared_object = link
                super().build_extensions()
        """,
    "a method": """
        class own(build_ext):
            def get_libraries(self, ext):
                make(self)
                return super().get_libraries(ext)
        """,
    "a method of the object": """
        class own(build_ext):
            def build_extensions(self):
                def libraries(ext):
                    make(self)
                    return build_ext.get_libraries(self, ext)
                self.get_libraries = libraries
                super().build_extensions()
        """,
    "a property": """
        class own(build_ext):
            @property
            def _built_objects(self):
                return self.__dict__["_built_objects"]
            @_built_objects.setter
            def _built_objects(self, objects):
                self.__dict__["_built_objects"] = objects
                make(self)
        """,
    "__getattribute__": """
        class own(build_ext):
            def __getattribute__(self, name):
                if name == "get_libraries":
                    make(self)
                return super().__getattribute__(name)
        """,
    "a class in front of ours": """
        class Wrapping(Distribution):
            def finalize_options(self):
                super().finalize_options()
                class own(self.get_command_class("build_ext")):
                    def build_extension(self, ext):
                        super().build_extension(ext)
                        make(self)
                self.cmdclass["build_ext"] = own
        args["distclass"] = Wrapping
        """,
    "a property of an extension": """
        class Extension(Extension):
            @property
            def define_macros(self):
                command = distribution[0].get_command_obj("build_ext")
                if command.finalized:
                    make(command)
                return []
            @define_macros.setter
            def define_macros(self, macros):
                pass
        distribution = []
        class Noting(Distribution):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                distribution.append(self)
        args["distclass"] = Noting
        """,
    "what an extension lacks": """
        class Extension(Extension):
            def __getattr__(self, name):
                if name != "swig_opts":
                    raise AttributeError(name)
                make(command[0])
                return []
        command = []
        class own(build_ext):
            def finalize_options(self):
                super().finalize_options()
                command.append(self)
                for ext in self.extensions:
                    del ext.swig_opts
        """,
    "the linker": """
        args_of_m["extra_link_args"] = ["-Wl,-Map,p/made.map"]
        """,
    "a compiler": """
        args_of_m["extra_compile_args"] = ["-MD", "-MFp/made.map"]
        """,
    "what is linked": """
        class own(build_ext):
            def build_extensions(self):
                path = os.path.abspath(self.get_ext_fullpath("a"))
                for ext in self.extensions:
                    ext.define_macros = [("LINKED", f'"{path}"')]
                super().build_extensions()
        """,
}


@pytest.mark.parametrize("between", BETWEEN)
def test_what_is_made_between(between, project, plain, plugged, at_four, tmp_path):
    """What the next extension includes: it is not compiled before that is there."""
    extensions = """
        distclass = args.pop("distclass", Distribution)
        setup(name="n", version="1", cmdclass={"build_ext": own}, distclass=distclass,
              ext_modules=[
                  Extension("a", ["p/a.c", "p/both.c"], **args),
                  Extension("m", ["p/m.c"], **args_of_m),
                  Extension("b", ["p/b.c", "p/both.c"], **args)])
        """
    files = {
        "setup.py": "".join(
            map(textwrap.dedent, (MAKING, BETWEEN[between], extensions))
        ),
        "p/made.h": "#define MADE 1\n",
        "p/a.c": "void *PyInit_a(void) { return 0; }\n",
        "p/m.c": "void *PyInit_m(void) { return 0; }\n",
        "p/both.c": """
            #include "made.h"
            #if __has_include("made.map")
            int is_mapped = 1;
            #endif
            #ifdef LINKED
            #if __has_include(LINKED)
            int is_linked = 1;
            #endif
            #endif
            int made = MADE;
            """,
        "p/b.c": """
            #include "made.h"
            #if __has_include("made.map")
            int map = 1;
            #endif
            #ifdef LINKED
            __asm__(".ascii \\"size\\"\\n .incbin \\"" LINKED "\\", 0, 4");
            #endif
            void *PyInit_b(void) { return (void *)MADE; }
            """,
    }
    source = project(files)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    run = plugged.start(
        plugged.command("hook", source, tmp_path / "out"), source, at_four
    )
    output = run.finish()
    assert run.status == 0, output
    assert "failed beside" not in output
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert wheel.read_bytes() == expected.read_bytes()


def test_builds_of_one_make(project, plugged, compiler, meeting, tmp_path, at_four):
    """Each of two builds runs a compiler, and three more are shared."""
    runs = []
    for number in range(2):
        source = project(four(), at=f"project-{number}")
        command = plugged.command("hook", source, tmp_path / str(number))
        variables = {**compiler, **meeting.variables, **at_four}
        runs.append(plugged.start(command, source, variables))
    with harness.many(runs):
        first = [meeting.arrival() for _ in range(5)]
        assert running(compiler["CC"]) == 5
        for name in first:
            meeting.let_go(name)
        for _ in range(8 - len(first)):
            meeting.let_go(meeting.arrival())
        for run in runs:
            output = run.finish()
            assert run.status == 0, output


def test_what_can_be_read_once(project, plain, plugged, at_four, tmp_path):
    """Nobody asks setuptools before its turn, or it would link without it."""
    files = {
        "setup.py": """
            import subprocess
            from setuptools import Extension, setup
            subprocess.run("gcc -c p/ready.c -o p/ready.o".split(), check=True)
            setup(name="n", version="1", ext_modules=[
                Extension("a", ["p/a.c", "p/b.c"],
                          extra_objects=iter(["p/ready.o"])),
                Extension("c", ["p/c.c"])])
            """,
        "p/ready.c": "int ready(void) { return 7; }\n",
        "p/a.c": "void *PyInit_a(void) { return 0; }\n",
        "p/b.c": "int b;\n",
        "p/c.c": "void *PyInit_c(void) { return 0; }\n",
    }
    source = project(files)
    expected = harness.oracle(plain, source, tmp_path / "expected")
    wheel = plugged.build(source, tmp_path / "out", variables=at_four)
    assert wheel.read_bytes() == expected.read_bytes()
