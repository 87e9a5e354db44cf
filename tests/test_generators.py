"""Plugins and generators of other projects: each alone, and ten builds at once.

Run by ``python tests/run.py --generators tests/test_generators.py`` only: it installs
all these tools. No setting is needed; the races that ``take-turns = true`` is about are
forced. What is done without it is in test_shared_sources.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tarfile
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path

import harness
import pytest
import storm

TOOLS = {
    "newest": "Cython cffi mypy pbr pybind11 setuptools-scm versioneer".split(),
    "setuptools-scm 8": ["setuptools-scm==8.*"],
    "third": [],  # the plugin below
}
TURNS = {"SETUPTOOLS_ISOLATED_BUILD_TAKE_TURNS": "1"}

# A plugin in all the places in which setuptools has some.
THIRD = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "third"
        version = "1"
        [project.entry-points]
        "distutils.setup_keywords".grammars = "third:keyword"
        "egg_info.writers"."grammars.txt" = "third:write"
        "setuptools.file_finders".third = "third:find"
        "setuptools.finalize_distribution_options".third = "third:finalize"
        "distutils.commands".build_grammars = "third:build_grammars"
        """,
    "third.py": """
        import os
        from setuptools import Command
        from setuptools.command.build import build

        def keyword(dist, attr, value):
            dist.grammars = value

        def write(cmd, basename, filename):
            names = getattr(cmd.distribution, "grammars", None) or []
            text = "".join(f"{name}\\n" for name in names)
            cmd.write_or_delete_file("grammars", filename, text)

        def find(dirname):
            for directory, _, names in os.walk(dirname or "."):
                for name in names:
                    if name.endswith(".tracked"):
                        yield os.path.relpath(os.path.join(directory, name))

        class building(build):
            sub_commands = [
                *build.sub_commands,
                ("build_grammars", lambda self: bool(self.distribution.grammars)),
            ]

        def finalize(dist):
            if not hasattr(dist, "grammars"):
                dist.grammars = None
            dist.cmdclass.setdefault("build", building)

        class build_grammars(Command):
            user_options = []
            editable_mode = False

            def initialize_options(self):
                self.build_lib = None

            def finalize_options(self):
                self.set_undefined_options("build_py", ("build_lib", "build_lib"))

            def run(self):
                for target, source in self.get_output_mapping().items():
                    self.mkpath(os.path.dirname(target))
                    with open(source) as text, open(target, "w") as file:
                        file.write(f"RULES = {text.read().split()}\\n")

            def get_source_files(self):
                return list(self.distribution.grammars)

            def get_outputs(self):
                return list(self.get_output_mapping())

            def get_output_mapping(self):
                names = [] if self.editable_mode else self.distribution.grammars
                return {os.path.join(self.build_lib, f"{name}.py"): name for name in names}
        """,
}

NATIVE = """
    #include <Python.h>
    static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "fast"};
    PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&m); }
    """
PYX = """
    def sum_of(int n):
        cdef int i, total = 0
        for i in range(n):
            total += i
        return total
    """
SCM = """
    [build-system]
    requires = ["setuptools", "setuptools-scm"]
    build-backend = "setuptools.build_meta"
    [project]
    name = "n"
    dynamic = ["version"]
    [tool.setuptools]
    packages = ["p"]
    [tool.setuptools_scm]
    """
SCM_FILES = {
    "p/__init__.py": "",
    "p/tracked.dat": "1\n",
    ".gitignore": "p/_version.py\n",
}
IMPORTS_VERSION = {"p/__init__.py": "from p._version import version\n"}


@dataclass(frozen=True)
class Sample:
    """A project that uses a tool.

    Attributes:
        files: its texts.
        from_sdist: whether it is built from an unpacked sdist of these.
        tools: which of `TOOLS` build it.
        has_history: whether it is a git repository.
        prepare: a command for the environment's Python that completes the files.
        is_early: whether it writes there before setup() is called: nobody has taken a
            turn by then, so that only a tree that has been generated can be built.
        generates: what the tool writes into the source tree, by any hook.
    """

    files: dict[str, str]
    tools: str = "newest"
    has_history: bool = False
    prepare: str = ""
    from_sdist: bool = False
    is_early: bool = False
    generates: set[str] = field(default_factory=set)


SAMPLES = {
    "cythonize": Sample(
        {
            "setup.py": """
                from Cython.Build import cythonize
                from setuptools import setup
                setup(name="n", version="1", packages=["p"],
                      ext_modules=cythonize(["p/fast.pyx"]))
                """,
            "p/__init__.py": "",
            "p/fast.pyx": PYX,
        },
        is_early=True,
        generates={"p/fast.c"},
    ),
    "pyx sources": Sample(
        {
            "setup.py": """
                from setuptools import Extension, setup
                setup(name="n", version="1", packages=["p"],
                      ext_modules=[Extension("p.fast", ["p/fast.pyx"])])
                """,
            "p/__init__.py": "",
            "p/fast.pyx": PYX,
        },
        generates={"p/fast.c"},
    ),
    "setuptools-scm": Sample(
        {"pyproject.toml": SCM, **SCM_FILES},
        has_history=True,
    ),
    "setuptools-scm version_file": Sample(
        {
            "pyproject.toml": textwrap.dedent(SCM) + 'version_file = "p/_version.py"\n',
            **SCM_FILES,
            **IMPORTS_VERSION,
        },
        has_history=True,
        generates={"p/_version.py"},
    ),
    "setuptools-scm write_to": Sample(
        {
            "setup.py": """
                from setuptools import setup
                setup(name="n", packages=["p"], include_package_data=True,
                      use_scm_version={"write_to": "p/_version.py"})
                """,
            **SCM_FILES,
            **IMPORTS_VERSION,
        },
        has_history=True,
        generates={"p/_version.py"},
    ),
    "setuptools-scm 8": Sample(
        {"pyproject.toml": SCM, **SCM_FILES},
        tools="setuptools-scm 8",
        has_history=True,
    ),
    "setuptools-scm 8 version_file": Sample(
        {
            "pyproject.toml": textwrap.dedent(SCM) + 'version_file = "p/_version.py"\n',
            **SCM_FILES,
            **IMPORTS_VERSION,
        },
        tools="setuptools-scm 8",
        has_history=True,
        generates={"p/_version.py"},
    ),
    "setuptools-scm 8 write_to": Sample(
        {
            "setup.py": """
                from setuptools import setup
                setup(name="n", packages=["p"], include_package_data=True,
                      use_scm_version={"write_to": "p/_version.py"})
                """,
            **SCM_FILES,
            **IMPORTS_VERSION,
        },
        tools="setuptools-scm 8",
        has_history=True,
        generates={"p/_version.py"},
    ),
    "cffi": Sample(
        {
            # Without debug information: setuptools' editable builds put the C source into
            # a temporary directory, which it would name.
            "build_fast.py": """
                from cffi import FFI
                ffi = FFI()
                ffi.cdef("int twice(int);")
                ffi.set_source("p._fast", "static int twice(int n) { return 2 * n; }",
                               extra_compile_args=["-g0"])
                """,
            "build_slow.py": """
                from cffi import FFI
                ffi = FFI()
                ffi.cdef("int abs(int);")
                ffi.set_source("p._slow", None)
                """,
            "setup.py": """
                from setuptools import setup
                setup(name="n", version="1", packages=["p"],
                      cffi_modules=["build_fast.py:ffi", "build_slow.py:ffi"])
                """,
            # Or each sdist after the first editable install would have it.
            "MANIFEST.in": "exclude p/_slow.py\n",
            "p/__init__.py": "",
        },
        generates={"p/_slow.py"},  # beside the sources, for editable installs
    ),
    "pybind11": Sample(
        {
            "setup.py": """
                from pybind11.setup_helpers import Pybind11Extension, build_ext
                from setuptools import setup
                setup(name="n", version="1", packages=["p"],
                      cmdclass={"build_ext": build_ext},
                      ext_modules=[Pybind11Extension("p.fast", ["p/fast.cpp"])])
                """,
            "p/__init__.py": "",
            "p/fast.cpp": """
                #include <pybind11/pybind11.h>
                PYBIND11_MODULE(fast, m) {
                    m.def("twice", [](int n) { return 2 * n; });
                }
                """,
        },
    ),
    "pbr": Sample(
        {
            "setup.py": """
                from setuptools import setup
                setup(setup_requires=["pbr"], pbr=True)
                """,
            "setup.cfg": """
                [metadata]
                name = n
                summary = a project of pbr
                # Or AUTHORS would be one, in each build after the first sdist.
                license_files = LICENSE
                [files]
                packages =
                    p
                """,
            "p/__init__.py": "",
            "p/tracked.dat": "1\n",
        },
        has_history=True,
        generates={"AUTHORS", "ChangeLog"},
    ),
    "versioneer": Sample(
        {
            "setup.py": """
                import versioneer
                from setuptools import setup
                setup(name="n", version=versioneer.get_version(), packages=["p"],
                      cmdclass=versioneer.get_cmdclass())
                """,
            "setup.cfg": """
                [versioneer]
                VCS = git
                style = pep440
                versionfile_source = p/_version.py
                versionfile_build = p/_version.py
                tag_prefix = v
                parentdir_prefix = n-
                """,
            "p/__init__.py": "",
        },
        has_history=True,
        prepare="import versioneer; versioneer.setup_command()",
    ),
    "mypyc": Sample(
        {
            # Without debug information, which names the environment's include files, and
            # without mypy's cache, a database that locks others out.
            "setup.py": """
                from mypyc.build import mypycify
                from setuptools import setup
                modules = mypycify(["--cache-dir=/dev/null", "p/fast.py"],
                                   debug_level="0")
                setup(name="n", version="1", packages=["p"], ext_modules=modules)
                """,
            "p/__init__.py": "",
            "p/fast.py": """
                def sum_of(n: int) -> int:
                    total = 0
                    for i in range(n):
                        total += i
                    return total
                """,
        },
        is_early=True,
        generates={
            "build/ops.txt",
            "build/p/__native_fast.c",
            "build/p/__native_fast.h",
            "build/p/__native_internal_fast.h",
            "build/p/fast.c",
        },
    ),
    "build_clib": Sample(
        {
            "setup.py": """
                from setuptools import Extension, setup
                setup(name="n", version="1", packages=["p"],
                      libraries=[("twice", {"sources": ["lib/twice.c"],
                                            "include_dirs": ["lib"],
                                            "cflags": ["-fPIC"]})],
                      ext_modules=[Extension("p.fast", ["p/fast.c"],
                                             include_dirs=["lib"])])
                """,
            "MANIFEST.in": "include lib/*.h\n",
            "lib/twice.h": "int twice(int n);\n",
            "lib/twice.c": '#include "twice.h"\nint twice(int n) { return 2 * n; }\n',
            "p/__init__.py": "",
            "p/fast.c": """
                #include <Python.h>
                #include "twice.h"
                static PyObject *four(PyObject *self, PyObject *args) {
                    return PyLong_FromLong(twice(2));
                }
                static PyMethodDef methods[] = {{"four", four, METH_NOARGS, ""}, {0}};
                static struct PyModuleDef m =
                    {PyModuleDef_HEAD_INIT, "fast", 0, -1, methods};
                PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&m); }
                """,
        },
    ),
    "another plugin": Sample(
        {
            "setup.py": """
                from setuptools import setup
                setup(name="n", version="1", packages=["p"], include_package_data=True,
                      grammars=["p/one", "p/two"])
                """,
            "p/__init__.py": "",
            "p/one": "a b\n",
            "p/two": "c\n",
            "p/data.tracked": "1\n",
            "p/data.untracked": "1\n",
        },
        tools="third",
    ),
}
# What only SOURCES.txt knows of, since an sdist has no history, is built from that.
for name in ("setuptools-scm", "setuptools-scm 8", "pbr", "another plugin"):
    SAMPLES[f"{name}, unpacked"] = replace(
        SAMPLES[name], from_sdist=True, generates=set()
    )


@pytest.fixture(scope="session")
def third(tmp_path_factory):
    """The source tree of the plugin `THIRD`."""
    source = tmp_path_factory.mktemp("third")
    for name, text in THIRD.items():
        (source / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return source


def environments(tmp_path_factory, third, *requirements):
    """Return a function that makes the environment with some of `TOOLS`, once."""

    @functools.cache
    def make(tools):
        needed = TOOLS[tools] or [str(third)]
        path = tmp_path_factory.mktemp("with_tools")
        return harness.Environment.create(path, *requirements, *needed)

    return make


@pytest.fixture(scope="session")
def plain_with_tools(tmp_path_factory, requirements, third):
    """The oracle: setuptools and the tools, by their name in `TOOLS`."""
    return environments(tmp_path_factory, third, *requirements)


@pytest.fixture(scope="session")
def plugged_with_tools(tmp_path_factory, requirements, third, wheelhouse):
    """The same with the plugin."""
    (wheel,) = wheelhouse.iterdir()
    return environments(tmp_path_factory, third, *requirements, str(wheel))


@pytest.fixture
def history(monkeypatch):
    """Make a source tree a git repository: a tag, and a commit since."""
    variables = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": "1700000000 +0000",
        "GIT_COMMITTER_DATE": "1700000000 +0000",
    }
    for role in ("AUTHOR", "COMMITTER"):
        variables |= {f"GIT_{role}_NAME": "A", f"GIT_{role}_EMAIL": "a@example.com"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def make(source):
        for command in (
            "init --quiet --initial-branch=main",
            "add .",
            "commit --quiet --message=first",
            "tag v1.0",
            "commit --quiet --allow-empty --message=second",
        ):
            subprocess.run(
                ["git", *command.split()], cwd=source, check=True, timeout=60
            )

    return make


@pytest.fixture
def tree(project, history, plain_with_tools, tmp_path):
    """Make a sample's source tree; return it, and a function that makes it anew."""

    def make(sample):
        source = project(sample.files)
        if sample.prepare:
            python = plain_with_tools(sample.tools).python
            command = [python, "-c", sample.prepare, "install"]
            subprocess.run(
                command,
                cwd=source,
                env=harness.build_variables(),
                check=True,
                timeout=60,
            )
        if sample.has_history:
            history(source)
        if sample.from_sdist:
            _unpack(plain_with_tools(sample.tools), source, tmp_path / "sdist")
        pristine = Path(shutil.copytree(source, tmp_path / "pristine", symlinks=True))

        def make_anew():
            shutil.rmtree(source)
            shutil.copytree(pristine, source, symlinks=True)
            harness.let_age(source)  # or a build may take it for another one's work
            return harness.listing(source)

        return source, make_anew

    return make


def _unpack(plain, source, place):
    status, output = plain.hook(source, "build_sdist", str(place))
    assert status == 0, output
    shutil.rmtree(source)
    (sdist,) = place.iterdir()
    with tarfile.open(sdist) as archive:
        archive.extractall(place)
    Path(place, sdist.name.removesuffix(".tar.gz")).rename(source)


def changes(source, before):
    """Return what is new or different in *source*, but for directories' times.

    By names, with the contents or the targets. Caches are left out, whose contents tell
    the time, and git's own files.
    """
    is_now = harness.listing(source)
    changed = {
        name for name in before.keys() | is_now if before.get(name) != is_now.get(name)
    }
    changed -= {str(parent) for name in changed for parent in Path(name).parents}
    return {
        Path(name).as_posix(): _content(source / name)
        for name in changed
        if {".git", "__pycache__"}.isdisjoint(Path(name).parts)
    }


def _content(path):
    if path.is_symlink():
        return os.readlink(path)
    return path.read_bytes() if path.is_file() else None


def is_shared_place(name):
    """Whether it is where setuptools builds, which the plugin spares the tree."""
    return re.match(r"build/(lib|temp|bdist)\b|(.*/)?[^/]+\.egg-info(/|$)", name)


def is_for_install(name):
    """Whether it is what an editable install imports from the tree."""
    return name.startswith("build/__editable__") or name.endswith((".so", ".pyd"))


def call(environment, source, make_anew, hook, result):
    """Call a hook on the pristine tree; return its product and what it has changed."""
    before = make_anew()
    result.mkdir(parents=True)
    run = environment.start(environment.command(hook, source, result), source)
    output = run.finish()
    assert run.status == 0, output
    return harness.product(result, output), changes(source, before)


@pytest.fixture
def without(tree, plain_with_tools, tmp_path):
    """Call all hooks without the plugin: products and changes, by the hook."""

    def make(sample):
        source, make_anew = tree(sample)
        plain = plain_with_tools(sample.tools)
        found = {
            hook: call(plain, source, make_anew, hook, tmp_path / "theirs" / hook)
            for hook in harness.HOOKS
        }
        return source, make_anew, found

    return make


@pytest.mark.parametrize("name", SAMPLES)
def test_same_as_without(name, without, plugged_with_tools, tmp_path):
    """Each hook has the same product, and leaves what the tool leaves, no more."""
    sample = SAMPLES[name]
    source, make_anew, theirs = without(sample)
    plugged = plugged_with_tools(sample.tools)
    generated = set()
    for hook, (product, changed) in theirs.items():
        left = {k: v for k, v in changed.items() if not is_shared_place(k)}
        result = tmp_path / "ours" / hook
        ours = call(plugged, source, make_anew, hook, result)
        assert ours[1].keys() == left.keys(), hook
        assert ours[1] == left, hook
        assert ours[0] == product, f"{hook}: see {result}"
        generated |= {name for name in left if not is_for_install(name)}
    assert generated == sample.generates


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, harness.SETUPTOOLS) for name in SAMPLES),
        *((name, harness.OUR_BACKEND) for name in SAMPLES if SAMPLES[name].is_early),
    ],
)
def test_ten_at_once(
    name, backend, without, plugged_with_tools, tmp_path, tmpdir_of_builds, request
):
    """All hooks mixed, beginning with the pristine tree, without any setting.

    With our backend also where nobody has taken a turn before setup() is called.
    """
    sample = SAMPLES[name]
    source, make_anew, theirs = without(sample)
    plugged = replace(plugged_with_tools(sample.tools), backend=backend)
    expected = {hook: product for hook, (product, _) in theirs.items()}
    contents = {k: v for _, changed in theirs.values() for k, v in changed.items()}

    def once(count):
        before = make_anew()
        if sample.is_early and backend == harness.SETUPTOOLS:
            plugged.build(source, tmp_path / "early")
        outcome = storm.build_at_once(
            plugged,
            [source] * count,
            expected,
            list(harness.HOOKS),
            tmp_path / "out",
            {"TMPDIR": str(tmpdir_of_builds)},
        )
        changed = changes(source, before)
        generated = {k: v for k, v in changed.items() if not is_for_install(k)}
        assert generated == {name: contents[name] for name in sample.generates}
        return outcome

    outcome = storm.rounds(request.config.getoption("--builds"), 10, once)
    assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]


@pytest.mark.skipif(not shutil.which("ccache"), reason="there is no ccache")
@pytest.mark.parametrize("compiler", [c for c in ("gcc", "clang") if shutil.which(c)])
@pytest.mark.parametrize("name", ["cffi", "cythonize"])
def test_compilers(
    name, compiler, tree, plain_with_tools, plugged_with_tools, tmp_path
):
    """Ten build trees, ten wheels with the bytes of one without the plugin.

    And with ccache filled by one of them nothing is compiled in the others.
    """
    sample = SAMPLES[name]
    files = {path: text.replace("-g0", "-g") for path, text in sample.files.items()}
    source, make_anew = tree(replace(sample, files=files))
    cache = {"CCACHE_DIR": str(tmp_path / "ccache")}
    compilers = {"CC": compiler, "LDSHARED": f"{compiler} -shared"}
    plugged = plugged_with_tools(sample.tools)
    plain = plain_with_tools(sample.tools)
    expected = plain.build(source, tmp_path / "expected", variables=compilers)
    make_anew()
    if sample.is_early:
        plugged.build(source, tmp_path / "early", variables=compilers)
    cached = {**compilers, **cache, "CC": f"ccache {compiler}"}
    first = plugged.build(source, tmp_path / "first", variables=cached)
    assert first.read_bytes() == expected.read_bytes()
    cold = harness.ccache_counters(cache)["cache_miss"]
    runs = []
    for number in range(10):
        root = tmp_path / f"root{number}"  # or the tenth could lease the first's tree
        root.mkdir(mode=0o700)
        variables = {**cached, "SETUPTOOLS_ISOLATED_BUILD_BUILD_ROOT": str(root)}
        command = plugged.command("hook", source, tmp_path / str(number))
        runs.append(plugged.start(command, source, variables))
    with harness.many(runs):
        outputs = [run.finish() for run in runs]
        assert [run.status for run in runs] == [0] * 10, outputs
    for number in range(10):
        (wheel,) = (tmp_path / str(number)).glob("*.whl")
        assert wheel.read_bytes() == expected.read_bytes()
    assert harness.ccache_counters(cache)["cache_miss"] == cold > 0


@pytest.mark.skipif(not shutil.which("ccache"), reason="there is no ccache")
@pytest.mark.parametrize(
    "name", ["cffi", "cythonize", "mypyc", "pybind11", "pyx sources", "build_clib"]
)
def test_compiler_cache(
    name, tree, plain_with_tools, plugged_with_tools, tmp_path, tmpdir_of_builds
):
    """Ten at once, each object compiled by one of them; and then by nobody."""
    sample = SAMPLES[name]
    source, make_anew = tree(sample)
    plugged = plugged_with_tools(sample.tools)
    expected = plain_with_tools(sample.tools).build(source, tmp_path / "expected")
    make_anew()
    if sample.is_early:
        plugged.build(source, tmp_path / "early")
    variables = {
        "TMPDIR": str(tmpdir_of_builds),
        "CCACHE_DIR": str(tmp_path / "ccache"),
        "SETUPTOOLS_ISOLATED_BUILD_COMPILER_CACHE": "ccache",
    }
    digest = harness.digest(expected)
    outcome = storm.build_at_once(
        plugged, [source] * 10, digest, ["hook"], tmp_path / "out", variables
    )
    assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]
    cold = harness.ccache_counters(variables)
    wheel = plugged.build(source, tmp_path / "warm", variables=variables)
    assert wheel.read_bytes() == expected.read_bytes()
    warm = harness.ccache_counters(variables)
    # pybind11 asks for a flag, in a directory of a new name, which -g writes down.
    questions = 1 if name == "pybind11" else 0
    assert warm["cache_miss"] - cold["cache_miss"] == questions
    hits = [
        counted["direct_cache_hit"] + counted["preprocessed_cache_hit"]
        for counted in (cold, warm)
    ]
    assert hits[1] - hits[0] == cold["cache_miss"] - 10 * questions > 0


# The generator of the writer stands still when it has begun to write its file.
RACING = harness.Meeting.CODE + textwrap.dedent(
    """
        import os
        from setuptools import Extension, setup
        from setuptools.command.sdist import sdist

        IS_WRITER = os.environ["WHO"] == "writer"

        class packing(sdist):
            def make_distribution(self):
                if not IS_WRITER:
                    meet("packing")
                super().make_distribution()
        """
)
CYTHON = textwrap.dedent(
    """
    import Cython.Compiler.ModuleNode as module
    from Cython.Build import cythonize
    from Cython.Utils import GENERATED_BY_MARKER
    opened = module.open_new_file

    def open_and_meet(path):
        file = opened(path)
        if IS_WRITER:
            file.write(GENERATED_BY_MARKER)  # its first line, which cythonize() looks at
            file.flush()
            meet("writing")
            file.seek(0)
        return file

    module.open_new_file = open_and_meet
    """
)
SCM_WRITES = textwrap.dedent(
    """
    import pathlib
    write_text = pathlib.Path.write_text

    def write_and_meet(self, text, *args, **kwargs):
        if IS_WRITER and self.name == "_version.py":
            self.open("w").close()
            meet("writing")
        return write_text(self, text, *args, **kwargs)

    pathlib.Path.write_text = write_and_meet
    """
)
PBR_WRITES = textwrap.dedent(
    """
    import pbr.git
    lines = pbr.git._iter_changelog

    def lines_and_meeting(changelog):
        if IS_WRITER:
            meet("writing")
        yield from lines(changelog)

    pbr.git._iter_changelog = lines_and_meeting
    """
)


@dataclass(frozen=True)
class Race:
    """A sample whose generator meets, and whether taking turns cures what follows."""

    setup_py: str
    sample: str
    path: str
    is_cured: bool = True

    def files(self):
        """Return the sample's texts with the meeting one in their midst."""
        return {**SAMPLES[self.sample].files, "setup.py": RACING + self.setup_py}


HALF_READ = {
    "pyx sources": Race(
        f"{CYTHON}\nsetup(name='n', version='1', packages=['p'],"
        " ext_modules=[Extension('p.fast', ['p/fast.pyx'])])\n",
        "pyx sources",
        "p/fast.c",
    ),
    # Nothing of a plugin is loaded when the arguments of setup() are made.
    "cythonize": Race(
        f"{CYTHON}\nsetup(name='n', version='1', packages=['p'],"
        " ext_modules=cythonize(['p/fast.pyx']))\n",
        "cythonize",
        "p/fast.c",
        is_cured=False,
    ),
}
CUT_MEANWHILE = {
    "pbr": Race(
        f"{PBR_WRITES}\nimport pbr._compat.commands as commands\n"
        "class both(packing, commands.LocalSDist): pass\n"
        "commands.LocalSDist = both\n"
        "setup(setup_requires=['pbr'], pbr=True)\n",
        "pbr",
        "ChangeLog",
    ),
} | {
    name: Race(
        f"{SCM_WRITES}\nsetup(cmdclass={{'sdist': packing}})\n", name, "p/_version.py"
    )
    for name in ("setuptools-scm version_file", "setuptools-scm 8 version_file")
}


@pytest.fixture
def start(plugged_with_tools, tmp_path, meeting):
    """Start a hook as the reader or the writer, who says when it waits for a turn."""
    site = tmp_path / "site"
    site.mkdir()
    probe = site / "sitecustomize.py"
    probe.write_text(harness.Meeting.BEFORE_A_TURN, encoding="utf-8")
    runs = []

    def begin(race, source, hook, who, turns):
        environment = plugged_with_tools(SAMPLES[race.sample].tools)
        result = tmp_path / who
        result.mkdir()
        variables = {"WHO": who, "PYTHONPATH": str(site), **meeting.variables, **turns}
        command = environment.command(hook, source, result)
        runs.append(environment.start(command, source, variables))
        return runs[-1], result

    yield begin
    with harness.many(runs):
        pass


def finish(run):
    output = run.finish()
    assert run.status == 0, output


@pytest.mark.parametrize("name", HALF_READ)
def test_file_that_another_build_is_writing(name, project, meeting, start):
    """A build takes half a file for an up-to-date one, unless it waits."""
    race = HALF_READ[name]
    source = project(race.files())
    writer, _ = start(race, source, "wheel", "writer", TURNS)
    assert meeting.arrival() == "writing"
    assert len((source / race.path).read_bytes().splitlines()) == 1
    reader, result = start(race, source, "wheel", "reader", TURNS)
    is_whole = race.is_cured
    if is_whole:
        assert meeting.arrival() == "waits"
        meeting.let_go("writing")
        finish(writer)
        meeting.let_go("waits")
    finish(reader)
    (wheel,) = result.glob("*.whl")
    modules = [
        content
        for name, _, content in harness.wheel_contents(wheel)
        if name.endswith((".so", ".pyd"))
    ]
    assert [b"PyInit_fast" in content for content in modules] == [is_whole]
    if not is_whole:
        meeting.let_go("writing")
        finish(writer)


@pytest.mark.parametrize("name", CUT_MEANWHILE)
def test_file_that_another_build_writes_anew(name, project, history, meeting, start):
    """A build packs the file while another one has emptied it, unless that waits."""
    race = CUT_MEANWHILE[name]
    source = project(race.files())
    history(source)
    reader, result = start(race, source, "sdist", "reader", TURNS)
    assert meeting.arrival() == "packing"
    whole = (source / race.path).read_bytes()
    assert whole != b""
    writer, _ = start(race, source, "sdist", "writer", TURNS)
    assert meeting.arrival() == "waits"
    meeting.let_go("packing")
    finish(reader)
    (sdist,) = result.iterdir()
    contents = {name: content for name, *_, content in harness.archive_contents(sdist)}
    (packed,) = (v for name, v in contents.items() if name.endswith(f"/{race.path}"))
    assert packed == whole
    meeting.let_go("waits")
    assert meeting.arrival() == "writing"
    meeting.let_go("writing")
    finish(writer)
