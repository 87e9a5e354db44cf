"""Build trees that are kept below `build-dir`: warm, bounded, and nothing else's."""

from __future__ import annotations

import os
import shutil
import signal
import tarfile

import harness
import pytest
from setuptools_isolated_build._trees import kept, lease

pytestmark = pytest.mark.any_setuptools

POSIX = pytest.mark.skipif(os.name == "nt", reason="by the means of POSIX")
SETUP_PY = (
    "import os\n"
    + harness.Meeting.CODE
    + """
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
class seeing(build_ext):
    def run(self):
        os.makedirs(self.build_temp, exist_ok=True)
        print("found:", sorted(os.listdir(self.build_temp)))
        open(os.path.join(self.build_temp, "state"), "w").close()
        if "MEETING_PORT" in os.environ:
            meet(os.environ["WHO"])
        super().run()
setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": seeing},
      ext_modules=[Extension("p.fast", ["p/fast.c"])])
"""
)
FILES = {
    "setup.py": SETUP_PY,
    "pyproject.toml": "[tool.setuptools-isolated-build]\nbuild-dir = '.build'\n",
    "p/__init__.py": "",
    "p/gone.py": "",
    "p/fast.c": harness.FAST_C,
}


@pytest.fixture
def source(project):
    return project(FILES)


def build(environment, source, out, variables=None, frontend="hook"):
    """Return the output of a build of a wheel."""
    run = environment.start(
        environment.command(frontend, source, out), source, variables
    )
    output = run.finish()
    assert run.status == 0, output
    return output


def trees(source):
    """Return the kept trees."""
    return set(source.glob(".build/.setuptools-isolated-build-*-kept/tree-*"))


def names(wheel):
    return {name for name, *_ in harness.wheel_contents(wheel)}


def test_kept(source, plain, plugged, tmp_path):
    """The directory is marked, and holds the build_temp alone; the wheel is the same."""
    expected = harness.oracle(plain, source, tmp_path / "expected")
    before = harness.listing(source)
    assert "found: []" in build(plugged, source, tmp_path / "out")
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert wheel.read_bytes() == expected.read_bytes()
    (tree,) = trees(source)
    tag = (tree.parent / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert (tree.parent / ".gitignore").read_text() == "*\n"
    (temp,) = tree.glob("work*/build/*")
    assert temp.name.startswith("temp")
    changed = {
        name
        for name, entry in harness.listing(source).items()
        if before.get(name) != entry
    }
    assert {name.split("/")[0] for name in changed} == {".", ".build"}

    assert "'state'" in build(plugged, source, tmp_path / "out")
    assert wheel.read_bytes() == expected.read_bytes()
    assert trees(source) == {tree}


def test_what_is_gone_does_not_ship(source, plugged, tmp_path):
    build(plugged, source, tmp_path / "first")
    (source / "p" / "gone.py").unlink()
    build(plugged, source, tmp_path / "second")
    (first,), (second,) = ((tmp_path / n).glob("*.whl") for n in ("first", "second"))
    assert names(first) - names(second) == {"p/gone.py"}


def test_two_at_once(source, plain, plugged, start, meeting, tmp_path):
    """In two trees, which both are kept."""
    expected = harness.oracle(plain, source, tmp_path / "expected")
    runs = [start(plugged, source, "wheel", who) for who in ("one", "other")]
    assert {meeting.arrival(), meeting.arrival()} == {"one", "other"}
    for who, run in zip(("one", "other"), runs):
        meeting.let_go(who)
        output = run.finish()
        assert run.status == 0, output
        (wheel,) = (tmp_path / who).glob("*.whl")
        assert wheel.read_bytes() == expected.read_bytes()
    assert len(trees(source)) == 2


def test_a_failed_build_leaves_it_usable(source, plugged, tmp_path):
    (source / "p" / "fast.c").write_text("#error\n")
    run = plugged.start(plugged.command("hook", source, tmp_path / "out"), source)
    run.finish()
    assert run.status == 1
    (source / "p" / "fast.c").write_text(harness.FAST_C)
    assert "'state'" in build(plugged, source, tmp_path / "out")


@POSIX
def test_a_killed_build(source, plain, plugged, start, meeting, tmp_path):
    """Its compilers may still write there: the next one gets another directory."""
    expected = harness.oracle(plain, source, tmp_path / "expected")
    build(plugged, source, tmp_path / "first")
    first = trees(source)
    run = start(plugged, source, "wheel", "killed")
    assert meeting.arrival() == "killed"
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait(harness.TIMEOUT)
    output = build(plugged, source, tmp_path / "out")
    assert "found: []" in output
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert wheel.read_bytes() == expected.read_bytes()
    assert "'state'" in build(plugged, source, tmp_path / "out")
    assert len(trees(source)) == 1
    assert first.isdisjoint(trees(source))


def test_used_for_something_else(source, plugged, tmp_path):
    """What is there stays, beside a directory of ours."""
    (source / ".build" / "tree-00000000").mkdir(parents=True)
    (source / ".build" / "tree-00000000" / "own").write_text("own")
    (source / ".build" / "CACHEDIR.TAG").write_text("somebody's")
    before = harness.listing(source / ".build" / "tree-00000000")
    build(plugged, source, tmp_path / "out")
    assert harness.listing(source / ".build" / "tree-00000000") == before
    assert (source / ".build" / "CACHEDIR.TAG").read_text() == "somebody's"
    assert len(trees(source)) == 1


def test_a_tree_that_is_not_ours(source, plugged, tmp_path):
    """Something of somebody's beside the trees, and a link with the name of one."""
    build(plugged, source, tmp_path / "out")
    (tree,) = trees(source)
    own = tree.with_name("own")
    own.mkdir()
    (own / "file").write_text("own")
    tree.with_name("tree-00000000").symlink_to(source / "p")
    build(plugged, source, tmp_path / "out")
    assert (own / "file").read_text() == "own"
    assert (source / "p" / "fast.c").exists()


def test_unwritable(source, call_read_only):
    status, output = call_read_only(source, "build_wheel")
    assert status == 0, output
    assert "no build tree is kept: " in output


@pytest.mark.parametrize("setting", [".build", "kept"])
def test_not_in_an_sdist(setting, project, plugged, call_read_only, tmp_path):
    """Also when this build keeps nothing there, since it cannot write to it."""
    text = FILES["pyproject.toml"].replace(".build", setting)
    source = project({**FILES, "pyproject.toml": text, "MANIFEST.in": "graft .\n"})
    build(plugged, source, tmp_path / "first")
    assert (source / setting).exists()
    build(plugged, source, tmp_path / "writable", frontend="sdist")
    status, output = call_read_only(source, "build_sdist")
    assert status == 0, output
    for out in ("writable", "out"):
        (sdist,) = (tmp_path / out).glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            names = archive.getnames()
        assert [name for name in names if name.endswith("/fast.c")]
        assert not [name for name in names if f"/{setting}" in name]


LIBRARY = """
    import os
    from setuptools import Extension, setup
    library = {"sources": os.environ["SOURCES"].split(), "macros": [("M", os.environ["M"])]}
    setup(name="n", version="1", packages=["p"], libraries=[("library", library)],
          ext_modules=[Extension("p.fast", ["p/fast.c"])])
    """


@POSIX
def test_libraries_are_compiled_anew(project, plain, plugged, tmp_path):
    """build_clib compares times only, and adds to the archive that it finds."""
    text = harness.FAST_C.replace("fast(void) {", "fast(void) { one();")
    source = project(
        {
            **FILES,
            "setup.py": LIBRARY,
            "p/fast.c": "int one(void);\n" + text,
            "one.c": "int two(void);\nint one(void) { return M; }\n",
            "two.c": "int two(void) { return 2; }\n",
        }
    )
    for number, macro, sources in (("1", "1", "one.c two.c"), ("2", "2", "one.c")):
        variables = {"M": macro, "SOURCES": sources}
        expected = harness.oracle(plain, source, tmp_path / f"e{number}", variables)
        build(plugged, source, tmp_path / number, variables)
        (wheel,) = (tmp_path / number).glob("*.whl")
        assert wheel.read_bytes() == expected.read_bytes()
    (archive,) = next(iter(trees(source))).glob("work*/build/temp*/liblibrary.a")
    assert b"two.o" not in archive.read_bytes()


def leave(root, environ, project="n", source_dir="/s"):
    """Lease a kept tree and leave it in order; return its path."""
    made = lease.lease(str(root), kept.Kept(project, source_dir, environ), "a test")
    made.wanted.add(made.tree.build_base)
    os.makedirs(made.tree.build_base, exist_ok=True)
    made.end(failed=False, keep=False)
    return made.tree.directory


@POSIX
def test_whose_it_is(tmp_path, monkeypatch):
    """Of one project in one tree, for one compiler with its flags; the same for those."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    other = tmp_path / "gcc"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    kinds = [
        {"environ": {}},
        {"environ": {}, "project": "m"},
        {"environ": {}, "source_dir": "/t"},
        {"environ": {"CC": "gcc -pipe"}},
        {"environ": {"CC": "no-such-compiler"}},
        {"environ": {"CC": str(other)}},
        {"environ": {"CFLAGS": "-O0"}},
        {"environ": {"CMAKE_ARGS": "-DX=1"}},
    ]
    trees = [leave(root, **kind) for kind in kinds]
    assert len(set(trees)) == len(trees)
    assert trees == [leave(root, **kind) for kind in kinds]
    other.write_text("#!/bin/sh\n# a newer one\n")
    assert leave(root, {"CC": "no-such-compiler"}) in trees
    assert leave(root, {"CC": str(other)}) not in trees


def test_bounded(tmp_path, monkeypatch):
    """Those that were not used for longest go, whosever, but none that is in use."""
    monkeypatch.setattr(kept, "_MOST_KEPT", 2)
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    used = lease.lease(str(root), kept.Kept("used", "/s", {}), "a test")
    trees = []
    for number in range(4):
        trees.append(leave(root, {}, project=f"n{number}"))
        os.utime(os.path.join(trees[-1], "kept"), (number, number))
    left = {str(path) for path in root.glob("tree-*")}
    assert left == {used.tree.directory, *trees[2:]}
    used.end(failed=False, keep=False)
    left = {str(path) for path in root.glob("tree-*")}
    assert left == {used.tree.directory, trees[3]}


CMAKE_LISTS = """
    cmake_minimum_required(VERSION 3.15)
    project(fast C)
    add_library(fast MODULE fast.c other.c)
    target_include_directories(fast PRIVATE ${INCLUDE})
    set_target_properties(fast PROPERTIES PREFIX "" SUFFIX "${SUFFIX}"
                          LIBRARY_OUTPUT_DIRECTORY "${OUT}")
    """
CMAKE_SETUP_PY = (
    "import os, subprocess, sysconfig\n"
    + harness.Meeting.CODE
    + """
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
class cmake(build_ext):
    def build_extension(self, ext):
        if "MEETING_PORT" in os.environ:
            meet(os.environ["WHO"])
        out = os.path.dirname(os.path.abspath(self.get_ext_fullpath(ext.name)))
        subprocess.run(["cmake", "-G", "Ninja", "-S", ".", "-B", self.build_temp,
                        "-DOUT=" + out, "-DSUFFIX=" + sysconfig.get_config_var("EXT_SUFFIX"),
                        "-DINCLUDE=" + sysconfig.get_path("include")], check=True)
        subprocess.run(["cmake", "--build", self.build_temp, "-v"], check=True)
setup(name="n", version="1", packages=["p"], cmdclass={"build_ext": cmake},
      ext_modules=[Extension("p.fast", [])])
"""
)
CMAKE_FILES = {
    "setup.py": CMAKE_SETUP_PY,
    "pyproject.toml": FILES["pyproject.toml"],
    "CMakeLists.txt": CMAKE_LISTS,
    "p/__init__.py": "",
    "p/gone.py": "",
    "fast.c": harness.FAST_C,
    "other.c": "int other(void) { return 1; }\n",
}


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("ninja")), reason="no cmake or no ninja"
)
@pytest.mark.parametrize(
    "kind", ["wheel", pytest.param("editable", marks=pytest.mark.long)]
)
def test_cmake(kind, project, plain, extra, start, meeting, tmp_path):
    """The second build compiles nothing; two at once end well; what is gone is gone."""
    source = project(CMAKE_FILES)
    expected = names(harness.oracle(plain, source, tmp_path / "expected"))
    # Isolated environments have the program of the cache at another path each time.
    links = [tmp_path / name for name in ("first", "second")]
    for link in links:
        link.mkdir()
        (link / "ccache").symlink_to(extra.python.parent / "ccache")

    def variables(link):
        return {
            "SETUPTOOLS_ISOLATED_BUILD_COMPILER_CACHE": "ccache",
            "CCACHE_DIR": str(tmp_path / "ccache"),
            "PATH": f"{link}{os.pathsep}{os.environ['PATH']}",
        }

    def compiled(output):
        return sum(" -c " in line and ".c" in line for line in output.splitlines())

    output = build(extra, source, tmp_path / "one", variables(links[0]), kind)
    assert compiled(output) == 2
    assert "/setuptools-isolated-build-launcher " in output
    shutil.rmtree(links[0])
    output = build(extra, source, tmp_path / "two", variables(links[1]), kind)
    assert compiled(output) == 0
    assert " -shared " in output  # build_lib was empty
    if kind == "wheel":
        (source / "p" / "gone.py").unlink()
    runs = [start(extra, source, kind, who, variables(links[1])) for who in ("a", "b")]
    assert {meeting.arrival(), meeting.arrival()} == {"a", "b"}
    for who in ("a", "b"):
        meeting.let_go(who)
    counts = []
    for who, run in zip("ab", runs):
        output = run.finish()
        assert run.status == 0, output
        counts.append(compiled(output))
        if kind == "wheel":
            (wheel,) = (tmp_path / who).glob("*.whl")
            assert names(wheel) == expected - {"p/gone.py"}
    assert sorted(counts) == [0, 2]  # the tree that is warm, and a new one
