"""What is advised, and how it is written into pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import harness  # loads the sub-package
import pytest
from _check import advice, edit, project, results
from _check.edit import Change
from _check.frontends import Way

pytestmark = pytest.mark.any_setuptools

assert harness.REPOSITORY
BACKEND = "setuptools_isolated_build.build_meta"
SYSTEM = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
TURNS = "\n[tool.setuptools-isolated-build]\ntake-turns = true\n"


def read(tmp_path, text):
    (tmp_path / "setup.py").touch()
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    return project.read(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        (SYSTEM, Change(), SYSTEM.replace('s"]', 's", "setuptools-isolated-build"]')),
        (
            f"# ours\n{SYSTEM}",
            Change("ccache", has_backend=True),
            f"# ours\n{SYSTEM}".replace(
                's"]', 's", "setuptools-isolated-build[ccache]"]'
            ).replace("setuptools.build_meta", BACKEND),
        ),
        (
            SYSTEM.replace('s"]', 's", "setuptools-isolated-build>=0.1"]'),
            Change("ccache", takes_turns=True),
            SYSTEM.replace('s"]', 's", "setuptools-isolated-build[ccache]>=0.1"]')
            + TURNS,
        ),
        (
            SYSTEM.replace('s"]', 's", "Setuptools_isolated.build"]'),
            Change("ccache"),
            SYSTEM.replace('s"]', 's", "Setuptools_isolated.build[ccache]"]'),
        ),
        (
            None,
            Change(has_backend=True),
            (
                '[build-system]\nrequires = ["setuptools", "setuptools-isolated-build"]\n'
                f'build-backend = "{BACKEND}:__legacy__"\n'
            ),
        ),
        (
            "[tool.x]  # first\na = 1\n",
            Change(),
            (
                '[build-system]\nrequires = ["setuptools", "setuptools-isolated-build"]\n'
                'build-backend = "setuptools.build_meta:__legacy__"\n\n[tool.x]  # first\na = 1\n'
            ),
        ),
        (
            f'{SYSTEM}[tool.setuptools-isolated-build]\ntake-turns = "auto"  # so far\n',
            Change(takes_turns=True),
            SYSTEM.replace('s"]', 's", "setuptools-isolated-build"]')
            + "[tool.setuptools-isolated-build]\ntake-turns = true  # so far\n",
        ),
    ],
)
def test_written(tmp_path, text, change, expected):
    """Comments and layout stay; what was there with an extra or a version keeps it."""
    found = read(tmp_path, text)
    edit.write(found, edit.changed_text(found, change))
    assert (tmp_path / "pyproject.toml").read_text() == expected


BETWEEN = """
[tool.x]
text = '''
[build-system]
[tool.x.y]'''

[[tool.x.list]]
a = 1

[tool.x.between]
b = [
[2],
]

[[tool.x.list]]
a = 3
"""


@pytest.mark.parametrize(
    "own", ["", "\n[tool.setuptools-isolated-build]  # ours\nverify = false\n"]
)
@pytest.mark.parametrize("is_first", [True, False], ids=["above", "below"])
def test_tables_of_an_array_with_others_between(tmp_path, own, is_first):
    """They stay where they are (pycurl 7.49.0 has such); tomlkit moves them together."""
    blocks = [SYSTEM, BETWEEN] if is_first else [BETWEEN, f"\n{SYSTEM}"]
    text = "".join(blocks) + own
    found = read(tmp_path, text)
    edit.write(found, edit.changed_text(found, Change(takes_turns=True)))
    expected = text.replace('s"]', 's", "setuptools-isolated-build"]')
    expected = expected + "take-turns = true\n" if own else expected + TURNS
    assert (tmp_path / "pyproject.toml").read_text() == expected


def test_changed_meanwhile(tmp_path):
    """What somebody has written since it was read is not lost."""
    found = read(tmp_path, SYSTEM)
    (tmp_path / "pyproject.toml").write_text(f"{SYSTEM}# new\n")
    with pytest.raises(project.CheckError, match="changed meanwhile"):
        edit.write(found, SYSTEM)
    assert (tmp_path / "pyproject.toml").read_text() == f"{SYSTEM}# new\n"


def half(name, *, ok=0, failed=0, repeated=(), seconds=10.0):
    way = Way("hooks", "wheel")
    made = results.Half(name, seconds=seconds)
    for number in range(ok + failed):
        build = results.Build(way, "python", 1, Path("log"), Path("result"))
        build.verdict = results.OK if number < ok else results.FAILED
        made.builds.append(build)
    for build, path in zip(made.builds, repeated):
        build.repeated = [path]
    return made


def advised(found, without, plugged, by_setup=(), trial=None, saving=""):
    written = (set(by_setup), set(by_setup))
    return advice.advise(found, (without, plugged), written, trial, saving)


def test_nothing_is_advised_where_nothing_failed(tmp_path):
    """It is not called safe, and nothing is to be written."""
    found = read(tmp_path, SYSTEM)
    given = advised(found, half("without", ok=5), half("with", ok=5), saving="much")
    assert given.notes == ["No failure was seen in 5 builds without the plugin."]
    assert given.text is None


def test_settings_for_who_uses_it_anyway(tmp_path):
    """Builds that would be repeated are told of; nothing is written for it."""
    found = read(tmp_path, SYSTEM)
    plugged = half("with", ok=4, repeated=["p/made.py"] * 4)
    trial = advice.Trial(Change(takes_turns=True), half("tried", ok=4))
    given = advised(found, half("without", ok=4), plugged, trial=trial)
    assert given.text is None
    assert given.notes[1].startswith("If you use the plugin: take-turns = true: builds")


def test_turns_for_builds_that_are_repeated(tmp_path):
    """With the file that was seen, and no more than what was tried."""
    found = read(tmp_path, SYSTEM)
    plugged = half("with", ok=4, repeated=["p/made.py"] * 2)
    trial = advice.Trial(Change(takes_turns=True), half("tried", ok=4, seconds=8))
    given = advised(found, half("without", ok=1, failed=3), plugged, trial=trial)
    first, second = given.reasons
    assert first == "setuptools-isolated-build: without it of 4 builds 3 failed"
    assert second.startswith("take-turns = true: builds write p/made.py; 2 of 4 builds")
    assert "+take-turns = true" in given.diff


def test_no_queue_that_takes_far_longer(tmp_path):
    """A repetition costs less then; it is told of."""
    found = read(tmp_path, SYSTEM)
    plugged = half("with", ok=10, repeated=["p/made.py"])
    halves = half("without", failed=10), plugged
    trial = advice.Trial(Change(takes_turns=True), half("tried", ok=10, seconds=21))
    given = advised(found, *halves, trial=trial)
    assert "+take-turns = true" not in given.diff
    assert "21 s in place of 10 s" in given.notes[0]
    trial.half.seconds = 19
    assert "+take-turns = true" in advised(found, *halves, trial=trial).diff


def test_the_backend_for_a_setup_py_that_writes(tmp_path):
    """Also where no build was repeated this time: nothing proves that none will be."""
    found = read(tmp_path, SYSTEM)
    assert advice.candidates(found, {"p/made.h"})[0] == Change(has_backend=True)
    assert advice.candidates(found, set())[0] == Change(takes_turns=True)
    trial = advice.Trial(Change(has_backend=True), half("tried", ok=4))
    halves = half("without", ok=3, failed=1), half("with", ok=4)
    given = advised(found, *halves, by_setup=["p/made.h"], trial=trial)
    assert f'+build-backend = "{BACKEND}"' in given.diff
    assert "setup.py writes p/made.h before it calls setup()" in given.reasons[1]


def test_what_no_setting_cures(tmp_path):
    found = read(tmp_path, SYSTEM)
    given = advised(found, half("without", failed=2), half("with", ok=1, failed=1))
    assert given.notes == ["No setting cures what is wrong with the plugin."]
