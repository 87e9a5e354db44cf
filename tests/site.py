"""Build the site, warnings and dead links being errors: ``nox -s docs``, and in CI.

    python tests/site.py [DIRECTORY]

Without a DIRECTORY nothing is kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

# What becomes of mkdocs is no warning of ours.
VARIABLES = {"NO_MKDOCS_2_WARNING": "1"}


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        environment = harness.Environment.create(place / "mkdocs", "mkdocs-material")
        target = Path(arguments[0]).resolve() if arguments else place / "site"
        # Not --quiet, with which warnings are not counted.
        command = [environment.python, "-m", "mkdocs", "build", "--strict"]
        return subprocess.call(
            [*command, "--site-dir", target],
            cwd=harness.REPOSITORY,
            env={**os.environ, **VARIABLES},
            timeout=harness.TIMEOUT,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
