"""Which compilations depend on nothing but what the compiler cache compares.

That is: the preprocessed text, the contents of each file in it, the arguments, the
compiler, and the variables in `variables`. A compilation is one of these only if all of
it is known here. What is not known goes to the compiler directly, which is slower and
nothing worse. So a flag may be left out, and may not be put in without a reason.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "MAPS",
    "SEARCHING",
    "VALUES",
    "WITH_VALUE",
    "is_code",
    "is_known",
    "is_known_flag",
    "rules",
    "variables",
    "writes_more",
]

# Languages whose preprocessor lists all files that are read, apart from those that the
# assembler reads (`assembly`). An ``.S`` is left out: it is all assembler.
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".c++", ".C", ".m", ".mm")

# gcc and clang by the names that they are installed under. Another compiler may read
# anything: nvcc, for one, runs further compilers.
_COMPILER = re.compile(r"(?:.+-)?(?:gcc|g\+\+|clang|clang\+\+|cc|c\+\+)(?:-[\d.]+)?")
# ELF and Mach-O. A script may read files and variables that nobody knows of, and what
# it runs may change while the script stays as it is.
_PROGRAMS = (
    *(b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"),
    *(b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"),
)

# What they change is in the preprocessed text: macros, and where headers are searched.
# The value may be an argument of its own. Not -include: it may find a compiled header.
SEARCHING = ("-D", "-U", "-I", "-isystem", "-iquote", "-idirafter")
WITH_VALUE = {*SEARCHING, "-isysroot", "-arch", "-o"}
_EXACT = {
    *("-c", "-ansi", "-pthread", "-pipe", "-w", "-pedantic", "-pedantic-errors"),
    # How much is optimized and described. Debug information is of the text and of what
    # the files' contents and the arguments say. Not -gsplit-dwarf: it writes a file.
    *("-O", "-O0", "-O1", "-O2", "-O3", "-Os", "-Oz", "-Og", "-Ofast"),
    *("-g", "-g0", "-g1", "-g2", "-g3", "-ggdb", "-ggdb3"),
    *("-gdwarf", "-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5"),
    *(
        "-grecord-gcc-switches",
        "-gno-record-gcc-switches",
        "-fcf-protection",
    ),
}
if sys.platform == "darwin":  # to gcc it is six letters, one of which asks for dumps
    _EXACT.add("-dynamic")
# Rules of the language and of the code, which take no file and write none: with
# ``-f`` or ``-fno-``. Not what profiles, covers, dumps, or loads a plugin or modules.
_RULES = set(
    """
    PIC pic PIE pie plt common wrapv trapv strict-aliasing strict-overflow
    delete-null-pointer-checks exceptions non-call-exceptions rtti unwind-tables
    asynchronous-unwind-tables omit-frame-pointer stack-protector
    stack-protector-strong stack-protector-all stack-clash-protection
    semantic-interposition function-sections data-sections visibility-inlines-hidden
    fast-math math-errno trapping-math signed-zeros finite-math-only associative-math
    reciprocal-math rounding-math unsafe-math-optimizations tree-vectorize vectorize
    tree-slp-vectorize slp-vectorize unroll-loops inline inline-functions
    threadsafe-statics ident builtin signed-char unsigned-char short-enums permissive
    gnu89-inline openmp char8_t sized-deallocation aligned-new objc-arc blocks
    color-diagnostics lto fat-lto-objects file-reproducible
    """.split()  # noqa: SIM905  # as one reads it
)
# The same with a value, which is a word or a number.
VALUES = set(
    """
    -std -fvisibility -fexcess-precision -ffp-contract -fcf-protection -ftls-model
    -fdebug-default-version -fdiagnostics-color -fmax-errors -ftemplate-depth
    -fconstexpr-depth -fstrict-flex-arrays -fzero-call-used-regs -ftrivial-auto-var-init
    -flto
    -march -mtune -mcpu -mfpu -mfloat-abi -mabi -mcmodel -mfpmath -mbranch-protection
    -mtls-dialect -mmacosx-version-min
    """.split()  # noqa: SIM905  # as one reads it
)
# Instructions of the processor: with ``-m`` or ``-mno-``.
_INSTRUCTIONS = set(
    """
    32 64 sse sse2 sse3 ssse3 sse4 sse4.1 sse4.2 avx avx2 avx512f avx512bw avx512cd
    avx512dq avx512vl fma aes bmi bmi2 f16c popcnt pclmul lzcnt sha red-zone
    omit-leaf-frame-pointer stackrealign thumb arm
    """.split()  # noqa: SIM905  # as one reads it
)
_LOCAL = "native"  # the processor of this machine; others may share the cache
# What is written down in place of a path. ccache hashes only the current directory so,
# and no other path.
MAPS = ("-ffile-prefix-map=", "-fdebug-prefix-map=", "-fmacro-prefix-map=")
# Not warnings, which can only make it fail, but arguments for other programs. Those for
# the preprocessor may be macros only: Linux distributions' flags.
_FOR_OTHERS = ("-Wa,", "-Wl,", "-Wp,")
_FOR_PREPROCESSOR, _MACROS = "-Wp,", ("-D", "-U")

# What gcc and clang read, apart from what only changes where and how they say things.
# Not all of it is documented. With them the linker's stub on macOS. ccache hashes some.
_VARIABLES = {
    *("COMPILER_PATH", "LIBRARY_PATH", "SDKROOT", "SOURCE_DATE_EPOCH", "CPATH"),
    *("C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "ZERO_AR_DATE"),
    *("OBJCPLUS_INCLUDE_PATH", "BINUTILS_ROOT", "LLVM_OVERRIDE_PRODUCER"),
}
_PREFIXES = ("GCC_", "CLANG_", "CCC_", "MACOSX_", "COLLECT_", "LC_", "LANG")
# With these, some of which makefiles set, they write a further file.
_WRITING = ("DEPENDENCIES_OUTPUT", "SUNPRO_", "CC_PRINT_", "CC_LOG_")
# Where gcc's headers of C++ are. A shell, which runs `guard`, does not pass it on.
_LOST = "G++_ROOT"


def is_known(command: list[str], env: Mapping[str, str]) -> bool:
    """Whether *command* compiles one source, in a way that is known."""
    if writes_more(env) or _LOST in env or "-c" not in command:
        return False
    sources = 0
    before = ""
    for argument in command[1:]:
        if before:
            before = ""  # the value of the flag before it
        elif argument in WITH_VALUE:
            before = argument
        elif not argument.startswith("-"):
            if not argument.endswith(_SOURCES):
                return False  # also @FILE, and a compiler behind another program
            sources += 1
        elif not argument.startswith(SEARCHING) and not is_known_flag(argument):
            return False
    return (
        sources == 1
        and command.count("-o") == 1
        and command.count("-arch") <= 1  # there is no one text of several
        and _is_compiler(command[0], env.get("PATH", os.defpath))
    )


def rules(command: list[str]) -> list[str]:
    """Return *command* without its files, and what is passed on as it is.

    Returns:
        At its end the suffix of the source, which says the language.
    """
    found, before, suffix = command[:1], "", ""
    for argument in command[1:]:
        is_value, flag = bool(before), before or argument
        before = argument if argument in WITH_VALUE and not is_value else ""
        if flag.startswith((*SEARCHING, *MAPS)) or flag == "-o":
            continue
        if is_value or argument.startswith("-"):
            found.append(argument)
        else:
            suffix = os.path.splitext(argument)[1]
    return [*found, suffix]


def variables(env: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Return what compilers may read of *env*."""
    for name in sorted(env):
        if name in _VARIABLES or name.startswith(_PREFIXES):
            yield name, env[name]


def writes_more(env: Mapping[str, str]) -> bool:
    """Whether a variable of *env* has compilers write a further file."""
    return any(name.startswith(_WRITING) for name in env)


def is_known_flag(flag: str) -> bool:
    """Whether *flag* is a rule of the language or of the code, and known."""
    name, is_valued, value = flag.partition("=")
    if flag.startswith(_FOR_PREPROCESSOR):
        return all(part.startswith(_MACROS) for part in flag.split(",")[1:])
    if flag.startswith("-W"):
        return not flag.startswith(_FOR_OTHERS)
    if is_valued:
        return flag.startswith(MAPS) or (
            name in VALUES and not value.startswith(_LOCAL)
        )
    short = name[2:].removeprefix("no-")
    return (
        name in _EXACT
        or (name.startswith("-f") and short in _RULES)
        or (name.startswith("-m") and short in _INSTRUCTIONS)
    )


@functools.lru_cache(maxsize=100)
def _is_compiler(program: str, path: str) -> bool:
    found = shutil.which(program, path=path)
    if found is None:
        return False
    found = os.path.realpath(found)
    try:
        return bool(_COMPILER.fullmatch(os.path.basename(found))) and is_code(found)
    except OSError:
        return False


def is_code(path: str) -> bool:
    """Whether the program at *path* is no script.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return file.read(4) in _PROGRAMS
