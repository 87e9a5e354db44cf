"""The short form of ``nox -s chaos``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import harness
import pytest

pytestmark = pytest.mark.any_setuptools

CHAOS = Path(__file__).with_name("chaos.py")
# Of the examples the smallest; the others have what chaos is about.
PROJECTS = ("report", "copies", "forks", "turns")
MINUTES = 0.2
SEED = 12


@pytest.mark.skipif(os.name == "nt", reason="kills process groups, forks")
def test_chaos(plain, plugged, tmp_path):
    """Nothing is wrong, lost or left beside killers, cleaners, planters and full disks."""
    done = subprocess.run(
        [sys.executable, CHAOS, f"--minutes={MINUTES}", f"--seed={SEED}"]
        + [f"--project={name}" for name in PROJECTS]
        + ["--environments", plain.python, plugged.python],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=harness.TIMEOUT,
    )
    assert done.returncode == 0, done.stdout
