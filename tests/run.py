"""Run the tests with nothing but Python and pip: ``python tests/run.py [pytest's]``.

Makes a virtual environment beside the checkout's files (``.venv-tests``, ignored by
git), installs the plugin's wheel and the test tools into it, and runs pytest there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

TOOLS = (
    *("pytest>=8", "pytest-xdist", "hypothesis"),
    *("validate-pyproject", "rich", "tomlkit"),
)
REQUIRED = ("setuptools", "fasteners", *harness.COVERAGE)


def main(arguments: list[str]) -> int:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    version += getattr(sys, "abiflags", "")  # Windows has none; t is free-threaded
    if sys.implementation.name != "cpython":
        version = f"{sys.implementation.name}-{version}"
    if f"--setuptools={harness.SYSTEM}" in arguments:
        version += f"-{harness.SYSTEM}"
    path = harness.REPOSITORY / f".venv-tests-{version}"
    print(f"preparing {path.name}", flush=True)
    environment = harness.Environment.create(path, *TOOLS, *REQUIRED)
    with tempfile.TemporaryDirectory() as wheelhouse:
        wheel = harness.build_plugin(environment.python, Path(wheelhouse))
        pip = [environment.python, "-m", "pip", "install", "--quiet"]
        pip += ["--force-reinstall", "--no-deps", str(wheel)]
        subprocess.run(pip, check=True, timeout=harness.TIMEOUT)
        return run(environment, [f"--wheelhouse={wheelhouse}", *arguments])


def run(environment: harness.Environment, arguments: list[str]) -> int:
    """Run pytest in *environment* on all cores."""
    # Not ``python -m pytest``, which would find the checkout before the wheel.
    pytest = environment.python.with_name("pytest")
    # Tests wait for their builds: one worker more than cores keeps all of these busy.
    # Who is done takes over tests of the others, since some last for half a minute.
    workers = ["-n", str(min((os.cpu_count() or 1) + 1, 4)), "--dist", "worksteal"]
    return subprocess.call([pytest, *workers, *arguments], cwd=harness.REPOSITORY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
