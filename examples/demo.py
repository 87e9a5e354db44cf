"""Build the examples many times at once, without the plugin and with it.

    python examples/demo.py [--example NAME] [OPTION …]

Needs nothing but Python and pip: it makes an environment in a temporary directory, removed
at the end, and runs ``setuptools-isolated-build check`` over the examples there. The options
are those of ``check``; ``--help`` lists them. The report, with pictures, is written into the
current directory, if --report names no other place.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import harness

# Less than two minutes on two idle cores.
SHORT = ["--rounds=2", "--no-ccache", "--report=builds-at-once.html"]


def main(arguments: list[str]) -> int:
    arguments = list(arguments)
    names = []
    while "--example" in arguments:
        at = arguments.index("--example")
        names += arguments[at + 1 : at + 2]
        del arguments[at : at + 2]
    paths = [str(harness.EXAMPLES / name) for name in names or harness.PROJECTS]
    with tempfile.TemporaryDirectory(prefix="demo-") as place:
        print("preparing an environment", flush=True)
        wheel = harness.build_plugin(sys.executable, Path(place, "wheelhouse"))
        checker = harness.Environment.create(Path(place, "venv"), f"{wheel}[check]")
        command = [checker.python, "-m", "setuptools_isolated_build", "check"]
        return subprocess.call([*command, *SHORT, *arguments, *paths])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
