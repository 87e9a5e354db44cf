"""What a compiler would read, as it says itself; and whether that has changed."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from setuptools_isolated_build._compilation import guard, inputs

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(not COMPILERS, reason="there is no gcc and no clang"),
]


@pytest.fixture(params=COMPILERS)
def key(request, tmp_path, monkeypatch):
    """Write a source and other files; return the key of what is read, or None."""
    monkeypatch.chdir(tmp_path)

    def read(text, **files):
        for name, content in {"a.c": text, **files}.items():
            (tmp_path / name.replace("_h", ".h")).write_text(content)
        command = [request.param, "-I.", "-c", "a.c", "-o", "a.o"]
        compilation = inputs.Compilation(command, command, "", "")
        found = inputs.read(compilation, "a.d", os.environ, {})
        return found and found.key

    return read


def test_contents(key):
    """Also of what the text does not show: the same text is the same key."""
    text = '#include "x.h"\n'
    assert key(text, x_h="int a;\n") == key(text, x_h="int a;\n")
    assert key(text, x_h="int a;\n") != key(text, x_h="int  a;\n")


def test_changed_within_a_tick(key, monkeypatch):
    """A comment of the same length, written while the file system's clock stood."""
    stat, first = os.stat, {}

    def as_at_first(path, **kwargs):
        found = stat(path, **kwargs)
        return first.setdefault(path, found) if str(path).endswith("x.h") else found

    monkeypatch.setattr(os, "stat", as_at_first)
    text = '#include "x.h"\n'
    assert key(text, x_h="int a; /* 1 */\n") != key(text, x_h="int a; /* 2 */\n")


def test_assembly_that_may_read_a_file(key):
    assert key('__asm__(".include \\"x\\"");\n') is None


def test_what_is_not_there(key):
    """A header, a compiler: it is the compiler that says so."""
    assert key('#include "missing.h"\n') is None
    command = ["no-such-gcc", "-c", "a.c", "-o", "a.o"]
    compilation = inputs.Compilation(command, command, "", "")
    assert inputs.read(compilation, "a.d", os.environ, {}) is None


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="this is not Unix")
def test_a_device(key):
    """``#embed "/dev/urandom" limit(8)`` reads a little of it, and it has no end."""
    assert key('#include "/dev/null"\n') is None


def test_a_mistake_in_another_source(key, monkeypatch):
    """It does not change how the compiler is asked for this one."""
    monkeypatch.setattr(inputs, "_not_gcc", set())
    text = "#include <stddef.h>\nvoid *p = NULL;\n"
    before = key(text)
    assert key("#error\n") is None
    assert key(text) == before


def test_a_precompiled_header(key):
    """It may be read in place of the header, and can be of another text."""
    assert key('#include "x.h"\n', **{"x_h": "int a;\n", "x_h.gch": ""}) is None


def test_names(key):
    """Those that make would expand, and that a shell would."""
    names = ["with space.h", "b#c.h", "a$b.h", "it's.h"]
    text = "".join(f'#include "{name}"\n' for name in names)
    found = key(text, **dict.fromkeys(names, ""))
    assert found is not None
    assert found != key(text, **{**dict.fromkeys(names, ""), names[2]: "\n"})


def test_what_has_changed(tmp_path):
    """Contents, times, the file itself; but not how many names it has."""
    path = tmp_path / "x.h"
    path.write_text("1")
    found = os.stat(path)
    times = (found.st_mtime_ns, found.st_ctime_ns)
    state = guard.State(found.st_ino, found.st_size, *times, guard.digest(path))
    since = found.st_mtime_ns + 1
    os.link(path, tmp_path / "other")
    assert guard.is_same(path, state, since)
    assert not guard.is_same(path, state, found.st_mtime_ns)
    times = (found.st_atime_ns, found.st_mtime_ns)
    path.write_text("2")
    os.utime(path, ns=times)
    assert not guard.is_same(path, state, since)
    path.write_text("1")
    assert not guard.is_same(path, state, since)
    os.utime(path, ns=times)
    assert guard.is_same(path, state, since)
    (tmp_path / "new").write_text("1")
    os.utime(tmp_path / "new", ns=times)
    os.replace(tmp_path / "new", path)
    assert not guard.is_same(path, state, since)
    path.unlink()
    assert not guard.is_same(path, state, since)


def test_what_has_changed_before_the_compiler(tmp_path):
    """Then no answer of ``stat`` is the one that is waited for."""
    path = tmp_path / "x.h"
    path.write_text("1")
    found = os.stat(path)
    state = guard.State(found.st_ino, 1, found.st_mtime_ns, found.st_ctime_ns, "")
    later = found.st_ctime_ns + 1
    command = f"LC_ALL=C stat -L {guard.STAT} {path}"
    said = subprocess.check_output(command, shell=True, text=True)
    assert guard.as_before([state], later) == said.rstrip("\n")
    assert guard.as_before([state, state], later) == (said * 2).rstrip("\n")
    assert guard.as_before([state], found.st_ctime_ns) == ""
