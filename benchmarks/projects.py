"""What the benchmarks build, always the same source trees, and where."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import textwrap
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from pathlib import Path

_PYPROJECT = """
[build-system]
requires = []
build-backend = "{backend}"

[project]
name = "{name}"
version = "1"
description = "A project to measure builds with."

[tool.setuptools]
packages = {{find = {{include = ["{name}*"]}}}}

[tool.setuptools.package-data]
"*" = ["*.dat"]
"""
_C_FILES = 8
_FUNCTIONS = 150  # which gcc -O3 compiles in about a second
_MEMORY = "/dev/shm"  # noqa: S108  # made with mkdtemp
_ROOM = 4 << 30  # bytes, more than any scenario takes


def place(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """Make a directory to measure in: in memory, unless TMPDIR names another place.

    ext4 passes over inodes that were freed in the last minutes (recently_deleted in
    fs/ext4/ialloc.c), so whoever builds after another's tree was removed pays for that:
    making 20,000 files took 1.3 s, and 9 s when as many had just been removed.
    """
    if "TMPDIR" in os.environ or not _has_room(_MEMORY):
        return tempfile.TemporaryDirectory(prefix=prefix)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=_MEMORY)


def _has_room(path: str) -> bool:
    if not os.path.isdir(path) or shutil.disk_usage(path).free < _ROOM:
        return False
    return not os.statvfs(path).f_flag & os.ST_NOEXEC  # environments stand there too


def report(tree: Path, backend: str) -> None:
    """The example of that name."""
    harness.copy(harness.EXAMPLES / "report", tree)
    text = f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n'
    tree.joinpath("pyproject.toml").write_text(text)


def modules(tree: Path, backend: str) -> None:
    """300 modules of about 4 kB, and a data file beside every third."""
    for package in range(10):
        directory = tree / "modules" / f"p{package}"
        directory.mkdir(parents=True)
        for module in range(30):
            lines = [f"def f{i}(x):\n    return x + {i}\n" for i in range(130)]
            name = "__init__.py" if module == 0 else f"m{module}.py"
            directory.joinpath(name).write_text("\n".join(lines))
            if module % 3 == 0:
                directory.joinpath(f"d{module}.dat").write_text("data\n" * 100)
    tree.joinpath("modules", "__init__.py").write_text('"""Modules."""\n')
    _write_pyproject(tree, "modules", backend)


def files(tree: Path, backend: str) -> None:
    """20,000 data files of 10 kB, words that compress as text does."""
    source = random.Random(0)  # noqa: S311  # nothing secret
    words = [
        bytes(source.choices(range(97, 123), k=source.randint(2, 9)))
        for _ in range(3000)
    ]
    for package in range(100):
        directory = tree / "files" / f"p{package}"
        directory.mkdir(parents=True)
        directory.joinpath("__init__.py").touch()
        for number in range(200):
            text = b" ".join(source.choices(words, k=1540))
            directory.joinpath(f"{number}.dat").write_bytes(text)
    tree.joinpath("files", "__init__.py").write_text('"""Files."""\n')
    _write_pyproject(tree, "files", backend)


def c_extension(tree: Path, backend: str) -> None:
    """One extension module of 8 C files."""
    tree.joinpath("c").mkdir(parents=True)
    tree.joinpath("c", "__init__.py").touch()
    for number in range(_C_FILES):
        functions = "\n".join(
            f"static double f{i}(const double *a, int n) {{ double s = {number}.{i};"
            f" for (int j = 0; j < n; j++) s += a[j] * (a[n - j - 1] + {i}) / (s + 1);"
            " return s; }"
            for i in range(_FUNCTIONS)
        )
        calls = " + ".join(f"f{i}(a, n)" for i in range(_FUNCTIONS))
        total = f"double g{number}(const double *a, int n) {{ return {calls}; }}\n"
        tree.joinpath("c", f"part{number}.c").write_text(f"{functions}\n{total}")
    tree.joinpath("c", "fast.c").write_text(
        textwrap.dedent(
            """
            #include <Python.h>
            static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "fast"};
            PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&m); }
            """
        )
    )
    tree.joinpath("setup.py").write_text(
        "from setuptools import Extension, setup\n"
        f'parts = [f"c/part{{n}}.c" for n in range({_C_FILES})]\n'
        'setup(ext_modules=[Extension("c.fast", ["c/fast.c", *parts])])\n'
    )
    _write_pyproject(tree, "c", backend)


def extensions(tree: Path, backend: str, number: int = 24) -> None:
    """Extension modules of one C file each."""
    tree.joinpath("e").mkdir(parents=True)
    tree.joinpath("e", "__init__.py").touch()
    for one in range(number):
        functions = "\n".join(
            f"static PyObject *f{i}(PyObject *m, PyObject *o) {{ double s = {i};"
            " for (int j = 0; j < 99; j++) s += j / (s + 1);"
            " return PyFloat_FromDouble(s); }"
            for i in range(10)
        )
        methods = "".join(f'{{"f{i}", f{i}, METH_NOARGS, 0}},' for i in range(10))
        tree.joinpath("e", f"m{one}.c").write_text(
            f"#include <Python.h>\n{functions}\n"
            f"static PyMethodDef methods[] = {{{methods} {{0}}}};\n"
            "static struct PyModuleDef m ="
            f' {{PyModuleDef_HEAD_INIT, "m{one}", 0, -1, methods}};\n'
            f"PyMODINIT_FUNC PyInit_m{one}(void) {{ return PyModule_Create(&m); }}\n"
        )
    tree.joinpath("setup.py").write_text(
        "from setuptools import Extension, setup\n"
        'setup(ext_modules=[Extension(f"e.m{n}", [f"e/m{n}.c"])'
        f" for n in range({number})])\n"
    )
    _write_pyproject(tree, "e", backend)


def tiny_files(tree: Path, backend: str, number: int = 200) -> None:
    """One extension module of many C files, each compiled in no time."""
    tree.joinpath("t").mkdir(parents=True)
    tree.joinpath("t", "__init__.py").touch()
    for one in range(number):
        text = f"int f{one}(int x) {{ return x + {one}; }}\n"
        tree.joinpath("t", f"f{one}.c").write_text(text)
    tree.joinpath("t", "fast.c").write_text("void *PyInit_fast(void) { return 0; }\n")
    tree.joinpath("setup.py").write_text(
        "from setuptools import Extension, setup\n"
        f'parts = [f"t/f{{n}}.c" for n in range({number})]\n'
        'setup(ext_modules=[Extension("t.fast", ["t/fast.c", *parts])])\n'
    )
    _write_pyproject(tree, "t", backend)


def _write_pyproject(tree: Path, name: str, backend: str) -> None:
    text = _PYPROJECT.format(name=name, backend=backend)
    tree.joinpath("pyproject.toml").write_text(text)
