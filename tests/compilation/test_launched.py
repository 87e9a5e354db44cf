"""What CMake runs in front of each compiler: the compiler's own object, and its rule."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import zipfile

import harness
import pytest
from setuptools_isolated_build._compilation import inputs, launched
from setuptools_isolated_build._compilation.cached import Cache

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="ccache is for Unix compilers"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc"),
]

# As CMake writes it for make and for ninja.
COMMAND = "{} -Dm_EXPORTS -Ia -Ib -O3 -fPIC {} -o {} -c {}"
RULE = "-MD -MT CMakeFiles/m.dir/m.c.o -MF {}.d"
FILES = {
    "src/m.c": '#include "h.h"\nint f(void) { return VALUE; }\n',
    "a/other.h": "",
    "b/h.h": "#define VALUE 1\n",
}
APPEARS = {
    "a header": (FILES, {"a/h.h": "#define VALUE 2\n"}),
    "the assembler's file": (
        {"src/m.c": '__asm__(".include \\"b/x.inc\\"");\n', "b/x.inc": "\n"},
        {"b/x.inc": ".globl x\nx:\n"},
    ),
}


@pytest.fixture
def launcher(extra, tree, tmp_path):
    """The path of a program that runs a compiler through the cache."""
    directory = tmp_path / "it's the build"
    directory.mkdir()
    program = str(extra.python.parent / "ccache")
    return launched.install(
        str(directory), Cache(program, "ccache", str(directory), {})
    )


@pytest.fixture
def both(launcher):
    """Compile through the cache, and without: the objects, and the files of the rules."""

    def compile_it(flags=RULE, compiler="gcc", source="src/m.c"):
        found = []
        for number, program in enumerate((shlex.quote(launcher), "")):
            obj = f"{number}.o"
            rule = flags.format(obj)
            command = f"{program} {COMMAND.format(compiler, rule, obj, source)}"
            subprocess.run(shlex.split(command), check=True, timeout=60)
            with open(obj, "rb") as file:
                found.append([file.read()])
            if rule:
                with open(f"{obj}.d") as file:
                    target, _, rest = file.read().partition(":")
                found[-1] += [target, inputs.dependencies(f": {rest}")]
                os.unlink(f"{obj}.d")
        return found

    return compile_it


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_same(compiler, tree, both, hits):
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    tree(FILES)
    for number in range(3):
        found, expected = both(compiler=compiler)
        assert found == expected
        assert hits() == number


@pytest.mark.parametrize(("files", "change"), APPEARS.values(), ids=APPEARS)
def test_nothing_stale(files, change, tree, both):
    """As it is with ccache alone."""
    tree(files)
    for _ in ("cold", "warm"):
        found, before = both()
        assert found == before
    tree(change)
    found, expected = both()
    assert found == expected
    assert found[0] != before[0], "what has changed does not matter"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", 1),
        (RULE.replace("-MD", "-MMD"), 0),
        ("-MD -MF {}.d -MT t", 0),
        (RULE + " -march=native", 0),
    ],
)
def test_other_flags(flags, expected, tree, both, hits):
    """What is not known is compiled directly."""
    tree(FILES)
    for _ in range(2):
        found, alone = both(flags)
        assert found == alone
    assert hits() == expected


def test_a_mistake(tree, launcher):
    """It is said once, and the status is the compiler's."""
    tree({"src/m.c": "int f = missing;\n"})
    command = shlex.split(COMMAND.format("gcc", RULE.format("m.o"), "m.o", "src/m.c"))
    done = subprocess.run(
        [launcher, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("missing") == 2  # the message, and the line it is in
    assert not os.path.exists("m.o")


def test_without_setuptools(tree, launcher, tmp_path):
    """It would take longer to import than most files to compile."""
    tree(FILES)
    command = shlex.split(COMMAND.format("gcc", RULE.format("m.o"), "m.o", "src/m.c"))
    log = tmp_path / "imported"
    with open(launcher) as file:
        text = file.read()
    with open(launcher, "w") as file:
        file.write(text.replace(" -I -S ", " -I -S -X importtime "))
    with open(log, "w") as file:
        subprocess.run([launcher, *command], stderr=file, check=True, timeout=60)
    assert "_compilation.cached" in log.read_text()
    assert "setuptools\n" not in log.read_text()


CMAKE = {
    "setup.py": """
        import os, subprocess
        from setuptools import Extension, setup
        from setuptools.command.build_ext import build_ext
        class cmake(build_ext):
            def build_extension(self, ext):
                path = self.get_ext_fullpath(ext.name)
                subprocess.run(["cmake", "-S", ".", "-B", self.build_temp], check=True)
                subprocess.run(["cmake", "--build", self.build_temp], check=True)
                self.mkpath(os.path.dirname(path))
                self.copy_file(f"{self.build_temp}/libm.so", path)
        setup(name="n", version="1", cmdclass={"build_ext": cmake},
              ext_modules=[Extension("m", [])])
        """,
    "CMakeLists.txt": """
        cmake_minimum_required(VERSION 3.15)
        project(n C)
        include_directories(a b)
        add_library(m MODULE src/m.c)
        """,
    **FILES,
}


@pytest.fixture
def value(extra, project, tmp_path):
    """Build the project after a change; return what is in the extension module."""
    if not shutil.which("cmake"):
        pytest.skip("there is no cmake")
    source = project(CMAKE)
    out = tmp_path / "out"

    def build(change=None, **variables):
        for name, text in (change or {}).items():
            (source / name).write_text(text)
        harness.let_age(source)
        shutil.rmtree(out, ignore_errors=True)
        variables["CCACHE_DIR"] = str(tmp_path / "ccache")
        wheel = extra.build(source, out, variables=variables)
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.startswith("m."))
            path = archive.extract(name, out)
        load = f"import ctypes; print(ctypes.CDLL({path!r}).f())"
        return int(harness.run_python(extra, load, tmp_path))

    return build


def test_by_cmake(value, hits):
    """What is compiled once is not compiled again, and never stale."""
    assert value() == 1
    before = hits()
    assert value() == 1
    assert hits() > before
    assert value({"a/h.h": "#define VALUE 2\n"}) == 2


def test_in_a_kept_tree(value, hits, tmp_path):
    """CMake remembers the program, which is there with and without a cache."""
    kept = {"SETUPTOOLS_ISOLATED_BUILD_BUILD_DIR": str(tmp_path / "kept")}
    without = {"SETUPTOOLS_ISOLATED_BUILD_COMPILER_CACHE": "off"}
    assert value(**kept) == 1
    before = hits()
    assert value({"b/h.h": "#define VALUE 2\n"}, **kept, **without) == 2
    assert value({"b/h.h": "#define VALUE 1\n"}, **kept, **without) == 1
    assert hits() == before
    assert value({"src/m.c": FILES["src/m.c"] + "\n"}, **kept) == 1
    assert value({"src/m.c": FILES["src/m.c"]}, **kept) == 1
    assert hits() > before
