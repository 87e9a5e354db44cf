"""What diffoscope says of a wrong result, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from . import runs

if TYPE_CHECKING:
    from .place import Place
    from .reference import Reference
    from .results import Half

__all__ = ["explain"]

_SECONDS = 60.0
_LINES = 80


def explain(half: Half, reference: Reference, place: Place) -> list[str]:
    """Return its lines about the first wrong result of *half*, or none."""
    program = shutil.which("diffoscope")
    wrong = next((build for build in half.builds if build.product), None)
    if program is None or wrong is None:
        return []
    expected = reference.products[wrong.python, wrong.way.artifact]
    command = [program, "--text", "-", str(expected), str(wrong.product)]
    log = place.new_log("diffoscope")
    run = runs.start(command, place.path, place.variables({}), log)
    with runs.many([run]):
        try:
            lines = run.finish(_SECONDS).splitlines()
        except subprocess.TimeoutExpired:
            lines = [f"diffoscope: not done in {_SECONDS:.0f} s"]
    return [f"{half.name}, {wrong.way}:", *lines[:_LINES]]
