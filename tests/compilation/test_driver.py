"""What a driver runs is a part of what the cache compares.

A toolchain of our own: a copy of the driver, with a compiler proper, an assembler and
rules that are replaced while the driver stays as it is.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from setuptools_isolated_build._compilation import (
    cached,
    direct,
    driver,
    inputs,
    known,
)

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this is not Linux"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc"),
]

FILES = {
    "src/m.c": '#include "h.h"\nint f(int a) { return a + VALUE > a; }\n',
    "a/h.h": "#define VALUE 1\n",
}
# Runs the real program with one more option, which a library may say.
PROGRAM = """\
#include <string.h>
#include <unistd.h>
extern const char *option(void);
#ifndef LIBRARY
const char *option(void) { return OPTION; }
#endif
int main(int count, char **words) {
    char *command[count + 2];
    memcpy(command, words, count * sizeof *words);
    command[count] = (char *) option();
    command[count + 1] = NULL;
    execv(REAL, command);
    return 127;
}
"""
# A plugin of gcc, which adds a symbol to each object.
PLUGIN = """\
#include <stdio.h>
extern FILE *asm_out_file;
extern void register_callback(const char *, int, void (*)(void *, void *), void *);
int plugin_is_GPL_compatible;
static void at_the_end(void *event, void *data) {
    fprintf(asm_out_file, ".globl %s\\n%s:\\n", SYMBOL, SYMBOL);
}
int plugin_init(char **name, void *version) {
    register_callback(*name, 5, at_the_end, NULL);
    return 0;
}
"""


toolchain = functools.partial(driver.toolchain, by_contents=False)


def said(*command, **options):
    options |= {"check": True, "capture_output": True, "text": True, "timeout": 60}
    return subprocess.run(command, **options).stdout.strip()


class Tools:
    """A toolchain in ``tool``, of gcc or clang."""

    def __init__(self, compiler):
        real = os.path.realpath(shutil.which(compiler))
        name = compiler.partition("-")[0]
        self.driver = os.path.abspath(f"tool/bin/{name}")
        os.makedirs("tool/bin")
        shutil.copy(real, self.driver)

    def have_gccs_files(self):
        there = os.path.dirname(said("gcc", "-print-libgcc-file-name"))
        self.own = os.path.abspath("tool/" + there.removeprefix("/usr/"))
        os.makedirs(self.own)
        for entry in os.scandir(there):
            if entry.name != "cc1":
                os.symlink(entry.path, os.path.join(self.own, entry.name))

    def have_specs(self, option):
        text = said(self.driver, "-dumpspecs")
        with open(f"{self.own}/specs", "w") as file:
            file.write(text.replace("\n*cc1:\n", f"\n*cc1:\n{option} ") + "\n")

    def have_program(self, name, option, *flags):
        real = os.path.realpath(shutil.which(said("gcc", f"-print-prog-name={name}")))
        with open("program.c", "w") as file:
            file.write(PROGRAM)
        defined = (f'-DREAL="{real}"', f'-DOPTION="{option}"')
        said("gcc", *defined, "program.c", "-o", "new", *flags)
        os.replace("new", f"{self.own}/{name}")

    def have_plugin(self, symbol):
        with open("plugin.c", "w") as file:
            file.write(PLUGIN)
        defined = f'-DSYMBOL="{symbol}"'
        said("gcc", "-shared", "-fPIC", defined, "plugin.c", "-o", "new.so")
        os.replace("new.so", "plugin.so")

    def have_library(self, option):
        with open("library.c", "w") as file:
            file.write(f'const char *option(void) {{ return "{option}"; }}\n')
        said("gcc", "-shared", "-fPIC", "library.c", "-o", "new.so")
        os.replace("new.so", "liboption.so")


@pytest.fixture
def tools(tree):
    tree(FILES)
    tools = Tools("gcc")
    tools.have_gccs_files()
    tools.have_program("cc1", "-O1")
    tree({})
    return tools


def specs(tools):
    return lambda: tools.have_specs("-fwrapv")


def compiler(tools):
    return lambda: tools.have_program("cc1", "-fwrapv")


def assembler(tools):
    tools.have_program("as", "--64")
    return lambda: tools.have_program("as", "--execstack")


def library(tools):
    tools.have_library("-O1")
    flags = ("-DLIBRARY", "liboption.so", f"-Wl,-rpath,{os.getcwd()}")
    tools.have_program("cc1", "", *flags)
    return lambda: tools.have_library("-fwrapv")


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("change", [specs, compiler, assembler, library])
def test_nothing_stale(change, is_kept, tools, tree, compiled, hits, monkeypatch):
    """Whether what the preprocessor has said is kept or not."""
    if not is_kept:
        monkeypatch.setattr(direct, "_LEAST", 1 << 30)
    become_another = change(tools)
    tree({})
    for _ in ("cold", "warm"):
        found, before = compiled(tools.driver, "src/m.c", "-Ia")
        assert found == before
    assert hits() == 1
    become_another()
    found, expected = compiled(tools.driver, "src/m.c", "-Ia")
    assert expected != before, "what has changed does not matter"
    assert found == expected


def test_a_plugin(tools, tree, compiled):
    """Rules may load one, which can be replaced, or read what it likes."""
    tools.have_specs(f"-fplugin={os.path.abspath('plugin.so')}")
    for symbol in ("one", "two"):
        tools.have_plugin(symbol)
        tree({})
        found, expected = compiled(tools.driver, "src/m.c", "-Ia")
        assert symbol.encode() in found
        assert found == expected


@pytest.mark.parametrize(
    ("option", "is_known"),
    [
        ("-fwrapv", True),
        ("-imacros a/missing.h", True),
        ("-fplugin=annobin", False),
        ("-imacros a/h.h", False),
        ("-imacros{}/a/h.h", False),
        ("-fauto-profile={}/a/h.h", False),
        ("-fdebug-prefix-map=x=a/h.h", False),
        ("-Wp,-imacros,a/h.h", False),
    ],
)
def test_a_rule_that_names_a_file(option, is_known, tools, tmp_path):
    tools.have_specs(option.format(os.getcwd()))
    command = [tools.driver, "-c", "src/m.c", "-o", "m.o"]
    assert (toolchain(command, os.environ, str(tmp_path)) is not None) == is_known


@pytest.mark.parametrize(("check", "expected"), [("mtime", 0), ("content", 1)])
def test_told_apart_as_ccache_does(
    check, expected, tools, tree, compiled, hits, monkeypatch
):
    """By contents where the user says so: other machines have other times."""
    monkeypatch.setenv("CCACHE_COMPILERCHECK", check)
    compiled(tools.driver, "src/m.c", "-Ia")
    os.utime(f"{tools.own}/cc1", (1, 1))
    compiled(tools.driver, "src/m.c", "-Ia")
    assert hits() == expected
    tools.have_program("cc1", "-fwrapv")
    found, expected = compiled(tools.driver, "src/m.c", "-Ia")
    assert found == expected


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="there is no musl-gcc")
def test_libraries_by_the_loader_of_musl(tmp_path, monkeypatch):
    """As on Alpine, where `test_nothing_stale` needs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driver, "_has_glibc", lambda: False)
    (tmp_path / "a.c").write_text("int a(void) { return 0; }\n")
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    said("musl-gcc", "-shared", "-fPIC", "a.c", "-o", "liba.so")
    flags = ("-Wl,--no-as-needed", f"-Wl,-rpath,{tmp_path}", f"{tmp_path}/liba.so")
    said("musl-gcc", "main.c", *flags, "-o", "main")
    said("musl-gcc", "-static", "main.c", "-o", "static")
    libraries = functools.partial(driver._libraries, env={}, scratch=str(tmp_path))
    assert str(tmp_path / "liba.so") in libraries(str(tmp_path / "main"))
    assert list(libraries(str(tmp_path / "static"))) == []


def newest_clang():
    """A toolchain of a clang that reads a configuration, if there is one."""
    names = ("clang", *(f"clang-{number}" for number in range(16, 30)))
    found = [name for name in names if shutil.which(name)]
    newer = [x for x in found if int(said(x, "-dumpversion").split(".")[0]) >= 16]
    if not newer:
        pytest.skip("there is no clang from 16 on")
    tools = Tools(newer[0])
    headers = said(newer[0], "-print-resource-dir")
    os.makedirs("tool/lib/clang")
    os.symlink(headers, f"tool/lib/clang/{os.path.basename(headers)}")
    return tools


def test_a_configuration_of_clang(tree, compiled, hits):
    """From clang 16 on it reads one without being told."""
    tree(FILES)
    tools = newest_clang()
    for _ in ("cold", "warm"):
        found, before = compiled(tools.driver, "src/m.c", "-Ia")
        assert found == before
    assert hits() == 1
    tree({"tool/bin/clang.cfg": "-fwrapv\n"})
    found, expected = compiled(tools.driver, "src/m.c", "-Ia")
    assert expected != before, "it is not read"
    assert found == expected


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_debug_information_by_rules(name, is_kept, tree, compiled, monkeypatch):
    """It names the current directory, which ccache hashes for flags that it sees."""
    if not is_kept:
        monkeypatch.setattr(direct, "_LEAST", 1 << 30)
    tree(FILES)
    if name == "gcc":
        tools = Tools(name)
        tools.have_gccs_files()
        tools.have_program("cc1", "-O1")
        tools.have_specs("-g")
    else:
        tools = newest_clang()
    tree({"tool/bin/clang.cfg": "-g\n"})
    for directory in ("one", "two"):
        shutil.copytree("src", f"{directory}/src")
        shutil.copytree("a", f"{directory}/a")
        with monkeypatch.context() as inside:
            inside.chdir(directory)
            inside.delenv("PWD", raising=False)
            found, expected = compiled(tools.driver, "src/m.c", "-Ia")
        assert os.path.abspath(directory).encode() in expected
        assert found == expected


def test_replaced_meanwhile(tools, tree, compiled, hits, monkeypatch):
    """What the new compiler has made is not found by whoever has the old one."""
    old, new = f"{tools.own}/cc1", f"{tools.own}/new"
    os.replace(old, f"{tools.own}/old")
    tools.have_program("cc1", "-fwrapv")
    os.replace(old, new)
    shutil.copy2(f"{tools.own}/old", old)
    tree({"prefix": f'#!/bin/sh\nmv "{new}" "{old}"\nexec "$@"\n'})
    monkeypatch.setenv("CCACHE_PREFIX", os.path.abspath("prefix"))
    found, expected = compiled(tools.driver, "src/m.c", "-Ia")
    assert found == expected
    monkeypatch.delenv("CCACHE_PREFIX")
    os.replace(f"{tools.own}/old", old)
    found, before = compiled(tools.driver, "src/m.c", "-Ia")
    assert found == before != expected
    assert hits() == 0


@pytest.mark.parametrize("name", ["cc1", "as"])
def test_a_script_in_its_place(name, tools, tree, compiled, hits):
    """It may read what nobody knows of."""
    real = os.path.realpath(shutil.which(said("gcc", f"-print-prog-name={name}")))
    path = f"{tools.own}/{name}"
    if os.path.lexists(path):
        os.unlink(path)
    tree({path: f'#!/bin/sh\nexec {real} "$@"\n'})
    for _ in range(2):
        found, expected = compiled(tools.driver, "src/m.c", "-Ia")
        assert found == expected
    assert hits() == 0


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_same_for_all_builds(compiler, tmp_path, monkeypatch):
    """Wherever they are, and with whatever files."""
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")

    def told(flags, place="here", **env):
        (tmp_path / place / "scratch").mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        command = [compiler, *flags.split(), "-c", "src/m.c", "-o", "m.o"]
        scratch = str(tmp_path / place / "scratch")
        return toolchain(command, {**os.environ, **env}, scratch).told

    before = told("-O1 -g -Ia")
    assert told("-O1 -g -I b -DX=1 -ffile-prefix-map=/x=y", "there") == before
    assert told("-O2 -g -Ia") != before
    assert told("-O1 -g -Ia", CPATH="/x") != before


def test_asked_once(tree, extra, tmp_path, monkeypatch):
    """Not by each of the threads that begin together."""
    tree({"a.c": "", "b.c": ""})
    both = threading.Barrier(2, timeout=60)
    newer, run, asked = cached._make_newer, driver._run, []

    def begin(*args):
        both.wait()
        return newer(*args)

    def count(command, *args):
        asked.append(command)
        return run(command, *args)

    def compile_it(name):
        command = ["gcc", "-c", f"{name}.c", "-o", f"{name}.o"]
        compilation = inputs.Compilation(command, command, "", str(tmp_path), ())
        cache.compile(lambda words, env: said(*words, env=env), compilation, print)

    monkeypatch.setattr(cached, "_make_newer", begin)
    monkeypatch.setattr(driver, "_run", count)
    driver._asked.cache_clear()
    cache = cached.Cache(
        str(extra.python.parent / "ccache"), "ccache", str(tmp_path), {}
    )
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(compile_it, "ab"))
    assert os.path.exists("a.o")
    assert os.path.exists("b.o")
    assert sum("-###" in command for command in asked) == 1


def test_what_does_not_say_what_it_runs(tmp_path):
    program = shutil.copy(shutil.which("true"), tmp_path / "gcc")
    command = [str(program), "-c", "m.c", "-o", "m.o"]
    assert toolchain(command, os.environ, str(tmp_path)) is None
    program.unlink()
    assert toolchain(command, os.environ, str(tmp_path)) is None


@pytest.mark.parametrize("compiler", ["tool/bin/gcc", "gcc"])
def test_a_relative_path(compiler, tools, compiled, hits, monkeypatch):
    """Somewhere else it is another compiler, or none. As on macOS: no loader tells."""
    monkeypatch.setattr(driver, "_libraries", lambda *_: ())
    monkeypatch.setenv("PATH", f"tool/bin{os.pathsep}{os.environ['PATH']}")
    for _ in range(2):
        found, expected = compiled(compiler, "src/m.c", "-Ia")
        assert found == expected
    assert hits() == 0


def test_rules():
    """A command without its files and what is passed on."""
    flags = "-O2 -I a -Ib -D X -UY -arch arm64 -isystem c -fdebug-prefix-map=a=b -g"
    command = ["g++", *flags.split(), "-c", "src/m.cpp", "-o", "-x.o", "-Wall"]
    kept = ["-O2", "-arch", "arm64", "-g", "-c", "-Wall"]
    assert known.rules(command) == ["g++", *kept, ".cpp"]
