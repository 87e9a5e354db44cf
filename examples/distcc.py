"""Compile on other machines, by distcc: two servers, both on this machine.

    python examples/distcc.py

``CC="distcc gcc"`` sends each file to one of the machines in DISTCC_HOSTS. setuptools alone
sends one after the other; with the setting ``jobs``, as many are under way as the servers
take. The example builds a C extension in both ways, compares the wheels, and says how much
is left to do here. Needs distcc, distccd and gcc.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benchmarks")]

import harness
import projects

PROGRAMS = ("distcc", "distccd", "gcc")
JOBS = 2  # compilers on each server
SECONDS = 60


def main() -> int:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return print(f"needs {', '.join(missing)} on PATH") or 1
    with tempfile.TemporaryDirectory(prefix="distcc-") as name:
        place = Path(name)
        environments = harness.prepare(place, "")
        projects.c_extension(place / "source", harness.SETUPTOOLS)
        harness.let_age(place / "source")
        place.joinpath("distcc").mkdir()
        report("compiled here", *build(environments["without"], place, {}))
        with Server() as first, Server() as second:
            variables = {
                "CC": "distcc gcc",
                "SETUPTOOLS_ISOLATED_BUILD_JOBS": str(2 * JOBS),
                "DISTCC_HOSTS": f"{first.host} {second.host}",
                "DISTCC_DIR": str(place / "distcc"),
                "DISTCC_FALLBACK": "0",  # an error, where it would compile here
            }
            expected, *alone = build(environments["without"], place, variables)
            wheel, *at_once = build(environments["with"], place, variables)
        report("by distcc, setuptools alone", expected, *alone)
        report(f"by distcc, jobs = {2 * JOBS}", wheel, *at_once)
        print(f"the servers have compiled {first.count} and {second.count} files")
        if wheel != expected:
            return print("the wheels differ") or 1
        print("the wheels by distcc have the same bytes")
    return 0


def report(what: str, _wheel: bytes, wall: float, cpu: float) -> None:
    print(f"{what}: {wall:.1f} s, of CPU here {cpu:.1f} s", flush=True)


def build(
    environment: harness.Environment, place: Path, variables: dict[str, str]
) -> tuple[bytes, float, float]:
    """Build a wheel in a fresh tree: its bytes, and the wall and CPU time on this side."""
    source, out = harness.copy(place / "source", place / "tree"), place / "out"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    wheel = environment.build(source, out, variables=variables).read_bytes()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(source)
    shutil.rmtree(out)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wheel, wall, cpu


class Server:
    """A distccd on this machine, until the end of the block.

    Attributes:
        host: what DISTCC_HOSTS calls it.
        count: how many files it has compiled, when it has ended.
    """

    def __enter__(self) -> Server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.host = f"127.0.0.1:{port}/{JOBS}"
        command = ["distccd", "--daemon", "--no-detach"]
        command += ["--log-stderr", "--log-level", "info"]
        command += ["--listen", "127.0.0.1", "--allow", "127.0.0.1"]
        command += ["--port", str(port), "--jobs", str(JOBS)]
        # If root starts it, it becomes a user who may not write into root's directory.
        env = {key: value for key, value in os.environ.items() if key != "TMPDIR"}
        self._process = subprocess.Popen(  # noqa: S603
            command, env=env, cwd="/", stderr=subprocess.PIPE, text=True
        )
        timer = threading.Timer(SECONDS, self._process.terminate)
        timer.start()
        is_ready = any("daemon started" in line for line in self._process.stderr)
        timer.cancel()
        if is_ready:
            return self
        raise SystemExit(f"distccd ends by itself: status {self._process.wait()}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # with the processes that compile for it
        _, said = self._process.communicate(timeout=SECONDS)
        self.count = said.count("COMPILE_OK")


if __name__ == "__main__":
    sys.exit(main())
