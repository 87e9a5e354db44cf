"""What isolation makes needless is not done, and nobody can tell from the result."""

from __future__ import annotations

import os
import sysconfig
from zipfile import ZipFile

import harness
import pytest
from hypothesis import given
from hypothesis import strategies as st
from setuptools_isolated_build._commands import install

# Looks at the private directories when the wheel's is full, before it is packed.
LOOKS = """
import os
from setuptools import setup
from setuptools.command.install import install

def inodes(directory):
    return {
        (entry.stat().st_dev, entry.stat().st_ino): entry.path
        for entry in os.scandir(directory) if entry.is_file()
    }

def looking(self, run=install.run):
    run(self)
    build_lib = self.get_finalized_command("build").build_lib
    built, packed = (inodes(os.path.join(d, "p")) for d in (build_lib, self.root))
    sources = inodes("p")
    print("linked:", sorted(os.path.basename(built[i]) for i in built.keys() & packed))
    shared = [built.get(i) or packed[i] for i in sources.keys() & {*built, *packed}]
    print("shared with the sources:", sorted(map(os.path.basename, shared)))

# Not a class of its own: then nothing would be linked.
install.run = looking
"""
SETUP = """
setup(
    name="n", version="1", packages=["p"], package_data={"p": ["*.dat", "*.sh"]},
    cmdclass=cmdclass,
)
"""


@pytest.fixture
def looking_project(project):
    """Make a project that looks, whose commands are those in *code*."""

    def make(code=""):
        source = project(
            {
                "setup.py": f"{LOOKS}cmdclass = {{}}\n{code}{SETUP}",
                "p/__init__.py": "",
                "p/one.dat": "1\n",
                "p/run.sh": "#!/bin/sh\n",
            }
        )
        (source / "p" / "run.sh").chmod(0o755)
        (source / "p" / "one.dat").chmod(0o444)
        for number, path in enumerate(sorted(source.rglob("*"))):
            os.utime(path, ns=(0, (1_700_000_000 + 10 * number) * 10**9 + 999_999_999))
        return source

    return make


def said(plugged, source, tmp_path, variables=None):
    """Build and return what the project saw."""
    command = plugged.command("hook", source, tmp_path / "seen")
    run = plugged.start(command, source, variables)
    output = run.finish()
    assert run.status == 0, output
    return [
        line for line in output.splitlines() if line.startswith(("linked", "shared"))
    ]


def test_files_are_linked(looking_project, plugged, same_wheel, tmp_path):
    """From build_lib to the wheel's directory; the sources share no file with either."""
    source = looking_project()
    same_wheel(source)
    linked, shared = said(plugged, source, tmp_path)
    assert linked == "linked: ['__init__.py', 'one.dat', 'run.sh']"
    assert shared == "shared with the sources: []"


# As the module of Debian's Python, which setuptools imports with its distutils.
SYSTEM = """
import distutils.command.install as theirs
class install(theirs.install):
    pass
theirs.install = install
"""


def test_files_are_linked_by_a_systems_install(looking_project, plugged, tmp_path):
    """It decides where files are installed, and not how they are copied."""
    directory = tmp_path / "system"
    directory.mkdir()
    code = "import importlib.util as u; print(u.find_spec('_distutils_system_mod'))"
    if harness.run_python(plugged, code, tmp_path).strip() == "None":
        (directory / "_distutils_system_mod.py").write_text(SYSTEM)
    source = looking_project(
        "print('linked by:', *(cls.__module__ for cls in install.__mro__))\n"
    )
    by, linked, _ = said(plugged, source, tmp_path, {"PYTHONPATH": str(directory)})
    assert "_distutils_system_mod" in by
    assert linked == "linked: ['__init__.py', 'one.dat', 'run.sh']"


def test_without_source_date_epoch(looking_project, plain, plugged, tmp_path):
    """The wheel has the times of the sources, as setuptools' copies have."""
    source = looking_project("del os.environ['SOURCE_DATE_EPOCH']\n")
    times = []
    for name, environment in (("plain", plain), ("plugged", plugged)):
        wheel = environment.build(source, tmp_path / name)
        with ZipFile(wheel) as archive:
            members = [i for i in archive.infolist() if i.filename.startswith("p/")]
            times.append([(member.filename, member.date_time) for member in members])
    assert times[0] == times[1]
    assert len({time for _, time in times[1]}) == 3


@pytest.mark.parametrize(
    ("code", "linked"),
    [
        pytest.param(
            """
from setuptools.command.install_lib import install_lib
class appending_install_lib(install_lib):
    def install(self):
        outfiles = super().install()
        with open(os.path.join(self.install_dir, "p", "__init__.py"), "a") as file:
            file.write("appended = True\\n")
        return outfiles
cmdclass["install_lib"] = appending_install_lib
""",
            "[]",
            id="written in the wheel's directory",
        ),
        pytest.param(
            """
from setuptools.command.install_lib import install_lib
class copying_install_lib(install_lib):
    def copy_tree(self, infile, outfile, *args, **kwargs):
        outfiles = super().copy_tree(infile, outfile, *args, **kwargs)
        os.remove(os.path.join(outfile, "p", "one.dat"))
        return [file for file in outfiles if not file.endswith("one.dat")]
cmdclass["install_lib"] = copying_install_lib
""",
            "[]",
            id="copy_tree overridden",
        ),
        pytest.param(
            """
from setuptools.command.build_py import build_py
class copying_build_py(build_py):
    def copy_file(self, infile, outfile, *args, **kwargs):
        result = super().copy_file(infile, outfile, *args, **kwargs)
        if outfile.endswith("one.dat"):
            os.chmod(outfile, 0o644)
            with open(outfile, "a") as file:
                file.write("2\\n")
        return result
cmdclass["build_py"] = copying_build_py
""",
            "[]",
            id="copy_file overridden",
        ),
        pytest.param(
            """
from setuptools.command.build_py import build_py
def linking(self, infile, outfile, *args, copy_file=build_py.copy_file, **kwargs):
    if infile.endswith("run.sh"):
        kwargs["link"] = "hard"
    return copy_file(self, infile, outfile, *args, **kwargs)
def linking_run(self, run=build_py.run):
    run(self)
    os.symlink(os.path.abspath("p/one.dat"), os.path.join(self.build_lib, "p", "s.dat"))
    os.symlink(os.path.abspath("p"), os.path.join(self.build_lib, "q"))
build_py.copy_file, build_py.run = linking, linking_run
""",
            "['__init__.py', 'one.dat']",
            id="sources linked by the project",
        ),
        pytest.param("del os.link\n", "[]", id="no os.link"),
        pytest.param(
            """
from setuptools.command.build_py import build_py
class earlier_build_py(build_py):
    def run(self):
        self.mkpath(os.path.join(self.build_lib, "p"))
        with open(os.path.join(self.build_lib, "p", "one.dat"), "w") as file:
            file.write("an older one, much longer than the source\\n")
        os.utime(file.name, (0, 0))
        super().run()
cmdclass["build_py"] = earlier_build_py
""",
            "[]",
            id="something is there already",
        ),
    ],
)
def test_what_projects_do_there(
    code, linked, looking_project, plugged, same_wheel, tmp_path
):
    """The same wheel, and sources that stay as they are."""
    source = looking_project(code)
    same_wheel(source)
    before = harness.listing(source)
    assert said(plugged, source, tmp_path)[0] == f"linked: {linked}"
    assert harness.listing(source) == before


def test_old_namespace_packages(project, same_wheel):
    """Setuptools leaves their __init__.py out when it copies."""
    source = project(
        {
            "setup.py": """
                from setuptools import setup
                setup(
                    name="n", version="1", packages=["ns", "ns.p"],
                    namespace_packages=["ns"],
                )
            """,
            "ns/__init__.py": "__import__('pkg_resources').declare_namespace(__name__)\n",
            "ns/p/__init__.py": "",
        }
    )
    wheel = same_wheel(source)
    assert "ns/__init__.py" not in [name for name, *_ in harness.wheel_contents(wheel)]


# Says where things would be installed.
EXPANDS = """
import os
from distutils import util
from distutils.command import install as module
from setuptools import setup
from setuptools.command.install import install

def finalizing(self, real=install.finalize_options):
    real(self)
    for name, value in sorted(vars(self).items()):
        if name.startswith(("install_", "root")):
            print("expanded:", name, repr(value))
    raise SystemExit

install.finalize_options = finalizing
cmdclass = {{}}
{code}
setup(name="n", version="1", py_modules=[], cmdclass=cmdclass)
"""
OWN = """
class own(install):
    def _expand_attrs(self, attrs):
        super()._expand_attrs(attrs)
        for name in attrs:
            setattr(self, name, f"{getattr(self, name)}/own/{len(attrs)}")
own.__name__ = "install"
cmdclass["install"] = own
"""
REPLACED = """
def expand(self, attrs):
    for name in attrs:
        setattr(self, name, f"{getattr(self, name)}/replaced")
module.install._expand_attrs = expand
"""
REPLACED_BELOW = """
real = {module}.subst_vars
def subst_vars(text, variables):
    return real(text, variables) + "/replaced"
{module}.subst_vars = subst_vars
"""


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("", []),
        ("", ["--prefix", "/p"]),
        ("", ["--home", "~/h"]),
        ("", ["--prefix", "/p", "--root", "r", "--install-data", "{base}/d"]),
        ("", ["--install-data", "$userbase/d"]),
        ("", ["--install-data", "{PLAT}"]),
        ("", ["--install-data", "{no_such_variable}"]),
        ("", ["--install-data", "an}end"]),
        (OWN, []),
        (REPLACED, ["--prefix", "/p"]),
        (REPLACED_BELOW.format(module="util"), ["--prefix", "/p"]),
        (REPLACED_BELOW.format(module="module"), ["--prefix", "/p"]),
    ],
)
def test_directories_of_install(code, options, project, plain, plugged, tmp_path):
    """They are what setuptools makes of them, whoever has a part in it."""
    source = project({"setup.py": EXPANDS.format(code=code)})
    seen = []
    for environment in (plain, plugged):
        command = [environment.python, "setup.py", "install", *options]
        run = environment.start(command, source, {"HOME": str(tmp_path)})
        lines = run.finish().splitlines()
        told = [line for line in lines if line.startswith(("expanded:", "ValueError:"))]
        own = os.path.dirname(os.path.dirname(environment.python))
        seen.append([line.replace(own, "PREFIX") for line in told])
    assert seen[0] == seen[1] != []


WHEELS = """
import os
os.environ.pop("PLAT", None)
from setuptools import Distribution
install = Distribution({"name": "n", "version": "1"}).get_command_obj("install")
install.root = "root"
for key in ("headers", "scripts", "data", "purelib", "platlib"):
    setattr(install, f"install_{key}", f"data/{key}")
install.ensure_finalized()
print("PLAT:", os.environ.get("PLAT"))
"""


def test_environment_after_a_wheels_install(project, plain, plugged):
    """Expanding sets a variable, also where there is nothing to expand."""
    source = project({"setup.py": WHEELS})
    for environment in (plain, plugged):
        output = environment.start([environment.python, "setup.py"], source).finish()
        assert f"PLAT: {sysconfig.get_platform()}\n" in output


@given(st.text(st.sampled_from("~${}/ab_") | st.characters()))
def test_what_has_nothing_to_expand(text):
    """It stays as it is."""
    from distutils import util

    if install._is_plain(text):
        assert util.subst_vars(os.path.expanduser(text), {"a": "b", "ab": "c"}) == text
