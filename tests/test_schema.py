"""The schema of the settings says what the parser says, and tools find it."""

from __future__ import annotations

import re

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from setuptools_isolated_build._schema import tool_schema
from setuptools_isolated_build._settings import _KEYS, Settings
from validate_pyproject import api, errors

pytestmark = pytest.mark.any_setuptools

NAME = "setuptools-isolated-build"
SCHEMA = tool_schema(NAME)
VALIDATE = fastjsonschema.compile(SCHEMA)
WORDS = [
    *(word for x in SCHEMA["properties"].values() for word in x.get("enum", [])),
    *(word for key in _KEYS.values() for word in re.findall(r'"(.*?)"', key.expects)),
    *("", "a\0b", "a\n", "\n", "0", 0, 1, -1, 0.5, True, False, 10**9, 10**9 + 1),
]
VALUES = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),  # of which JSON has none; the parser rejects it
    st.text(),
    st.lists(st.booleans(), max_size=2),
    st.dictionaries(st.text(), st.booleans(), max_size=2),
)


def accepts(validate, table):
    try:
        validate(table)
    except (fastjsonschema.JsonSchemaValueException, errors.ValidationError):
        return False
    return True


def test_the_same_settings():
    """Each setting has its place in the schema, with the default that it has."""
    assert SCHEMA["properties"].keys() == _KEYS.keys()
    for key, described in SCHEMA["properties"].items():
        default = getattr(Settings, key.replace("-", "_"))
        assert described.get("default") == default
        assert default is None or _KEYS[key].accepts(default)
        assert described["description"].endswith(".")


@pytest.mark.parametrize("key", _KEYS)
def test_the_same_words(key):
    """Of all words that either of them knows, and numbers at the bounds."""
    for value in WORDS:
        assert accepts(VALIDATE, {key: value}) == bool(_KEYS[key].accepts(value)), value


@pytest.mark.parametrize("key", _KEYS)
@given(value=VALUES)
def test_the_same_values(key, value):
    """What the one accepts the other accepts, and nothing else."""
    assert accepts(VALIDATE, {key: value}) == bool(_KEYS[key].accepts(value)), value


@pytest.mark.parametrize(
    ("table", "is_right"),
    [
        ({}, True),
        ({"build-dir": ".build", "take-turns": True, "lock-timeout": 3}, True),
        ({"build_dir": ".build"}, False),
        ({"enabeld": True}, False),
        ({"keep": "sometimes"}, False),
    ],
)
def test_validate_pyproject_finds_it(table, is_right):
    """By the entry point, as a plugin of the table with our name."""
    validate = api.Validator()
    pyproject = {
        "build-system": {"requires": ["setuptools", NAME]},
        "tool": {NAME: table},
    }
    assert accepts(validate, pyproject) == is_right
