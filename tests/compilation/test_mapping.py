"""The options by which objects do not tell of the build tree."""

from __future__ import annotations

import pytest
from setuptools_isolated_build._compilation import compilers

pytestmark = pytest.mark.any_setuptools

PLACE = compilers.Place(private="/tree/build", in_tree="build")
MAP = "-ffile-prefix-map=/tree/build=build"
AS_STATED = "-fno-file-reproducible"


@pytest.fixture
def accepting(monkeypatch):
    """Let the compiler accept these options."""

    def accept(*options):
        monkeypatch.setattr(compilers, "_accepts", lambda _, option: option in options)

    return accept


@pytest.mark.parametrize(
    ("accepted", "stated", "options"),
    [
        ([], [], []),
        ([MAP], [], [MAP]),
        ([MAP, AS_STATED], [], [MAP, AS_STATED]),
        ([MAP, AS_STATED], ["-ffile-prefix-map=/other=."], [MAP]),
        ([MAP, AS_STATED], ["-fmacro-prefix-map=/other=."], [MAP]),
        ([MAP, AS_STATED], ["-fdebug-prefix-map=/other=."], [MAP, AS_STATED]),
        ([MAP, AS_STATED], ["-ffile-reproducible"], [MAP]),
        ([MAP, AS_STATED], [AS_STATED], [MAP, AS_STATED]),
    ],
)
def test_dots_stay(accepted, stated, options, accepting):
    """Clang 15 and later take them out of ``__FILE__`` where paths are mapped.

    But not if they have done so without us: then nothing is to change that.
    """
    accepting(*accepted)
    by_environment = ("cc", *stated)
    assert compilers._mapping(PLACE, by_environment, ["a.c"]) == options
    assert compilers._mapping(PLACE, ("cc",), ["a.c", *stated]) == options
