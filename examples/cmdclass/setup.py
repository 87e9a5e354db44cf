from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info


class list_modules(build_py):
    """Writes a module into build_lib, as version stampers do."""

    def run(self):
        super().run()
        package = Path(self.build_lib, "stamped")
        names = sorted(path.stem for path in package.glob("[!_]*.py"))
        (package / "_modules.py").write_text(f"MODULES = {names}\n", encoding="utf-8")


class note_packages(egg_info):
    """Writes a file of its own into the egg-info directory."""

    def run(self):
        super().run()
        note = Path(self.egg_info, "packages-note.txt")
        note.write_text("\n".join(self.distribution.packages), encoding="utf-8")


setup(cmdclass={"build_py": list_modules, "egg_info": note_packages})
