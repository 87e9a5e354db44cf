"""Settings: parsed once, wrong ones named with the nearest right one."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from setuptools_isolated_build import _settings
from setuptools_isolated_build._settings import Settings, read_settings
from setuptools_isolated_build.errors import SettingsError

pytestmark = pytest.mark.any_setuptools

TABLE = "[tool.setuptools-isolated-build]\n"
PREFIX = "SETUPTOOLS_ISOLATED_BUILD_"


def read(tmp_path, text="", environ=()):
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    return read_settings(str(tmp_path), dict(environ))


def test_defaults(tmp_path):
    """Nothing stated anywhere, with and without a pyproject.toml."""
    assert vars(read_settings(str(tmp_path), {})) == {}
    settings = read(tmp_path, "[project]\nname = 'x'\n")
    assert vars(settings) == {}
    assert settings.enabled is settings.verify is True
    assert settings.take_turns == "auto"
    assert (settings.keep, settings.lock_timeout) == ("never", None)
    assert (settings.seconds_to_publish, settings.seconds_for_turn) == (60, 3600)
    assert (settings.build_root, settings.build_dir) == (None, None)
    assert settings.compiler_cache == "auto"


def test_table(tmp_path):
    """Every key of the table arrives, a relative root starting at the tree."""
    text = TABLE + (
        "enabled = false\nbuild-root = 'b'\nkeep = 'always'\n"
        "lock-timeout = 3\nverify = false\ntake-turns = true\n"
        "compiler-cache = 'off'\nbuild-dir = 'd'\n"
    )
    assert vars(read(tmp_path, text)) == {
        "enabled": False,
        "build_root": str(tmp_path / "b"),
        "keep": "always",
        "lock_timeout": 3,
        "verify": False,
        "take_turns": True,
        "compiler_cache": "off",
        "build_dir": str(tmp_path / "d"),
    }


def test_parsed_once_and_anew_when_changed(tmp_path, monkeypatch):
    """A build asks more than once; setup.py may write the file in between."""
    parsed = []
    load_file = _settings.load_file
    monkeypatch.setattr(
        _settings, "load_file", lambda path: parsed.append(path) or load_file(path)
    )
    assert read(tmp_path, TABLE + "jobs = 2\n").jobs == 2
    file = tmp_path / "pyproject.toml"
    before = file.stat()
    assert read_settings(str(tmp_path), {}).jobs == 2
    assert len(parsed) == 1
    file.write_text(TABLE + "jobs = 3\n", encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_settings(str(tmp_path), {}).jobs == 3


def test_environment_wins(tmp_path):
    """A variable beats the table; an empty one counts as unset."""
    text = TABLE + "enabled = false\nkeep = 'always'\nlock-timeout = 3\n"
    environ = {
        PREFIX + "ENABLED": "yes",
        PREFIX + "KEEP": "on-failure",
        PREFIX + "LOCK_TIMEOUT": " ",
        PREFIX + "BUILD_ROOT": "/elsewhere",
        "UNRELATED": "1",
    }
    assert vars(read(tmp_path, text, environ)) == {
        "enabled": True,
        "build_root": "/elsewhere",
        "keep": "on-failure",
        "lock_timeout": 3,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool]\nsetuptools-isolated-build = 3\n", "is not a table"),
        (TABLE + "enabeld = true\n", "did you mean 'enabled'?"),
        (TABLE + "build_root = 'x'\n", "did you mean 'build-root'?"),
        (TABLE + "enabled = 1\n", "enabled = 1 is not true or false"),
        (TABLE + "enabled = 'true'\n", "is not true or false"),
        (TABLE + "build-root = ''\n", "is not the path of a directory"),
        (TABLE + "keep = 'sometimes'\n", "is not one of"),
        (TABLE + "compiler-cache = 'gcc'\n", '"auto", "ccache", "sccache", "off"'),
        (TABLE + "compiler-cache = true\n", "is not one of"),
        (TABLE + "build-dir = ''\n", "is not the path of a directory"),
        (TABLE + "builddir = 'x'\n", "did you mean 'build-dir'?"),
        (TABLE + "keep = []\n", "is not one of"),
        (TABLE + "lock-timeout = true\n", "is not a number of seconds"),
        (TABLE + "lock-timeout = -1\n", "is not a number of seconds"),
        (TABLE + "lock-timeout = inf\n", "is not a number of seconds"),
    ],
)
def test_wrong_table(tmp_path, text, said):
    """One line with the file, the cause and the way out."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.path == str(tmp_path / "pyproject.toml")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ENABELD", "1", "did you mean 'SETUPTOOLS_ISOLATED_BUILD_ENABLED'?"),
        ("ENABLED", "maybe", "is not true or false"),
        ("LOCK_TIMEOUT", "soon", "is not a number of seconds"),
        ("LOCK_TIMEOUT", "nan", "is not a number of seconds"),
    ],
)
def test_wrong_environment(tmp_path, name, value, said):
    """The variable is named as it was written."""
    with pytest.raises(SettingsError, match=PREFIX + name) as caught:
        read(tmp_path, "", {PREFIX + name: value})
    assert said in str(caught.value)


VALUES = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(), st.none(), st.lists(st.text())
)


@given(key=st.sampled_from(["enabled", "keep", "lock-timeout"]), text=st.text())
def test_any_text_is_a_value_or_an_error(key, text, tmp_path_factory):
    """No value of a variable ends in anything but settings or a `SettingsError`."""
    name = PREFIX + key.upper().replace("-", "_")
    try:
        settings = read_settings("/nowhere", {name: text})
    except SettingsError as exc:
        assert name in str(exc)
    else:
        assert isinstance(settings, Settings)
        if not text.strip():
            assert vars(settings) == {}


def test_lock_timeout_is_for_all_locks(tmp_path):
    """Where it is stated; each kind has a default of its own."""
    settings = read_settings(
        str(tmp_path), {"SETUPTOOLS_ISOLATED_BUILD_LOCK_TIMEOUT": "5"}
    )
    assert (settings.seconds_to_publish, settings.seconds_for_turn) == (5, 5)


@pytest.mark.parametrize(
    "table",
    [
        "setuptools_isolated_build",
        "Setuptools-Isolated-Build",
        "setuptools-isolated-builds",
        "setuptools-isolatd-build",
    ],
)
def test_a_misspelt_table(tmp_path, table):
    """It would be passed over without a word."""
    with pytest.raises(SettingsError, match=r"did you mean \[tool.setuptools-isolated"):
        read(tmp_path, f"[tool.{table}]\nkeep = 'always'\n")


@pytest.mark.parametrize("table", ["setuptools", "setuptools_scm", "setuptools-rust"])
def test_tables_of_others(tmp_path, table):
    assert vars(read(tmp_path, f"[tool.{table}]\nx = 1\n")) == {}
