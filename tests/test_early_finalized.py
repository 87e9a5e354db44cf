"""Commands that somebody finalizes before the command line is read are isolated as well.

The setup keyword of incremental does it (klein, treq): it makes a build_py of its own to
find the project's packages, and that finalizes the distribution's ``build``. The paths in
such a command are those in the source tree, which all builds share.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import harness
import pytest

# What somebody finalizes: "own:" is an instance of their own, as incremental's, which
# finalizes what it asks for options; all others are those of the distribution.
EARLY = {
    "own build_py, as incremental": "own:build_py",
    "build": "build",
    "build_ext and own bdist_wheel": "build_ext own:bdist_wheel",
    "all": "build build_py build_ext build_clib build_scripts egg_info install install_lib",
}
# Who does it: the keyword of a plugin, its entry point, or the project's own class.
WHO_DOES = [
    *(pytest.param(early, "keyword", id=early) for early in EARLY),
    pytest.param("build", "entry point", id="entry point"),
    pytest.param("build_ext and own bdist_wheel", "distclass", id="distclass"),
]
SHARED = "shared with other builds"

FINALIZE = """
def finalize(dist, names):
    for name in names.split():
        if name == "own:build_py":
            from setuptools.command.build_py import build_py
            build_py(dist).finalize_options()
        elif name.startswith("own:"):
            dist.get_command_class(name[4:])(dist).ensure_finalized()
        else:
            dist.get_command_obj(name).ensure_finalized()
"""
# Each build puts its name into build_lib, so that one that finds the other's is wrong.
SETUP_PY = (
    harness.Meeting.CODE
    + """
import os
from setuptools import Distribution, Extension, setup
from setuptools.command.build_py import build_py
import early

class meeting_build_py(build_py):
    def run(self):
        super().run()
        build, build_ext = map(self.get_finalized_command, ("build", "build_ext"))
        for command, option in (
            (build, "build_base"), (build, "build_lib"), (build, "build_temp"),
            (build_ext, "build_lib"), (build_ext, "build_temp"),
        ):
            name, value = command.get_command_name(), getattr(command, option)
            print("option", name, option, "=", value, flush=True)
        with open(os.path.join(self.build_lib, "p", "who.txt"), "w") as file:
            file.write(os.environ["WHO"])
        if "MEETING_PORT" in os.environ:
            meet(os.environ["WHO"])

class EarlyDistribution(Distribution):
    def __init__(self, attrs=None):
        super().__init__(attrs)
        early.finalize(self, os.environ["EARLY"])

way = {}
if os.environ["WAY"] == "keyword":
    way["finalize_early"] = os.environ["EARLY"]
if os.environ["WAY"] == "distclass":
    way["distclass"] = EarlyDistribution
setup(
    name="n", version="1", packages=["p"], package_data={"p": ["*.dat"]},
    scripts=["bin/tool"], ext_modules=[Extension("p.fast", ["p/fast.c"])],
    cmdclass={"build_py": meeting_build_py}, **way,
)
"""
)
EARLY_PY = (
    FINALIZE
    + """
import os

def keyword(dist, name, value):
    finalize(dist, value)

def entry_point(dist):
    if os.environ["WAY"] == "entry point":
        finalize(dist, os.environ["EARLY"])
"""
)
FILES = {
    "setup.py": SETUP_PY,
    "p/__init__.py": "",
    "p/one.dat": "1\n",
    "p/fast.c": harness.FAST_C,
    "bin/tool": "#!/usr/bin/env python\n",
}


@pytest.fixture
def plugin(project):
    """Put the plugin that finalizes early on a path, and return the variables for it."""
    path = project(
        {
            "early.py": EARLY_PY,
            "early-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: early\nVersion: 1\n",
            "early-1.dist-info/entry_points.txt": """
                [distutils.setup_keywords]
                finalize_early = early:keyword

                [setuptools.finalize_distribution_options]
                early = early:entry_point
                """,
        },
        at="plugin",
    )

    def variables(early, way="keyword"):
        return {
            "PYTHONPATH": str(path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "EARLY": early,
            "WAY": way,
            "WHO": "nobody",
        }

    return variables


def options(output):
    """Return the options that a build has said it uses."""
    lines = (line for line in output.splitlines() if line.startswith("option "))
    return {name: value for name, _, value in (line.partition(" = ") for line in lines)}


@pytest.mark.parametrize(("early", "way"), WHO_DOES)
def test_same_wheel(early, way, project, plugin, same_wheel):
    """The wheel of a quiet tree, and a tree that stays as it was."""
    same_wheel(project(FILES), variables=plugin(EARLY[early], way))


@pytest.mark.parametrize("frontend", ["setup.py", "pip"])
def test_same_wheel_by_other_frontends(frontend, project, plugin, same_wheel):
    """By hand what is made on the way to the wheel is private, too."""
    variables = plugin(EARLY["own build_py, as incremental"])
    same_wheel(project(FILES), frontend, variables=variables)


@pytest.mark.parametrize(
    ("environment", "early", "way"),
    [
        ("plain", "own build_py, as incremental", "keyword"),
        ("plugged", "own build_py, as incremental", "keyword"),
        ("plugged", "build_ext and own bdist_wheel", "distclass"),
        ("plugged", "all", "entry point"),
    ],
)
def test_two_builds(
    environment, early, way, project, plugin, request, start, meeting, tmp_path
):
    """Each of two builds that meet when they have built ships what it has built."""
    source = project(FILES)
    before = harness.listing(source)
    tool = request.getfixturevalue(environment)
    runs = {}
    for who in ("first", "second"):
        variables = {**plugin(EARLY[early], way), "WHO": who}
        runs[who] = start(tool, source, "hook", who, variables)
        assert meeting.arrival() == who, runs[who].output()
    shipped = {}
    for who in ("second", "first"):
        meeting.let_go(who)
        output = runs[who].finish()
        assert runs[who].status == 0, output
        assert SHARED not in output
        shipped[who] = harness.member(tmp_path / who, "p/who.txt").decode()
    plugged = environment == "plugged"
    assert (shipped == {"first": "first", "second": "second"}) == plugged, shipped
    assert (harness.listing(source) == before) == plugged


@pytest.mark.parametrize("environment", ["plain", "plugged"])
def test_two_builds_by_hand(environment, project, plugin, request, start, meeting):
    """The same with a bdist_wheel that is finalized itself, which a hook cannot use.

    It does not hear of the ``--dist-dir`` that a hook gives it.
    """
    source = project(FILES)
    tool = request.getfixturevalue(environment)
    variables = {**plugin("bdist_wheel build_ext"), **meeting.variables}
    command = [str(tool.python), "setup.py", "bdist_wheel"]
    names = ("first", "second")
    runs = {}
    shipped = {}
    with harness.many([]) as started:
        for who in names:
            runs[who] = tool.start(command, source, {**variables, "WHO": who})
            started.append(runs[who])
            assert meeting.arrival() == who
        for who in reversed(names):
            meeting.let_go(who)
            output = runs[who].finish()
            assert runs[who].status == 0, output
            assert SHARED not in output
            shipped[who] = harness.member(source / "dist", "p/who.txt").decode()
    plugged = environment == "plugged"
    assert (shipped == {"first": "first", "second": "second"}) == plugged, shipped
    left = {path.name for path in source.iterdir()} - {
        name.split("/")[0] for name in FILES
    }
    assert (left == {"dist"}) == plugged, left


def editable_contents(out, environment):
    """Return what is in the wheel, for whatever interpreter: setuptools 64 names it."""
    (wheel,) = out.iterdir()
    own = os.fsencode(environment.python.parent)
    return [
        (name, mode, data.replace(own, b"bin"))
        for name, mode, data in harness.wheel_contents(wheel)
        if not name.endswith("RECORD")  # which has the digest of that
    ]


@pytest.mark.parametrize("hook", ["sdist", "editable", "metadata", "requires"])
def test_other_hooks(hook, project, plugin, plain, plugged, tmp_path):
    """Each gives what it gives without the plugin, and leaves no more in the tree."""
    products = {}
    left = {}
    for name, environment in (("plain", plain), ("plugged", plugged)):
        source = project(FILES)
        before = harness.listing(source)
        out = tmp_path / name
        out.mkdir()
        command = environment.command(hook, source, out)
        run = environment.start(command, source, plugin(EARLY["all"]))
        output = run.finish()
        assert run.status == 0, output
        assert SHARED not in output
        products[name] = harness.product(out, output)
        if hook == "editable":
            products[name] = editable_contents(out, environment)
        left[name] = harness.listing(source).keys() - before.keys()
        shutil.rmtree(source)
    assert products["plain"] == products["plugged"]
    # The extension module of an editable wheel stands beside its sources.
    expected = {path for path in left["plain"] if path.startswith("p/fast.")}
    assert left["plugged"] == expected


def knows_extra_config(environment, cwd):
    """Whether this setuptools reads the file that DIST_EXTRA_CONFIG names; 64 does not."""
    code = (
        "import inspect, setuptools, distutils.dist\n"
        "print('DIST_EXTRA_CONFIG' in inspect.getsource(distutils.dist))"
    )
    return harness.run_python(environment, code, cwd).strip() == "True"


@pytest.mark.parametrize("option", ["build_base", "build_lib"])
def test_stated_by_the_user(option, project, plugin, plain, plugged, tmp_path):
    """What DIST_EXTRA_CONFIG states for ``build`` is used, or what setuptools makes of it.

    Setuptools reads it after the keyword, and so does not use it in this ``build``.
    """
    config = tmp_path / "extra.cfg"
    config.write_text(f"[build]\n{option} = {tmp_path / 'stated'}\n")
    variables = {**plugin("build"), "DIST_EXTRA_CONFIG": str(config)}
    values = []
    for environment in (plain, plugged):
        source = project(FILES)
        out = tmp_path / f"out-{len(values)}"
        run = environment.start(
            environment.command("hook", source, out), source, variables
        )
        output = run.finish()
        assert run.status == 0, output
        values.append(options(output)[f"option build {option}"])
        shutil.rmtree(source)
    is_stated = values[1] in (values[0], str(tmp_path / "stated"))
    assert is_stated == (SHARED in output) == knows_extra_config(plain, tmp_path)


def test_stated_for_another_command(project, plugin, plugged, tmp_path):
    """One that nobody has finalized gets what is stated; all else is isolated."""
    stated = str(tmp_path / "stated")
    config = tmp_path / "extra.cfg"
    config.write_text(f"[build_ext]\nbuild_temp = {stated}\n")
    variables = {**plugin("build"), "DIST_EXTRA_CONFIG": str(config)}
    source = project(FILES)
    before = harness.listing(source)
    command = plugged.command("hook", source, tmp_path / "out")
    run = plugged.start(command, source, variables)
    output = run.finish()
    assert run.status == 0, output
    is_stated = options(output)["option build_ext build_temp"] == stated
    assert is_stated == knows_extra_config(plugged, tmp_path)
    assert harness.listing(source) == before


def test_stated_on_the_command_line(project, plugin, plain, plugged):
    """It is used, or what setuptools makes of it, which is ``build/``, too late for it."""
    outputs = []
    for environment in (plain, plugged):
        source = project(FILES)
        status, output = environment.setup_py(
            source,
            "build",
            "--build-base=stated",
            "bdist_wheel",
            variables=plugin(EARLY["build"]),
        )
        assert status == 0, output
        outputs.append(output)
        shutil.rmtree(source)
    without, used = map(options, outputs)
    assert used == without or used["option build build_base"] == "stated"
    assert SHARED in outputs[1]


@pytest.mark.parametrize("early", ["build", "build_ext and own bdist_wheel"])
def test_stated_by_the_project(early, project, plugin, plugged, tmp_path):
    """The build_base of the project may have no effect, but the build is isolated."""
    source = project({**FILES, "setup.cfg": "[build]\nbuild_base = stated\n"})
    before = harness.listing(source)
    command = plugged.command("hook", source, tmp_path / "out")
    run = plugged.start(command, source, plugin(EARLY[early]))
    output = run.finish()
    assert run.status == 0, output
    assert SHARED not in output
    used = options(output)
    assert used
    # Before 65 nothing is printed yet when a command is finalized that early.
    (tree,) = [
        line.partition("isolated build: ")[2]
        for line in output.splitlines()
        if line.startswith("isolated build: ")
    ] or [
        str(path)
        for path in Path(used["option build build_lib"]).parents
        if path.name.startswith("tree-")
    ]
    assert os.path.basename(tree).startswith("tree-")
    assert not {name for name in used if not used[name].startswith(f"{tree}/")}, used
    new = harness.listing(source).keys() - before.keys()
    assert {path for path in new if not path.startswith("stated")} == set()


@pytest.mark.parametrize(
    "command", [["build"], ["build_ext", "--inplace"], ["build_py"]]
)
def test_asked_for_by_name(command, project, plugin, plain, plugged):
    """By hand, what is asked for by name stays where setuptools puts it."""
    left = []
    for environment in (plain, plugged):
        source = project(FILES)
        status, output = environment.setup_py(
            source, *command, variables=plugin(EARLY["all"])
        )
        assert status == 0, output
        left.append(harness.listing(source).keys())
        shutil.rmtree(source)
    assert left[0] == left[1]
    assert "build" in left[0]
