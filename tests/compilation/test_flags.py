"""An object of other flags is another object, whichever flags the cache ignores."""

from __future__ import annotations

import os

import pytest
from setuptools_isolated_build._compilation import known

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(os.name == "nt", reason="ccache is for Unix compilers"),
]

# What flags may change: names of files, debug information, code, sections, symbols.
TEXT = """
    #include <math.h>
    #include <string.h>
    #include "inc/h.h"
    int common;
    __thread int of_thread;
    extern int elsewhere;
    struct { enum { A } small; char last; } sized;
    const char *names(void) { return __FILE__ H_FILE; }
    int *places(int n) { return n ? &of_thread : &elsewhere; }
    int overflows(int a) { return a + 1 > a; }
    float contracted(float a, float b) { return a * b + 1.0f; }
    double computed(double *x, int n) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += sqrt(x[i]) + x[i] / 3.0;
        return sum;
    }
    int copied(char *from, int n) { char to[64]; strcpy(to, from); return to[n]; }
    int switched(int n) {
        switch (n) { case 0: return 5; case 1: return 9; case 2: return 77;
                     case 3: return 3; case 4: return 12; case 5: return 1; }
        return inner(n);
    }
    void filled(int *a, int n) {
    #pragma omp parallel for
        for (int i = 0; i < n; i++) a[i] *= 2;
    }
    """
CPP = """
    struct Base { virtual ~Base() {} virtual int value() { return 1; } };
    Base *made() { return new Base; }
    int thrown(int n) { static Base base; if (n) throw n; return base.value(); }
    """
FILES = {
    "src/m.c": TEXT,
    "src/m.cc": TEXT + CPP,
    "src/inc/h.h": "#define H_FILE __FILE__\nstatic inline int inner(int n) "
    "{ return n * 3; }\nint (*pointed)(int) = inner;\n",
    "other/x.h": "",
}
VALUES = {
    "-std": ("c99", "gnu17", "c++17", "gnu++20"),
    "-fvisibility": ("hidden", "protected"),
    "-fexcess-precision": ("fast", "standard"),
    "-ffp-contract": ("off", "fast", "on"),
    "-fcf-protection": ("full", "none", "branch"),
    "-ftls-model": ("initial-exec", "local-exec"),
    "-fdebug-default-version": ("4",),
    "-fdiagnostics-color": ("always", "never"),
    "-fmax-errors": ("1",),
    "-ftemplate-depth": ("77",),
    "-fconstexpr-depth": ("99",),
    "-fstrict-flex-arrays": ("3",),
    "-fzero-call-used-regs": ("used", "all"),
    "-ftrivial-auto-var-init": ("zero", "pattern"),
    "-march": ("x86-64-v3", "haswell"),
    "-mtune": ("haswell", "generic"),
    "-mcpu": ("generic",),
    "-mfpu": ("auto",),
    "-mfloat-abi": ("hard",),
    "-mabi": ("ms", "sysv"),
    "-mcmodel": ("large", "medium"),
    "-mfpmath": ("387", "sse"),
    "-mbranch-protection": ("standard",),
    "-mtls-dialect": ("gnu2",),
    "-mmacosx-version-min": ("11.0",),
}
NOT_REPEATABLE = {"lto", "-flto"}  # its sections have random names
SWITCHES = {
    *(known._EXACT - {"-c"}),
    *(f"-f{no}{rule}" for rule in known._RULES - NOT_REPEATABLE for no in ("", "no-")),
    *(f"-m{no}{name}" for name in known._INSTRUCTIONS for no in ("", "no-")),
    *(f"{name}={value}" for name, values in VALUES.items() for value in values),
    *(f"{flag} other" for flag in known.SEARCHING if flag not in {"-D", "-U"}),
    *("-DX=1", "-UX", "-Wall", "-Wdate-time", "-Wp,-DX=1"),
}
MAPPED = ("src", "src/inc", "{here}", "{here}/src", "/usr/include")
MAPS = [f"{flag}{was}=/mapped" for flag in known.MAPS for was in MAPPED]
LONG = pytest.mark.long
PARTS = 6
BEFORE = ("-g", "-g3 -O3 -fPIC")
COMPILERS = {"gcc": "c", "g++": "cc", "clang": "c"}


def test_all_values_are_tried():
    assert {*VALUES} == known.VALUES - NOT_REPEATABLE


def all_of(flags, before, compiler, tree, compiled):
    """Compile with each of the flags, added to others."""
    tree(FILES)
    source = f"src/m.{COMPILERS[compiler]}"
    compiled(compiler, source, before)
    for flag in flags:
        added = f"{before} {flag.format(here=os.getcwd())}"
        for _ in ("cold", "warm"):
            found, expected = compiled(compiler, source, added, may_fail=True)
            assert found == expected, added


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=LONG)])
def test_other_maps(compiler, tree, compiled, hits):
    """ccache hashes only the current directory as it is mapped."""
    all_of(MAPS, "-g", compiler, tree, compiled)
    assert hits() == len(MAPS)


@pytest.mark.parametrize(("compiler", "expected"), [("gcc", 1), ("clang", 0)])
def test_arguments_that_are_written_down(compiler, expected, tree, compiled, hits):
    """clang does so; and the cache compiles with some that the project does not have."""
    all_of(["-grecord-gcc-switches"], "-g", compiler, tree, compiled)
    assert hits() == expected


@LONG
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_all_that_are_known(
    compiler, before, part, tree, compiled, tmp_path, monkeypatch
):
    """In parts, so that no test takes more than a minute or two."""
    # clang 14 crashes with one of them, and leaves what it has read.
    (tmp_path / "crashed").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "crashed"))
    all_of(sorted({*MAPS, *SWITCHES})[part::PARTS], before, compiler, tree, compiled)
