"""Whoever changes how files get into the wheel's directory is heard.

Setuptools copies build_lib there by `install_lib.copy_tree`, which calls
`distutils.dir_util.copy_tree`, which calls `distutils.file_util.copy_file` for each file.
Where a project has a part in that, the plugin may not link in its place.
"""

from __future__ import annotations

import harness
import pytest

SETUP_PY = """
import hashlib, os
from distutils import dir_util, file_util
from setuptools import Distribution, setup
from setuptools.command.build_py import build_py
from setuptools.command.install import install
from setuptools.command.install_lib import install_lib

# Looks at build_lib when the wheel is packed.
class looking_bdist_wheel(Distribution().get_command_class("bdist_wheel")):
    def run(self):
        super().run()
        build_lib = self.get_finalized_command("build").build_lib
        for directory, _, names in sorted(os.walk(build_lib)):
            for name in sorted(names):
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                place = os.path.relpath(path, build_lib)
                print("built", place, oct(os.stat(path).st_mode), digest, flush=True)

looking_bdist_wheel.__name__ = "bdist_wheel"
cmdclass = {{"bdist_wheel": looking_bdist_wheel}}

def set_mode(real):
    def copy_and_set_mode(source, target, *args, **kwargs):
        result = real(source, target, *args, **kwargs)
        os.chmod(target, 0o644)
        return result
    return copy_and_set_mode

def set_modes(outfiles):
    for path in outfiles:
        os.chmod(path, 0o640)
    return outfiles

{code}
setup(
    name="n", version="1", packages=["p"], cmdclass=cmdclass,
    package_data={{"p": ["*.dat", "*.sh", ".nfs*", ".nfs-too/*", "sub/.nfs*"]}},
)
"""
PLAIN = """
from setuptools import setup
setup(
    name="n", version="1", packages=["p"],
    package_data={"p": ["*.dat", "*.sh", ".nfs*", ".nfs-too/*", "sub/.nfs*"]},
)
"""
# Of the command that copies.
INSTALL_LIB = """
class own_install_lib(install_lib):
{body}
cmdclass["install_lib"] = own_install_lib
"""
IN_PLACE = """
def edit(directory):
    path = os.path.join(directory, "p", "one.dat")
    with open(path, "a") as file:
        file.write("edited in place\\n")
    with open(os.path.join(directory, "p", "__init__.py"), "r+b") as file:
        file.write(b"y")
    os.chmod(os.path.join(directory, "p", "run.sh"), 0o700)
"""


def as_methods(body):
    """Return an install_lib with these methods."""
    lines = (f"    {line}" if line else "" for line in body.strip("\n").split("\n"))
    return INSTALL_LIB.format(body="\n".join(lines))


HEARD = {
    # mercurial 7.2.4
    "copy_file of the module": as_methods("""
def run(self):
    real = file_util.copy_file
    file_util.copy_file = set_mode(real)
    try:
        install_lib.run(self)
    finally:
        file_util.copy_file = real
"""),
    "copy_file of the module, for ever": "file_util.copy_file = set_mode(file_util.copy_file)",
    "copy_tree of the module": as_methods("""
def install(self):
    real = dir_util.copy_tree
    dir_util.copy_tree = lambda *args, **kwargs: set_modes(real(*args, **kwargs))
    try:
        return super().install()
    finally:
        dir_util.copy_tree = real
"""),
    "contents by the module": as_methods("""
def run(self):
    real = file_util._copy_file_contents
    def twice(source, target, *args, **kwargs):
        real(source, target, *args, **kwargs)
        with open(target, "ab") as file, open(source, "rb") as again:
            file.write(again.read())
    file_util._copy_file_contents = twice
    try:
        super().run()
    finally:
        file_util._copy_file_contents = real
"""),
    "copy_tree of the class": as_methods("""
def copy_tree(self, infile, outfile, *args, **kwargs):
    return set_modes(super().copy_tree(infile, outfile, *args, **kwargs))
"""),
    "copy_tree of a mixin": """
class Modes:
    def copy_tree(self, infile, outfile, *args, **kwargs):
        return set_modes(super().copy_tree(infile, outfile, *args, **kwargs))
class own_install_lib(Modes, install_lib):
    pass
cmdclass["install_lib"] = own_install_lib
""",
    # Setuptools' copy_tree does not call it.
    "copy_file of the class": as_methods("""
def copy_file(self, infile, outfile, *args, **kwargs):
    return set_mode(super().copy_file)(infile, outfile, *args, **kwargs)
"""),
    "copy_file of the class, files with two names": as_methods("""
def copy_file(self, infile, outfile, *args, **kwargs):
    return set_mode(super().copy_file)(infile, outfile, *args, **kwargs)
""")
    + """
class linking_build_py(build_py):
    def copy_file(self, infile, outfile, *args, **kwargs):
        return super().copy_file(infile, outfile, *args, link="hard", **kwargs)
cmdclass["build_py"] = linking_build_py
""",
    "copy_file of the instance": as_methods("""
def run(self):
    self.copy_file = set_mode(self.copy_file)
    super().run()
"""),
    "copy_tree of the instance": as_methods("""
def finalize_options(self):
    super().finalize_options()
    real = self.copy_tree
    self.copy_tree = lambda *args, **kwargs: set_modes(real(*args, **kwargs))
"""),
    "copy_tree of another command's instance": """
class own_install(install):
    def run(self):
        command = self.get_finalized_command("install_lib")
        real = command.copy_tree
        command.copy_tree = lambda *args, **kwargs: set_modes(real(*args, **kwargs))
        super().run()
cmdclass["install"] = own_install
""",
    "copy_tree of setuptools' class": """
real = install_lib.copy_tree
def own_copy_tree(self, infile, outfile, *args, **kwargs):
    return set_modes(real(self, infile, outfile, *args, **kwargs))
install_lib.copy_tree = own_copy_tree
""",
}
EDITING = {
    "after run": IN_PLACE
    + as_methods("""
def run(self):
    super().run()
    edit(self.install_dir)
"""),
    "after install": IN_PLACE
    + as_methods("""
def install(self):
    outfiles = super().install()
    edit(self.install_dir)
    return outfiles
"""),
    "in byte_compile": IN_PLACE
    + as_methods("""
def byte_compile(self, files):
    edit(self.install_dir)
    super().byte_compile(files)
"""),
}
FILES = {
    "p/__init__.py": "x = 1\n",
    "p/one.dat": "1\n",
    "p/run.sh": "#!/bin/sh\n",
}


@pytest.fixture
def modes_project(project):
    """Make a project with the modes that a checkout has where umask is 002."""

    def make(code, files=None):
        source = project({**FILES, **(files or {}), "setup.py": ""})
        (source / "setup.py").write_text(SETUP_PY.format(code=code))
        for path in source.rglob("*"):
            if path.is_file():
                path.chmod(0o775 if path.suffix == ".sh" else 0o664)
        return source

    return make


def built(environment, source, out):
    """Build, and return what the project saw of build_lib when its wheel was packed."""
    run = environment.start(environment.command("hook", source, out), source)
    output = run.finish()
    assert run.status == 0, output
    lines = [line for line in output.splitlines() if line.startswith("built p/")]
    assert len(lines) >= len(FILES)
    return lines


@pytest.mark.parametrize("code", HEARD.values(), ids=HEARD.keys())
def test_who_copies(code, modes_project, same_wheel):
    """The wheel has the modes and contents that the project gives its files."""
    same_wheel(modes_project(code))


@pytest.mark.parametrize("code", EDITING.values(), ids=EDITING.keys())
def test_edited_in_place(code, modes_project, same_wheel, plain, plugged, tmp_path):
    """What is edited in the wheel's directory is not edited in build_lib as well."""
    source = modes_project(code)
    same_wheel(source)
    seen = built(plugged, source, tmp_path / "plugged")
    assert seen == built(plain, source, tmp_path / "plain")


@pytest.mark.parametrize("name", ["p/.nfs0001", "p/.nfs-too/d.dat", "p/sub/.nfs0002"])
def test_what_setuptools_does_not_copy(name, project, same_wheel):
    """Files that NFS has renamed are built, but not packed.

    The project has no command of its own: only then files are linked and not copied.
    """
    wheel = same_wheel(project({**FILES, name: "1\n", "setup.py": PLAIN}))
    packed = {member for member, *_ in harness.wheel_contents(wheel)}
    assert {*FILES} <= packed
    assert name not in packed
