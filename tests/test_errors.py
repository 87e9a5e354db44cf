"""Bad input and bad luck: one line that helps, nothing half done, the tree untouched."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import harness
import pytest
from holding import hold
from setuptools_isolated_build._locks import places, processes
from setuptools_isolated_build._publication import archives

PREFIX = "SETUPTOOLS_ISOLATED_BUILD_"
SETUP_PY = (
    "from setuptools import setup\nsetup(name='n', version='1', packages=['p'])\n"
)
FILES = {"setup.py": SETUP_PY, "p/__init__.py": "x = 1\n"}


def refused(environment, source, out, frontend="hook", variables=None, prefix=()):
    """Build, and return the one line by which it was refused."""
    out.mkdir(exist_ok=True)
    before = harness.listing(source)
    command = [*prefix, *environment.command(frontend, source, out)]
    run = environment.start(command, source, variables)
    output = run.finish()
    assert run.status == 1, output
    assert "Traceback" not in output, output
    assert list(out.iterdir()) == []
    assert harness.listing(source) == before
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert output.strip().endswith(line)
    return line


@pytest.mark.parametrize("frontend", ["hook", "setup.py"])
@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "setuptools-isolated-build = 1",
            "write it as [tool.setuptools-isolated-build]",
        ),
        ("[tool.setuptools-isolated-build]\nkep = 'never'", "did you mean 'keep'?"),
        ("[tool.setuptools-isolated-build]\nverify = 'yes'", "is not true or false"),
    ],
)
def test_settings(project, plugged, tmp_path, frontend, table, said):
    """Unknown keys, wrong types and what is no table, by hook and by hand."""
    source = project({**FILES, "pyproject.toml": f"[tool]\n{table}\n"})
    line = refused(plugged, source, tmp_path / "out", frontend)
    assert str(source / "pyproject.toml") in line
    assert said in line


@pytest.mark.parametrize("hook", ["get_requires_for_build_wheel", "build_wheel"])
def test_settings_of_the_environment(project, plugged, tmp_path, hook):
    """A misspelt variable stops every hook, not only the build."""
    source = project(FILES)
    before = harness.listing(source)
    arguments = [str(tmp_path / "out")] if hook == "build_wheel" else []
    status, output = plugged.hook(
        source, hook, *arguments, variables={PREFIX + "KEPE": "always"}
    )
    assert status == 1
    line, _, address = output.strip().splitlines()[-1].rpartition(" ")
    assert line == (
        f"error: environment: unknown setting '{PREFIX}KEPE'; did you mean '{PREFIX}KEEP'?"
    )
    assert address.endswith("/errors.md#settings)")
    assert harness.listing(source) == before


def test_build_root_is_a_file(project, plugged, tmp_path):
    (tmp_path / "root").write_text("")
    variables = {PREFIX + "BUILD_ROOT": str(tmp_path / "root")}
    line = refused(plugged, project(FILES), tmp_path / "out", variables=variables)
    assert f"{tmp_path / 'root'}: not a directory; name a directory" in line


def test_build_root_is_unwritable(project, plugged, tmp_path):
    variables = {PREFIX + "BUILD_ROOT": "/proc/self"}
    if os.geteuid() != 0:
        (tmp_path / "root").mkdir(0o500)
        variables = {PREFIX + "BUILD_ROOT": str(tmp_path / "root")}
    line = refused(plugged, project(FILES), tmp_path / "out", variables=variables)
    assert next(iter(variables.values())).rsplit("/", 1)[0] in line


def test_dist_directory_is_unwritable(project, plugged, tmp_path):
    """By hand; with a hook it is the frontend's."""
    source = project(FILES)
    (tmp_path / "file").write_text("")
    before = harness.listing(source)
    status, output = plugged.setup_py(
        source, "bdist_wheel", "--dist-dir", str(tmp_path / "file" / "dist")
    )
    assert status == 1
    line = output.strip().splitlines()[-1]
    assert line.startswith(f"error: {tmp_path / 'file' / 'dist'}: ")
    assert "; make it writable; archives can go elsewhere with --dist-dir (" in line
    assert "Traceback" not in output
    assert harness.listing(source) == before


@pytest.mark.parametrize("frontend", ["hook", "setup.py"])
def test_publish_lock_not_had_in_time(project, plugged, tmp_path, frontend):
    """Somebody holds it, and lock-timeout is over: the line says who."""
    (tmp_path / "out").mkdir()
    place = places.lock_place(pytest.fail)
    path = archives._lock_path(place, str(tmp_path / "out"))
    note = processes.note("publishing for a test")
    with hold(path, 60, note) as held:
        assert held
        variables = {PREFIX + "LOCK_TIMEOUT": "0.1"}
        line = refused(plugged, project(FILES), tmp_path / "out", frontend, variables)
    assert path in line
    assert f"for 0.1 s: process {os.getpid()}, since " in line
    assert "publishing for a test; build again, or raise lock-timeout" in line


@pytest.mark.parametrize("frontend", ["hook", "setup.py"])
def test_wheel_that_is_not_its_record(project, plugged, tmp_path, frontend):
    """A project's bdist_wheel spoils its archive: a hook does not publish it.

    By hand it does so in dist_dir, where it may do as it likes.
    """
    source = project(
        {
            **FILES,
            "setup.py": """
                import glob, warnings, zipfile
                warnings.simplefilter("ignore")
                from setuptools import setup
                try:
                    from setuptools.command.bdist_wheel import bdist_wheel as base
                except ImportError:
                    from wheel.bdist_wheel import bdist_wheel as base
                class bdist_wheel(base):
                    def run(self):
                        super().run()
                        (wheel,) = glob.glob(self.dist_dir + "/*.whl")
                        with zipfile.ZipFile(wheel, "a") as archive:
                            archive.writestr("p/unlisted.py", "")
                setup(name="n", version="1", packages=["p"],
                      cmdclass={"bdist_wheel": bdist_wheel})
                """,
        }
    )
    if frontend == "hook":
        line = refused(plugged, source, tmp_path / "out", frontend)
        assert "does not match its RECORD" in line
    unchecked = {PREFIX + "VERIFY": "false"} if frontend == "hook" else {}
    plugged.build(source, tmp_path / "out2", frontend, unchecked)


DISK_FULL = """
    import errno, os
    from distutils.errors import DistutilsFileError
    from setuptools import setup
    from setuptools.command.build_py import build_py
    class full(build_py):
        def run(self):
            raise {error}
    setup(name="n", version="1", packages=["p"], cmdclass={{"build_py": full}})
    """


@pytest.mark.parametrize(
    "error",
    [
        "OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/some/where')",
        "OSError(errno.EDQUOT, 'Quota exceeded')",
        "DistutilsFileError('could not write: ' + os.strerror(errno.ENOSPC))",
    ],
)
def test_disk_full_as_it_is_reported(project, plugged, tmp_path, error):
    """However the step says it: the path, the cause and the way out in one line."""
    source = project({**FILES, "setup.py": DISK_FULL.format(error=error)})
    line = refused(plugged, source, tmp_path / "out")
    assert os.strerror(errno.ENOSPC) in line
    assert "free some space there" in line
    if "some" in error:
        assert "/some/where" in line
    else:
        assert "setuptools-isolated-build" in line or str(tmp_path / "out") in line


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = "unshare --mount mount -t tmpfs none /mnt".split()
    return subprocess.run(probe, stderr=subprocess.DEVNULL, timeout=60).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no small file system can be mounted")
@pytest.mark.parametrize("full", ["build tree", "dist"])
@pytest.mark.parametrize("what", ["a module", "an extension"])
def test_disk_full(project, plugged, tmp_path, full, what):
    """Real file systems of 1 MiB, for the build tree and for the result."""
    files = dict(FILES)
    if what == "a module":
        data = os.urandom(1 << 20).hex()
        files["p/big.py"] = f"x = '{data}'\n"
    else:
        files["setup.py"] = SETUP_PY.replace("setup\n", "setup, Extension\n").replace(
            ", packages", ", ext_modules=[Extension('fast', ['fast.c'])], packages"
        )
        numbers = ",".join(str(n * 2654435761 % 2**32) for n in range(1 << 19))
        files["fast.c"] = f"unsigned int x[] = {{{numbers}}};\n"
    source = project(files)
    small = tmp_path / "small"
    small.mkdir()
    out = tmp_path / "out"
    if full == "dist":
        variables, command = {}, plugged.command("setup.py", source, small)
    else:
        variables = {"TMPDIR": str(small)}
        command = plugged.command("setup.py", source, out)
        out.mkdir()
    script = f'mount -t tmpfs -o size=1m none "{small}" && "$@"; s=$?; ls -A "{small}"; exit $s'
    before = harness.listing(source)
    run = plugged.start(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command], source, variables
    )
    output = run.finish()
    assert run.status == 1, output
    # Since 3.14 the interpreter says what it cannot close, without the plugin too.
    said = re.sub(r"(?m)^Exception ignored .*\n(Traceback.*\n(  .*\n)*)?", "", output)
    assert "Traceback" not in said, output
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert str(small) in line, output
    assert (os.strerror(errno.ENOSPC) in line) or "almost no space is left" in line
    assert "free some space there" in line
    assert ("set TMPDIR or build-root" in line) == (full == "build tree")
    left = output[output.index(line) + len(line) :].split()
    assert left in ([], [f"setuptools-isolated-build-{harness.user()}"])
    assert not out.exists() or list(out.iterdir()) == []
    assert harness.listing(source) == before


@pytest.mark.parametrize("example", ["src-layout", "c-extension"])
def test_read_only_source_tree(plain, plugged, tmp_path, example):
    """An unwritable tree is no error, and makes no other wheel."""
    source = harness.copy(harness.EXAMPLES / example, tmp_path / "project")
    expected = harness.digest(harness.oracle(plain, source, tmp_path / "expected"))
    for path in (source, *source.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    tmpdir, out = tmp_path / "theirs", tmp_path / "out"
    for path in (tmpdir, out):
        path.mkdir()
        path.chmod(0o777)
    before = harness.listing(source)
    command = [*harness.as_another_user(), *plugged.command("hook", source, out)]
    run = plugged.start(command, source, {"TMPDIR": str(tmpdir), "HOME": str(tmpdir)})
    output = run.finish()
    assert run.status == 0, output
    (wheel,) = out.glob("*.whl")
    contents = {name: data for name, _, data in harness.wheel_contents(wheel)}
    (oracle,) = (tmp_path / "expected").glob("*.whl")
    # The modes of the tree's files are in the wheel; these were taken away here.
    assert contents == {name: data for name, _, data in harness.wheel_contents(oracle)}
    assert expected
    assert harness.listing(source) == before
    for path in (source, *(p for p in source.rglob("*") if p.is_dir())):
        path.chmod(0o755)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="needs another user, and only root can be one",
)
def test_another_user_has_taken_the_root(project, plugged, tmp_path, tmpdir_of_builds):
    """One of the next name is used instead, and a warning says so."""
    root = tmpdir_of_builds / f"setuptools-isolated-build-{harness.user()}"
    root.mkdir(mode=0o700)
    os.chown(root, 65534, 65534)
    (root / "theirs").write_text("")
    wheel_dir = tmp_path / "out"
    status, output = plugged.hook(project(FILES), "build_wheel", str(wheel_dir))
    assert status == 0, output
    other = root.with_name(f"{root.name}-2")
    assert f"{root}: owned by another user, so build trees are in {other}" in output
    assert sorted(tmpdir_of_builds.iterdir()) == [root, other]
    assert [path.name for path in root.iterdir()] == ["theirs"]
    (root / "theirs").unlink()


def test_no_locks(project, plugged, tmp_path, tmpdir_of_builds):
    """Where locks do not work the build does, under a name of its own, and says so."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import errno, fcntl\n"
        "def flock(*args): raise OSError(errno.ENOLCK, 'No locks available')\n"
        "fcntl.flock = flock\n"
    )
    status, output = plugged.hook(
        project(FILES),
        "build_wheel",
        str(tmp_path / "out"),
        variables={"PYTHONPATH": str(broken)},
    )
    assert status == 0, output
    assert "its file system has no locks" in output
    assert "published without a lock" in output
    assert "this build and others of this tree do not notice each other: " in output


@pytest.mark.parametrize(
    ("keep", "fails", "kept"),
    [
        ("never", True, False),
        ("on-failure", True, True),
        ("on-failure", False, False),
        ("always", False, True),
    ],
)
def test_keep(project, plugged, tmp_path, tmpdir_of_builds, keep, fails, kept):
    """Kept where the output says, and out of the way of the next build."""
    broken = ", ext_modules=[Extension('x', ['missing.c'])]" if fails else ""
    source = project(
        {
            **FILES,
            "setup.py": "from setuptools import Extension, setup\n"
            f"setup(name='n', version='1', packages=['p']{broken})\n",
        }
    )
    status, output = plugged.hook(
        source, "build_wheel", str(tmp_path / "out"), variables={PREFIX + "KEEP": keep}
    )
    assert (status != 0) == fails
    said = [x for x in output.splitlines() if x.startswith("the build tree is kept: ")]
    assert bool(said) == kept
    for line in said:
        tree = Path(line.split(": ", 1)[1])
        assert any(tree.glob("work*/build/"))
        assert f"isolated build: {tree}" in output
        shutil.rmtree(tree)
    assert ("KEEP=on-failure in the environment" in output) == (
        fails and keep == "never"
    )


def test_disabled(project, plain, plugged, tmp_path):
    """Switched off, it is as if the plugin were not there, and the output says why."""
    source = project(FILES)
    status, output = plugged.hook(
        source,
        "build_wheel",
        str(tmp_path / "out"),
        variables={PREFIX + "ENABLED": "0"},
    )
    assert status == 0, output
    assert output.count("not isolated: switched off by the setting 'enabled'") == 1
    assert (source / "build").is_dir()


def stated_in(
    where: str, source: Path, tmp_path: Path
) -> tuple[list[str], dict[str, str]]:
    """State build_base somewhere; return what goes on the command line and beside it."""
    if where == "command line":
        return ["build", "--build-base", "stated"], {}
    if where == "setup.cfg":
        (source / "setup.cfg").write_text("[build]\nbuild_base = stated\n")
    elif where == "pyproject.toml":
        (source / "pyproject.toml").write_text(
            # Setuptools reads its tool.distutils table beside one of these only.
            "[project]\nname = 'n'\nversion = '1'\n[tool.distutils.build]\nbuild_base = 'stated'\n"
        )
    else:
        (tmp_path / "extra.cfg").write_text("[build]\nbuild_base = stated\n")
        return [], {"DIST_EXTRA_CONFIG": str(tmp_path / "extra.cfg")}
    return [], {}


@pytest.mark.parametrize("where", ["command line", "DIST_EXTRA_CONFIG"])
def test_build_base_of_the_user(project, plain, plugged, tmp_path, where):
    """What the user states is used as it is, and the output says what that costs."""
    source = project(FILES, at="oracle")
    before, variables = stated_in(where, source, tmp_path)
    status, output = plain.setup_py(source, *before, "bdist_wheel", variables=variables)
    assert status == 0, output
    # Setuptools 64 does not know DIST_EXTRA_CONFIG yet.
    is_known = (source / "stated").is_dir()
    assert is_known or where == "DIST_EXTRA_CONFIG"

    source = project(FILES)
    before, variables = stated_in(where, source, tmp_path)
    status, output = plugged.setup_py(
        source, *before, "bdist_wheel", variables=variables
    )
    assert status == 0, output
    assert (source / "stated" / "lib" / "p" / "__init__.py").exists() == is_known
    assert ("sets it: build_lib = stated/lib" in output) == is_known


def test_bdist_base_of_the_user_and_bdist_dir_of_the_project(
    project, plugged, tmp_path
):
    """The user's word counts, below which the project's would be shared."""
    source = project(FILES)
    (source / "setup.cfg").write_text("[bdist_wheel]\nbdist_dir = own\n")
    base = tmp_path / "base"
    status, output = plugged.setup_py(
        source, "bdist", f"--bdist-base={base}", "bdist_wheel"
    )
    assert status == 0, output
    assert f"installing to {base / 'wheel'}" in output
    assert f"sets it: bdist_dir = {base / 'wheel'}" in output
    assert not (source / "own").exists()


@pytest.mark.parametrize("where", ["setup.cfg", "pyproject.toml"])
def test_build_base_of_the_project(project, plugged, tmp_path, where):
    """What the project states is the directory below which its build trees stand."""
    source = project(FILES)
    stated_in(where, source, tmp_path)
    status, output = plugged.hook(source, "build_wheel", str(tmp_path / "out"))
    assert status == 0, output
    own = f".setuptools-isolated-build-{harness.user()}"
    assert f"isolated build: {source / 'stated' / own / 'tree-'}" in output
    assert "not isolated" not in output
    assert harness.leftovers(source / "stated") == []


def test_build_base_that_cannot_be_used(project, plugged, tmp_path, tmpdir_of_builds):
    """The project states it, the user may not even know: the build goes on elsewhere."""
    source = project(FILES)
    stated_in("setup.cfg", source, tmp_path)
    (source / "stated").write_text("")
    before = harness.listing(source)
    status, output = plugged.hook(source, "build_wheel", str(tmp_path / "out"))
    assert status == 0, output
    said = f"no build tree below the project's build_base: {source / 'stated'}: "
    assert f"{said}not a directory" in output
    assert f"isolated build: {tmpdir_of_builds}" in output
    assert harness.listing(source) == before


@pytest.mark.skipif(os.name != "posix", reason="there the directory is the user's own")
def test_no_name_is_left(project, plugged, tmp_path, tmpdir_of_builds):
    """Others have taken all: the build gets a name that nobody can know."""
    for number in range(1, 10):
        suffix = f"-{number}" if number > 1 else ""
        name = f"setuptools-isolated-build-{harness.user()}{suffix}"
        (tmpdir_of_builds / name).write_text("")
    before = sorted(tmpdir_of_builds.iterdir())
    wheel_dir = tmp_path / "out"
    status, output = plugged.hook(project(FILES), "build_wheel", str(wheel_dir))
    assert status == 0, output
    assert "the build tree gets a name of its own and no lock; set TMPDIR" in output
    assert len(list(wheel_dir.glob("*.whl"))) == 1
    assert sorted(tmpdir_of_builds.iterdir()) == before
    for path in before:
        path.unlink()


def test_build_root(project, plugged, tmp_path):
    """Trees stand in a directory of our own in it."""
    source = project(
        {
            **FILES,
            "pyproject.toml": "[tool.setuptools-isolated-build]\nbuild-root = '../r'\n",
        }
    )
    status, output = plugged.hook(source, "build_wheel", str(tmp_path / "out"))
    assert status == 0, output
    own = f"setuptools-isolated-build-{harness.user()}"
    assert f"isolated build: {tmp_path / 'r' / own / 'tree-'}" in output


@pytest.mark.parametrize("frontend", ["hook", "setup.py"])
def test_setuptools_that_is_too_old(project, plugged, tmp_path, frontend):
    """Installed past the requirement of ours; it would fail in its own code."""
    is_old = (
        "import setuptools\n"
        "from importlib.metadata import PathDistribution\n"
        "setuptools.__version__ = PathDistribution.version = '64.0.2'\n"
    )
    source = project({**FILES, "setup.py": is_old + SETUP_PY})
    line = refused(plugged, source, tmp_path / "out", frontend)
    assert line.startswith("error: setuptools 64.0.2: ")
    assert 'require "setuptools>=64.0.3"' in line
    variables = {PREFIX + "ENABLED": "0"}
    assert plugged.build(source, tmp_path / "out", frontend, variables).exists()
