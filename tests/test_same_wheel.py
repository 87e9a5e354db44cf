"""The wheel is, byte for byte, the one that setuptools makes in a pristine tree."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import harness
import pytest
from setuptools_isolated_build import _places
from setuptools_isolated_build._locks import lock

SETUP_PY = "from setuptools import setup; setup({})\n"
PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"
"""


@pytest.mark.parametrize(
    ("example", "frontend"),
    [
        *((example, "hook") for example in harness.PROJECTS),
        *(("src-layout", frontend) for frontend in harness.FRONTENDS[1:]),
    ],
)
def test_examples(example, frontend, tmp_path, same_wheel):
    """Each of them, and one by each frontend; test_concurrent_builds has all by all."""
    source = harness.copy(harness.EXAMPLES / example, tmp_path / "project")
    same_wheel(source, frontend)


def test_setup_cfg_alone(project, same_wheel):
    """A project configured by setup.cfg, with a stub of a setup.py."""
    source = project(
        {
            "setup.py": SETUP_PY.format(""),
            "setup.cfg": """
                [metadata]
                name = cfg
                version = 3
                [options]
                packages = find:
                [options.package_data]
                pkg = *.dat
                [options.entry_points]
                console_scripts = run = pkg:run
                """,
            "pkg/__init__.py": "def run(): pass\n",
            "pkg/a.dat": "data\n",
        }
    )
    same_wheel(source)


def test_no_setup_py(project, same_wheel):
    """pyproject.toml alone, with flat-layout discovery."""
    source = project(
        {
            "pyproject.toml": PYPROJECT
            + """
    [project]
    name = "flat"
    version = "1"
    """,
            "flat/__init__.py": "",
            "flat/sub/__init__.py": "",
        }
    )
    same_wheel(source)


def test_everything_that_installs(project, same_wheel):
    """Scripts, headers, data files, namespace packages, modules, extra metadata."""
    source = project(
        {
            "setup.py": """
                from setuptools import Extension, setup
                setup(
                    name="every.thing", version="1.0rc1", description="ä ö ü",
                    packages=["ns.inner"], py_modules=["single"],
                    package_dir={"": "lib"},
                    scripts=["bin/tool"], headers=["include/x.h"],
                    data_files=[("share/x", ["data/one.txt"])],
                    ext_modules=[Extension("ns.inner.fast", ["lib/ns/inner/fast.c"])],
                    extras_require={"more": ["six"]}, install_requires=["wheel"],
                    license_files=["LICENSE*"],
                )
                """,
            "lib/ns/inner/__init__.py": "",
            "lib/ns/inner/fast.c": harness.FAST_C,
            "lib/single.py": "x = 1\n",
            "bin/tool": "#!/usr/bin/python\nprint(1)\n",
            "include/x.h": "#define X\n",
            "data/one.txt": "1\n",
            "LICENSE.txt": "free\n",
        }
    )
    (source / "bin/tool").chmod(0o755)
    same_wheel(source)


def test_package_data_known_to_an_sdist_only(project, plain, tmp_path, same_wheel):
    """An unpacked sdist's SOURCES.txt still decides its package data (setuptools#1016).

    There is no MANIFEST.in: as with setuptools-scm, the list of files was made where
    the repository was at hand.
    """
    checkout = project(
        {
            "setup.py": SETUP_PY.format(
                "name='n', version='1', packages=['p'], include_package_data=True"
            ),
            "MANIFEST.in": "recursive-include p *.dat\n",
            "p/__init__.py": "",
            **{f"p/{number}.dat": f"{number}\n" for number in range(20)},
        },
        at="checkout",
    )
    status, output = plain.setup_py(checkout, "sdist", "--dist-dir", str(tmp_path))
    assert status == 0, output
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(
            tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
        )
    source = (tmp_path / "n-1").rename(tmp_path / "project")
    (source / "MANIFEST.in").unlink()
    sources = source / "n.egg-info" / "SOURCES.txt"
    sources.write_text(sources.read_text().replace("MANIFEST.in\n", ""))

    wheel = same_wheel(source)

    data = [name for name, *_ in harness.wheel_contents(wheel) if name.endswith("dat")]
    assert len(data) == 20


def test_left_overs_of_a_checkout(project, plain, tmp_path, same_wheel):
    """An old build/ and an old egg-info do not leak in (setuptools#436, #1871)."""
    source = project(
        {
            "setup.py": SETUP_PY.format(
                "name='n', version='2', packages=['p'], include_package_data=True"
            ),
            "MANIFEST.in": "global-include *.dat\n",
            "p/__init__.py": "",
            "p/new.dat": "new\n",
            "p/no-data-any-more.txt": "still there\n",
        }
    )

    def build_an_older_state(source: Path) -> None:
        manifest = (source / "MANIFEST.in").read_text()
        (source / "MANIFEST.in").write_text("global-include *.dat *.txt\n")
        (source / "p/old.dat").write_text("old\n")
        (source / "p/old.py").write_text("")
        status, output = plain.setup_py(source, "bdist_wheel")
        assert status == 0, output
        (source / "p/old.dat").unlink()
        (source / "p/old.py").unlink()
        shutil.rmtree(source / "dist")
        assert (source / "build/lib/p/old.py").exists()
        (source / "MANIFEST.in").write_text(manifest)
        listed = (source / "n.egg-info/SOURCES.txt").read_text()
        assert "p/old.dat" in listed
        assert "p/no-data-any-more.txt" in listed

    wheel = same_wheel(source, dirty=build_an_older_state)

    names = [name for name, *_ in harness.wheel_contents(wheel)]
    assert not [name for name in names if "old" in name or "any-more" in name]


@pytest.mark.parametrize("place", [".tmp", "p/tmp", "."])
def test_temporary_directory_inside_the_tree(project, tmp_path, same_wheel, place):
    """TMPDIR inside the source tree: no build tree gets into a wheel."""
    source = project(
        {
            "setup.py": SETUP_PY.format(
                "name='n', version='1', packages=['p'], include_package_data=True"
            ),
            "MANIFEST.in": "global-include *\n",
            "p/__init__.py": "",
            "p/new.dat": "new\n",
            f"{place}/keep.txt": "",
        }
    )
    root = source / place / f".setuptools-isolated-build-{harness.user()}"

    other = root / "tree-00000000"
    locks = []

    def another_build_is_running(source: Path) -> None:
        assert _places.private_directory(str(root)) is None
        for name in ("build/lib/p/__init__.py", "egg_base/n.egg-info/PKG-INFO"):
            (other / name).parent.mkdir(parents=True)
            (other / name).write_text("")
        locks.append(lock.acquire_directory(str(other)))

    same_wheel(
        source,
        dirty=another_build_is_running,
        variables={"TMPDIR": str(source / place)},
    )
    locks[0].release()

    idle = {path.parent for path in root.glob("tree-*/idle")}
    assert set(root.glob("tree-*")) - idle == {other}


@pytest.mark.parametrize("name", ["with spaces in it", "ünïcödé-目", "[a-z]*"])
def test_odd_paths(name, tmp_path, plain, plugged):
    """Spaces, letters beyond ASCII and glob characters, in all three directories."""
    variables = {"TMPDIR": str(tmp_path / name / "tmp")}
    (tmp_path / name / "tmp").mkdir(parents=True)
    for example in ("src-layout", "c-extension"):
        source = harness.copy(harness.EXAMPLES / example, tmp_path / name / example)
        expected = harness.oracle(plain, source, tmp_path / "expected" / example)
        out = tmp_path / name / "out" / example
        wheel = plugged.build(source, out, variables=variables)
        assert harness.digest(wheel) == harness.digest(expected)


def test_metadata_first(tmp_path, plain, plugged):
    """prepare_metadata_for_build_wheel, then build_wheel with its directory."""
    source = tmp_path / "project"
    wheels = []
    for environment in (plain, plugged):
        harness.copy(harness.EXAMPLES / "src-layout", source)
        before = harness.listing(source)
        metadata, out = (tmp_path / f"{len(wheels)}" / name for name in ("m", "out"))
        metadata.mkdir(parents=True)
        status, output = environment.hook(
            source, "prepare_metadata_for_build_wheel", str(metadata)
        )
        assert status == 0, output
        assert harness.listing(source) == before
        info = str(next(metadata.glob("*.dist-info")))
        code = (
            "import sys; from setuptools import build_meta;"
            f"build_meta.build_wheel({str(out)!r}, None, {info!r})"
        )
        run = environment.start([str(environment.python), "-c", code], source)
        output = run.finish()
        assert run.status == 0, output
        wheels += out.glob("*.whl")
        if environment is plugged:
            assert harness.listing(source) == before
        shutil.rmtree(source)
    assert wheels[0].read_bytes() == wheels[1].read_bytes()


def test_metadata_first_with_a_tag(project, plain, plugged, tmp_path):
    """With a metadata directory setuptools names data_dir before it knows the tag."""
    wheels = []
    for environment in (plain, plugged):
        source = project(
            {
                "setup.py": SETUP_PY.format(
                    "name='n', version='1', data_files=[('share', ['d.txt'])]"
                ),
                "setup.cfg": "[egg_info]\ntag_build = dev\n",
                "d.txt": "1\n",
            }
        )
        metadata, out = (tmp_path / f"{len(wheels)}" / name for name in ("m", "out"))
        metadata.mkdir(parents=True)
        code = (
            "from setuptools import build_meta;"
            f"name = build_meta.prepare_metadata_for_build_wheel({str(metadata)!r});"
            f"build_meta.build_wheel({str(out)!r}, None, {str(metadata)!r} + '/' + name)"
        )
        run = environment.start([str(environment.python), "-c", code], source)
        output = run.finish()
        assert run.status == 0, output
        wheels += out.glob("*.whl")
        shutil.rmtree(source)
    assert harness.wheel_contents(wheels[0]) == harness.wheel_contents(wheels[1])


def test_discovery_of_namespaces_with_tmpdir_in_the_tree(project, same_wheel):
    """find_namespace_packages does not find the trees of running builds."""
    source = project(
        {
            "setup.py": """
                from setuptools import find_namespace_packages, setup
                setup(name="n", version="1", packages=find_namespace_packages())
                """,
            "p/module.py": "",
        }
    )

    locks = []

    def another_build_is_running(source: Path) -> None:
        root = source / f".setuptools-isolated-build-{harness.user()}"
        assert _places.private_directory(str(root)) is None
        other = root / "tree-00000000"
        (other / "build" / "lib" / "q").mkdir(parents=True)
        (other / "build" / "lib" / "q" / "module.py").write_text("")
        locks.append(lock.acquire_directory(str(other)))

    same_wheel(
        source, dirty=another_build_is_running, variables={"TMPDIR": str(source)}
    )
    locks[0].release()


def test_root_above_the_tree(project, tmp_path, same_wheel):
    """Nothing of the source tree is taken for a build tree that stands beside it."""
    source = project(
        {
            "setup.py": SETUP_PY.format(
                "name='n', version='1', packages=['p'], include_package_data=True"
            ),
            "MANIFEST.in": "graft p\n",
            "p/__init__.py": "",
            "p/new.dat": "new\n",
        }
    )
    wheel = same_wheel(
        source, variables={"SETUPTOOLS_ISOLATED_BUILD_BUILD_ROOT": str(tmp_path)}
    )
    assert "p/new.dat" in [name for name, *_ in harness.wheel_contents(wheel)]


def test_requires_leave_the_tree_alone(project, plain, plugged):
    """get_requires_for_build_wheel answers alike, and writes nothing in the tree."""
    source = project(
        {"setup.py": SETUP_PY.format("name='n', version='1', setup_requires=['six']")}
    )
    before = harness.listing(source)
    status, output = plugged.hook(source, "get_requires_for_build_wheel")
    assert status == 0, output
    assert harness.listing(source) == before
    assert "'six'" in output.splitlines()[-1]
    _, expected = plain.hook(source, "get_requires_for_build_wheel")
    assert output.splitlines()[-1] == expected.splitlines()[-1]
