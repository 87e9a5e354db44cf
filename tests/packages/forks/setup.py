"""A project whose build forks: a child that builds too, and one that lives on beyond it.

The wheel has the digest of the wheel that the first child has built. The second child
waits for the end of its parent. Where that was killed, the child writes into the
directory that the parent has built in, as a compiler or a thread pool would that was not
killed with it. Where it ended well, the child builds, too, and puts the wheel into the
directory that the variable CHAOS_SCRATCH names.
"""

import atexit
import hashlib
import os
import select
import signal
import tempfile
import traceback
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

LONGEST_LIFE = 120


class ForkingBuildPy(build_py):
    def run(self):
        super().run()
        if self.editable_mode:
            return
        if "CHAOS_SCRATCH" in os.environ:
            leave_a_child(Path(self.build_lib).absolute())
        digest = build_in_a_child()
        Path(self.build_lib, "forks", "inner.txt").write_text(digest)


def build_in_a_child():
    with tempfile.TemporaryDirectory() as out:
        child = os.fork()
        if child == 0:
            end_with_the_inner_build(Path(out))
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise SystemExit("error: the child's build has failed")
        (wheel,) = Path(out).iterdir()
        return hashlib.sha256(wheel.read_bytes()).hexdigest()


def leave_a_child(build_lib):
    end, ours = os.pipe()
    if os.fork() != 0:
        os.close(end)
        atexit.register(os.write, ours, b".")
        return
    try:
        signal.alarm(LONGEST_LIFE)
        os.close(ours)
        os.setsid()  # whoever kills the session of the build misses this one
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        select.select([end], [], [])
        if os.read(end, 1):
            scratch = Path(os.environ["CHAOS_SCRATCH"], str(os.getpid()))
            scratch.mkdir(parents=True)
            end_with_the_inner_build(scratch)
        elif build_lib.is_dir():
            (build_lib / "forks" / "orphan.py").write_text("raise SystemExit\n")
    finally:
        os._exit(1)


def end_with_the_inner_build(out):
    status = 1
    try:
        os.chdir("inner")
        arguments = ["-q", "bdist_wheel", "--dist-dir", str(out / "result")]
        setup(name="inner", version="1", py_modules=["inner"], script_args=arguments)
        (wheel,) = (out / "result").iterdir()
        wheel.replace(out / wheel.name)
        (out / "result").rmdir()
        status = 0
    except BaseException:
        traceback.print_exc()
        (out / "failed").write_text(traceback.format_exc())
    finally:
        os._exit(status)


setup(cmdclass={"build_py": ForkingBuildPy}, packages=["forks"])
