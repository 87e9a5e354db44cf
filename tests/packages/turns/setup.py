"""A project that writes a source in two steps, each time that it is built.

A build that reads the file while another one writes it packs the first half.
"""

import os

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

GENERATED = os.path.join("turns", "_generated.py")


def generate(meanwhile):
    with open(GENERATED, "w", encoding="utf-8") as file:
        file.write("FIRST = 1\n")
        file.flush()
        meanwhile()
        file.write("SECOND = 2\n")
    os.utime(GENERATED, (1_000_000_000, 1_000_000_000))


class GeneratingBuildPy(build_py):
    # What is copied is whole also when the build before was killed in the middle.
    def run(self):
        generate(lambda: None)
        super().run()


class GeneratingEggInfo(egg_info):
    def run(self):
        generate(super().run)


setup(
    cmdclass={"build_py": GeneratingBuildPy, "egg_info": GeneratingEggInfo},
    packages=["turns"],
)
