"""However a project gets its commands, they are isolated, and still its own."""

from __future__ import annotations

import os
import shutil
import textwrap
from pathlib import Path

import harness
import pytest
import setuptools
from setuptools_isolated_build import errors
from setuptools_isolated_build._setuptools import distribution

ISOLATED = "isolated build: "

COMMANDS = """
from setuptools.command.{command} import {command}
class {name}({command}):
    def run(self):
        super().run()
        print("my own {command}", flush=True)
"""


def classes(name: str = "{command}") -> dict[str, str]:
    commands = (
        "egg_info",
        "build",
        "build_py",
        "build_ext",
        "install_lib",
        "bdist_wheel",
    )
    return {
        c: COMMANDS.format(command=c, name=name.format(command=c)) for c in commands
    }


@pytest.mark.parametrize(
    "command", ["egg_info", "build", "build_py", "build_ext", "install_lib"]
)
@pytest.mark.parametrize("named", ["{command}", "Mine"])
def test_command_subclasses(project, same_wheel, command, named):
    """A project's own subclass runs, and its product is private all the same."""
    name = named.format(command=command)
    code = classes(named)[command]
    if name == command:  # a class that bears the name of its base
        code = code.replace(f"import {command}\n", f"import {command} as base\n")
        code = code.replace(f"({command})", "(base)")
    source = project(
        {
            "setup.py": "from setuptools import Extension, setup\n"
            + code
            + f"setup(name='n', version='1', packages=['p'], cmdclass={{{command!r}: {name}}},"
            " ext_modules=[Extension('p.fast', ['p/fast.c'])])\n",
            "p/__init__.py": "",
            "p/fast.c": harness.FAST_C,
        }
    )
    same_wheel(source, says=[f"my own {command}", ISOLATED])


@pytest.mark.parametrize(
    "module", ["setuptools.command.bdist_wheel", "wheel.bdist_wheel"]
)
def test_bdist_wheel_of_either_package(project, same_wheel, plain, module, tmp_path):
    """bdist_wheel subclassed from setuptools (since 70.1) and from wheel."""
    found = plain.start([str(plain.python), "-c", f"import {module}"], tmp_path)
    output = found.finish()
    if found.status != 0:
        assert module.startswith("setuptools")  # wheel's is there in every release
        assert "No module named" in output
        module = "wheel.bdist_wheel"
    source = project(
        {
            "setup.py": f"""
                import warnings; warnings.simplefilter("ignore")
                from setuptools import setup
                from {module} import bdist_wheel as base
                class bdist_wheel(base):
                    def finalize_options(self):
                        super().finalize_options()
                        self.root_is_pure = False
                    def get_tag(self):
                        return "py3", "none", "any"
                setup(name="n", version="1", py_modules=["m"],
                      cmdclass=dict(bdist_wheel=bdist_wheel))
                """,
            "m.py": "",
        }
    )
    wheel = same_wheel(source)
    assert wheel.name == "n-1-py3-none-any.whl"


@pytest.mark.parametrize("where", ["setup.cfg", "pyproject.toml"])
def test_cmdclass_from_configuration(project, same_wheel, where):
    """cmdclass that is known only after the distribution was made."""
    files = {
        "mine.py": """
            from setuptools.command.build_py import build_py
            class own(build_py):
                def run(self):
                    super().run()
                    open(self.build_lib + "/n/made.py", "w").close()
            """,
        "n/__init__.py": "",
    }
    if where == "setup.cfg":
        files["setup.cfg"] = """
            [metadata]
            name = n
            version = 1
            [options]
            packages = n
            cmdclass =
                build_py = mine.own
            """
        files["setup.py"] = "from setuptools import setup\nsetup()\n"
    else:
        files["pyproject.toml"] = """
            [project]
            name = "n"
            version = "1"
            [tool.setuptools]
            packages = ["n"]
            [tool.setuptools.cmdclass]
            build_py = "mine.own"
            """
    # Python caches the module that is imported from the tree, with or without us.
    wheel = same_wheel(project(files), variables={"PYTHONDONTWRITEBYTECODE": "1"})
    assert "n/made.py" in [name for name, *_ in harness.wheel_contents(wheel)]


def test_distclass_and_several_distributions(project, same_wheel):
    """A distclass that looks commands up itself; other distributions beside it."""
    source = project(
        {
            "setup.py": """
                from setuptools import Distribution, setup
                class Own(Distribution):
                    def get_command_class(self, command):
                        return super().get_command_class(command)
                    def run_commands(self):
                        print("own run", flush=True)
                        super().run_commands()
                other = Distribution({"name": "other", "version": "2"})
                other.get_command_obj("build").ensure_finalized()
                other.get_command_obj("bdist_wheel")
                setup(name="n", version="1", py_modules=["m"], distclass=Own)
                """,
            "m.py": "",
        }
    )
    same_wheel(source)


def test_setup_called_twice(project, plain, plugged):
    """Two setup() calls in one script make two whole wheels.

    Setuptools alone fails: mkpath believes that the bdist_dir of the first call, which
    is removed, is still there.
    """
    source = project(
        {
            "setup.py": """
                from setuptools import setup
                setup(name="m", version="1", py_modules=["a"])
                setup(name="n", version="1", py_modules=["b"])
                """,
            "a.py": "",
            "b.py": "",
        }
    )
    status, output = plugged.setup_py(source, "bdist_wheel")
    assert status == 0, output
    for project_name, module in (("m", "a.py"), ("n", "b.py")):
        (wheel,) = (source / "dist").glob(f"{project_name}-*.whl")
        names = [name for name, *_ in harness.wheel_contents(wheel)]
        assert [name for name in names if name.endswith(".py")] == [module]
    status, output = plain.setup_py(source, "bdist_wheel")
    assert status != 0, output


def test_setup_that_falls_back(project, same_wheel):
    """setup() with extensions fails, setup() without them succeeds."""
    source = project(
        {
            "setup.py": """
                from setuptools import Extension, setup
                def build(**kwargs):
                    setup(name="n", version="1", py_modules=["a"], **kwargs)
                try:
                    build(ext_modules=[Extension("x", ["missing.c"])])
                except SystemExit:
                    build()
                """,
            "a.py": "",
        }
    )
    same_wheel(source)


@pytest.mark.parametrize("order", [-100, 100])
def test_another_plugin_that_wraps(project, plain, plugged, tmp_path, order):
    """A plugin that wraps the same commands, before or after this one."""
    source = project(
        {"setup.py": "from setuptools import setup\nsetup(name='n', version='1')\n"}
    )
    plugin = project(
        {
            "wrapping.py": f"""
                def finalize(dist):
                    wrapped = dist.get_command_class
                    def get_command_class(command):
                        cls = wrapped(command)
                        if command not in ("build", "egg_info", "bdist_wheel"):
                            return cls
                        if hasattr(cls, "wrapped_too"):
                            return cls
                        def run(self):
                            super(new, self).run()
                            print("wrapped " + command, flush=True)
                        new = type(cls.__name__, (cls,), dict(run=run, wrapped_too=1))
                        dist.cmdclass[command] = new
                        return new
                    dist.get_command_class = get_command_class
                finalize.order = {order}
                """,
            "wrapping-1.dist-info/entry_points.txt": """
                [setuptools.finalize_distribution_options]
                wrapping = wrapping:finalize
                """,
            "wrapping-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: wrapping\nVersion: 1\n",
        },
        at="plugin",
    )
    before = harness.listing(source)
    command = plugged.command("hook", source, tmp_path / "out")
    run = plugged.start(command, source, {"PYTHONPATH": str(plugin)})
    output = run.finish()
    assert run.status == 0, output
    for name in ("build", "egg_info", "bdist_wheel"):
        assert f"wrapped {name}" in output
    assert ISOLATED in output
    assert harness.listing(source) == before


def test_distributions_and_commands_stay_picklable(plugged, tmp_path):
    """setuptools tests it, and build_ext with worker processes needs it."""
    output = harness.run_python(
        plugged,
        """
import copy, pickle
from setuptools import Distribution
dist = Distribution({"name": "n", "version": "1", "script_name": "setup.py"})
for name in ("build", "egg_info", "bdist_wheel"):
    dist.get_command_obj(name)
dist.get_command_obj("bdist_wheel").ensure_finalized()
for again in (pickle.loads(pickle.dumps(dist)), copy.deepcopy(dist)):
    assert again is not dist
    command = again.get_command_obj("build")
    assert command is again.command_obj["build"] and command.distribution is again
    assert type(command) is type(dist.get_command_obj("build"))
    assert command.build_base == dist.get_command_obj("build").build_base
    assert again.get_command_class("egg_info") is dist.get_command_class("egg_info")
print("picklable")
""",
        tmp_path,
    )
    assert "picklable" in output


def test_twice_is_once(plugged, tmp_path):
    """Wrapping a wrapped look-up or class changes nothing."""
    harness.run_python(
        plugged,
        """
from setuptools import Distribution
dist = Distribution({"name": "n", "version": "1"})
once = dist.get_command_class("build")
dist.finalize_options()
assert dist.get_command_class("build") is once
assert once.__name__ == "build" and once.__mro__[2].__module__ == "setuptools.command.build"
""",
        tmp_path,
    )


def test_nothing_is_made_until_a_build_needs_it(plugged, tmp_path, tmpdir_of_builds):
    """With --no-build-isolation the plugin sees every distribution of the process."""
    harness.run_python(
        plugged,
        """
import sys
from setuptools import Distribution
dist = Distribution({"name": "n", "version": "1", "script_name": "setup.py"})
assert not [name for name in sys.modules if "fasteners" in name]
dist.run_command("build"); dist.run_command("egg_info")
""",
        tmp_path,
    )
    assert list(tmpdir_of_builds.iterdir()) == []
    assert (tmp_path / "n.egg-info").is_dir()


@pytest.mark.parametrize(
    ("commands", "in_tree"),
    [
        (["build"], ["build"]),
        (["egg_info"], ["n.egg-info"]),
        (["build_ext", "--inplace"], ["build", "p"]),
        (["sdist"], ["dist"]),
        (["bdist_wheel"], ["dist"]),
        (["build", "bdist_wheel"], ["build", "dist"]),
        (["sdist", "bdist_wheel"], ["dist"]),
        (["bdist_wheel", "sdist"], ["dist"]),
        (["egg_info", "bdist_wheel"], ["dist", "n.egg-info"]),
        (["bdist_wheel", "egg_info"], ["dist", "n.egg-info"]),
        (["clean", "bdist_wheel"], ["dist"]),
        (["build", "sdist"], ["build", "dist"]),
        (["own_wheel"], ["dist"]),
        (["own_sdist"], ["dist"]),
        (["both"], ["build", "dist"]),
        (["bdist_wheel", "sdist", "build_docs"], ["build", "dist"]),
        (["build_and_pack"], ["build", "dist"]),
        (["egg_info", "sdist"], ["dist", "n.egg-info"]),
        (["bdist_egg"], ["build", "dist", "n.egg-info"]),
        (["bdist_dumb"], ["build", "dist", "n.egg-info"]),
        (["bdist", "--formats=gztar"], ["build", "dist", "n.egg-info"]),
        (["install", "--root=../installed"], ["build", "n.egg-info"]),
        (["install_egg_info", "--install-dir=../installed"], ["n.egg-info"]),
    ],
    ids=" ".join,
)
def test_commands_by_hand(project, plain, plugged, tmp_path, commands, in_tree):
    """What was asked for by name is where it always was; its archives are the same."""
    files = {
        "setup.py": """
            import os
            from setuptools import Command, Extension, setup
            from setuptools.command.sdist import sdist as own_sdist
            try:
                from setuptools.command.bdist_wheel import bdist_wheel as own_wheel
            except ImportError:
                from wheel.bdist_wheel import bdist_wheel as own_wheel

            class both(Command):
                user_options = []
                def initialize_options(self):
                    pass
                finalize_options = initialize_options
                def run(self):
                    self.run_command("sdist")
                    self.run_command("bdist_wheel")

            class build_and_pack(both):
                def run(self):
                    self.run_command("build")
                    super().run()

            class build_docs(both):
                def run(self):
                    build_base = self.get_finalized_command("build").build_base
                    self.mkpath(os.path.join(build_base, "docs"))

            own = [own_sdist, own_wheel, both, build_and_pack, build_docs]
            names = ["own_sdist", "own_wheel", "both", "build_and_pack", "build_docs"]
            setup(name="n", version="1", packages=["p"],
                  cmdclass={name: type(name, (cls,), {}) for name, cls in zip(names, own)},
                  ext_modules=[Extension("p.fast", ["p/fast.c"])])
            """,
        "p/__init__.py": "",
        "p/fast.c": harness.FAST_C,
    }
    source = project(files)
    before = harness.listing(source)
    status, output = plugged.setup_py(source, *commands)
    assert status == 0, output
    new = {
        name.split("/")[0] for name in harness.listing(source).keys() - before.keys()
    }
    assert sorted(new) == in_tree
    archives = {}
    for environment in (plugged, plain):
        if environment is plain:
            source.rename(tmp_path / "built")
            source = project(files)
            status, output = environment.setup_py(source, *commands)
            assert status == 0, output
        dist = source / "dist"
        # bdist_dumb packs the environment's path.
        for path in (*dist.glob("*.whl"), *dist.glob("n-1.tar.gz")):
            archives.setdefault(path.name, []).append(harness.archive_contents(path))
    for name, (ours, theirs) in archives.items():
        assert ours == theirs, name


def test_who_calls_install(project, plain, plugged):
    """Before release 80 it installs in another way if run_commands is not among them."""
    source = project(
        {
            "setup.py": """
                import inspect
                from setuptools import setup
                from setuptools.command.install import install

                class telling(install):
                    def run(self):
                        callers = (frame.frame for frame in inspect.stack()[1:])
                        names = [caller.f_globals["__name__"] for caller in callers]
                        print("callers:", *names[: names.index("distutils.core")])

                setup(name="n", version="1", cmdclass={"install": telling})
                """
        }
    )
    callers = []
    for environment in (plain, plugged):
        status, output = environment.setup_py(source, "install")
        assert status == 0, output
        (line,) = (x for x in output.splitlines() if x.startswith("callers: "))
        callers.append(line.split("distutils.dist")[:2])
    assert callers[0] == callers[1]


REVIEWED = {
    "setup.py": """
        from setuptools import setup
        from setuptools.command.egg_info import egg_info

        class writing_last(egg_info):
            def run(self):
                super().run()
                self.write_file("last", self.egg_info + "/last.txt", "last")

        setup(name="n", version="1", packages=["p"], include_package_data=True,
              cmdclass={"egg_info": writing_last}, data_files=[("share", ["data.txt"])])
        """,
    "p/__init__.py": "",
    "data.txt": "1",
    "MANIFEST.in": "graft .\n",
}


@pytest.mark.parametrize(
    "commands",
    [
        ["bdist_wheel", "sdist"],
        ["sdist", "bdist_wheel"],
        ["egg_info", "--tag-build", "dev", "bdist_wheel"],
        ["build", "bdist_wheel", "--skip-build"],
        ["bdist_wheel", "sdist", "egg_info"],
    ],
    ids=" ".join,
)
def test_archives_of_several_commands(project, plain, plugged, tmp_path, commands):
    """No archive gets into the next one's file list, and --skip-build finds build/."""
    archives = {}
    for environment in (plain, plugged):
        source = project(REVIEWED)
        status, output = environment.setup_py(source, *commands)
        assert status == 0, output
        for path in (source / "dist").iterdir():
            archives.setdefault(path.name, []).append(harness.archive_contents(path))
        source.rename(tmp_path / f"was-{len(list(tmp_path.iterdir()))}")
    assert len(archives) == len({"sdist", "bdist_wheel"} & set(commands))
    for name, (expected, ours) in archives.items():
        assert ours == expected, name


@pytest.mark.parametrize("option", ["egg_info", "build", "build_py"])
def test_further_commands_of_a_hook(project, plugged, tmp_path, option):
    """--global-option and --build-option name commands; the product is the wheel."""
    source = project(REVIEWED)
    before = harness.listing(source)
    for key in ("--global-option", "--build-option"):
        code = (
            "from setuptools import build_meta\n"
            f"build_meta.get_requires_for_build_wheel({{{key!r}: [{option!r}]}})\n"
            f"build_meta.build_wheel({str(tmp_path / key)!r}, {{{key!r}: [{option!r}]}})\n"
        )
        run = plugged.start([str(plugged.python), "-c", code], source)
        output = run.finish()
        assert run.status == 0, output
        assert harness.listing(source) == before
        assert len(list((tmp_path / key).iterdir())) == 1


def test_keep_temp_in_a_hook(project, plugged, tmp_path, tmpdir_of_builds):
    """--keep-temp keeps the build tree, says where, and the next build is as ever."""
    code = f"""
from setuptools import build_meta
build_meta.build_wheel({str(tmp_path / "o1")!r}, {{"--build-option": ["--keep-temp"]}})
build_meta.build_wheel({str(tmp_path / "o2")!r})
"""
    run = plugged.start([str(plugged.python), "-c", code], project(REVIEWED))
    output = run.finish()
    assert run.status == 0, output
    (line,) = [
        x for x in output.splitlines() if x.startswith("the build tree is kept: ")
    ]
    kept = line.split(": ", 1)[1]
    assert any(Path(kept).glob("work*/build/"))
    shutil.rmtree(kept)


def test_a_failure_after_the_wheel(project, plugged, tmp_path):
    """One hook that fails late does not spoil the next one of the process."""
    source = project(
        {
            "setup.py": """
                from setuptools import Command, setup
                class fail(Command):
                    user_options = []
                    def initialize_options(self): pass
                    def finalize_options(self): pass
                    def run(self): raise SystemExit("failed late")
                setup(name="n", version="1", cmdclass={"fail": fail})
                """
        }
    )
    code = f"""
from setuptools import build_meta
try:
    build_meta.build_wheel({str(tmp_path / "out")!r}, {{"--build-option": ["fail"]}})
except SystemExit as exc:
    assert str(exc) == "failed late"
else:
    raise AssertionError
build_meta.build_wheel({str(tmp_path / "out")!r})
"""
    run = plugged.start([str(plugged.python), "-c", code], source)
    output = run.finish()
    assert run.status == 0, output


def test_a_deep_copy_does_not_end_the_build(project, plugged, tmp_path):
    """A copied distribution that runs commands leaves the original's tree alone."""
    source = project(
        {
            "setup.py": """
                import copy, os
                from setuptools import setup
                from setuptools.command.build_py import build_py
                class copying(build_py):
                    def run(self):
                        super().run()
                        again = copy.deepcopy(self.distribution)
                        again.commands = ["check"]
                        again.run_commands()
                        assert os.path.isdir(self.build_lib)
                setup(name="n", version="1", py_modules=["m"], cmdclass={"build_py": copying})
                """,
            "m.py": "",
        }
    )
    wheel = plugged.build(source, tmp_path / "out")
    assert "m.py" in [name for name, *_ in harness.wheel_contents(wheel)]


def test_through_uv_for_a_dependency_nobody_can_edit(wheelhouse, tmp_path, plugged):
    """The report's scene: two requirement files, one project t, two environments."""
    source = harness.copy(harness.EXAMPLES / "requirements", tmp_path / "scene")
    before = harness.listing(source)
    uv = [str(plugged.python), "-m", "uv"]
    for name in ("x", "y"):
        made = plugged.start(
            [*uv, "venv", "--python", str(plugged.python), str(tmp_path / name)], source
        )
        output = made.finish()
        assert made.status == 0, output
    runs = [
        plugged.start(
            [*uv, "pip", "install", "-v", "--python", str(tmp_path / name), "-r"]
            + [f"{name}-reqs.txt", "--config-file", "uv.toml"],
            source,
            {
                "UV_FIND_LINKS": str(wheelhouse),
                "UV_CACHE_DIR": str(tmp_path / f"cache-{name}"),
            },
        )
        for name in ("x", "y")
    ]
    with harness.many(runs):
        outputs = [run.finish() for run in runs]
    assert [run.status for run in runs] == [0, 0], outputs
    assert all(ISOLATED in output for output in outputs), outputs
    assert harness.listing(source) == before
    for name in ("x", "y"):
        lib = next((tmp_path / name).rglob("site-packages"))
        assert os.path.isdir(lib / "t-1.0.dist-info")


@pytest.mark.parametrize("frontend", ["pip", "build", "uv"])
def test_through_build_system_requires(frontend, wheelhouse, plugged, tmp_path):
    """One line in pyproject.toml, with the frontend's own isolated environment."""
    source = harness.copy(harness.EXAMPLES / "src-layout", tmp_path / "project")
    before = harness.listing(source)
    out, links = tmp_path / "out", str(wheelhouse)
    commands = {
        "pip": [
            "pip",
            "wheel",
            "-vv",
            "--no-deps",
            "--wheel-dir",
            str(out),
            str(source),
        ],
        "build": ["build", "--wheel", "--outdir", str(out), str(source)],
        "uv": ["uv", "build", "--wheel", "--out-dir", str(out), str(source)],
    }
    run = plugged.start(
        [str(plugged.python), "-m", *commands[frontend]],
        source,
        {
            "PIP_FIND_LINKS": links,
            "UV_FIND_LINKS": links,
            "UV_CACHE_DIR": str(tmp_path / "cache"),
        },
    )
    output = run.finish()
    assert run.status == 0, output
    assert ISOLATED in output
    assert len(list(out.glob("*.whl"))) == 1
    assert harness.listing(source) == before


def test_bdist_wheel_among_the_entry_points(project, plain, plugged, tmp_path):
    """An old ``wheel`` has one; newer setuptools uses its own all the same."""
    old = tmp_path / "old"
    for name, text in {
        "old_wheel.py": """
            try:
                from setuptools.command.bdist_wheel import bdist_wheel as base
            except ImportError:
                from wheel.bdist_wheel import bdist_wheel as base
            class bdist_wheel(base):
                def run(self):
                    print("the entry point's")
                    super().run()
            """,
        "old_wheel-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: old-wheel\nVersion: 1\n",
        "old_wheel-1.dist-info/entry_points.txt": """
            [distutils.commands]
            bdist_wheel = old_wheel:bdist_wheel
            """,
    }.items():
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(textwrap.dedent(text).lstrip("\n"))
    source = project({"setup.py": "from setuptools import setup; setup(name='n')\n"})
    outputs = []
    for environment in (plain, plugged):
        status, output = environment.setup_py(
            source,
            "bdist_wheel",
            f"--dist-dir={tmp_path / 'out'}",
            variables={"PYTHONPATH": str(old)},
        )
        outputs.append((status == 0, "the entry point's" in output))
    assert outputs[0] == outputs[1]
    assert outputs[1][0]


def test_a_frontend_that_finds_any_metadata(project, same_wheel, finding_any):
    """What is in backend-path, for setuptools: its release is not the project's."""
    source = project(
        {
            "setup.py": "from setuptools import setup; setup(name='n', packages=[])\n",
            "n.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: n\nVersion: 0.1\n",
        }
    )
    same_wheel(source, variables=finding_any, says=[ISOLATED])


@pytest.mark.parametrize(
    ("stated", "beside", "is_too_old"),
    [
        ("63.4.3", "63.4.3", True),
        ("63.4.3", None, True),
        ("0.1", "84.2.1", False),
        ("64.0.3", None, False),
        ("unknown", None, False),
    ],
)
def test_too_old(stated, beside, is_too_old, monkeypatch, tmp_path):
    """By its own word, and by that of its metadata, if it has some."""
    monkeypatch.setattr(setuptools, "__version__", stated)
    monkeypatch.setattr(
        setuptools, "__file__", str(tmp_path / "setuptools/__init__.py")
    )
    if beside:
        metadata = tmp_path / f"setuptools-{beside}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Name: setuptools\nVersion: {beside}\n")
    if not is_too_old:
        distribution.check_release()
        return
    with pytest.raises(errors.SetuptoolsTooOldError, match=f"^setuptools {stated}: "):
        distribution.check_release()
