"""Which compilations may come from a cache. That they are right: test_stale."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import sysconfig

import pytest
from setuptools_isolated_build._compilation import known

pytestmark = pytest.mark.any_setuptools

ENV = {"PATH": os.environ.get("PATH", os.defpath)}
FILES = ["-c", "p/a.c", "-o", "build/a.o"]

ASKED = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef char *(*get)(const char *);
static char *say(const char *function, const char *name) {
    get real = (get) dlsym(RTLD_NEXT, function);
    get own = (get) dlsym(RTLD_NEXT, "getenv");
    const char *path = own("ASKED");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file >= 0) {
        char line[200] = "";
        strncat(line, name, sizeof line - 2);
        strcat(line, "\\n");
        write(file, line, strlen(line));
        close(file);
    }
    return real(name);
}
char *getenv(const char *name) { return say("getenv", name); }
char *secure_getenv(const char *name) { return say("secure_getenv", name); }
"""


def is_known(*arguments, env=ENV):
    return known.is_known(list(arguments), env)


@pytest.mark.skipif(sys.platform == "win32", reason="compiled by MSVC")
def test_the_interpreters_own_flags():
    flags = (sysconfig.get_config_var("CFLAGS") or "").split()
    assert is_known("gcc", *flags, "-fPIC", f"-I{sys.prefix}/include", *FILES)


# Variables that compilers ask for, and why they are none that the cache compares.
HARMLESS = {
    **dict.fromkeys(
        ("PATH", "ROCM_PATH"), "what they lead to is in the driver's answer"
    ),
    "PWD": "the cache compares it by itself",
    **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), "where temporary files are"),
    **dict.fromkeys(("TERM", "COLORTERM", "COLUMNS", "TERM_URLS", "NO_COLOR"), "looks"),
    **dict.fromkeys(("LPATH", "MAKEFLAGS"), "of those who link"),
    "FORCE_CLANG_DIAGNOSTICS_CRASH": "it fails",
    "AS_SECURE_LOG_FILE": "of a directive, with which no object is taken",
    "bar": "of LLVM, which does not use it",
}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this is not Linux")
@pytest.mark.parametrize("compiler", ["gcc", "clang", "clang-19"])
def test_all_that_compilers_ask_for(compiler, tmp_path):
    """Also what is documented nowhere: a library in front of theirs writes it down."""
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    library, asked = tmp_path / "asked.so", tmp_path / "asked"
    tmp_path.joinpath("asked.c").write_text(ASKED)
    run("gcc", "-shared", "-fPIC", "-o", library, tmp_path / "asked.c", "-ldl")
    env = {**os.environ, "LD_PRELOAD": str(library), "ASKED": str(asked)}
    sources = ["a.c", "a.cc", "a.m", "a.mm"]
    for source, flags in itertools.product(sources, ["", "-g -O2 -flto", "-E"]):
        tmp_path.joinpath(source).write_text("#include <stddef.h>\nint f;\n")
        run(compiler, *flags.split(), "-c", source, cwd=tmp_path, env=env, check=False)
    names = set(asked.read_text().split())
    assert {"CPATH", "C_INCLUDE_PATH", "COMPILER_PATH"} <= names
    compared = {name for name, _ in known.variables(dict.fromkeys(names, ""))}
    refused = {n for n in names if not is_known("gcc", *FILES, env={**ENV, n: ""})}
    assert names - compared - refused - {*HARMLESS} == set()


def run(*command, check=True, **options):
    options |= {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run(command, check=check, timeout=60, **options)


@pytest.mark.parametrize(
    "flags",
    [
        "-O3 -g3 -Wall -Wno-unused -DA=1 -UB -I. -I a -isystem b -isystemb -std=c++17",
        "-fno-strict-aliasing -fvisibility=hidden -fPIC -flto=auto -ffp-contract=off",
        "-march=x86-64-v3 -mavx2 -mno-sse4.2 -mcmodel=small",
        "-isysroot /sdk -arch arm64 -mmacosx-version-min=11.0",
        # as distributions build Python
        "-Wp,-D_FORTIFY_SOURCE=2 -Wp,-U_X -grecord-gcc-switches -mtls-dialect=gnu2",
        "-fno-common -fdebug-default-version=4 -fstack-clash-protection",
        "-ffile-prefix-map=/private/0/build=build -fno-file-reproducible -gdwarf-4",
        "-pthread -pipe -w",
    ],
)
def test_known(flags):
    assert is_known("gcc", *flags.split(), *FILES)


@pytest.mark.parametrize(
    "flags",
    [
        # of this machine; files that are read, or written beside the object
        *(
            "-march=native",
            "-mcpu=native+nosve",
            *(["-dynamic"] if sys.platform == "linux" else []),
            "-fprofile-use=p",
            "-fplugin=x",
            "-include x.h",
            "-imacros x",
        ),
        *("--coverage", "-gsplit-dwarf", "-fprofile-generate", "-save-temps"),
        *(
            "-MMD",
            "-Wp,-MD,x.d",
            "-Wa,-a=x",
            "-ftest-coverage",
            "-frecord-gcc-switches",
        ),
        *(
            "-fsanitize=address",
            "-fmodules",
            "-ftime-trace",
            "-specs=x",
            "-B.",
            "@args",
        ),
        # not known
        *("-iprefix a", "-x c++", "-Xclang -x", "--sysroot=x", "-fnonsense", "-mllvm"),
        *("other.c", "other.o", "-arch x86_64 -arch arm64"),
    ],
)
def test_unknown(flags):
    assert not is_known("gcc", *flags.split(), *FILES)


@pytest.mark.parametrize("source", ["a.S", "a.s", "a.i", "a.f90", "a.cu", "a"])
def test_other_languages(source):
    assert not is_known("gcc", "-c", source, "-o", "a.o")


def test_other_commands():
    assert not is_known("gcc", "-shared", "a.o", "-o", "a.so")
    assert not is_known("gcc", "-c", "a.c")
    assert not is_known("gcc", "-o", "b.o", *FILES)
    assert not is_known("env", "gcc", *FILES)
    assert not is_known("gcc", *FILES, env={**ENV, "DEPENDENCIES_OUTPUT": "x"})


@pytest.mark.skipif(os.name == "nt", reason="compiled by MSVC")
def test_compilers(tmp_path):
    """Programs with the name of a gcc or a clang, wherever and by whatever link."""
    real = shutil.which("gcc")
    for name, is_compiler in {
        "x86_64-conda-linux-gnu-cc": True,
        "clang++-19": True,
        "nvcc": False,
        "gcc-wrapper": False,
    }.items():
        shutil.copy(real, tmp_path / name)
        assert is_known(str(tmp_path / name), *FILES) == is_compiler
    (tmp_path / "cc").symlink_to(tmp_path / "nvcc")
    assert not is_known(str(tmp_path / "cc"), *FILES)
    (tmp_path / "gcc").write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    (tmp_path / "gcc").chmod(0o755)
    assert not is_known(str(tmp_path / "gcc"), *FILES)
    assert not is_known(str(tmp_path / "missing"), *FILES)
