"""The preprocessor is not asked where its answer is known, and is asked elsewhere."""

from __future__ import annotations

import functools
import os
import random
import shutil
import sysconfig
import threading
import zlib

import changing
import pytest
from setuptools_isolated_build._compilation import direct, inputs, lookups

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc"),
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this is not Linux"),
]

SECONDS = 60  # to end a hang, not to measure
LEAST = direct._LEAST  # as it is; see conftest.py
TEXT = '#include "h.h"\n#include <stddef.h>\nint f = VALUE;\n'
FILES = {"src/m.c": TEXT, "a/h.h": '#include "i.h"\n', "a/i.h": "#define VALUE 1\n"}


@pytest.fixture
def asked(monkeypatch):
    """The compilations for which the preprocessor was asked."""
    calls = []
    read = inputs.read

    def count(compilation, *args):
        calls.append(compilation)
        return read(compilation, *args)

    monkeypatch.setattr(inputs, "read", count)
    return calls


@pytest.fixture
def kept(tmp_path):
    """The path of the file in which the one answer is kept."""

    def find():
        (path,) = (tmp_path / "ccache" / "setuptools-isolated-build").iterdir()
        return path

    return find


def test_asked_once(tree, compiled, asked, hits):
    tree(FILES)
    for number in range(3):
        found, expected = compiled("gcc", "src/m.c", "-Ia -g")
        assert found == expected
        assert len(asked) == 1
        assert hits() == number


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        ({"a/i.h": "#define VALUE 2\n"}, True),
        ({"src/m.c": TEXT + "int g;\n"}, True),
        ({"src/i.h": "#define VALUE 3\n"}, False),
        ({"src/h.h": "#define VALUE 4\n"}, True),
        ({"c/h.h": "#define VALUE 5\n"}, True),
        ({"c/other.h": "#define VALUE 6\n"}, False),
        ({"c/stddef.h": "#define VALUE 7\n"}, True),
    ],
)
def test_after_a_change(change, is_read, tree, compiled, asked):
    tree(FILES)
    flags = "-Ic -Ia"  # c is missing
    for _ in range(2):
        compiled("gcc", "src/m.c", flags)
    assert len(asked) == 1
    before, _ = compiled("gcc", "src/m.c", flags)
    tree(change)
    found, expected = compiled("gcc", "src/m.c", flags)
    assert found == expected
    assert (found != before) == is_read
    assert len(asked) == (1 if "c/other.h" in change else 2)


def test_files_that_are_gone(tree, compiled, asked):
    tree({**FILES, "b/i.h": "#define VALUE 2\n"})
    for _ in range(2):
        compiled("gcc", "src/m.c", "-Ia -Ib")
    os.unlink("a/i.h")
    found, expected = compiled("gcc", "src/m.c", "-Ia -Ib")
    assert found == expected
    assert len(asked) == 3  # twice before, since b/i.h was there and not read


def test_a_marker_of_ones_own(tree, compiled):
    """Then b.h would seem to be included by a file in the directory where it is."""
    text = '#include "a.h"\n# 1 "inc/a.h" 1\n#include "b.h"\n# 5 "src/m.c" 2\n'
    text += "int f = VALUE;\n"
    tree({"src/m.c": text, "inc/a.h": "\n", "inc/b.h": "#define VALUE 1\n"})
    compiled("gcc", "src/m.c", "-Iinc")
    tree({"inc/a.h": "\n\n"})
    for _ in range(2):  # what was kept did not hold; it is kept in another way
        found, before = compiled("gcc", "src/m.c", "-Iinc")
        assert found == before
    tree({"src/b.h": "#define VALUE 2\n"})
    found, expected = compiled("gcc", "src/m.c", "-Iinc")
    assert found == expected != before


@pytest.mark.parametrize(
    ("text", "flags", "files"),
    [
        ("const char *a = __TIME__;\n", "", {}),
        ("#define T(a, b) a##b\nconst char *a = T(__DA, TE__);\n", "", {}),
        ("#define T(a, b) a##b\nconst char *a = T(__TIME, STAMP__);\n", "", {}),
        ("#define T(a, b) a##b\nconst char *a = T(__TI, ME__);\n", "", {}),
        ("const char *a = A;\n", "-DA=__TIME__", {}),
        ('#if __has_include("absent.h")\n#endif\nint a;\n', "", {}),
        ('#if __has_include("a/there.h")\n#endif\nint a;\n', "-I.", {"a/there.h": ""}),
        ('#if __has_include("x.h")\n#endif\n#include "x.h"\n', "", {"src/x.h": ""}),
        ('#if A("absent.h")\n#endif\nint a;\n', "-DA=__has_include", {}),
        ('#include "x.h"\n#include "y.h"\n', "-Ia", {"a/x.h": "\n", "a/y.h": "\n"}),
        ('#include "x.h"\n', "-iquote a", {"a/x.h": ""}),
        ('#include "x.h"\n', "-Ia -Ib", {"a/x.h": "", "b/x.h": "\n"}),
        ('#pragma GCC dependency "../a/x.h"\nint a;\n', "", {"a/x.h": ""}),
    ],
)
def test_asked_each_time(text, flags, files, tree, compiled, asked):
    """What depends on the time, or on files that the preprocessor does not list."""
    tree({"src/m.c": text, **files})
    for number in range(3):
        assert len(asked) == number
        compiled("gcc", "src/m.c", flags)


def test_what_was_asked_for_is_read(tree, compiled, asked):
    """As in glibc's headers: then it is known that it was there."""
    text = '#if __has_include("x.h")\n#include "x.h"\n#endif\nint a;\n'
    tree({"src/m.c": text, "a/x.h": "int b;\n"})
    for _ in range(2):
        compiled("gcc", "src/m.c", "-Ia")
    assert len(asked) == 1
    os.unlink("a/x.h")
    found, expected = compiled("gcc", "src/m.c", "-Ia")
    assert found == expected
    assert len(asked) == 2


def test_a_header_that_is_not_read(tree, compiled, asked):
    """It has the name of another one that is beside the file that includes it."""
    tree({**FILES, "src/m.c": '#include "sub/j.h"\n' + TEXT, "a/sub/j.h": "int j;\n"})
    tree({"a/sub/i.h": "#define VALUE 2\n", "b/i.h": "#define VALUE 3\n"})
    for expected in (1, 2, 2):
        compiled("gcc", "src/m.c", "-Ia -Ib")
        assert len(asked) == expected
    tree({"src/i.h": "#define VALUE 4\n", "a/sub/i.h": "#define VALUE 5\n"})
    found, expected = compiled("gcc", "src/m.c", "-Ia -Ib")
    assert found == expected
    assert len(asked) == 2
    tree({"src/h.h": "#define VALUE 6\n"})
    found, expected = compiled("gcc", "src/m.c", "-Ia -Ib")
    assert found == expected
    assert len(asked) == 3


@pytest.mark.parametrize("flags", ["-Ia/../a", "-isystem a/../a"])
def test_headers_of_a_longer_name(flags, tree, compiled, asked):
    """gcc gives a system's header a shorter one, if it has one."""
    tree({"src/m.c": '#include "../a/h.h"\nint f = VALUE;\n', "a/i.h": "int i;\n"})
    tree({"a/h.h": "#include <i.h>\n#define VALUE 1\n"})
    for _ in range(4):
        found, expected = compiled("gcc", "src/m.c", f"{flags} -g3")
        assert found == expected
    assert len(asked) == (2 if "-I" in flags else 4)


def test_the_next_of_a_header_beside_it(tree, compiled, asked):
    """It is looked for in the other places, although one is beside."""
    tree({"src/m.c": TEXT, "a/h.h": '#include_next "h.h"\n#include "s/x.h"\n'})
    tree({"c/h.h": "#define VALUE 1\n", "a/s/x.h": "\n", "a/s/h.h": "int s;\n"})
    for expected in (1, 2, 2):
        compiled("gcc", "src/m.c", "-Ia -Ib -Ic")
        assert len(asked) == expected
    tree({"b/h.h": "#define VALUE 2\n"})
    found, expected = compiled("gcc", "src/m.c", "-Ia -Ib -Ic")
    assert found == expected
    assert len(asked) == 3


@pytest.mark.parametrize("where", ["a", "c"])
def test_a_precompiled_header_appears(where, tree, compiled, asked):
    tree(FILES)
    for _ in range(2):
        compiled("gcc", "src/m.c", "-Ic -Ia")
    tree({f"{where}/i.h.gch": ""})
    compiled("gcc", "src/m.c", "-Ic -Ia")
    assert len(asked) == 2


def test_another_compiler(tree):
    tree(FILES)
    command = ["gcc", "-c", "src/m.c", "-o", "m.o"]

    def ask(toolchain):
        compilation = inputs.Compilation(command, command, "", "", toolchain=toolchain)
        return direct.question(compilation, os.environ, {"cache_dir": "/x"}).digest

    assert ask("gcc 12") == ask("gcc 12") != ask("gcc 13")


def test_another_directory(tree, compiled, asked, monkeypatch):
    """It is in debug information, also where no header is below it."""
    text = "#include <stddef.h>\nint f;\n"
    tree({"src/m.c": text, "other/src/m.c": text})
    for place in (".", "other"):
        monkeypatch.chdir(place)
        found, expected = compiled("gcc", "src/m.c", "-g")
        assert found == expected
    assert len(asked) == 2


def test_a_header_appears_within_a_tick(tree, monkeypatch):
    """Of the file system's clock: its directory has the same times as before."""
    tree({"a/h.h": ""})
    places = ((os.path.abspath("a"), frozenset({"h.h", "i.h"})),)
    seen = {}
    stat, first = os.stat, {}

    def as_at_first(path, **kwargs):
        found = stat(path, **kwargs)
        return first.setdefault(path, found) if str(path).endswith("/a/") else found

    monkeypatch.setattr(os, "stat", as_at_first)
    assert len(lookups.Lookups(places, seen).find()) == 1
    tree({"a/i.h": "\n"})
    assert len(lookups.Lookups(places, seen).find()) == 2


class Announcing:
    """A lock; another thread is told when one waits for it."""

    def __init__(self):
        self.lock, self.asked = threading.Lock(), threading.Semaphore(0)

    def __enter__(self):
        self.asked.release()
        self.lock.acquire()

    def __exit__(self, *exc):
        self.lock.release()


@pytest.mark.parametrize("what", ["digest", "listing"])
def test_threads_that_begin_together(what, tmp_path, monkeypatch):
    """One looks, the others wait for what it finds."""
    lock, may_look, looks = Announcing(), threading.Event(), []
    monkeypatch.setattr(lookups, "_looking", lock)
    monkeypatch.setattr(lookups, "_SETTLED", -SECONDS * 10**9)  # whatever its age is

    def look(path):
        looks.append(path)
        assert may_look.wait(SECONDS)
        return what

    seen, header = {}, tmp_path / "a.h"
    header.touch()
    places = ((f"{tmp_path}/", frozenset(["a.h"])),)
    if what == "digest":
        monkeypatch.setattr(lookups.guard, "digest", look)
        call = functools.partial(lookups.state, str(header))
    else:
        monkeypatch.setattr(lookups.os.path, "lexists", look)
        call = lookups.Lookups(places, seen).are_precompiled
    threads = [threading.Thread(target=call, daemon=True) for _ in "12"]
    for thread in threads:
        thread.start()
        assert lock.asked.acquire(timeout=SECONDS)
    may_look.set()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    once = {"digest": ["a.h"], "listing": ["a.h", "a.h.gch"]}
    assert [os.path.basename(path) for path in looks] == once[what]


@pytest.mark.parametrize("variable", ["CPATH", "PWD", "GCC_COLORS", "LC_ALL"])
def test_another_environment(variable, tree, compiled, asked, monkeypatch):
    tree(FILES)
    compiled("gcc", "src/m.c", "-Ia -g")
    os.symlink(os.getcwd(), "../link")
    monkeypatch.setenv(variable, os.path.abspath("../link"))
    found, expected = compiled("gcc", "src/m.c", "-Ia -g")
    assert found == expected
    assert len(asked) == 2


def test_another_directory_in_place_of_one(tree, compiled, asked):
    """The same names and contents, by way of a link that gcc resolves."""
    tree({**FILES, "i/h.h": FILES["a/h.h"], "i/i.h": FILES["a/i.h"]})
    flags = "-isystem ./a -g3"
    compiled("gcc", "src/m.c", flags)
    compiled("gcc", "src/m.c", flags)
    assert len(asked) == 1
    long = os.path.abspath("a" * 90)
    os.replace("a", long)
    os.symlink(long, "a")
    found, expected = compiled("gcc", "src/m.c", flags)
    assert found == expected
    os.unlink("a")
    os.symlink("i", "a")
    found, expected = compiled("gcc", "src/m.c", flags)
    assert found == expected


def test_a_system_header_with_a_shorter_name(tree, compiled):
    """gcc writes the shorter one into debug information."""
    there = os.path.abspath("a-directory/for/headers")
    tree({**FILES, f"{there}/h.h": "#define VALUE 1\nstatic int g(void);\n"})
    flags = f"-isystem {there} -g3"
    for _ in range(2):
        _, before = compiled("gcc", "src/m.c", flags)
    os.replace(there, "x")
    os.symlink(os.path.abspath("x"), there)
    found, expected = compiled("gcc", "src/m.c", flags)
    assert expected != before, "it is not resolved"
    assert found == expected


@pytest.mark.parametrize("broken", ["", "{}", "\0" * 99, "half", "more", "directory"])
def test_what_is_kept_is_broken(broken, tree, compiled, asked, kept):
    """Cut off by a full disk, written over by another build; then it is kept anew."""
    tree(FILES)
    compiled("gcc", "src/m.c", "-Ia")
    path = kept()
    content = path.read_bytes()
    path.unlink()
    if broken == "directory":
        path.mkdir()
    elif broken in {"half", "more"}:
        path.write_bytes(
            (content * 2)[: len(content) * (1 if broken == "half" else 3) // 2]
        )
    else:
        path.write_text(broken)
    for _ in range(2):
        found, expected = compiled("gcc", "src/m.c", "-Ia")
        assert found == expected
    assert len(asked) == (3 if broken == "directory" else 2)


@pytest.mark.parametrize(
    "planted", [os.mkfifo, lambda path: os.symlink(path.parents[1] / "far", path)]
)
def test_what_somebody_has_planted(planted, tree, compiled, asked, kept):
    """Neither waited for nor followed."""
    tree(FILES)
    compiled("gcc", "src/m.c", "-Ia")
    path = kept()
    path.unlink()
    planted(path)
    compiled("gcc", "src/m.c", "-Ia")
    assert len(asked) == 2
    assert not (path.parents[1] / "far").exists()


@pytest.mark.parametrize("stated", ["read_only = true", "remote_only = true"])
def test_nothing_is_written(stated, tree, compiled, asked, monkeypatch, tmp_path):
    """Where the user wants nothing to be."""
    tree({**FILES, "ccache.conf": stated + "\n"})
    monkeypatch.setenv("CCACHE_CONFIGPATH", os.path.abspath("ccache.conf"))
    for _ in range(2):
        found, expected = compiled("gcc", "src/m.c", "-Ia")
        assert found == expected
    assert len(asked) == 2
    assert not (tmp_path / "ccache" / "setuptools-isolated-build").exists()


def test_no_place(tree, compiled, asked, tmp_path):
    tree(FILES)
    (tmp_path / "ccache").mkdir()
    (tmp_path / "ccache" / "setuptools-isolated-build").write_text("")
    for _ in range(2):
        found, expected = compiled("gcc", "src/m.c", "-Ia")
        assert found == expected
    assert len(asked) == 2


def test_what_differs_in_each_build(tree, compiled):
    """A path in it, or the directory in which it is run."""
    tree(FILES)
    command = ["gcc", "-Ia", "-I/private/x", "-c", "src/m.c", "-o", "/private/m.o"]
    stated = {"cache_dir": "/x"}

    def ask(private="", directory="", command=command):
        compilation = inputs.Compilation(command, command, directory, private)
        return direct.question(compilation, os.environ, stated)

    assert ask()
    assert ask("/other")
    assert not ask("/private")
    assert not ask(directory="/x")
    del command[2]
    assert ask("/private")
    assert ask().digest == ask(command=[*command[:-1], "/other/m.o"]).digest
    assert not ask(command=[*command, "-I/a\nb"])


@pytest.mark.parametrize(("name", "expected"), [("h.h", 1), ("../a/h.h", 3)])
def test_empty_directories(name, expected, tree, compiled, asked):
    """With another name in each build; a name may lead out of them."""
    tree({**FILES, "src/m.c": TEXT.replace('"h.h"', f"<{name}>")})
    for number in range(3):
        empty = os.path.abspath(f"environment{number}/include")
        os.makedirs(empty)
        found, wanted = compiled("gcc", "src/m.c", f"-I{empty} -Ia")
        assert found == wanted
    assert len(asked) == expected


def test_short_texts(tree, compiled, monkeypatch, tmp_path):
    """What takes gcc a few milliseconds is not kept: that takes as long."""
    monkeypatch.setattr(direct, "_LEAST", LEAST)
    tree({"src/m.c": "int f;\n"})
    compiled("gcc", "src/m.c", "-Ia")
    assert not (tmp_path / "ccache" / "setuptools-isolated-build").exists()


SEEDS = (
    *range(4),
    *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 200)),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_as_the_preprocessor_says(seed, tree, tmp_path):
    """What is taken for known, in trees that change at random, is what it would say."""
    chance = random.Random(seed)
    stated = {"cache_dir": str(tmp_path / "cache")}
    known = asked = 0
    while known < 25:
        assert asked < 2000
        flags = chance.choice(changing.FLAGS)
        tree({"src/m.c": changing.NAME + changing.a_text(chance) + "int end;\n"})
        for _ in range(chance.randrange(12)):
            changing.something(chance)
        for _ in range(4):
            command = ["gcc", *flags.split(), "-c", "src/m.c", "-o", "m.o"]
            compilation = inputs.Compilation(command, command, "", "")
            question = direct.question(compilation, os.environ, stated)
            found = question.find({})
            read = inputs.read(compilation, str(tmp_path / "d"), os.environ, {})
            asked += 1
            if found is not None:
                known += 1
                assert read is not None
                assert found == read._replace(evidence=None)
            elif read is not None:
                question.keep(read)
            if chance.random() < 0.5:
                changing.something(chance)


def test_how_it_is_kept(tree, compiled, kept):
    """Small: there are up to 4,096 of them."""
    tree({"src/m.c": "#include <Python.h>\n"})
    compiled("gcc", "src/m.c", "-I" + sysconfig.get_path("include"))
    content = kept().read_bytes()
    assert len(content) < 8000
    assert len(zlib.decompress(content[32:])) > len(content)
