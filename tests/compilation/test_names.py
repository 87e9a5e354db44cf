"""Which files a source asks for, without including them: all of them, or it is said."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from setuptools_isolated_build._compilation import names

pytestmark = pytest.mark.any_setuptools


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ('#include "a.h"\n#include <b.h>\n', set()),
        ('#if __has_include("a.h")\n#endif\n', {"a.h"}),
        ("#if __has_include ( <sys/a.h> ) || 1\n#endif\n", {"sys/a.h"}),
        ("#ifdef __has_include\n# if __has_include(<a.h>)\n# endif\n#endif\n", {"a.h"}),
        ("#if defined(__has_include) && 1\n#endif\n", set()),
        ("#if defined __has_include_next\n#endif\n", set()),
        ("/* __has_include(X), they say\n   __has_include */\nint a;\n", set()),
        ("int a; /* in a line: don't __has_include */\n", set()),
        ('#if __has_include/**/("a.h")\n#endif\n', {"a.h"}),
        ('/**/ /*\n// */ #if __has_include("a.h")\n#endif\n', {"a.h"}),
        ('#define A /*\n// */ __has_include("a.h")\n#if A\n#endif\n', {"a.h"}),
        ('#define A /* */ /*\n/**/ __has_include("a.h")\n#if A\n#endif\n', {"a.h"}),
        ('#define A /*/\n/**/ __has_include("a.h")\n#if A\n#endif\n', {"a.h"}),
        ('char *a = "/*", b = \'"\';\n#ifdef __has_include /**/\n#endif\n', set()),
        ('#if __has_\\\ninclude("a.h")\n#endif\n', {"a.h"}),
        ('#if __has_include("a\\\n.h")\n#endif\n', {"a.h"}),
        ('int a; /* #1, # 2 */\n#line 3 "a.h"\n#if 1\n#endif /* 1 */\n', set()),
        ("int has_it, __has_includes, x_i, __has__include, as_x;\n", set()),
    ],
)
def test_understood(text, expected):
    assert names.asked(text.encode()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "#if __has_include(NAME)\n#endif\n",
        '#if __has_include(L"a.h")\n#endif\n',
        '#if __has_include("a.h" "b.h")\n#endif\n',
        "#if __has_include_next(<a.h>)\n#endif\n",
        "#define ASK __has_include\n",
        "#define ifdef 1 +\n#if ifdef __has_include(NAME)\n#endif\n",
        "#if defined __has_include (NAME)\n#endif\n",
        "#define ASK(a) __has_##a\n",
        "#define ASK(a, b) __has ## a ## b\nASK(_, include)\n",
        "#define TWO(a, b) a##b\n#if TWO(__has, _include)(<a.h>)\n#endif\n",
        "#define TWO(a, b) a %:%: b\n#if TWO(__has_inc, lude)(<a.h>)\n#endif\n",
        'char *a = "/*"; int b = __has_include; char *c = "*/";\n',
        "// of __has_include\n",
        '#if 4 //**/ 2 || __has_include("a.h")\n#endif\n',
        '#include <a//b.h> /*\n#if __has_include("a.h")\n*/\n#endif\n',
        '#include <a/*b.h>\n#if __has_include("a.h")\n#endif\n#define A */\n',
        'int a = 1\'000 /* it\'s " */ "//" __has_include(<a.h>);\n',
        '#error it\'s "/*\n#if __has_include("a.h")\n#endif\n#define A */\n',
        'char *a = "\\\n/*"; int b = __has_include; char *c = "*/";\n',
        'char *a = "\\ \0\n/*"; int b = __has_include; char *c = "*/";\n',
        'char *a = R"(\n/*)"; int b = __has_include; char *c = "*/";\n',
        'char *a = "??/\n/*"; int b = __has_include; char *c = "*/";\n',
        '#if __has_??/\ninclude("a.h")\n#endif\n',
        '# 1 "a.h" 1\n',
        'int a; /*\n*/ # /* */ 1 "a.h" 1\n',
        '#\\\n1\\\n"a.h" 1\n',
        '#/**/1/*\n*/"a.h" 1\n',
        '#/***/ /* **/ /**/ 1 "a.h" 1\n',
        '%: 1 "a.h" 1\n',
        '??= 1??/\n"a.h" 1\n',
        '#??/\n1 "a.h" 1\n',
        "const char *a = __DATE__;\n",
        "const char *a = __TIME__;\n",
        "const char *a = __TIMESTAMP__;\n",
        '#pragma GCC dependency "a.h"\n',
        '_Pragma("GCC dependency \\"a.h\\"")\n',
    ],
)
def test_not_understood(text):
    assert names.asked(text.encode()) is None


def test_many_comments():
    """They are looked through once each: a number behind them would make a marker."""
    assert names.asked(b"#\n" + b"/* a */ /**/ /***/\n" * 100 + b"int a;\n") == set()


PIECES = st.sampled_from(
    [
        *("__has_include", "__has_", "include", "__has", "_include", "_", "##", "\n"),
        *('("x.h")', "(<x.h>)", "(X)", '"x.h"', "/*", "*/", "//", "\\\n", "\\ \n", '"'),
        *("#define X <x.h>\n", "#define P(a, b) a##b\n", "#define Q(a) P(__has_, a)\n"),
        *("\n#if 1 && ", "\n#if ", "\n#else\nint b;\n#endif\n", "P(__has_, include)"),
        *("P(__has,_include)", "Q(include)", "??/\n", "%:%:", " ", "\t", "int a;", "'"),
        *('R"(', ')"', "#ifdef __has_include\n", "#endif\n", "defined __has_include "),
    ]
)


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc")
@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(PIECES, max_size=12), st.sampled_from(["c", "c++", "c -trigraphs"]))
def test_as_gcc_sees_it(tmp_path, pieces, language):
    """What is not said to be asked for changes nothing when it appears."""
    text = "".join(pieces)
    if names.asked(text.encode()) != frozenset():
        return
    directory = tmp_path / "i"
    directory.mkdir(exist_ok=True)
    command = ["gcc", "-E", "-P", "-w", "-I", str(directory), "-x", *language.split()]
    said = []
    for is_there in (False, True):
        (directory / "x.h").write_text("") if is_there else None
        done = subprocess.run(
            [*command, "-"],
            input=text.encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        said.append(done.stdout if done.returncode == 0 else None)
    (directory / "x.h").unlink()
    assert said[0] == said[1]


def test_included():
    """As ``gcc -E -dI`` says it; and what it includes by itself."""
    text = b'\n# 1 "a.c"\n#include "x.h"\n#include_next <y.h>\nint a;\n#include z\n'
    assert names.included(text) == ({"x.h"}, {"y.h", "stdc-predef.h"})


LOCATED = b"""
# 0 "src/m.c"
# 1 "/usr/include/stdc-predef.h" 1 3 4
# 0 "<command-line>" 2
# 1 "src/m.c"
#include "a.h"
# 1 "src/m.c"
# 1 "inc/a.h" 1
# 7 "line.c"
#include "b.h"
#include <c.h>
#include_next "d.h"
# 2 "src/m.c" 2
#import "e.h"
"""


def test_located():
    """By the file that includes them, whatever a ``#line`` says."""
    found = names.located(LOCATED, "src/m.c")
    assert found.quoted == {"src/m.c": {"a.h", "e.h"}, "inc/a.h": {"b.h"}}
    assert found.own == {"inc/a.h"}
    assert names.searched(LOCATED) == {"c.h", "d.h", "stdc-predef.h"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"inc/a.h", b"inc\\\\a.h"),
        (b'# 7 "line.c"', b'char *a = R"(\n# 7 "inc/b.h" 1\n)";'),
        (b'# 7 "line.c"', b'char *a = u8R"x-y(\n# 7 "inc/b.h" 1\n)x-y";'),
        (b"#import", b'# 2 "x" 2\n#import'),
    ],
)
def test_not_located(old, new):
    """A name that is not as it is written, a string that looks like such lines."""
    assert names.located(LOCATED.replace(old, new), "src/m.c") is None


def test_of_words():
    """Arguments are looked at as sources are."""
    assert names.may_ask(b"gcc -DX=__has_include(<a.h>) -c a.c")
    assert names.may_ask(b"gcc -DX=P(__has_,include) -c a.c")
    assert not names.may_ask(b"gcc -Dhas_included -I__has -DA_i=1 -c a_i.c")
