"""Sources of extension modules that builds write into the source tree."""

from __future__ import annotations

import os
import textwrap

import harness
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="it compiles by gcc or clang")

AGAIN = "this build runs again, alone"
# As Cython's build_ext: what is beside the sources is translated, if it is older.
SETUP = harness.Meeting.CODE + textwrap.dedent(
    """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext

    PARTS = open("p/fast.pyx").read().partition("// second\\n")

    def write(path):
        with open(path, "w") as file:
            file.write(PARTS[0])
            file.flush()
            if os.environ.get("WRITES") == "slowly":
                meet("half-written")
            file.write(PARTS[2])

    class translating(build_ext):
        def finalize_options(self):
            super().finalize_options()
            self.extensions[0].sources = [SOURCE]

        def build_extension(self, ext):
            if SOURCE.endswith(".pyx"):
                meet(os.environ["WHO"] + " translates")
                if not os.path.exists("p/fast.c"):
                    write("p/fast.c")
                ext.sources = ["p/fast.c"]
            elif os.environ["WHO"] == "rival":
                write("p/fast.c")
            super().build_extension(ext)
            if os.environ["WHO"] == "reader" and ALONE not in os.environ:
                meet("compiled")

    ALONE = "_SETUPTOOLS_ISOLATED_BUILD_ALONE"
    SOURCE = os.environ["SOURCE"]
    setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": translating},
          ext_modules=[Extension("p.fast", ["p/fast.c"])])
    """
)
# Its first part compiles by itself: what lacks the second one is wrong, and no failure.
FIRST = """\
#include <Python.h>
static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "fast"};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&m); }
"""
SECOND = "int second_part_of_it(void) { return 2; }\n"
FILES = {
    "setup.py": SETUP,
    "p/__init__.py": "",
    "p/fast.pyx": FIRST + "// second\n" + SECOND,
    "p/fast.c": FIRST + SECOND,
}


def is_whole(directory):
    (wheel,) = directory.glob("*.whl")
    (module,) = (
        data for name, _, data in harness.wheel_contents(wheel) if "/fast." in name
    )
    return b"second_part_of_it" in module


@pytest.mark.parametrize("environment", ["plain", "plugged"])
def test_compiled_half(environment, project, start, meeting, request, tmp_path):
    """A compiler has read half a source, and made a module of it."""
    tool = request.getfixturevalue(environment)
    source = project(FILES)
    variables = {"SOURCE": "p/fast.c"}
    rival = start(tool, source, "wheel", "rival", {**variables, "WRITES": "slowly"})
    assert meeting.arrival() == "half-written"
    reader = start(tool, source, "wheel", "reader", variables)
    assert meeting.arrival() == "compiled"
    meeting.let_go("compiled")
    if environment == "plain":
        output = reader.finish(60)
        assert reader.status == 0, output
        assert not is_whole(tmp_path / "reader")
    meeting.let_go("half-written")
    rival.finish(60)
    if environment == "plugged":
        output = reader.finish(60)
        assert reader.status == 0, output
        assert AGAIN in output
        assert is_whole(tmp_path / "reader")


def test_translated_by_turns(project, plugged, start, meeting, telling, tmp_path):
    """One translates, the other waits for that and not longer; none is repeated."""
    files = {name: text for name, text in FILES.items() if name != "p/fast.c"}
    source = project(files)
    variables = {"SOURCE": "p/fast.pyx"}
    first = start(plugged, source, "wheel", "first", variables)
    assert meeting.arrival() == "first translates"
    second = start(plugged, source, "wheel", "second", {**variables, **telling})
    assert meeting.arrival() == "waits"
    meeting.let_go("waits")
    meeting.let_go("first translates")
    assert meeting.arrival() == "second translates"
    meeting.let_go("second translates")
    for who, run in (("first", first), ("second", second)):
        output = run.finish(60)
        assert run.status == 0, output
        assert AGAIN not in output
        assert is_whole(tmp_path / who)


TWO = harness.Meeting.CODE + textwrap.dedent(
    """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext

    class translating(build_ext):
        def build_extension(self, ext):
            (source,) = ext.sources
            meet(os.environ["WHO"] + " translates " + ext.name)
            made = source.replace(".pyx", ".c")
            if not os.path.exists(made):
                with open(source) as file, open(made, "w") as copy:
                    copy.write(file.read())
            ext.sources = [made]
            super().build_extension(ext)

    setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": translating},
          ext_modules=[Extension(f"p.{name}", [f"p/{name}.pyx"]) for name in ("a", "b")])
    """
)


def test_all_are_translated_by_one(project, plugged, start, meeting, telling, tmp_path):
    """While one translates the second extension, no other compiles the first one.

    What its compiler has read of the second one, if anything, could not be known.
    """
    source = project(
        {
            "setup.py": TWO,
            "p/__init__.py": "",
            "p/a.pyx": (FIRST + SECOND).replace("fast", "a"),
            "p/b.pyx": (FIRST + SECOND).replace("fast", "b"),
        }
    )
    first = start(plugged, source, "wheel", "first")
    assert meeting.arrival() == "first translates p.a"
    second = start(plugged, source, "wheel", "second", telling)
    assert meeting.arrival() == "waits"
    meeting.let_go("waits")
    meeting.let_go("first translates p.a")
    for step in (
        "first translates p.b",
        "second translates p.a",
        "second translates p.b",
    ):
        assert meeting.arrival() == step
        meeting.let_go(step)
    for run in (first, second):
        output = run.finish(60)
        assert run.status == 0, output
        assert AGAIN not in output
    wheels = [*tmp_path.glob("first/*.whl"), *tmp_path.glob("second/*.whl")]
    contents = [harness.wheel_contents(wheel) for wheel in wheels]
    assert len(contents) == 2
    assert contents[0] == contents[1]
