"""By hand, dist/ is the project's own: only archives are staged, and they appear whole."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tarfile
import textwrap
import zipfile

import harness
import pytest
import remains

MEETING = harness.Meeting.CODE
SETUP_PY = """
import glob, os
from setuptools import setup
try:
    from setuptools.command.bdist_wheel import bdist_wheel as _bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel as _bdist_wheel
from setuptools.command.sdist import sdist as _sdist

{code}
setup(name="n", version="1", py_modules=["m"], cmdclass={{"{command}": {command}}})
"""
# What projects do in dist_dir around setuptools' own run(): the command, and its class.
HABITS = {
    "a list of checksums that grows": (
        "sdist",
        """
        class sdist(_sdist):
            def run(self):
                super().run()
                with open(os.path.join(self.dist_dir, "SHA256SUMS"), "a") as file:
                    for path in self.archive_files:
                        file.write(f"{os.path.isfile(path)} {os.path.basename(path)}\\n")
        """,
    ),
    "notes in a directory": (
        "sdist",
        """
        class sdist(_sdist):
            def run(self):
                super().run()
                notes = os.path.join(self.dist_dir, "notes")
                os.makedirs(notes, exist_ok=True)
                with open(os.path.join(notes, "n-1.txt"), "a") as file:
                    file.write("built\\n")
        """,
    ),
    "an index of all that is there": (
        "sdist",
        """
        class sdist(_sdist):
            def run(self):
                super().run()
                names = sorted(map(os.path.basename, glob.glob(self.dist_dir + "/*")))
                with open(os.path.join(self.dist_dir, "index.html"), "w") as file:
                    file.write("\\n".join(names))
        """,
    ),
    "what the archives are called is asked for": (
        "sdist",
        """
        class sdist(_sdist):
            def run(self):
                super().run()
                with open(os.path.join("dist", "made"), "w") as file:
                    for path in self.get_archive_files():
                        file.write(f"{path} {os.path.isfile(path)}\\n")
                    for _, _, path in self.distribution.dist_files:
                        file.write(f"{path} {os.path.isfile(path)}\\n")
        """,
    ),
    "archives of two kinds, renamed by a command of its own": (
        "sdist",
        """
        class sdist(_sdist):
            def finalize_options(self):
                self.formats = ["gztar", "zip"]
                super().finalize_options()
            def make_archive(self, base_name, format, *args, **kwargs):
                path = super().make_archive(base_name, format, *args, **kwargs)
                target = path.replace("n-1.", "n-1-source.")
                os.replace(path, target)
                return target
        """,
    ),
    "another current directory": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def run(self):
                self.dist_dir = os.path.abspath(self.dist_dir)
                os.makedirs("elsewhere", exist_ok=True)
                self.run_command("build")
                self.skip_build = True
                self.bdist_dir = os.path.abspath(self.bdist_dir)
                super().run()
                os.chdir("elsewhere")
                open("here", "w").close()
        """,
    ),
    "another wheel of its own": (
        "bdist_wheel",
        """
        import zipfile
        class bdist_wheel(_bdist_wheel):
            def run(self):
                os.makedirs(self.dist_dir, exist_ok=True)
                path = os.path.join(self.dist_dir, "n-2-py3-none-any.whl")
                with zipfile.ZipFile(path, "w") as archive:
                    archive.writestr("m.py", "")
                super().run()
                with zipfile.ZipFile(path, "a") as archive:
                    archive.writestr("n.py", "")
        """,
    ),
    "an old wheel is removed": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def run(self):
                super().run()
                for path in glob.glob(os.path.join(self.dist_dir, "n-0*.whl")):
                    os.remove(path)
        """,
    ),
    "a repaired wheel, by super().run()": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def run(self):
                super().run()
                (path,) = glob.glob(os.path.join(self.dist_dir, "n-1-py3-*.whl"))
                os.replace(path, path.replace("n-1-py3", "n-1-1repaired-py3"))
        """,
    ),
    "a repaired wheel, by the class": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def run(self):
                _bdist_wheel.run(self)
                (path,) = glob.glob(os.path.join(self.dist_dir, "n-1-py3-*.whl"))
                os.replace(path, path.replace("n-1-py3", "n-1-1repaired-py3"))
        """,
    ),
    "a wheel that is repaired where it was to be": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def finalize_options(self):
                super().finalize_options()
                self.result = os.path.join(self.dist_dir, "n-1-py3-none-any.whl")
            def run(self):
                _bdist_wheel.run(self)
                os.replace(self.result, self.result.replace("-py3", "-1repaired-py3"))
        """,
    ),
    "a wheel that goes elsewhere": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def run(self):
                super().run()
                (path,) = glob.glob(os.path.join(self.dist_dir, "n-1-py3-*.whl"))
                os.makedirs("elsewhere", exist_ok=True)
                os.replace(path, os.path.join("elsewhere", os.path.basename(path)))
        """,
    ),
    "a signature beside it": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def run(self):
                super().run()
                for path in glob.glob(os.path.join(self.dist_dir, "*.whl")):
                    if not os.path.exists(path + ".asc"):
                        with open(path + ".asc", "w") as file:
                            file.write(os.path.basename(path))
        """,
    ),
    "what is old is moved away before": (
        "bdist_wheel",
        """
        class bdist_wheel(_bdist_wheel):
            def run(self):
                os.makedirs("old", exist_ok=True)
                for path in glob.glob(os.path.join(self.dist_dir, "*.whl")):
                    os.replace(path, os.path.join("old", os.path.basename(path)))
                super().run()
        """,
    ),
}


def habitual(project, habit: str, at: str = "project"):
    """Make a project of that habit, whose dist/ holds something from before."""
    command, code = HABITS[habit]
    source = project(
        {
            "setup.py": SETUP_PY.format(code=textwrap.dedent(code), command=command),
            "m.py": "",
            "dist/SHA256SUMS": "an old line\n",
            "dist/n-0-py3-none-any.whl": "old\n",
        },
        at,
    )
    return source, command


def found(source):
    """List what two builds have left in the tree, and where it says what."""
    contents = {}
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if name.startswith(("build", "n.egg-info", "m.py", "__pycache__")):
            continue
        if zipfile.is_zipfile(path):
            contents[name] = harness.wheel_contents(path)
        elif path.name.endswith(".tar.gz"):
            contents[name] = harness.archive_contents(path)
        else:
            contents[name] = path.read_text() if path.is_file() else "a directory"
    return contents


@pytest.mark.parametrize("habit", HABITS)
def test_habits(habit, project, plain, plugged):
    """Twice by hand: what is in dist/, and what is said in it, is as without us."""
    results = []
    for environment, at in ((plain, "oracle"), (plugged, "project")):
        source, command = habitual(project, habit, at)
        for _ in range(2):
            status, output = environment.setup_py(source, command)
            assert status == 0, output
        results.append(found(source))
    assert results[1] == results[0]


MEETS_WHILE_PACKING = (
    MEETING
    + """
import os, tarfile, zipfile
if "WHO" in os.environ:
    def slow(cls, name):
        method = getattr(cls, name)
        def meeting(self, *args, **kwargs):
            result = method(self, *args, **kwargs)
            if not vars(self).get("has_met") and self.mode != "r":
                self.has_met = True
                self.fp.flush() if isinstance(self, zipfile.ZipFile) else None
                meet(os.environ["WHO"])
                if os.environ["WHO"] == "fails":
                    raise RuntimeError("this build fails")
            return result
        setattr(cls, name, meeting)
    slow(zipfile.ZipFile, "writestr")
    slow(tarfile.TarFile, "addfile")
"""
)


def archives(directory):
    """Name the archives in *directory*, each of which must be whole."""
    names = []
    for path in directory.glob("*") if directory.exists() else ():
        if path.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
        elif path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                archive.getmembers()
        else:
            continue
        names.append(path.name)
    return names


@pytest.mark.parametrize("command", ["bdist_wheel", "sdist"])
def test_a_reader_while_it_is_written(command, project, plugged, start, meeting):
    """It finds no archive at first, then the old one, and never a part of one."""
    code = f"class {command}(_{command}):\n    def run(self):\n        _{command}.run(self)"
    source = project(
        {
            "setup.py": MEETS_WHILE_PACKING
            + SETUP_PY.format(code=code, command=command),
            "m.py": "x = 1\n",
        }
    )
    dist = source / "dist"
    runs = []
    with harness.many(runs):
        for is_there in (False, True):
            variables = {**meeting.variables, "WHO": "writes"}
            argv = [str(plugged.python), "setup.py", command]
            runs.append(plugged.start(argv, source, variables))
            assert meeting.arrival() == "writes"
            assert len(archives(dist)) == is_there
            meeting.let_go("writes")
            output = runs[-1].finish()
            assert runs[-1].status == 0, output
            assert len(archives(dist)) == 1
    assert [path.name for path in dist.iterdir()] == archives(dist)


# The hook is about to make its directory in dist/, which it has found or made.
ABOUT_TO_STAGE = (
    MEETING
    + """
import os, tempfile
mkdtemp = tempfile.mkdtemp
def meeting_mkdtemp(suffix=None, prefix=None, dir=None):
    if os.path.basename(dir or "") == "dist":
        meet("is about to stage")
    return mkdtemp(suffix, prefix, dir)
tempfile.mkdtemp = meeting_mkdtemp
"""
)


@pytest.mark.parametrize("command", ["bdist_wheel", "sdist"])
@pytest.mark.parametrize("fails", ["while it builds", "while it packs"])
def test_a_failing_build_leaves_dist_to_others(
    command, fails, project, plugged, meeting, tmp_path
):
    """The first build by hand fails while a hook has dist/, but nothing in it yet."""
    code = f"""
class {command}(_{command}):
    def run(self):
        if os.environ.get("WHO") == "fails" and {fails == "while it builds"}:
            self.run_command("egg_info")
            meet("fails")
            raise RuntimeError("this build fails")
        super().run()
"""
    source = project(
        {
            "setup.py": MEETS_WHILE_PACKING
            + SETUP_PY.format(code=code, command=command),
            "m.py": "",
        }
    )
    dist = source / "dist"
    by_hand = [str(plugged.python), "setup.py", command]
    runs = [plugged.start(by_hand, source, {**meeting.variables, "WHO": "fails"})]
    with harness.many(runs):
        assert meeting.arrival() == "fails"
        about_to_stage = remains.hooked(tmp_path / "hooked", ABOUT_TO_STAGE)
        hook = plugged.command("wheel", source, dist)
        runs.append(
            plugged.start(hook, source, {**meeting.variables, **about_to_stage})
        )
        assert meeting.arrival() == "is about to stage"
        meeting.let_go("fails")
        output = runs[0].finish()
        assert "this build fails" in output
        assert runs[0].status != 0
        meeting.let_go("is about to stage")
        output = runs[1].finish()
        assert runs[1].status == 0, output
    assert [path.name for path in dist.iterdir()] == ["n-1-py3-none-any.whl"]


# A full disk, as zipfile and tarfile tell of it: without a path.
FULL_DISK = """
import errno, os, shutil, tarfile, zipfile
def no_space(self, *args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
zipfile.ZipFile.writestr = tarfile.TarFile.addfile = no_space
disk_usage = shutil.disk_usage
def usage(path):
    is_full = os.path.abspath(path).startswith(os.environ["FULL"])
    usage = disk_usage(path)
    return usage._replace(free=0) if is_full else usage
shutil.disk_usage = usage
"""
PLAIN_SETUP_PY = """
    from setuptools import setup
    setup(name="n", version="1", py_modules=["m"])
    """


def check_full(output: str, dist, tmpdir) -> None:
    """One line says that *dist* is full, and does not send the reader to TMPDIR."""
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert os.strerror(errno.ENOSPC) in line
    assert line.startswith((f"error: {dist}:", "error: dist:")), line
    assert str(tmpdir) not in line
    assert "TMPDIR" not in line
    assert "free some space there" in line


@pytest.mark.parametrize("command", ["bdist_wheel", "sdist"])
@pytest.mark.parametrize("dist", ["is missing", "is there"])
def test_full_dist(command, dist, project, plugged, tmp_path, tmpdir_of_builds):
    """It is dist/ that is said to be full, and not the build tree."""
    source = project({"setup.py": PLAIN_SETUP_PY, "m.py": ""})
    if dist == "is there":
        (source / "dist").mkdir()
    variables = remains.hooked(tmp_path / "hooked", FULL_DISK)
    variables["FULL"] = str(source)
    status, output = plugged.setup_py(source, command, variables=variables)
    assert status == 1, output
    check_full(output, source / "dist", tmpdir_of_builds)
    assert list((source / "dist").glob("*")) == []


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = "unshare --mount mount -t tmpfs none /mnt".split()
    return subprocess.run(probe, stderr=subprocess.DEVNULL, timeout=60).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no small file system can be mounted")
@pytest.mark.parametrize("command", ["bdist_wheel", "sdist"])
@pytest.mark.parametrize("dist", ["is missing", "is there"])
def test_really_full_dist(command, dist, project, plugged, tmp_path, tmpdir_of_builds):
    """The same on a real file system of 1 MiB."""
    data = os.urandom(1 << 20).hex()
    source = project({"setup.py": PLAIN_SETUP_PY, "m.py": f"x = '{data}'\n"})
    small = tmp_path / "small"
    small.mkdir()
    argv = [str(plugged.python), "setup.py", command, f"--dist-dir={small}/dist"]
    make = f'mkdir "{small}/dist" &&' if dist == "is there" else ""
    script = (
        f'mount -t tmpfs -o size=1m none "{small}" && {make} "$@"; s=$?;'
        f' ls -A "{small}"/*; exit $s'
    )
    run = plugged.start(["unshare", "--mount", "sh", "-c", script, "sh", *argv], source)
    output = run.finish()
    assert run.status == 1, output
    check_full(output, small / "dist", tmpdir_of_builds)
    assert ".tmp-" not in output.partition("error: ")[2].partition("\n")[2]
