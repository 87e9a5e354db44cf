"""A project that copies its whole tree while it is built, as some do to test it.

A build root that stands in the tree is copied too: each of its files is opened, read
and closed by the process that builds.
"""

import contextlib
import os
import shutil
import tempfile

from setuptools import Extension, setup
from setuptools.command.build_py import build_py


class CopyingBuildPy(build_py):
    def run(self):
        super().run()
        # Beside the tree, since a copy inside it would copy itself.
        parent = os.path.dirname(os.getcwd())
        with tempfile.TemporaryDirectory(prefix="copy-", dir=parent) as copy:
            # What other builds have there comes and goes.
            with contextlib.suppress(OSError):
                shutil.copytree(".", os.path.join(copy, "tree"), symlinks=True)


setup(
    cmdclass={"build_py": CopyingBuildPy},
    packages=["copies"],
    ext_modules=[Extension("copies._native", ["copies/native.c"])],
)
