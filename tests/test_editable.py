"""Editable installs: the same as without the plugin, and never disturbed by a build."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from pathlib import Path

import harness
import pytest
import storm

NATIVE = """
    #include <Python.h>
    static PyObject *answer(PyObject *self, PyObject *args) {
        return PyLong_FromLong(42);
    }
    static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
    static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "fast", 0, -1, methods};
    PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&m); }
    """
PROJECT = {
    "setup.py": """
        from setuptools import Extension, setup
        setup(name="n", version="1", packages=["p", "p.sub"], py_modules=["single"],
              package_data={"p": ["*.dat"]},
              ext_modules=[Extension("p.fast", ["p/fast.c"])])
        """,
    "p/__init__.py": "from p import fast, sub\n",
    "p/sub/__init__.py": "",
    "p/one.dat": "1\n",
    "p/not_listed.txt": "",
    "p/fast.c": NATIVE,
    "single.py": "",
}
PURE = "from setuptools import setup; setup(name='n', version='1', packages=['p'])\n"
STRICT = "{'editable_mode': 'strict'}"
MODES = {"lenient": "{}", "strict": STRICT, "compat": "{'editable_mode': 'compat'}"}
LINK_TREE = "build/__editable__.n-1-*"


def products(source):
    """List what is in the tree for an install to import: links with their targets."""
    return {
        path.relative_to(source).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.is_file() and path.read_bytes()
        for path in source.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def editable(environment, source, out, settings="{}", **kwargs):
    """Build an editable wheel and return it."""
    status, output = environment.hook(
        source, "build_editable", str(out), settings, **kwargs
    )
    assert status == 0, output
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.mark.parametrize(
    ("example", "mode"),
    [
        pytest.param(
            *(example, mode),
            # It has the class of a src layout that is not strict.
            marks=pytest.mark.long if example and mode == "compat" else [],
        )
        for example in [*harness.PROJECTS, None]
        for mode in MODES
    ],
)
def test_same_as_without(mode, example, project, plain, plugged, tmp_path):
    """The wheel, and all that is in the tree for it."""
    if example is None:
        source = project(PROJECT)
    else:
        source = harness.copy(harness.EXAMPLES / example, tmp_path / "project")
    pristine = Path(shutil.copytree(source, tmp_path / "pristine", symlinks=True))
    expected = editable(plain, source, tmp_path / "expected", MODES[mode])
    expected_products = products(source)
    shutil.rmtree(source)
    pristine.rename(source)
    wheel = editable(plugged, source, tmp_path / "out", MODES[mode])
    assert wheel.name == expected.name
    assert harness.wheel_contents(wheel) == harness.wheel_contents(expected)
    assert products(source) == expected_products
    # And once more, over what is there.
    wheel = editable(plugged, source, tmp_path / "again", MODES[mode])
    assert harness.wheel_contents(wheel) == harness.wheel_contents(expected)
    assert products(source) == expected_products


def install(environment, wheel, place):
    """Install *wheel* into an environment of its own; return its Python."""
    python = environment.python
    subprocess.run(
        [python, "-m", "venv", "--without-pip", place], check=True, timeout=300
    )
    command = [python, "-m", "uv", "pip", "install", "-q", "--offline", "--no-deps"]
    target = place / "bin" / "python"
    subprocess.run([*command, "--python", target, wheel], check=True, timeout=300)
    return target


def run(python, code, cwd, **kwargs):
    return subprocess.run(
        [python, "-c", code],
        cwd=cwd,
        env=harness.build_variables() | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        **kwargs,
    )


IMPORT_ALL = """
import importlib.resources, single, p, p.sub
assert p.fast.answer() == 42
assert (importlib.resources.files("p") / "one.dat").read_text() == "1\\n"
"""


def test_strict_install_imports_while_five_are_built(project, plain, plugged, tmp_path):
    """A reader imports all of it again and again in fresh interpreters."""
    source = project(PROJECT)
    wheel = editable(plugged, source, tmp_path / "first", STRICT)
    python = install(plain, wheel, tmp_path / "installed")
    runs = [
        plugged.start(
            plugged.command("strict editable", source, tmp_path / f"{number}"), source
        )
        for number in range(5)
    ]
    imports = 0
    with harness.many(runs):
        while imports < 5 or any(item.process.poll() is None for item in runs):
            done = run(python, IMPORT_ALL, tmp_path)
            assert done.returncode == 0, done.stdout
            imports += 1
            assert imports < 10_000
        assert [item.process.wait() for item in runs] == [0] * 5


def test_link_tree_is_whole_at_every_step(project, plain, plugged, tmp_path, meeting):
    """The race, forced: a build stands still while it makes its links."""
    code = """
        from setuptools import setup
        from setuptools.command.build_py import build_py

        class meeting_build_py(build_py):
            def copy_file(self, infile, outfile, *args, **kwargs):
                if str(outfile).endswith("last.py") and "__editable__" in str(outfile):
                    meet("linking")
                return super().copy_file(infile, outfile, *args, **kwargs)

        setup(name="n", version="1", packages=["p"],
              cmdclass={"build_py": meeting_build_py})
        """
    files = {
        "setup.py": harness.Meeting.CODE + textwrap.dedent(code),
        "p/__init__.py": "import p.last",
        "p/last.py": "",
    }
    found = {}
    for name, environment in (("plain", plain), ("plugged", plugged)):
        source = project(files, at=name)
        for number in range(2):
            command = environment.command("strict editable", source, tmp_path / name)
            with harness.many(
                [environment.start(command, source, meeting.variables)]
            ) as (build,):
                assert meeting.arrival() == "linking"
                if number:  # the install of the first build is in use
                    (tree,) = source.glob(LINK_TREE)
                    found[name] = sorted(path.name for path in tree.rglob("*.py"))
                meeting.let_go("linking")
                output = build.finish()
                assert build.status == 0, output
    assert found == {"plain": ["__init__.py"], "plugged": ["__init__.py", "last.py"]}


def test_what_is_gone_from_the_source_is_gone_from_the_link_tree(
    project, plugged, tmp_path
):
    source = project(PROJECT)
    editable(plugged, source, tmp_path / "out", STRICT)
    (tree,) = source.glob(LINK_TREE)
    assert (tree / "p" / "one.dat").exists()
    (source / "p" / "one.dat").unlink()
    (source / "p" / "sub" / "new.py").write_text("")
    editable(plugged, source, tmp_path / "out", STRICT)
    names = {path.name for path in tree.rglob("*") if path.is_symlink()}
    assert "new.py" in names
    assert "one.dat" not in names


def test_extension_is_replaced_under_a_running_process(
    project, plain, plugged, tmp_path
):
    """It has the old one mapped, and goes on calling it."""
    source = project(PROJECT)
    wheel = editable(plugged, source, tmp_path / "first")
    python = install(plain, wheel, tmp_path / "installed")
    (module,) = source.glob("p/fast.*.so")
    inode = module.stat().st_ino
    code = """
        import sys, p
        print("ready", flush=True)
        while not p.fast.answer() != 42:
            if sys.stdin.read(1) != "x":
                break
        print("ended well")
        """
    process = subprocess.Popen(
        [python, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        for number in range(5):
            (source / "p" / "fast.c").touch()
            editable(plugged, source, tmp_path / f"out{number}")
            process.stdin.write("x" * 1000)
            process.stdin.flush()
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "ended well\n")
    assert module.stat().st_ino != inode


def test_in_place_product_of_two_processes(project, plain, plugged, tmp_path):
    """``build_ext --inplace`` ten times at once: all end well, and it works."""
    source = project(PROJECT)
    command = [str(plugged.python), "setup.py", "build_ext", "--inplace"]
    runs = [plugged.start(command, source) for _ in range(10)]
    with harness.many(runs):
        outputs = [item.finish() for item in runs]
        assert [item.status for item in runs] == [0] * 10, outputs
    done = run(plain.python, "import p; assert p.fast.answer() == 42", source)
    assert done.returncode == 0, done.stdout
    assert not list(source.rglob(".tmp-*"))
    # One has compiled, the others found its objects: as they would one after the other.
    assert sum("fast.o" in text and "-c p/fast.c" in text for text in outputs) == 1


STUBS = {
    **PROJECT,
    "setup.py": """
        from setuptools import Extension, setup
        from setuptools.command.build_ext import build_ext

        class stubbing_build_ext(build_ext):
            # As on platforms that can link to shared libraries of the same package.
            def finalize_options(self):
                super().finalize_options()
                for ext in self.extensions:
                    ext._needs_stub = True

        setup(name="n", version="1", packages=["p"],
              cmdclass={"build_ext": stubbing_build_ext},
              ext_modules=[Extension("p.fast", ["p/fast.c"])])
        """,
}


def test_stub_loaders(project, plain, plugged, tmp_path):
    """They are compiled and their source is removed: by five builds at once."""
    source = project(STUBS)
    pristine = Path(shutil.copytree(source, tmp_path / "pristine", symlinks=True))
    expected = editable(plain, source, tmp_path / "expected")
    expected_products = products(source)
    assert any("__pycache__/fast" in name for name in expected_products)
    shutil.rmtree(source)
    pristine.rename(source)
    runs = [
        plugged.start(
            plugged.command("editable", source, tmp_path / f"{number}"), source
        )
        for number in range(5)
    ]
    with harness.many(runs):
        for item in runs:
            output = item.finish()
            assert item.status == 0, output
    for number in range(5):
        (wheel,) = (tmp_path / f"{number}").glob("*.whl")
        assert harness.wheel_contents(wheel) == harness.wheel_contents(expected)
    ours = products(source)
    assert ours.keys() == expected_products.keys()
    stub = next(name for name in ours if "__pycache__/fast" in name)
    assert ours[stub][16:] == expected_products[stub][16:]  # but for the source's time


@pytest.mark.parametrize(
    ("hook", "settings"),
    [
        ("build_wheel", []),
        ("build_sdist", []),
        ("prepare_metadata_for_build_wheel", []),
        ("prepare_metadata_for_build_editable", []),
        ("build_editable", ["{}"]),
    ],
)
def test_read_only_tree(hook, settings, project, call_read_only, tmp_path):
    """All that is not asked to leave anything in the tree succeeds."""
    files = {name: text for name, text in PROJECT.items() if not name.endswith(".c")}
    source = project({**files, "setup.py": PURE})
    before = harness.listing(source)
    status, output = call_read_only(source, hook, *settings)
    assert status == 0, output
    assert harness.listing(source) == before


@pytest.mark.parametrize(
    ("settings", "setup_py", "path"),
    [
        ("{}", PROJECT["setup.py"], "p"),
        (STRICT, PROJECT["setup.py"], "build"),
        (STRICT, PURE, "build"),
    ],
)
def test_read_only_tree_that_has_to_be_written(
    settings, setup_py, path, project, call_read_only, tmp_path, request
):
    """In one line: which path, why, and what to do."""
    source = project({**PROJECT, "setup.py": setup_py})
    before = harness.listing(source)
    status, output = call_read_only(source, "build_editable", settings)
    assert status == 1
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {source / path}: Permission denied; make it ")
    printing = ("64.0.3", "69.5.1", "75.8.2", harness.SYSTEM)
    if request.config.getoption("--setuptools") not in printing:
        assert "Traceback" not in output  # older ones print it themselves
    assert harness.listing(source) == before
    assert list((tmp_path / "out").iterdir()) == []


# The others are built at once in test_concurrent_builds.
SHORT = {"c-extension", "src-layout"}


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(name, marks=[] if name in SHORT else pytest.mark.long)
        for name in harness.PROJECTS
    ],
)
def test_all_hooks_at_once(
    example, plain, plugged, tmp_path, tmpdir_of_builds, request
):
    """The mixture of `storm`: no failure, no difference, nothing left."""
    source = harness.copy(harness.EXAMPLES / example, tmp_path / "project")
    expected = storm.expectations(plain, source, tmp_path / "expected")
    outcome = storm.rounds(
        max(request.config.getoption("--builds"), len(harness.HOOKS)),
        10,
        lambda count: storm.build_at_once(
            plugged,
            [source] * count,
            expected,
            list(harness.HOOKS),
            tmp_path / "out",
            {"TMPDIR": str(tmpdir_of_builds)},
        ),
    )
    assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]
    assert outcome.left == set()


def test_metadata_that_lasts(project, plain, plugged, tmp_path):
    """Ten get_requires at once on an unpacked sdist, then a quiet build has all data."""
    data = {f"p/{number}.dat": "data\n" for number in range(150)}
    source = project(
        {
            "setup.py": "from setuptools import setup\n"
            "setup(name='n', version='1', packages=['p'], include_package_data=True)\n",
            "PKG-INFO": "Metadata-Version: 2.1\nName: n\nVersion: 1\n",
            "p/__init__.py": "",
            **data,
            "n.egg-info/SOURCES.txt": "\n".join(["setup.py", "p/__init__.py", *data]),
        }
    )
    before = harness.listing(source)
    command = plugged.command("requires", source, tmp_path)
    with harness.many([plugged.start(command, source) for _ in range(10)]) as runs:
        for item in runs:
            output = item.finish()
            assert item.status == 0, output
    assert harness.listing(source) == before
    wheel = plain.build(source, tmp_path / "quiet")
    names = [name for name, *_ in harness.wheel_contents(wheel)]
    assert sum(name.endswith(".dat") for name in names) == 150


# Ten wheels at once are the business of test_concurrent_builds.
@pytest.mark.parametrize("hook", [name for name in harness.HOOKS if name != "wheel"])
def test_each_hook_alone(hook, plain, plugged, tmp_path, tmpdir_of_builds):
    """Five of the same at once, which show without the plugin what ten do."""
    # Five strict ones showed it in three of four runs only.
    at_once = 10 if hook == "strict editable" else 5
    source = harness.copy(harness.EXAMPLES / "src-layout", tmp_path / "project")
    expected = storm.expectations(plain, source, tmp_path / "expected", [hook])
    outcome = storm.build_at_once(
        plugged,
        [source] * at_once,
        expected,
        [hook],
        tmp_path / "out",
        {"TMPDIR": str(tmpdir_of_builds)},
    )
    assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]
    assert outcome.left == set()
