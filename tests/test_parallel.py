"""One build that compiles several files at once: the bytes of one after the other."""

from __future__ import annotations

import os
import sys
import textwrap

import harness
import pytest

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
    os.execvp("gcc", ["gcc", *arguments])
    """
    )
)


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
    stated, project, plain, plugged, compiler, meeting, tmp_path
):
    """No compiler writes an object that the extension before it still needs."""
    source = project(FILES)
    expected = harness.oracle(plain, source, tmp_path / "expected", compiler)
    variables = {**compiler, **meeting.variables}
    variables["SETUPTOOLS_ISOLATED_BUILD_JOBS"] = "4"
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
    run = plain.start(command, source, {**compiler, **meeting.variables})
    with harness.many([run]):
        first = {meeting.arrival() for _ in NUMBERS}
        assert first == {f"{number} module" for number in NUMBERS}
        for number in NUMBERS:
            meeting.let_go(f"{number} module")
            assert meeting.arrival() == f"{number} value"
        for number in NUMBERS:
            meeting.let_go(f"{number} value")
        output = run.finish()
    assert run.status == 0, output
    (wheel,) = (tmp_path / "out").glob("*.whl")
    built = modules(wheel)
    assert len(built) == len(NUMBERS)
    assert all(b"PyInit_fast3" in data for data in built.values())
