"""The options by which objects do not tell of the build tree."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

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


STATED = {
    "build=/B": ("/tree/build=/B", ""),
    "bu=/B": ("/tree/build=/Bild", ""),
    "=/B/": ("/tree/build=/B/build", ""),
    "build/temp=/T": ("/tree/build=build", "/tree/build/temp=/T"),
    "/tree/build/temp=/T": ("/tree/build=build", "/tree/build/temp=/T"),
}


@pytest.mark.parametrize("stated", STATED)
@pytest.mark.parametrize("kind", ["file", "debug", "macro"])
def test_maps_of_the_project(stated, kind, accepting):
    """What they do to the build_base, they do to ours."""
    accepting(MAP)
    words = ["a.c", f"-f{kind}-prefix-map={stated}"]
    expected = []
    for each in ("debug", "macro"):
        maps = STATED[stated] if kind in {each, "file"} else ("/tree/build=build", "")
        expected += [f"-f{each}-prefix-map={one}" for one in maps if one]
    assert mapping.options("/tree/build", "build", ("cc",), words) == expected


@pytest.mark.parametrize("stated", ["/other=x=y", "src=/S", "src"])
def test_other_maps_of_the_project(stated, accepting):
    """They have nothing to do with the build_base, or are mistakes for the compiler."""
    accepting(MAP)
    words = ["a.c", f"-ffile-prefix-map={stated}"]
    assert mapping.options("/tree/build", "build", ("cc",), words) == [MAP]


SOURCE = "const char *name(void) { return __FILE__; }\n"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("stated", ["build=/B", "build/temp=/T"])
@pytest.mark.parametrize("kind", ["file", "debug", "macro"])
def test_as_compilers_map(kind, stated, compiler, tmp_path, monkeypatch):
    """The object is the one that a compiler makes of the path without us."""
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    monkeypatch.chdir(tmp_path)
    private = tmp_path / "private" / "build"
    words = ["-g", f"-f{kind}-prefix-map={stated}"]
    objects = []
    for place in (Path("build"), private):
        source = place / "temp" / "made.c"
        source.parent.mkdir(parents=True)
        source.write_text(SOURCE)
        command = [compiler, *words, "-c", str(source), "-o", "made.o"]
        if place == private:
            command += mapping.options(str(private), "build", (compiler,), words)
        subprocess.run(command, check=True, timeout=60)
        objects.append(Path("made.o").read_bytes())
    assert objects[0] == objects[1]
