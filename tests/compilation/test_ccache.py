"""Which compilations run inside the build tree, and how. What comes of it: test_compiled."""

from __future__ import annotations

import pytest
from setuptools_isolated_build._compilation import ccache

pytestmark = pytest.mark.any_setuptools

PRIVATE = "/private/0/build"
OPTION = f"-ffile-prefix-map={PRIVATE}=build"
OBJECT = f"{PRIVATE}/temp/private/0/build/temp/made.o"
PROGRAM = ["ccache", "gcc", "-g", "-DNDEBUG"]


# The directory that it is run in; and what a ``#line`` in a generated source names.
def with_the_tree(here):
    return [
        f"-ffile-prefix-map={PRIVATE}={here}",
        f"-ffile-prefix-map={PRIVATE}/=build/",
    ]


SOURCE = ["-c", f"{PRIVATE}/temp/made.c", "-o", OBJECT]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A source tree with a directory of headers and a file of options."""
    (tmp_path / "include").mkdir()
    (tmp_path / "options").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    return tmp_path


def inside(*arguments):
    return ccache.arguments_inside(list(arguments), PRIVATE, "build")


def test_a_generated_source(here):
    """The same path from everywhere; what is written down is what it is without us."""
    assert inside(*PROGRAM, "-I/usr/include", *SOURCE, OPTION) == [
        *(*PROGRAM, "-I/usr/include", "-c", "temp/made.c", "-o", OBJECT),
        "-ffile-prefix-map=temp=build/temp",
        *with_the_tree(here),
    ]


def test_directories_of_headers(here):
    """Those of the source tree are found from inside, those of the build tree too."""
    generated = f"-I{PRIVATE}/temp/include"
    assert inside(*PROGRAM, "-Iinclude", generated, *SOURCE, OPTION, "-O2") == [
        *(*PROGRAM, f"-I{here}/include", "-Itemp/include"),
        *("-c", "temp/made.c", "-o", OBJECT, "-O2"),
        f"-ffile-prefix-map={here}/include=include",
        "-ffile-prefix-map=temp=build/temp",
        *with_the_tree(here),
    ]


def test_sources_of_the_tree(here):
    """They have the same path everywhere, and stay where they are."""
    source = ["-c", "p/fast.c", "-o", OBJECT, OPTION]
    assert inside(*PROGRAM, *source) is None
    above = ["-c", "../fast.c", "-o", OBJECT, OPTION]
    assert inside(*PROGRAM, f"-I{PRIVATE}/temp", *above) is None


def test_generated_headers(here):
    """Those of a source of the tree, which is told apart by where it is."""
    source = ["-c", "p/fast.c", "-o", OBJECT]
    assert inside(*PROGRAM, f"-I{PRIVATE}/temp", *source, OPTION) == [
        *(*PROGRAM, "-Itemp", "-c", f"{here}/p/fast.c", "-o", OBJECT),
        "-ffile-prefix-map=temp=build/temp",
        f"-ffile-prefix-map={here}/p/=p/",
        *with_the_tree(here),
    ]


def test_generated_headers_of_a_source_at_the_top(here):
    """Of a header beside it, some compilers write down ./beside.h, others beside.h."""
    source = ["-c", "fast.c", "-o", OBJECT]
    assert inside(*PROGRAM, f"-I{PRIVATE}/temp", *source, OPTION) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["-MF", "made.d"],
        ["-MFmade.d"],
        ["-include", "options"],
        ["-fprofile-use=options"],
        ["@options"],
        ["-I."],
        ["-I../include"],
        ["-isystem", "include"],
        ["-isysteminclude"],
        ["other.c"],
        [f'-DWHERE="{PRIVATE}/temp"'],
    ],
    ids=" ".join,
)
def test_paths_that_are_not_understood(here, arguments):
    """They would be others inside: the compilation stays as it is."""
    assert inside(*PROGRAM, *SOURCE, *arguments, OPTION) is None


def test_a_directory_that_is_stated_twice(here):
    """By its whole path too, which would be mapped along with the other."""
    twice = [f"-I{here}/include", "-Iinclude"]
    assert inside(*PROGRAM, *twice, *SOURCE, OPTION) is None


def test_other_commands(here):
    """Linking; and what was not given the prefix map, since nothing needs it."""
    link = ["gcc", "-shared", OBJECT, "-o", f"{PRIVATE}/lib/made.so"]
    assert inside(*link, OPTION) is None
    assert inside(*PROGRAM, *SOURCE) is None


def test_an_object_elsewhere(here):
    """Where build_temp is stated: by its whole path, or else it would be another."""
    source = [*PROGRAM, "-c", f"{PRIVATE}/temp/made.c", OPTION]
    assert inside(*source, "-o", "/stated/made.o")[-5:-3] == ["-o", "/stated/made.o"]
    assert inside(*source, "-o", "stated/made.o") is None


def test_architectures_of_a_fat_binary(here):
    assert inside(*PROGRAM, *SOURCE, "-arch", "arm64", OPTION) is not None


def test_empty_directories_for_headers(here):
    """Of an isolated environment: nothing is found there, whatever its path."""
    (here / "empty" / "site").mkdir(parents=True)
    (here / "link").mkdir()
    (here / "link" / "to").symlink_to(here / "include")
    named = [f"-I{here}/{name}" for name in ("empty", "missing", "link")]
    command = ["gcc", "-Imissing", f"-I{here}", *named, "-c", "a.c"]
    assert ccache.finding_nothing(command) == named[:2]
    assert ccache.finding_nothing([*command, "-Werror=missing-include-dirs"]) == []


def test_what_is_not_hashed():
    """A word of a list, and no pattern."""
    env = {}
    ccache.be_exact(env, {}, ["-I/a", "-I/b c", "-I/d*", "-I/e"])
    assert env["CCACHE_IGNOREOPTIONS"] == "-I/a -I/e"
