"""A tree of sources that are compiled through the cache, in this process."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil

import harness
import pytest
from setuptools._distutils.ccompiler import new_compiler
from setuptools._distutils.errors import CompileError
from setuptools_isolated_build._compilation import ccache, compilers, direct, driver
from setuptools_isolated_build._compilation.cached import Cache


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """What the preprocessor says is kept of the short texts of these tests, too."""
    monkeypatch.setattr(direct, "_LEAST", 0)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The current directory: write files into it, programs where they are scripts."""
    directory = tmp_path / "tree"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "ccache"))

    def write(files):
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if text.startswith("#!") else 0o644)
        harness.let_age(directory)

    return write


@pytest.fixture
def compiled(extra, tmp_path):
    """Compile through the cache, and by the compiler itself: the object twice.

    Or None twice, for a source that may fail.
    """
    private = tmp_path / "build"
    private.mkdir()
    ccache.configuration.cache_clear()  # it is asked for once in a process
    cache = Cache(str(extra.python.parent / "ccache"), "ccache", str(private), {})

    def both(command, source, flags, *, may_fail=False):
        if shutil.which(command) is None:
            pytest.skip(f"there is no {command}")
        flags = [flag.replace("@DEFINES@", defined()) for flag in shlex.split(flags)]
        objects = []
        driver._asked.cache_clear()  # as in a build of its own
        for place in (
            compilers.Place("", "build", cache, None, contextlib.nullcontext),
            None,
        ):
            compiler = new_compiler()
            compiler.src_extensions = [*compiler.src_extensions, ".S"]
            for name in {"compiler_so", "compiler_so_cxx"} & {*compiler.executables}:
                compiler.set_executable(name, [command, "-O1"])
            if place:
                compilers.prepare(compiler, place)
            try:
                (obj,) = compiler.compile(
                    [source], output_dir=str(private), extra_postargs=flags
                )
            except CompileError:
                if not may_fail:
                    raise
                objects.append(None)
                continue
            with open(obj, "rb") as file:
                objects.append(file.read())
            os.unlink(obj)
        return objects

    def defined():
        try:
            with open("DEFINES") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    return both


@pytest.fixture
def hits(extra, tmp_path):
    """How many objects have come from the cache until now."""

    def count():
        variables = {"CCACHE_DIR": str(tmp_path / "ccache")}
        counters = harness.ccache_counters(variables, extra.python.parent / "ccache")
        return counters["direct_cache_hit"] + counters["preprocessed_cache_hit"]

    return count
