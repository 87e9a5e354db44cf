"""Real frontends at once, with their own isolated environments, as users run them."""

from __future__ import annotations

import subprocess
import tarfile

import harness
import pytest
import storm

pytestmark = pytest.mark.any_setuptools

PYPROJECT = """
    [build-system]
    requires = ["setuptools", "setuptools-isolated-build"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "{0}"
    version = "1"
    """
MEMBER = {
    "setup.py": """
        from setuptools import Extension, setup
        setup(packages=["{0}"], ext_modules=[Extension("{0}.fast", ["{0}/fast.c"])])
        """,
    "{0}/__init__.py": "from {0} import fast\n",
    "{0}/fast.c": """
        #include <Python.h>
        static struct PyModuleDef m = {{PyModuleDef_HEAD_INIT, "fast"}};
        PyMODINIT_FUNC PyInit_fast(void) {{ return PyModule_Create(&m); }}
        """,
    "pyproject.toml": PYPROJECT,
}
WORKSPACE = (
    PYPROJECT.format("workspace")
    + """
    dependencies = ["one", "two"]
    [tool.setuptools]
    packages = []
    [tool.uv]
    package = false
    [tool.uv.sources]
    one = {workspace = true}
    two = {workspace = true}
    [tool.uv.workspace]
    members = ["one", "two"]
    """
)
TOX = """
    [tox]
    env_list = a, b
    [testenv]
    package = {package}
    change_dir = {{env_tmp_dir}}
    commands = python -c "import one; print('imported', one.fast.__name__)"
    """


def member(name, at=""):
    return {
        f"{at}{path.format(name)}": text.format(name) for path, text in MEMBER.items()
    }


def imports(python, module, cwd):
    """Whether *module* can be imported, from elsewhere; leaves no bytecode beside it."""
    command = [python, "-B", "-c", f"import {module}"]
    done = subprocess.run(command, cwd=cwd, timeout=60)
    return done.returncode == 0


def test_uv_sync_of_a_workspace(project, plugged, at_once, tmp_path):
    """Two editable members, into two environments at once."""
    files = {
        **member("one", "one/"),
        **member("two", "two/"),
        "pyproject.toml": WORKSPACE,
    }
    source = project(files)
    uv = [str(plugged.python), "-m", "uv"]
    at_once(source, [[*uv, "lock", "--python", str(plugged.python)]])
    before = harness.listing(source)
    at_once(
        source,
        [[*uv, "sync", "--frozen", "--python", str(plugged.python)]] * 2,
        lambda number: {"UV_PROJECT_ENVIRONMENT": str(tmp_path / f"env-{number}")},
    )
    for number in range(2):
        python = tmp_path / f"env-{number}" / "bin" / "python"
        assert imports(python, "one, two", tmp_path)
    after = harness.listing(source)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - storm.in_tree_products(changed) == set()


def test_pip_install_editable(project, plugged, at_once, tmp_path):
    """Into two environments at once."""
    source = project(member("one"))
    pythons = []
    for number in range(2):
        place = tmp_path / f"env-{number}"
        # Without a pip of its own, which takes longer to install than the project does.
        venv = [plugged.python, "-m", "venv", "--without-pip", place]
        subprocess.run(venv, check=True, timeout=300)
        pythons.append(str(place / "bin" / "python"))
    before = harness.listing(source)
    pip = [str(plugged.python), "-m", "pip", "--python"]
    at_once(source, [[*pip, p, "install", "-v", "-e", "."] for p in pythons])
    for python in pythons:
        assert imports(python, "one", tmp_path)
    after = harness.listing(source)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - storm.in_tree_products(changed) == set()


@pytest.mark.parametrize(
    "frontend", [pytest.param("build", marks=pytest.mark.long), "uv"]
)
def test_sdist_and_the_wheel_from_it(frontend, plugged, at_once, tmp_path):
    """Two at once, into one result directory: each archive whole, and right."""
    source = harness.copy(harness.EXAMPLES / "c-extension", tmp_path / "project")
    out = str(tmp_path / "out")
    command = {
        "build": ["build", "--outdir", out, str(source)],
        "uv": ["uv", "build", "--python", str(plugged.python), "--out-dir", out]
        + [str(source)],
    }[frontend]
    before = harness.listing(source)
    at_once(source, [[str(plugged.python), "-m", *command]] * 2)
    assert harness.listing(source) == before
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    wheel, sdist = (name for name in names if name != ".gitignore")
    with tarfile.open(tmp_path / "out" / sdist) as archive:
        assert archive.getnames()
    names = [name for name, *_ in harness.wheel_contents(tmp_path / "out" / wheel)]
    assert any(name.endswith((".so", ".pyd")) for name in names)


@pytest.fixture(scope="session")
def tox(once):
    path = once("tox", lambda path: harness.Environment.create(path, "tox"))
    return harness.Environment.at(path)


@pytest.mark.parametrize(
    "package", ["wheel", pytest.param("editable", marks=pytest.mark.long)]
)
def test_tox_in_parallel(package, project, tox, at_once, tmp_path):
    """Two ``tox -p`` at once, each building the package for its environments.

    One tox that builds in several packaging environments meets itself: each takes the
    next number below `.tmp/package`, and only the first can make that directory.
    """
    source = project({**member("one"), "tox.ini": TOX.format(package=package)})
    command = [str(tox.python), "-m", "tox", "-p", "all", "--workdir"]
    places = [str(tmp_path / f"tox-{number}") for number in range(2)]
    for output in at_once(source, [[*command, place] for place in places]):
        assert "a: OK" in output and "b: OK" in output
    left = {path.name for path in source.iterdir()} - {".venv"}  # tox's own
    assert left == {"setup.py", "pyproject.toml", "tox.ini", "one"}
    assert any(source.rglob("*.so")) == (package == "editable")
