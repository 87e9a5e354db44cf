"""Which compilations may come from a cache. That they are right: test_stale."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig

import pytest
from setuptools_isolated_build._compilation import known

pytestmark = pytest.mark.any_setuptools

ENV = {"PATH": os.environ.get("PATH", os.defpath)}
FILES = ["-c", "p/a.c", "-o", "build/a.o"]


def is_known(*arguments, env=ENV):
    return known.is_known(list(arguments), env)


@pytest.mark.skipif(sys.platform == "win32", reason="compiled by MSVC")
def test_the_interpreters_own_flags():
    flags = (sysconfig.get_config_var("CFLAGS") or "").split()
    assert is_known("gcc", *flags, "-fPIC", f"-I{sys.prefix}/include", *FILES)


@pytest.mark.parametrize(
    "flags",
    [
        "-O3 -g3 -Wall -Wno-unused -DA=1 -UB -I. -I a -isystem b -isystemb -std=c++17",
        "-fno-strict-aliasing -fvisibility=hidden -fPIC -flto=auto -ffp-contract=off",
        "-march=x86-64-v3 -mavx2 -mno-sse4.2 -mcmodel=small",
        "-isysroot /sdk -arch arm64 -mmacosx-version-min=11.0",
        # as distributions build Python
        "-Wp,-D_FORTIFY_SOURCE=2 -Wp,-U_X -grecord-gcc-switches -mtls-dialect=gnu2",
        "-fno-common -dynamic -fdebug-default-version=4 -fstack-clash-protection",
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
