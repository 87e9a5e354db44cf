"""What comes from the compiler cache is what the compiler would make today.

A source is compiled cold and warm; then a file or a variable appears or changes. Each
object has to be the one that the compiler makes by itself.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from dataclasses import dataclass, field, replace

import changing
import pytest

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="ccache is for Unix compilers"),
]

GCC, CLANG = ("gcc",), ("clang",)
BOTH = (*GCC, *CLANG)
SEARCHED = '#include "{}"\nint f(void) {{ return VALUE; }}\n'
ONE, TWO = "#define VALUE 1\n", "#define VALUE 2\n"
AS_DATA = ".data\n.globl data\ndata: .incbin DATA\n"
ASKING = "#if __has_include({0})\n#define VALUE 1\n#else\n#define VALUE 2\n#endif\n"
SCRIPT = '#!/bin/sh\nexec gcc -DVALUE="${VALUE:-1}" "$@"\n'


@dataclass
class Case:
    """A project and what is changed in it: texts of files, links, and variables."""

    files: dict[str, str]
    change: dict[str, str]
    flags: str = "-Ia -Ib"
    source: str = "src/m.c"
    compilers: tuple[str, ...] = GCC
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def found_first(name, flags="-Ia -Ib", new="a", old="b", **more):
    """A file of a name that was found in one directory appears in an earlier one."""
    files = {"src/m.c": SEARCHED.format(name), f"{old}/{name}": ONE}
    return Case(files, {f"{new}/{name}": TWO}, flags, **more)


def asked_for(name, appears, behind=""):
    text = behind + ASKING.format(name) + "int f(void) { return VALUE; }\n"
    return Case({"src/m.c": text, "a/x.h": ""}, {appears: "{}"}, compilers=BOTH)


def edited(old, new, flags, text="", **more):
    """A header changes in a way that no preprocessed text shows."""
    text = text or '#include "h.h"\nint f(int a) { return inner(a); }\n'
    return Case({"src/m.c": text, "a/h.h": old}, {"a/h.h": new}, flags, **more)


INNER = "int g(int);\nstatic int inner(int a) { return g(a)%s* g(a + 1); }%s\n"


def passed_on(text, source="src/m.c", **more):
    """A file changes that the assembler reads, and no preprocessor."""
    files = {source: text + "\n", "a/x.inc": "\n"}
    return Case(files, {"a/x.inc": ".globl x\nx:\n"}, source=source, **more)


SECTION = r'section("own;" "\n.include \"a/x.inc\"\n#")'
CASES = {
    "a variable that clang writes down": Case(
        {"src/m.c": "int f;\n"},
        {},
        "-flto",
        compilers=CLANG,
        after={"LLVM_OVERRIDE_PRODUCER": "x"},
    ),
    "beside an included header": Case(
        {
            "src/m.c": '#include "../inc/foo.h"\nint f(void) { return VALUE; }\n',
            "inc/foo.h": '#include "cfg.h"\n',
            "b/cfg.h": ONE,
        },
        {"inc/cfg.h": TWO},
        compilers=BOTH,
    ),
    "any extension": found_first("cfg.tbl", compilers=BOTH),
    "preprocessed": found_first("cfg.i"),
    "in dist": found_first("dist/cfg.h"),
    "in a hidden directory": found_first(".gen/cfg.h"),
    "in a linked directory": found_first("link/cfg.h", links={"a/link": "far"}),
    "the current directory": found_first(
        "cfg.h", "", ".", "x", before={"CPATH": ":x"}, after={"CPATH": ":x"}
    ),
    "C++": Case(
        {"src/m.cpp": SEARCHED.format("cfg.h"), "b/cfg.h": ONE},
        {"a/cfg.h": TWO},
        source="src/m.cpp",
        compilers=BOTH,
    ),
    "--include-directory": found_first(
        "cfg.h", "--include-directory=a --include-directory=b"
    ),
    "-iwithprefixbefore": found_first(
        "cfg.h", "-iprefix ./ -iwithprefixbefore a -iwithprefixbefore b"
    ),
    "whether there is a file": asked_for('"opt.json"', "a/opt.json"),
    "whether there is one above": asked_for('"../opt/opt.h"', "opt/opt.h"),
    "the same behind a comment": asked_for('"x.opt"', "a/x.opt", "/**/ /*\n// */ "),
    "an included name": Case(
        {
            "src/m.c": "#include NAME\nint f(void) { return VALUE; }\n",
            "b/cfg.h": ONE,
        },
        {"src/cfg.h": TWO},
        """-Ia -Ib '-DNAME="cfg.h"'""",
        compilers=BOTH,
    ),
    "the next of a name": Case(
        {
            "src/m.c": SEARCHED.format("cfg.h"),
            "a/cfg.h": "#include_next <cfg.h>\n",
            "c/cfg.h": ONE,
        },
        {"b/cfg.h": TWO},
        "-Ia -Ib -Ic",
        compilers=BOTH,
    ),
    "columns": edited(INNER % (" ", ""), INNER % ("   ", ""), "-Ia -g", compilers=BOTH),
    "comments": edited(
        INNER % (" ", ""), INNER % (" ", "// why"), "-Ia -g", compilers=CLANG
    ),
    "macros in debug information": edited(
        ONE, TWO, "-Ia -g3", '#include "h.h"\nint f;\n'
    ),
    "macros of the command": Case(
        {"src/m.c": "int f(void) { return VALUE; }\n", "DEFINES": "1"},
        {"DEFINES": "2"},
        "-DVALUE=@DEFINES@",
        compilers=BOTH,
    ),
    "the assembler's file": passed_on(
        '__asm__(".include \\"a/x.inc\\"");', compilers=BOTH
    ),
    "the same, by a name": passed_on(f"int f __attribute__(({SECTION})) = 1;"),
    "the same, in brackets": passed_on(f"int f [ [gnu::{SECTION}] ] = 1;"),
    "the same, in digraphs": passed_on(f"int f <:<:gnu::{SECTION}:>:> = 1;"),
    "the same, raw": passed_on(
        'int f __attribute__((section(R"(own,"aw"\n.include "a/x.inc"\n#)"))) = 1;'
    ),
    "the same, behind a raw string": passed_on(
        'const char *s = R"(\n# 1 )"; __asm__(R"(.include "a/x.inc")");',
        source="src/m.cc",
        compilers=BOTH,
    ),
    "a compiler that is a script": Case(
        {"src/m.c": "int f(void) { return VALUE; }\n", "cc": SCRIPT},
        {},
        "",
        compilers=("./cc",),
        after={"VALUE": "2"},
    ),
    "the compiler behind a script": Case(
        {
            "src/m.c": "int f(void) { return VALUE; }\n",
            "gcc": '#!/bin/sh\nexec ./inner "$@"\n',
            "inner": SCRIPT,
        },
        {"inner": SCRIPT.replace(":-1", ":-3")},
        "",
        compilers=("./gcc",),
    ),
}
ASSEMBLY = {
    "a header": Case(
        {"src/m.S": '#include "cfg.h"\n.long VALUE\n', "b/cfg.h": ONE},
        {"src/cfg.h": TWO},
    ),
    "data": Case(
        {"src/m.S": AS_DATA, "a/data": "1"}, {"a/data": "2"}, '-DDATA=\\"a/data\\"'
    ),
    "a file": Case(
        {"src/m.S": '.include "a/x.inc"\n', "a/x.inc": ".long 1\n"},
        {"a/x.inc": ".long 2\n"},
    ),
}
ALL = [
    *(
        pytest.param(case, compiler, id=f"{name}, {compiler}")
        for name, case in CASES.items()
        for compiler in case.compilers
    ),
    *(
        pytest.param(replace(case, source="src/m.S"), "gcc", id=f".S, {name}")
        for name, case in ASSEMBLY.items()
    ),
]


@pytest.mark.parametrize(("case", "compiler"), ALL)
def test_nothing_stale(case, compiler, tree, compiled, monkeypatch):
    for link, target in case.links.items():
        os.makedirs(target)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(os.path.abspath(target), link)
    for directory in "ab":
        os.makedirs(directory, exist_ok=True)
    for name, value in case.before.items():
        monkeypatch.setenv(name, value)
    tree(case.files)
    for _ in ("cold", "warm"):
        found, before = compiled(compiler, case.source, case.flags)
        assert found == before
    tree(case.change)
    for name, value in case.after.items():
        monkeypatch.setenv(name, value)
    found, expected = compiled(compiler, case.source, case.flags)
    assert expected != before, "what has changed does not matter"
    assert found == expected


EMPTY_FIRST = {
    "p/real/h.h": ONE,
    "q/real/h.h": TWO,
    "q/f/x.h": "",
    "src/m.c": "#include <../real/h.h>\nint f(void) { return VALUE; }\n",
}


@pytest.mark.parametrize("compiler", BOTH)
def test_by_way_of_an_empty_directory(compiler, tree, compiled, hits):
    """Nothing is in it, and a name that leads out of it is found by it."""
    tree(EMPTY_FIRST)
    places = [os.path.abspath(place) for place in ("p/e", "q/f")]
    os.mkdir(places[0])
    flags = f"-I{places[0]} -I{places[1]} -g"
    for _ in ("cold", "warm"):
        found, before = compiled(compiler, "src/m.c", flags)
        assert found == before
    assert hits() == 1
    os.rmdir(places[0])
    found, expected = compiled(compiler, "src/m.c", flags)
    assert found == expected != before
    os.mkdir(places[0])
    found, expected = compiled(compiler, "src/m.c", flags)
    assert found == expected == before


@pytest.mark.parametrize("compiler", BOTH)
def test_an_empty_directory_is_added(compiler, tree, compiled):
    """What was kept without it does not hold with it."""
    tree(EMPTY_FIRST)
    places = [os.path.abspath(place) for place in ("p/e", "q/f")]
    os.mkdir(places[0])
    for _ in ("cold", "warm"):
        found, before = compiled(compiler, "src/m.c", f"-I{places[1]}")
        assert found == before
    found, expected = compiled(compiler, "src/m.c", f"-I{places[0]} -I{places[1]}")
    assert expected != before
    assert found == expected


@pytest.mark.parametrize("compiler", BOTH)
def test_an_empty_directory_with_another_name(compiler, tree, compiled, hits):
    """As in isolated environments: it is not compiled again."""
    tree({"src/m.c": SEARCHED.format("h.h"), "a/h.h": ONE})
    for number in range(3):
        empty = os.path.abspath(f"environment{number}/include")
        os.makedirs(empty)
        found, expected = compiled(compiler, "src/m.c", f"-I{empty} -Ia -g")
        assert found == expected
        assert hits() == number


MOVED = {
    "BINUTILS_ROOT": ("m.c", "{machine}/include"),
    "G++_ROOT": ("m.cc", "include/c++/{version}"),
}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this is not Linux")
@pytest.mark.parametrize("name", MOVED)
def test_a_variable_leads_elsewhere(name, tree, compiled, monkeypatch):
    """As undocumented ones do, which name the places of parts of gcc."""
    source, inside = MOVED[name]
    inside = inside.format(machine=said("-dumpmachine"), version=said("-dumpversion"))
    text = "#include <paths.h>\n#ifndef VALUE\n#define VALUE 1\n#endif\n"
    text += "int f(void) { return VALUE; }\n"
    tree({source: text, f"root/{inside}/paths.h": TWO})
    for _ in range(2):
        before, expected = compiled("gcc", source, "")
        assert before == expected
    monkeypatch.setenv(name, os.path.abspath("root") + os.sep)
    after, expected = compiled("gcc", source, "")
    assert after == expected != before


def said(option):
    done = subprocess.run(["gcc", option], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("place", ["a", "src"])
def test_a_precompiled_header_found_first(place, tree, compiled):
    """gcc reads it, and never looks at the header, which is in another directory."""
    tree({"src/m.c": SEARCHED.format("cfg.h"), "b/cfg.h": ONE, "c/cfg.h": TWO})
    os.makedirs(place, exist_ok=True)
    for _ in ("cold", "warm"):
        found, before = compiled("gcc", "src/m.c", "-Ia -Ib")
        assert found == before
    precompile = ["gcc", "-O1", "c/cfg.h", "-o", f"{place}/cfg.h.gch"]
    subprocess.run(precompile, check=True, timeout=60)
    found, expected = compiled("gcc", "src/m.c", "-Ia -Ib")
    assert expected != before, "it is not read"
    assert found == expected


# What the user's ccache.conf may say. None of it is in the way of what is right.
CONFIGURED = {
    "depend_mode = false": 1,
    "direct_mode = false": 1,
    "sloppiness = file_stat_matches, include_file_mtime, include_file_ctime, "
    "system_headers, time_macros, locale": 1,
    "base_dir = /": 1,
    "hash_dir = false": 1,
    "compiler_check = none": 1,
    "compiler = clang": 1,
    "ignore_options = -D* -g*": 1,
    "ignore_headers_in_manifest = h.h": 1,
    "hard_link = true": 1,
    "remote_only = true\nremote_storage = file:remote": 1,
    "read_only = true": 0,
    "disable = true": 0,
}


@pytest.mark.parametrize(("configured", "expected"), CONFIGURED.items())
def test_the_users_configuration(
    configured, expected, tree, compiled, hits, monkeypatch
):
    tree({"ccache.conf": configured.replace("file:", f"file:{os.getcwd()}/") + "\n"})
    monkeypatch.setenv("CCACHE_CONFIGPATH", os.path.abspath("ccache.conf"))
    case = CASES["columns"]
    source = case.files["src/m.c"] + "const char *file = __FILE__;\n"
    tree({**case.files, "src/m.c": source})
    path = os.path.abspath(case.source)  # which a base_dir would make relative
    for _ in ("cold", "warm"):
        found, before = compiled("gcc", path, case.flags)
        assert found == before
    assert hits() == expected
    tree(case.change)
    found, expected = compiled("gcc", path, case.flags)
    assert expected != before
    assert found == expected


@pytest.mark.parametrize(
    ("meanwhile", "is_stored"),
    [
        ("ln a/h.h a/other", True),  # as installers do in other environments
        ("touch -d 2001-01-01 a/h.h", False),
        ("cp a/h.h a/new; touch -r a/h.h a/new; mv a/new a/h.h", False),
    ],
)
@pytest.mark.parametrize("compiler", BOTH)
def test_meanwhile(meanwhile, is_stored, compiler, tree, compiled, hits, monkeypatch):
    """What happens to a header between the look at it and its compilation."""
    tree(CASES["columns"].files)
    tree({"prefix": f'#!/bin/sh\n{meanwhile}\nexec "$@"\n'})
    monkeypatch.setenv("CCACHE_PREFIX", os.path.abspath("prefix"))
    found, expected = compiled(compiler, "src/m.c", "-Ia -g")
    assert found == expected
    monkeypatch.delenv("CCACHE_PREFIX")
    found, expected = compiled(compiler, "src/m.c", "-Ia -g")
    assert found == expected
    assert hits() == is_stored


@pytest.mark.parametrize("tool", ["cmp", "stat"])
def test_a_tool_of_the_guard_fails(tool, tree, compiled, hits, tmp_path, monkeypatch):
    """Then the guard looks itself, and an object of unchanged sources is stored."""
    names = [f"a-header-of-a-name-that-fills-a-line-{number}.h" for number in range(9)]
    tree({"src/m.c": "".join(f'#include "{name}"\n' for name in names) + "int f;\n"})
    tree({f"a/{name}": f"int a{name[-3]};\n" for name in names})
    tree({f"../tools/{tool}": "#!/bin/sh\nexit 2\n"})
    path = f"{tmp_path / 'tools'}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    for number in range(2):
        found, expected = compiled("gcc", "src/m.c", "-Ia")
        assert found == expected
        assert hits() == number


@pytest.mark.parametrize("compiler", BOTH)
@pytest.mark.parametrize("meanwhile", ["cp old.h src/h.h", "mv old src/sub"])
def test_another_header_is_found_meanwhile(
    meanwhile, compiler, tree, compiled, hits, monkeypatch
):
    """And is gone again: its object must not be found by what the other one says."""
    tree({"src/m.c": '#include "sub/h.h"\n#include "h.h"\nint f = VALUE;\n'})
    tree({"a/h.h": "#ifndef VALUE\n#define VALUE 1\n#endif\n", "a/sub/h.h": "\n"})
    tree({"old.h": TWO, "old/h.h": TWO})
    tree({"prefix": f'#!/bin/sh\n{meanwhile}\nexec "$@"\n'})
    monkeypatch.setenv("CCACHE_PREFIX", os.path.abspath("prefix"))
    compiled(compiler, "src/m.c", "-Ia")
    monkeypatch.delenv("CCACHE_PREFIX")
    os.unlink("src/h.h") if os.path.exists("src/h.h") else os.replace("src/sub", "old")
    found, expected = compiled(compiler, "src/m.c", "-Ia")
    assert found == expected
    assert hits() == 0


@pytest.mark.parametrize("compiler", BOTH)
@pytest.mark.parametrize(
    ("meanwhile", "afterwards"),
    [("ln -sfn two a", "ln -sfn one a"), ("mv a one; mv two a", "mv a two; mv one a")],
)
def test_other_files_are_there_meanwhile(
    meanwhile, afterwards, compiler, tree, compiled, hits, monkeypatch
):
    """Of the same names, and as old as those that have been there before."""
    headers = {f"{place}/h.h": text for place, text in (("one", ONE), ("two", TWO))}
    tree({"src/m.c": SEARCHED.format("h.h"), **headers})
    os.symlink("one", "a") if "ln" in meanwhile else os.replace("one", "a")
    tree({"prefix": f'#!/bin/sh\n{meanwhile}\nexec "$@"\n'})
    monkeypatch.setenv("CCACHE_PREFIX", os.path.abspath("prefix"))
    compiled(compiler, "src/m.c", "-Ia")
    monkeypatch.delenv("CCACHE_PREFIX")
    subprocess.run(afterwards, shell=True, check=True)
    found, expected = compiled(compiler, "src/m.c", "-Ia")
    assert found == expected
    assert hits() == 0


def test_what_is_written_beside_the_object(tree, compiled, tmp_path):
    """Cold and warm: the compiler's own list, coverage notes, debug information."""
    tree({"src/m.c": "int f(void) { return 1; }\n"})
    for _ in ("cold", "warm"):
        compiled("gcc", "src/m.c", "-Wp,-MD,deps.d -g -gsplit-dwarf --coverage")
        os.unlink("deps.d")
        for suffix in (".gcno", ".dwo"):
            (tmp_path / "build" / "src" / f"m{suffix}").unlink()


QUICKEST = 22
SEEDS = [
    pytest.param(n, marks=[] if n == QUICKEST else pytest.mark.long) for n in range(24)
]


@pytest.mark.parametrize("seed", SEEDS)
def test_trees_that_change(seed, tree, compiled, hits, tmp_path):
    """At random, and back to what they were: no object is that of another text."""
    chance = random.Random(seed)
    states = []
    for _ in range(1000):
        if hits() >= 20:
            return
        dice = chance.random()
        if not states or dice < 0.1:
            text = changing.NAME + changing.a_text(chance)
            tree({"src/m.c": text, "src/z.s": ".byte 0\n"})
        elif dice < 0.4:
            become(chance.choice(states))
        elif dice < 0.7:
            changing.edit(chance)
        else:
            changing.something(chance)
        flags = f"{chance.choice(changing.FLAGS)} {chance.choice(['', '-g', '-g3'])}"
        found, expected = compiled("gcc", "src/m.c", flags, may_fail=True)
        assert found == expected
        states.append(shutil.copytree(".", tmp_path / f"{len(states)}", symlinks=True))
    pytest.fail("too little was found in the cache")


def become(state):
    """Let the current directory be what it was, but for inodes and the time of change."""
    for entry in list(os.scandir()):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry)
        else:
            os.unlink(entry)
    shutil.copytree(state, ".", symlinks=True, dirs_exist_ok=True)
