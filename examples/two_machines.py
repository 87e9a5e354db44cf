"""Two machines that share one compiler cache, through Redis.

    python examples/two_machines.py

ccache's remote storage does it, and nothing but an environment variable is needed on each
machine. Here they are two cache directories; the second build finds all objects of the
first one. Needs redis-server.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests")]

import harness


def main() -> int:
    if shutil.which("redis-server") is None:
        return print("needs redis-server on PATH") or 1
    with tempfile.TemporaryDirectory(prefix="two-machines-") as name:
        place = Path(name)
        wheel = harness.build_plugin(sys.executable, place / "wheelhouse")
        environment = harness.Environment.create(
            place / "environment", "setuptools", f"{wheel}[ccache]"
        )
        source = harness.copy(harness.EXAMPLES / "c-extension", place / "source")
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        redis = subprocess.Popen(  # noqa: S603
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],  # noqa: S607
            cwd=place,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for line in redis.stdout:
                if "eady to accept connections" in line:
                    break
            for machine in ("first", "second"):
                variables = {
                    "CCACHE_DIR": str(place / machine),
                    "CCACHE_REMOTE_STORAGE": f"redis://127.0.0.1:{port}",
                }
                environment.build(source, place / f"out-{machine}", variables=variables)
                program = environment.python.parent / "ccache"
                counted = harness.ccache_counters(variables, program)
                hits = counted["direct_cache_hit"] + counted["preprocessed_cache_hit"]
                print(f"{machine}: {counted['cache_miss']} compiled, {hits} found")
        finally:
            redis.kill()
            redis.communicate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
