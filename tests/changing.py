"""Sources that change at random: headers of the same names in several directories."""

from __future__ import annotations

import contextlib
import glob
import os

NAMES = ("x.h", "y.h", "s/x.h", "s/z.h")
PLACES = (".", "src", "a", "b", "a/s")
INCLUDES = ('#include "{}"', "#include <{}>", "#include_next <{}>", '#import "{}"')
GUARDS = ("#pragma once\n", "#ifndef {0}\n#define {0}\n#endif\n", "", "")
# What the object shows apart from code, or what no preprocessed text does.
LINES = (
    *("int v{};", "/* {} */", "#define W {}", '#line {} "made.y"'),
    '__asm__(".include \\"src/z.s\\"");',
    "const char *NAME(f, __COUNTER__)(void) {{ return __FILE__; }}",
    "int NAME(l, __COUNTER__) = __LINE__ * {};",
    "int NAME(g, __COUNTER__)(int a) {{ return a * {}; }}",
)
NAME = "#define JOINED(a, b) a##b\n#define NAME(a, b) JOINED(a, b)\n"
FLAGS = ("-Ia -Ib", "-Ib -Ia", "-Ia -isystem b", "-I. -Ia", "-isystem a -Ib -I./a", "")


def a_text(chance):
    """Some lines of a header, which may include others if they are there."""
    lines = ["#if __INCLUDE_LEVEL__ < 5"]  # or they would include each other for ever
    for _ in range(chance.randrange(3)):
        name = chance.choice(NAMES)
        line = chance.choice(INCLUDES).format(name)
        if chance.random() < 0.3:
            line = f'#if __has_include("{name}")\n{line}\n#endif'
        lines.append(line)
    lines.append("#endif")
    return "\n".join([*lines, a_line(chance)])


def a_line(chance):
    return chance.choice(LINES).format(chance.randrange(9)) + "\n"


def edit(chance):
    """Change the last line of a file, or the spaces in it."""
    paths = [path for place in PLACES for path in glob.glob(f"{place}/*.[chs]")]
    path = chance.choice(sorted(filter(os.path.isfile, paths)))
    with open(path) as file:
        *lines, last = file.readlines()
    if path.endswith(".s"):
        last = f".byte {chance.randrange(9)}\n"
    elif chance.random() < 0.5:
        last = a_line(chance)
    else:
        last = last.replace("  ", " ") if "  " in last else last.replace(" ", "  ")
    with open(path, "w") as file:
        file.writelines([*lines, last])


def something(chance):
    """Change the tree somehow."""
    path = os.path.normpath(f"{chance.choice(PLACES)}/{chance.choice(NAMES)}")
    what = chance.randrange(8)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    if what < 4:
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "w") as file:
            file.write(chance.choice(GUARDS).format("X") + a_text(chance))
    elif what == 4 and os.path.lexists(path):
        os.unlink(path)
    elif what == 5 and not os.path.lexists(path):
        os.symlink(os.path.abspath(chance.choice(NAMES)), path)
    elif what == 6 and os.path.exists(path):
        times = chance.randrange(10**9)
        os.utime(path, (times, times))
    elif what == 7:
        move = chance.choice([os.replace, link])
        a, b = chance.sample(["a", "b", "a/s", "src/s"], 2)
        with contextlib.suppress(OSError):  # one is missing, or in the other
            if not os.path.lexists(b):
                move(a, b)


def link(target, path):
    """Link *path* to the directory *target*, if that is not around it."""
    if os.path.isdir(target) and not path.startswith(target):
        os.symlink(os.path.abspath(target), path)
