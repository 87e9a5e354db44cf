"""A project that writes a source in two steps, each time that it is built.

A build that reads the file while another one writes it packs the first half.
"""

import os

from setuptools import setup
from setuptools.command.egg_info import egg_info

GENERATED = os.path.join("turns", "_generated.py")


class GeneratingEggInfo(egg_info):
    def run(self):
        with open(GENERATED, "w", encoding="utf-8") as file:
            file.write("FIRST = 1\n")
            file.flush()
            super().run()
            file.write("SECOND = 2\n")
        os.utime(GENERATED, (1_000_000_000, 1_000_000_000))


setup(cmdclass={"egg_info": GeneratingEggInfo}, packages=["turns"])
