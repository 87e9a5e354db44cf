"""Which texts make the assembler read a file: found out by reading one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig

import pytest
from setuptools_isolated_build._compilation import assembly

pytestmark = pytest.mark.any_setuptools

# With each of these gcc reads "read.inc" or "aw", in which the symbol "found" is.
ASM = '__asm__(".include \\"read.inc\\"");'
SECTION = 'section("own\\n.include \\"read.inc\\"\\n#")'
READING = {
    "inline assembly": ASM,
    "behind a dot": 'asm(".inc" "lude \\"read.inc\\"");',
    "a hidden dot": '__asm__("\\x2einclude \\42aw\\42");',
    "a macro": '#define DOT "."\n__asm__(DOT "include \\"read.inc\\"");',
    "in a function": f"void f(void) {{ {ASM[:-2]} ::); }}",
    "an attribute": f"int f __attribute__(({SECTION})) = 1;",
    "behind a semicolon": "int f __attribute__(({})) = 1;".format(
        SECTION.replace("own", 'own;" "')
    ),
    "behind parentheses": f"int f __attribute__((aligned((8)), {SECTION})) = 1;",
    "behind a line": f'int f __attribute__((\n#line 1 "a;b"\n{SECTION})) = 1;',
    "in brackets": f"int f [[gnu::{SECTION}]] = 1;",
    "in brackets apart": f"int f [ [gnu::{SECTION}]] = 1;",
    "in brackets of two lines": f"int f [\n[gnu::{SECTION}]] = 1;",
    "in brackets of many lines": "int f [" + 20 * "\n" + f"[gnu::{SECTION}]] = 1;",
    "in digraphs": f"int f <:<:gnu::{SECTION}:>:> = 1;",
    "in both": f"int f [<:gnu::{SECTION}:>] = 1;",
    "behind others": f"int f [[gnu::aligned(sizeof(int<:2])), gnu::{SECTION}]] = 1;",
    "a raw string": 'int f __attribute__((section(R"(own,"aw"\n'
    '.include "read.inc"\n#)"))) = 1;',
    "behind a raw string": 'int f [[gnu::deprecated(R"(a"b)"), gnu::section(R"(own,"aw"\n'
    '.include "read.inc"\n.section own)")]] = 1, g [[deprecated("]]")]] = 2;',
    "gcc's quotes": 'int f __attribute__((section("own;.altmacro;'
    '.macro m a,b,c;.include b;.endm;m"))) = 1;',
    "in what looks like a line": f'const char *s = R"(\n# 1 )"; {ASM}',
    "in what looks like a name": f'const char *s = R"(\n#include <)"; {ASM}'
    ' const char *t = R"(>\n)";',
    "behind what looks like a line": f'const char *s = R"(\n# 1 "a" )"; {ASM}',
}


@pytest.fixture
def preprocessed(tmp_path, monkeypatch):
    """Return the text of a source, as `inputs` asks compilers for it."""
    monkeypatch.chdir(tmp_path)

    def ask(text, *command):
        tmp_path.joinpath("a.c").write_text(text + "\n")
        asked = ["-dI"] if command[0].startswith("g") else []
        said = subprocess.check_output([*command, "-E", *asked, "a.c"], timeout=60)
        return b"\n" + said

    return ask


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc")
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this is not Linux")
@pytest.mark.parametrize("text", READING.values(), ids=READING)
def test_reading(text, preprocessed, tmp_path):
    assert not assembly.reads_no_file(preprocessed(text, "gcc"))
    for name in ("read.inc", "aw"):
        tmp_path.joinpath(name).write_text(".globl found\nfound:\n")
    subprocess.run(["gcc", "-c", "a.c"], check=True, timeout=60)
    symbols = subprocess.check_output(["nm", "a.o"], text=True, timeout=60)
    assert " found\n" in symbols, "it reads no file"


@pytest.mark.parametrize(
    "text",
    [
        'int f(void) __asm__ ("" "g");',
        '__asm__("");',
        'void f(void) { __asm__ volatile("nop\\n\\tnop" : : : "memory"); }',
        'int f(void) __attribute__((section("own"))); char *s = "\\n.incbin";',
        'int f(void) __attribute__((deprecated("Not; see .inc!"), aligned((8))));',
        'int f(void) __attribute__((aligned(sizeof(int))));\nchar *s = "\\";',
        '[[deprecated("use a.b() instead"), nodiscard("a;b")]] int f(void);',
        'void f(void) __attribute__((__warning__("a;b"), error("a;b"), unavailable("!")));',
        '[[gnu::unused]] char *s = R"(\n.incbin "x"\n)", *t = "[[";',
        "int a[2], b = '[', c = 0 <:: d;",
        'int b = a[\n# 3 "a.c"\nb[0]];',
        '# 1 "asm/x.h"\nint f(void);\n#include <asm/x.h>\n#include "asm/x.h"',
        '#pragma GCC diagnostic ignored "-Wall"\n#ident "1.0"',
    ],
)
def test_reading_nothing(text):
    assert assembly.reads_no_file(b"\n" + text.encode() + b"\n")


@pytest.mark.parametrize(
    "text",
    [
        '#ident "\\n.incbin y"',
        '#pragma extern_prefix R"(\n)"',
        'asm(".include aw");',
        "int f __attribute__",
        "int f __attribute__((aligned(8))",
        'int f __attribute__((section("a@.incbin")));',
        "int f [[gnu::aligned('8')]];",
        '[[deprecated("a\\n")]] int f;',
        'int f [[gnu::aligned(sizeof(x<%)), gnu::section("a")]];',
    ],
)
def test_not_known(text):
    """Nothing here reads a file, or not everywhere; but that takes more to see."""
    assert not assembly.reads_no_file(b"\n" + text.encode() + b"\n")


HEADERS = {
    "gcc": ("Python.h", "string.h", "math.h", "pthread.h", "sys/socket.h", "signal.h"),
    "g++": ("Python.h", "memory", "regex", "functional", "thread", "map", "iostream"),
}
HEADERS |= {"clang": HEADERS["gcc"], "clang++": HEADERS["g++"]}


@pytest.mark.parametrize("compiler", HEADERS)
def test_usual_headers(compiler, preprocessed):
    """Or else little comes from the cache."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    text = "".join(f"#include <{name}>\n" for name in HEADERS[compiler])
    language = "c++" if compiler.endswith("++") else "c"
    command = [compiler, "-O2", "-D_FORTIFY_SOURCE=2", "-x", language]
    command.append("-I" + sysconfig.get_path("include"))
    assert assembly.reads_no_file(preprocessed(text, *command))
