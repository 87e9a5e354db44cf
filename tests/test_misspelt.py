"""Settings that are nearly right end a build with one line, whatever is wrong with them."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.any_setuptools

NAME = "setuptools-isolated-build"
PREFIX = "SETUPTOOLS_ISOLATED_BUILD_"
FILES = {
    "setup.py": "from setuptools import setup; setup(name='n', version='1', packages=['p'])\n",
    "p/__init__.py": "",
    "a_file": "",
}


@pytest.fixture(params=["hook", "setup.py"])
def build(request, plugged, tmp_path):
    """Build by either way; return the status and the output."""

    def run(source, **variables):
        if request.param == "hook":
            out = str(tmp_path / "out")
            return plugged.hook(source, "build_wheel", out, variables=variables)
        return plugged.setup_py(source, "bdist_wheel", variables=variables)

    return run


def error_of(status: int, output: str) -> str:
    """Return the one line with which the build has ended."""
    assert status == 1, output
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    "table",
    [
        "setuptools_isolated_build",
        "Setuptools-Isolated-Build",
        "setuptools-isolated-builds",
        "setuptool-isolated-build",
        "stuptools-isolated-build",
        "setuptools-isolate-build",
    ],
)
def test_table(table, project, build):
    """It is named, and the right one with it."""
    text = f"[tool.{table}]\ntake-turns = false\n"
    source = project({**FILES, "pyproject.toml": text})
    line = error_of(*build(source))
    assert line.startswith(f"error: {source / 'pyproject.toml'}: ")
    assert f"tool.{table}" in line
    assert f"[tool.{NAME}]" in line


def test_tables_of_others(project, build):
    """Those are nobody's mistake."""
    names = "setuptools_scm setuptools-git-versioning setuptools-rust isolated-build"
    names = [*names.split(), "isort", "pytest", "hatch.build", "build", NAME]
    text = "".join(f"[tool.{name}]\nverify = true\n" for name in names)
    status, output = build(project({**FILES, "pyproject.toml": text}))
    assert status == 0, output


@pytest.mark.parametrize("setting", ["build-dir", "build-root"])
@pytest.mark.parametrize(
    ("by", "at"),
    [("project", "a_file"), ("environment", "a_file"), ("project", "a_file/below")],
)
def test_directory_at_a_file(setting, by, at, project, build):
    """Both are the same mistake, and end in the same way."""
    table = f"[tool.{NAME}]\n{setting} = '{at}'\n"
    files = {**FILES, "pyproject.toml": table} if by == "project" else FILES
    source = project(files)
    variables = {}
    if by == "environment":
        variables = {PREFIX + setting.upper().replace("-", "_"): str(source / at)}
    line = error_of(*build(source, **variables))
    assert str(source / "a_file") in line
    assert (source / "a_file").read_text() == ""
