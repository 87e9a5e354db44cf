"""Each path that builds share, with the race on it forced: lost without, won with us.

Two builds meet inside a build step of a sample project. The same steps are taken with
setuptools alone, and what breaks there is asserted too: a race that does not show
without the plugin proves nothing about it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import harness
import pytest

SETUP_CALL = """
setup(
    name="n", version="1", packages=["p"], package_data={"p": ["*.dat"]},
    cmdclass=cmdclass, ext_modules=extensions,
)
"""


def racing_project(project, code: str) -> Path:
    """Make a project whose commands, in *code*, meet."""
    setup_py = (
        "import os\nfrom setuptools import Extension, setup\n"
        + harness.Meeting.CODE
        + "WHO = os.environ['WHO']\ncmdclass = {}\nextensions = []\n"
        + code
        + SETUP_CALL
    )
    return project(
        {
            "setup.py": setup_py,
            "p/__init__.py": "",
            "p/one.dat": "1\n",
            "p/fast.c": """
                #include <Python.h>
                static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "fast"};
                PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&m); }
                """,
        }
    )


class Racers:
    """Two builds, ``first`` and ``second``, of one tree by one environment."""

    def __init__(self, environment, source, tmp_path, meeting) -> None:
        self.environment, self.source = environment, source
        self.out, self.meeting = tmp_path / "out", meeting
        self.runs: dict[str, harness.Run] = {}

    def start(self, who: str, hook: str = "build_wheel") -> None:
        makes = hook.startswith("build_")
        arguments = [hook] + ([str(self.out / who)] if makes else [])
        command = [*self.environment.command("hook", self.source, self.out)[:4]]
        variables = {**self.meeting.variables, "WHO": who}
        self.runs[who] = self.environment.start(
            [*command, *arguments], self.source, variables
        )

    def finish(self, who: str) -> bool:
        """Wait for a build; return whether it has made a whole, right wheel."""
        run = self.runs[who]
        self.said = run.finish()
        return run.status == 0

    def names(self, who: str) -> list[str]:
        (wheel,) = (self.out / who).glob("*.whl")
        return [name for name, *_ in harness.wheel_contents(wheel)]

    def close(self) -> None:
        with harness.many(list(self.runs.values())):
            pass


@pytest.fixture(params=["plain", "plugged"])
def racers(request, tmp_path, meeting):
    """Make racers, which know whether the plugin is there to save them."""
    made = []

    def make(source, backend=None):
        environment = request.getfixturevalue(request.param)
        if backend is not None:
            environment = replace(environment, backend=backend)
        made.append(Racers(environment, source, tmp_path, meeting))
        made[-1].plugged = request.param == "plugged"
        return made[-1]

    yield make
    for item in made:
        item.close()


def test_bdist_dir(project, racers, meeting):
    """One build removes build/bdist.*/wheel while the other is filling it."""
    source = racing_project(
        project,
        """
from setuptools.command.install_lib import install_lib
class meeting_install_lib(install_lib):
    def run(self):
        super().run()
        meet(WHO)
cmdclass["install_lib"] = meeting_install_lib
""",
    )
    both = racers(source)
    both.start("first")
    assert meeting.arrival() == "first"
    both.start("second")
    assert meeting.arrival() == "second"
    meeting.let_go("second")
    assert both.finish("second")
    meeting.let_go("first")
    whole = both.finish("first") and "p/__init__.py" in both.names("first")
    assert whole == both.plugged


def test_egg_info(project, racers, meeting):
    """One build makes its egg-info anew while the other copies it."""
    source = racing_project(
        project,
        """
import shutil
from setuptools.command.egg_info import egg_info
from setuptools.command.install_egg_info import install_egg_info
class anew(egg_info):
    def run(self):
        if WHO == "second":
            shutil.rmtree(self.egg_info, ignore_errors=True)
            meet("second")
        super().run()
class copying(install_egg_info):
    def copytree(self):
        if WHO == "first":
            meet("first")
        super().copytree()
cmdclass.update(egg_info=anew, install_egg_info=copying)
""",
    )
    both = racers(source)
    both.start("first")
    assert meeting.arrival() == "first"
    both.start("second")
    assert meeting.arrival() == "second"
    meeting.let_go("first")
    whole = both.finish("first") and "n-1.dist-info/METADATA" in both.names("first")
    assert whole == both.plugged
    meeting.let_go("second")
    assert both.finish("second")


def test_extension_that_is_being_linked(project, racers, meeting):
    """One build takes the .so that the other is linking for an up-to-date one."""
    source = racing_project(
        project,
        """
from setuptools.command.build_ext import build_ext
class slow_linker(build_ext):
    def build_extension(self, ext):
        if WHO == "first":
            path = self.get_ext_fullpath(ext.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "wb").close()
            meet("first")
            self.force = True
        super().build_extension(ext)
cmdclass["build_ext"] = slow_linker
extensions.append(Extension("p.fast", ["p/fast.c"]))
""",
    )
    both = racers(source)
    both.start("first")
    assert meeting.arrival() == "first"
    both.start("second")
    assert both.finish("second"), both.said
    (wheel,) = (both.out / "second").glob("*.whl")
    contents = {name: data for name, _, data in harness.wheel_contents(wheel)}
    (extension,) = [
        data
        for name, data in contents.items()
        if "fast" in name and ".c" not in name[-2:]
    ]
    assert (extension != b"") == both.plugged
    meeting.let_go("first")
    assert both.finish("first"), both.said


def test_lasting_damage_to_sources_txt(project, racers, meeting, plain, tmp_path):
    """Two get_requires on an unpacked sdist, then one quiet build lacks its data."""
    source = racing_project(
        project,
        """
import setuptools.command.egg_info as module
if "egg_info" in __import__("sys").argv and WHO != "nobody":
    write_file = module.write_file
    def slow_write_file(filename, contents):
        open(filename, "wb").close()
        meet(WHO)
        write_file(filename, contents)
    module.write_file = slow_write_file
""",
    )
    setup_py = source / "setup.py"
    setup_py.write_text(
        setup_py.read_text().replace(
            'package_data={"p": ["*.dat"]}', "include_package_data=True"
        )
    )
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: n\nVersion: 1\n")
    (source / "n.egg-info").mkdir()
    known = ["setup.py", "p/__init__.py", "p/one.dat"]
    (source / "n.egg-info" / "SOURCES.txt").write_text("\n".join(known))
    before = harness.listing(source)

    both = racers(source)
    both.start("second", "get_requires_for_build_wheel")
    assert meeting.arrival() == "second"  # has read SOURCES.txt and emptied it
    both.start("first", "get_requires_for_build_wheel")
    assert meeting.arrival() == "first"  # has read the empty one
    meeting.let_go("second")
    assert both.finish("second"), both.said
    meeting.let_go("first")
    assert both.finish("first"), both.said

    wheel = both.environment.build(
        source, tmp_path / "quiet", variables={"WHO": "nobody"}
    )
    names = [name for name, *_ in harness.wheel_contents(wheel)]
    assert ("p/one.dat" in names) == both.plugged
    assert (harness.listing(source) == before) == both.plugged


def test_release_tree(project, racers, meeting):
    """One sdist removes the release tree from which the other is about to pack."""
    source = racing_project(
        project,
        """
from setuptools.command.sdist import sdist
class meeting_sdist(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        meet(WHO)
cmdclass["sdist"] = meeting_sdist
""",
    )
    before = harness.listing(source)
    both = racers(source)
    both.start("first", "build_sdist")
    assert meeting.arrival() == "first"
    both.start("second", "build_sdist")
    assert meeting.arrival() == "second"
    meeting.let_go("second")
    assert both.finish("second"), both.said
    meeting.let_go("first")
    assert both.finish("first") == both.plugged, both.said
    if both.plugged:
        archives = [next((both.out / who).iterdir()) for who in both.runs]
        first, second = map(harness.archive_contents, archives)
        assert first == second
        assert any(name.endswith("p/one.dat") for name, *_ in first)
    assert (harness.listing(source) == before) == both.plugged


def test_setup_cfg_in_the_release_tree(project, racers, meeting):
    """One sdist reads the setup.cfg that the other is writing, and ships it empty."""
    source = racing_project(
        project,
        """
from setuptools.command import setopt
edit_config = setopt.edit_config
def slow_edit_config(filename, settings, *args):
    if WHO == "first":
        with open(filename, "rb") as file:
            text = file.read()
        open(filename, "wb").close()
        meet("first")
        with open(filename, "wb") as file:
            file.write(text)
    edit_config(filename, settings, *args)
setopt.edit_config = slow_edit_config
from setuptools.command import egg_info
egg_info.edit_config = slow_edit_config
""",
    )
    (source / "setup.cfg").write_text("[tool:mine]\nkey = value\n")
    harness.let_age(source / "setup.cfg")
    both = racers(source)
    both.start("first", "build_sdist")
    assert meeting.arrival() == "first"
    both.start("second", "build_sdist")
    assert both.finish("second"), both.said
    (sdist,) = (both.out / "second").glob("*.tar.gz")
    contents = {name: data for name, *_, data in harness.archive_contents(sdist)}
    (setup_cfg,) = (data for name, data in contents.items() if "setup.cfg" in name)
    assert (b"key = value" in setup_cfg) == both.plugged
    meeting.let_go("first")
    assert both.finish("first") == both.plugged, both.said


def test_extension_beside_the_sources(project, racers, meeting):
    """One build rewrites the extension module that somebody imports."""
    source = racing_project(
        project,
        """
from distutils import file_util
def meeting_open(path, mode="r", *args, **kwargs):
    file = open(path, mode, *args, **kwargs)
    if WHO == "second" and "w" in mode and "fast." in os.path.basename(path):
        meet(WHO)
    return file
file_util.open = meeting_open
extensions.append(Extension("p.fast", ["p/fast.c"]))
""",
    )
    both = racers(source)
    both.start("first", "build_editable")
    assert both.finish("first"), both.said
    harness.run_python(both.environment, "import p.fast", source)
    (fast,) = source.glob("p/fast.*[!c]")
    # Older setuptools compares whole seconds, and does not copy what is not newer.
    os.utime(fast, (0, 0))
    both.start("second", "build_editable")
    assert meeting.arrival() == "second"
    importing = both.environment.start(
        [str(both.environment.python), "-c", "import p.fast"], source
    )
    output = importing.finish()
    assert (importing.status == 0) == both.plugged, output
    meeting.let_go("second")
    assert both.finish("second"), both.said


@pytest.mark.parametrize(
    ("asks", "step"),
    [
        ("try_compile", "compile"),
        ("try_cpp", "preprocess"),
        ("try_link", "link_executable"),
    ],
)
@pytest.mark.parametrize("headers", [None, ["stdio.h"]], ids=["", "headers"])
def test_what_setup_py_asks_the_compiler(asks, step, headers, project, racers, meeting):
    """One build removes the file that the other's compiler is asked with.

    By setuptools' own backend: with ours nobody comes to setup.py meanwhile.
    """
    source = racing_project(
        project,
        f"""
from distutils.core import Distribution
config = Distribution().get_command_obj("config")
config._check_compiler()
step = config.compiler.{step}
def meeting_step(*args, **kwargs):
    if WHO == "first":
        meet(WHO)
    step(*args, **kwargs)
config.compiler.{step} = meeting_step
if not config.{asks}("int main(void) {{ return 0; }}", {headers}):
    raise SystemExit("there is no such thing")
""",
    )
    before = harness.listing(source)
    both = racers(source, backend=harness.SETUPTOOLS)
    both.start("first")
    assert meeting.arrival() == "first"
    both.start("second")
    assert both.finish("second"), both.said
    meeting.let_go("first")
    assert both.finish("first") == both.plugged, both.said
    if both.plugged:
        assert harness.listing(source).keys() == before.keys()


def test_sdist_while_setup_py_asks_the_compiler(project, racers, meeting):
    """What lies there for a moment does not ship."""
    source = racing_project(
        project,
        """
if WHO == "first":
    from distutils.core import Distribution
    config = Distribution().get_command_obj("config")
    config._check_compiler()
    config.compiler.compile = lambda *args, **kwargs: meet(WHO)
    config.try_compile("int main(void) { return 0; }")
""",
    )
    (source / "MANIFEST.in").write_text("global-include *.c\n")
    both = racers(source, backend=harness.SETUPTOOLS)
    both.start("first", "build_sdist")
    assert meeting.arrival() == "first"
    both.start("second", "build_sdist")
    assert both.finish("second"), both.said
    (sdist,) = (both.out / "second").glob("*.tar.gz")
    names = [name for name, *_ in harness.archive_contents(sdist)]
    assert any("_configtest" in name for name in names) != both.plugged
    meeting.let_go("first")
    assert both.finish("first"), both.said


PUBLICATION = """
for name in ("remove", "rename", "replace"):
    def met(path, *args, call=getattr(os, name), **kwargs):
        if not os.fspath(args[0] if args else path).endswith(".whl"):
            return call(path, *args, **kwargs)
        meet("before")
        call(path, *args, **kwargs)
        meet("after")
    setattr(os, name, met)
"""


@pytest.mark.parametrize("frontend", ["hook", "setup.py"])
def test_a_reader_of_the_result_directory(project, racers, meeting, tmp_path, frontend):
    """At every step of the publication there is a whole wheel, old or new."""
    source = racing_project(project, PUBLICATION)
    both = racers(source)
    both.out.mkdir()
    old = both.out / "n-1-py3-none-any.whl"
    old.write_text("the old one")
    command = both.environment.command(frontend, source, both.out)
    variables = {**meeting.variables, "WHO": "first"}
    run = both.environment.start(command, source, variables)
    both.runs["first"] = run
    seen = []
    if both.plugged or frontend == "hook":
        for step in range(2 if both.plugged else 4):
            name = meeting.arrival()
            assert name == ("before", "after")[step % 2]
            seen.append(old.read_bytes() if old.exists() else None)
            meeting.let_go(name)
    assert both.finish("first"), both.said
    if both.plugged:
        assert seen == [b"the old one", old.read_bytes()]
    elif frontend == "hook":
        assert None in seen  # the gap between remove and rename


@pytest.mark.parametrize("frontend", ["hook", "setup.py"])
def test_half_a_wheel_is_never_in_the_result_directory(
    project, racers, meeting, tmp_path, frontend
):
    """While the archive is being written, readers of dist/ find none."""
    source = racing_project(
        project,
        """
from wheel.wheelfile import WheelFile
write_files = WheelFile.write_files
def slow_write_files(self, *args):
    meet("writing")
    write_files(self, *args)
WheelFile.write_files = slow_write_files
""",
    )
    both = racers(source)
    command = both.environment.command(frontend, source, both.out)
    variables = {**meeting.variables, "WHO": "first"}
    both.out.mkdir()
    both.runs["first"] = both.environment.start(command, source, variables)
    assert meeting.arrival() == "writing"
    visible = list(both.out.glob("*.whl"))
    meeting.let_go("writing")
    assert both.finish("first"), both.said
    assert visible == [] or not both.plugged
    assert visible != [] or both.plugged or frontend == "hook"
    assert len(list(both.out.iterdir())) == 1


def test_two_publications_at_once(project, racers, meeting, tmp_path):
    """Two hooks that both found an old wheel: one fails to remove it, without us."""
    source = racing_project(
        project,
        """
for name in ("remove", "rename"):
    def met(path, *args, name=name, call=getattr(os, name), **kwargs):
        if path.endswith(".whl"):
            meet(name + " " + WHO)
        call(path, *args, **kwargs)
    setattr(os, name, met)
""",
    )
    both = racers(source)
    both.out.mkdir()
    (both.out / "n-1-py3-none-any.whl").write_text("the old one")
    for who in ("first", "second"):
        command = both.environment.command("hook", source, both.out)
        variables = {**meeting.variables, "WHO": who}
        # One after the other up to the meeting: their build/ is not the matter here.
        both.runs[who] = both.environment.start(command, source, variables)
        if not both.plugged:
            assert meeting.arrival() == f"remove {who}"
    if not both.plugged:
        meeting.let_go("remove first")
        assert meeting.arrival() == "rename first"
        meeting.let_go("remove second")
        assert not both.finish("second")
        meeting.let_go("rename first")
    assert both.finish("first"), both.said
    if both.plugged:
        assert both.finish("second"), both.said
