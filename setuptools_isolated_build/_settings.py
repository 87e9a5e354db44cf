"""The project's and the user's settings, parsed once into one object."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Any, Callable

from setuptools.config.pyprojecttoml import load_file

from .errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "read_settings"]

_TABLE = "setuptools-isolated-build"
_ALIKE = 0.94  # 1 for the same; a letter too many, left out or exchanged is more
_MOST_SECONDS = 1_000_000_000
_MOST_JOBS = 1000
_PREFIX = "SETUPTOOLS_ISOLATED_BUILD_"


class Settings:
    """``[tool.setuptools-isolated-build]``, with the environment's values in place.

    Attributes:
        enabled: whether builds are isolated at all.
        build_root: the absolute path of the directory below which build trees are
            leased, or None for the user's own one in the temporary directory.
        keep: when a build tree outlives its build: ``never``, ``on-failure``,
            ``always``.
        lock_timeout: how long to wait for a lock, in seconds, or None for the default:
            a minute to publish, an hour for each build that has the turn before.
        verify: whether a wheel is checked against its RECORD before it is published.
        take_turns: what is done about a source tree that builds write into: ``auto``,
            what another build may have been writing is not published; True, builds
            of this tree queue, from the loading of the plugin to the end of the hook;
            False, nothing.
        compiler_cache: what C and C++ compilations go through: ``auto``, ``ccache``,
            ``sccache``, ``off``.
        jobs: how many compilers a build may run at once: a number, or ``auto``, what
            the machine's cores and memory allow.
        build_dir: the absolute path of the directory below which build trees are leased
            and kept, or None if none are.
    """

    enabled: bool = True
    build_root: str | None = None
    keep: str = "never"
    lock_timeout: float | None = None
    verify: bool = True
    take_turns: bool | str = "auto"
    compiler_cache: str = "auto"
    jobs: float | str = "auto"
    build_dir: str | None = None

    def __init__(self, **stated: object) -> None:
        vars(self).update(stated)

    @property
    def seconds_to_publish(self) -> float:
        """How long to wait for a lock that nobody holds while building."""
        return 60.0 if self.lock_timeout is None else self.lock_timeout

    @property
    def seconds_for_turn(self) -> float:
        """How long to wait for one build that has the turn in the source tree."""
        return 3600.0 if self.lock_timeout is None else self.lock_timeout


class _Key:
    def __init__(
        self,
        expects: str,
        accepts: Callable[[object], bool],
        from_text: Callable[[str], object],
    ) -> None:
        self.expects = expects
        self.accepts = accepts
        self.from_text = from_text


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 <= value <= _MOST_SECONDS  # which nan is not


def _switch_from_text(text: str) -> object:
    switches = {"1": True, "true": True, "yes": True, "on": True}
    switches |= {"0": False, "false": False, "no": False, "off": False}
    return switches.get(text.strip().lower(), text)


def _number_from_text(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _count_from_text(text: str) -> object:
    return int(text) if text.strip().isdecimal() else text.strip()


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value == "auto"
    return 1 <= value <= _MOST_JOBS and value % 1 == 0  # as JSON's integers


def _one_of(*words: str) -> _Key:
    expects = "one of " + ", ".join(f'"{word}"' for word in words)
    return _Key(expects, lambda value: value in words, str.strip)


_DIRECTORY = _Key(
    "the path of a directory",
    lambda v: isinstance(v, str) and v != "" and "\0" not in v,
    str,
)
_SWITCH = _Key("true or false", lambda v: isinstance(v, bool), _switch_from_text)
_KEYS = {
    "enabled": _SWITCH,
    "build-root": _DIRECTORY,
    "keep": _one_of("never", "on-failure", "always"),
    "lock-timeout": _Key("a number of seconds", _is_seconds, _number_from_text),
    "verify": _SWITCH,
    "take-turns": _Key(
        'true, false or "auto"',
        lambda v: isinstance(v, bool) or v == "auto",
        _switch_from_text,
    ),
    "compiler-cache": _one_of("auto", "ccache", "sccache", "off"),
    "build-dir": _DIRECTORY,
    "jobs": _Key(
        f'a number from 1 to {_MOST_JOBS}, or "auto"', _is_count, _count_from_text
    ),
}


def read_settings(source_dir: str, environ: Mapping[str, str]) -> Settings:
    """Read the settings of the project in *source_dir*.

    Args:
        source_dir: the absolute path of the source tree; relative values of
            ``build-root`` and ``build-dir`` start there.
        environ: the environment; ``SETUPTOOLS_ISOLATED_BUILD_<KEY>`` wins over
            pyproject.toml, and an empty value counts as unset.

    Raises:
        SettingsError: an unknown key, or a value of the wrong type.
    """
    values = _from_pyproject(os.path.join(source_dir, "pyproject.toml"))
    values |= _from_environment(environ)
    for name in ("build_root", "build_dir"):
        if name in values:
            stated = os.path.expanduser(str(values[name]))
            values[name] = os.path.join(source_dir, stated)
    return Settings(**values)


def _from_pyproject(path: str) -> dict[str, object]:
    if not os.path.isfile(path):
        return {}
    with open(path, "rb") as file:
        tool = _parsed(path, file.read()).get("tool", {})
    _check_names(path, tool)
    table = tool.get(_TABLE, {})
    if not isinstance(table, dict):
        cause = f"tool.{_TABLE} is not a table"
        raise SettingsError(path, cause, f"write it as [tool.{_TABLE}]")
    return {
        _field(key): _checked(path, key, key, table[key], list(_KEYS)) for key in table
    }


@functools.lru_cache(maxsize=1)  # a build asks more than once
def _parsed(path: str, content: bytes) -> dict[str, Any]:  # noqa: ARG001  # the key
    return load_file(path)


def _check_names(path: str, tables: Mapping[str, object]) -> None:
    for name in tables:
        plain = re.sub(r"[-_.\s]+", "-", name).lower()
        lengths = len(plain), len(_TABLE)
        # Most projects have no table that can be meant, by its length.
        if name == _TABLE or 2 * min(lengths) <= _ALIKE * sum(lengths):
            continue
        import difflib

        if difflib.SequenceMatcher(None, plain, _TABLE).ratio() > _ALIKE:
            cause = f"unknown table [tool.{name}]"
            raise SettingsError(path, cause, f"did you mean [tool.{_TABLE}]?")


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    names = {_PREFIX + key.upper().replace("-", "_"): key for key in _KEYS}
    values = {}
    for name, text in environ.items():
        if name.startswith(_PREFIX) and text.strip():
            key = names.get(name, name)
            value = _KEYS[key].from_text(text) if key in _KEYS else text
            values[_field(key)] = _checked("environment", name, key, value, list(names))
    return values


def _field(key: str) -> str:
    return key.replace("-", "_")


def _checked(
    where: str, name: str, key: str, value: object, known: list[str]
) -> object:
    if key not in _KEYS:
        import difflib  # needed for nothing but a mistake

        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise SettingsError(
            where, f"unknown setting {name!r}", f"did you mean {nearest!r}?"
        )
    if not _KEYS[key].accepts(value):
        cause = f"{name} = {value!r} is not {_KEYS[key].expects}"
        raise SettingsError(where, cause, f"correct it or remove {name}")
    return value
