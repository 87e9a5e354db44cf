"""The options by which objects do not tell of the build tree."""

from __future__ import annotations

import pytest
from setuptools_isolated_build._compilation import mapping

pytestmark = pytest.mark.any_setuptools

MAP = "-ffile-prefix-map=/tree/build=build"
AS_STATED = "-fno-file-reproducible"


@pytest.fixture
def accepting(monkeypatch):
    """Let the compiler accept these options."""

    def accept(*options):
        monkeypatch.setattr(mapping, "_accepts", lambda _, option: option in options)

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
    assert mapping.options("/tree/build", "build", by_environment, ["a.c"]) == options
    assert mapping.options("/tree/build", "build", ("cc",), ["a.c", *stated]) == options


@pytest.mark.parametrize(
    ("stated", "becomes"),
    [
        ("build=/B", ["/tree/build=/B"]),
        ("bu=/B", ["/tree/build=/Bild"]),
        ("build/temp=/T", ["/tree/build/temp=/T"]),
        ("/tree/build/temp=/T", ["/tree/build/temp=/T"]),
        ("=/B/", ["/tree/build=/B/build"]),
        ("/other=x=y", []),
        ("src=/S", []),
    ],
)
@pytest.mark.parametrize("kind", ["file", "debug", "macro"])
def test_maps_of_the_project(stated, becomes, kind, accepting):
    """What they do to the build_base, they do to ours: a path is mapped once."""
    accepting(MAP)
    flag = f"-f{kind}-prefix-map="
    found = mapping.options("/tree/build", "build", ("cc",), ["a.c", flag + stated])
    theirs = [flag + one for one in becomes]
    is_instead = any(one.startswith("-ffile-prefix-map=/tree/build=") for one in theirs)
    assert found == (theirs if is_instead else [MAP, *theirs])
