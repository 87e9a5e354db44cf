"""``check`` by its own command line, on projects that each need another answer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections import Counter
from xml.etree import ElementTree as ET

import harness
import pytest

pytestmark = pytest.mark.any_setuptools

PLAIN = {
    "setup.py": 'from setuptools import setup\nsetup(name="n", version="1", packages=["p"])\n',
    "p/__init__.py": "x = 1\n",
}
PYPROJECT = """\
# The line that counts:
[build-system]
requires = [
    "setuptools",  # any
]
build-backend = "setuptools.build_meta"
"""
# A build meets the test when its modules are in the wheel's directory, and at its end.
MEETS = harness.Meeting.CODE + (
    """
import atexit
from setuptools import setup
from setuptools.command.install_lib import install_lib
class meeting_install_lib(install_lib):
    def run(self):
        super().run()
        atexit.register(meet, "done")
        meet("inside")
meet("begin")
setup(name="n", version="1", packages=["p"], cmdclass={"install_lib": meeting_install_lib})
"""
)
OWN_BUILD_PY = """\
import os, time
from setuptools import setup
from setuptools.command.build_py import build_py
class own(build_py):
    def run(self):
        super().run()
        with open(os.path.join(self.build_lib, "p", "made.txt"), "w") as file:
            file.write({text})
setup(name="n", version="1", packages=["p"], cmdclass={{"build_py": own}})
"""
SHORT = (
    "--no-isolation --frontend=hooks --artifact=wheel -n=2 --rounds=1 --json".split()
)


@pytest.fixture(scope="session")
def checker(make_environment, wheelhouse):
    """An environment with the extra."""
    (wheel,) = wheelhouse.iterdir()
    return make_environment("checker", f"{wheel}[check]")


@pytest.fixture
def check(checker):
    """Check a project; return the status, what is printed, and the errors."""

    def run(source, *options, variables=None):
        before = harness.listing(source)
        command = [checker.python, "-m", "setuptools_isolated_build", "check", source]
        done = subprocess.run(
            [*command, *options],
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=harness.TIMEOUT,
        )
        if "--write" not in options:
            assert harness.listing(source) == before
        assert "Traceback" not in done.stderr
        return done

    return run


def one(done):
    (result,) = json.loads(done.stdout)["projects"]
    return result


def let_go_in_groups(meeting, groups):
    """Let builds go on when as many as a group has are there.

    Or, where the group says so, each when the one before it has ended. Each begins when
    the one before it is there: without the plugin they would fail at random else.
    """
    here = Counter()

    def until(name):
        while not here[name]:
            arrived = meeting.arrival()
            if arrived in {name, "begin", "inside"}:
                here[arrived] += 1
            else:
                meeting.let_go(arrived)
        here[name] -= 1

    with contextlib.suppress(OSError):  # the test has ended
        for size, is_in_turn in groups:
            for _ in range(size):
                until("begin")
                meeting.let_go("begin")
                until("inside")
            for number in range(size):
                meeting.let_go("inside")
                if is_in_turn and number < size - 1:
                    until("done")
                    meeting.let_go("done")
        for name in here.elements():
            meeting.let_go(name)
        while True:
            meeting.let_go(meeting.arrival())


def test_finding_and_cure(project, check, meeting, tmp_path):
    """Two builds at once break each other without it only; the advice is applied."""
    source = project({**PLAIN, "setup.py": MEETS, "pyproject.toml": PYPROJECT})
    summary = tmp_path / "summary.md"
    variables = {**meeting.variables, "GITHUB_STEP_SUMMARY": str(summary)}
    # Quietly twice without and once with it; at once without it, where the second one
    # lacks its modules; once more quietly, to see that these do not vary; at once with it.
    groups = [(1, False)] * 3 + [(2, True), (1, False), (2, False)]
    threading.Thread(
        target=let_go_in_groups, args=(meeting, groups), daemon=True
    ).start()
    done = check(source, *SHORT, "--write", variables=variables)
    assert done.returncode == 0, done.stderr
    result = one(done)
    without = result["without"]
    assert (without["ok"], without["wrong"]) == (1, 1)
    assert without["errors"][0]["error"] == "wrong: p/__init__.py: missing"
    assert (result["with"]["ok"], result["with"]["builds"]) == (2, 2)
    assert (source / "pyproject.toml").read_text() == PYPROJECT.replace(
        '"setuptools",  # any\n',
        '"setuptools",  # any\n    "setuptools-isolated-build",\n',
    )
    assert '+    "setuptools-isolated-build",' in result["advice"]["diff"]
    assert "| hooks | wheel | 1 |" in summary.read_text()


LEAVES_A_FILE = harness.Meeting.CODE + (
    """
import atexit, sys
from setuptools import setup
from setuptools.command.build_py import build_py
class own(build_py):
    def run(self):
        super().run()
        with open("p/left.txt", "w") as file:
            file.write("by a wheel's build")
atexit.register(meet, "done")
meet("sdist" if "sdist" in sys.argv else "wheel")
setup(name="n", version="1", packages=["p"], cmdclass={"build_py": own})
"""
)


def test_one_after_the_other(project, check, meeting):
    """What a wheel's build has left is in a later sdist, without the plugin too."""
    files = {**PLAIN, "setup.py": LEAVES_A_FILE, "MANIFEST.in": "graft p\n"}
    order = []

    def let_go():
        for _ in range(6):  # each artifact twice without the plugin, once with it
            meeting.let_go(meeting.arrival())
            meeting.let_go(meeting.arrival())
        order.append({meeting.arrival(), meeting.arrival()})
        meeting.let_go("wheel")
        order.append(meeting.arrival())
        meeting.let_go("done")
        meeting.let_go("sdist")
        with contextlib.suppress(OSError):  # the test has ended
            while True:
                meeting.let_go(meeting.arrival())

    threading.Thread(target=let_go, daemon=True).start()
    options = [*SHORT, "--artifact=sdist", "--only=with"]
    done = check(project(files), *options, variables=meeting.variables)
    assert order == [{"wheel", "sdist"}, "done"]
    assert done.returncode == 0, done.stderr
    assert one(done)["with"]["ok"] == 2


def test_nothing_seen(project, check):
    """With the plugin there already there is nothing to write."""
    text = PYPROJECT.replace(
        '"setuptools",', '"setuptools", "setuptools-isolated-build",'
    )
    source = project({**PLAIN, "pyproject.toml": text})
    done = check(source, *SHORT, "--only=with", "--write")
    assert done.returncode == 0, done.stderr
    assert one(done)["advice"]["diff"] == []
    assert "nothing to write" in done.stderr
    assert (source / "pyproject.toml").read_text() == text


def test_a_setup_py_that_writes(project, check):
    """The backend is tried before it is advised; it is written, and does what was said."""
    writes = 'open("p/made.py", "w").close()\n'
    text = PYPROJECT.replace(
        '"setuptools",', '"setuptools", "setuptools-isolated-build",'
    )
    files = {**PLAIN, "pyproject.toml": text, "setup.py": writes + PLAIN["setup.py"]}
    source = project(files)
    done = check(source, *SHORT, "--only=with", "--write")
    assert done.returncode == 0, done.stderr
    result = one(done)
    assert result["written_into_tree"] == ["p/made.py"]
    tried = result["tried"]
    assert tried["change"] == "the backend of this package"
    assert (tried["builds"], tried["ok"], tried["repeated"]) == (2, 2, 0)
    backend = '+build-backend = "setuptools_isolated_build.build_meta"'
    assert backend in result["advice"]["diff"]
    assert "setup.py writes p/made.py" in result["advice"]["reasons"][0]
    done = check(source, *SHORT, "--only=with")
    assert done.returncode == 0, done.stderr
    again = one(done)
    assert (again["with"]["ok"], again["with"]["repeated"]) == (2, 0)
    assert again["advice"]["diff"] == []


def test_a_setup_py_that_imports(project, check, monkeypatch):
    """What Python caches of a module beside it is no reason for the backend."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    imports = 'import sys; sys.path.insert(0, "tools"); import helper\n'
    text = PYPROJECT.replace(
        '"setuptools",', '"setuptools", "setuptools-isolated-build",'
    )
    files = {**PLAIN, "pyproject.toml": text, "setup.py": imports + PLAIN["setup.py"]}
    done = check(project({**files, "tools/helper.py": ""}), *SHORT, "--only=with")
    assert done.returncode == 0, done.stderr
    result = one(done)
    written = [name for name in result["written_into_tree"] if name.endswith(".pyc")]
    assert [name.split(".")[0] for name in written] == ["tools/__pycache__/helper"]
    assert result["tried"] is None
    assert result["advice"]["reasons"] == result["advice"]["diff"] == []


def test_a_setup_that_writes(project, check):
    """The plugin is at work when setup() writes, as setuptools-scm does: no backend."""
    setup_py = """
from setuptools import Distribution, setup
class Writing(Distribution):
    def finalize_options(self):
        super().finalize_options()
        open("p/made.py", "w").close()
setup(name="n", version="1", packages=["p"], distclass=Writing)
"""
    text = PYPROJECT.replace(
        '"setuptools",', '"setuptools", "setuptools-isolated-build",'
    )
    files = {**PLAIN, "pyproject.toml": text, "setup.py": setup_py}
    done = check(project(files), *SHORT, "--only=with")
    assert done.returncode == 0, done.stderr
    result = one(done)
    assert result["written_into_tree"] == ["p/made.py"]
    # Whether a build is repeated is a matter of time.
    assert (result["tried"] or {}).get("change") in (None, "take-turns = true")


def test_a_setting_that_fails(project, check):
    """A project that cannot be built with it is checked to the end."""
    writes = """
open("p/made.py", "w").close()
if "build_meta" in open("pyproject.toml").read().replace("setuptools.build_meta", ""):
    raise OSError("no such backend here")
"""
    text = PYPROJECT.replace(
        '"setuptools",', '"setuptools", "setuptools-isolated-build",'
    )
    files = {**PLAIN, "pyproject.toml": text, "setup.py": writes + PLAIN["setup.py"]}
    done = check(project(files), *SHORT, "--only=with")
    assert done.returncode == 0, done.stderr
    assert "the backend of this package: a build alone" in done.stderr
    assert "no such backend here" in done.stderr
    assert "+build-backend" not in "".join(one(done)["advice"]["diff"])


def test_wrong_on_purpose(project, check, tmp_path):
    """What differs only with the plugin is found and named; diffoscope is asked."""
    program = tmp_path / "bin" / "diffoscope"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nbasename -a "$3" "$4"\n')
    program.chmod(0o755)
    variables = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    text = 'os.environ.get("SETUPTOOLS_ISOLATED_BUILD_ENABLED") or str(os.getpid())'
    source = project({**PLAIN, "setup.py": OWN_BUILD_PY.format(text=text)})
    done = check(source, *SHORT, "--only=with", variables=variables)
    assert done.returncode == 1, done.stderr
    result = one(done)
    assert result["with"]["wrong"] == 2
    assert "p/made.txt: other contents" in result["with"]["errors"][0]["error"]
    assert any("p/made.txt" in text for text in result["quiet_with_plugin"])
    assert result["varies_by_itself"] == []
    assert result["with"]["diffoscope"][1:] == ["n-1-py3-none-any.whl"] * 2


def test_another_one_each_time(project, check):
    """A time stamp is named, and counts as no fault of the plugin."""
    text = "str(time.time_ns())"
    source = project({**PLAIN, "setup.py": OWN_BUILD_PY.format(text=text)})
    done = check(source, *SHORT, "--only=with")
    assert done.returncode == 0, done.stderr
    assert one(done)["varies_by_itself"] == ["p/made.txt"]


def test_fails_by_itself(project, check):
    source = project({"setup.py": "raise OSError('there is no moon')\n"})
    done = check(source, *SHORT)
    assert done.returncode == 2
    assert "fails by itself: OSError: there is no moon" in done.stderr
    log = done.stderr.rpartition("the whole log: ")[2].strip()
    with open(log) as file:
        assert "Traceback" not in done.stderr
        assert "there is no moon" in file.read()
    os.unlink(log)


def test_another_backend(project, check):
    """One that runs no setuptools."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\n'
        'backend-path = ["."]\n',
        "own.py": """
            import zipfile
            def build_wheel(directory, *rest):
                name = "n-1-py3-none-any.whl"
                zipfile.ZipFile(directory + "/" + name, "w").close()
                return name
            """,
    }
    done = check(project(files), *SHORT)
    assert done.returncode == 2
    assert "error: own has built it without setuptools" in done.stderr


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        ({"x.txt": ""}, [], "is no project of Python"),
        ({"pyproject.toml": "[build-system"}, [], "cannot be read"),
        ({"pyproject.toml": "[build-system]\nrequires = 1\n"}, [], "not as PEP 518"),
        ({"pyproject.toml": "build-system = 1\n"}, [], "not as PEP 518"),
        ({"pyproject.toml": "[build-system]\n"}, [], "not as PEP 518"),
        ({"pyproject.toml": '[build-system]\nrequires = ["a b"]\n'}, [], "correct it"),
        (PLAIN, ["--timeout=0"], "more than 0"),
        (PLAIN, ["--report=none/r.html"], "its directory does not exist"),
        (PLAIN, ["--python=python0"], "--python python0: not there"),
        (PLAIN, ["--python=cat"], "--python cat: is no Python 3.9 or later"),
        (PLAIN, ["--frontend=pip", "--artifact=sdist"], "no such frontend makes"),
    ],
)
def test_bad_input(project, check, files, options, said):
    done = check(project(files), *options)
    assert done.returncode == 2
    (line,) = (line for line in done.stderr.splitlines() if "error: " in line)
    assert said in line


def test_summary_of_what_could_not_be_told(project, check, tmp_path):
    """The page of the job says why; one that cannot be written is one line."""
    source = project({"x.txt": ""})
    summary = tmp_path / "summary.md"
    check(source, variables={"GITHUB_STEP_SUMMARY": str(summary)})
    assert "is no project of Python" in summary.read_text()
    done = check(source, variables={"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert done.returncode == 2
    assert "error: GITHUB_STEP_SUMMARY: cannot be written: " in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a script stands for an interpreter")
def test_two_interpreters(project, check, checker, tmp_path):
    """Both build in the same tree at once, also where they are called the same."""
    other = tmp_path / "bin" / "python"
    other.parent.mkdir()
    other.write_text(f'#!/bin/sh\nexec "{checker.python}" "$@"\n')
    other.chmod(0o755)
    variables = {"PATH": f"{other.parent}{os.pathsep}{os.environ['PATH']}"}
    source = project({**PLAIN, "pyproject.toml": PYPROJECT})
    both = f"--python={checker.python}", "--python=python"
    done = check(source, *SHORT, "--only=with", *both, variables=variables)
    assert done.returncode == 0, done.stderr
    found = {way["python"]: way["builds"] for way in one(done)["with"]["ways"]}
    assert found == {"python": 1, str(other): 1}


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_terminal(project, checker, tmp_path):
    """80 columns, no colours under NO_COLOR; the report and the picture are whole."""
    import pty

    source = project({**PLAIN, "pyproject.toml": PYPROJECT})
    pictures = [f"--report={tmp_path / 'r.html'}", f"--svg={tmp_path / 'r.svg'}"]
    options = [option for option in SHORT if option != "--json"]
    command = [checker.python, "-m", "setuptools_isolated_build", "check", source]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, *options, "--only=with", *pictures],
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = bytearray()
        with contextlib.suppress(OSError):  # the end of a pseudo-terminal
            while data := os.read(ours, 65536):
                said += data
        os.close(ours)
    assert process.returncode == 0, said
    text = said.decode()
    assert "with the plugin, round 1" in text
    assert "━" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert max(map(len, re.split(r"[\r\n]+", plain))) <= 80
    page = (tmp_path / "r.html").read_text()
    assert re.findall(r"https?://(?!www.w3.org/2000/svg)", page) == []
    assert "all 2 builds were right" in page
    picture = ET.parse(tmp_path / "r.svg").getroot()
    bars = picture.findall(".//{*}rect[@class='ok']/{*}title")
    assert [bar.text.partition(":")[0] for bar in bars] == ["hooks wheel"] * 2


def test_hanging_build(project, check, meeting):
    """It is ended after --timeout: nobody would let it go for two minutes."""
    text = harness.Meeting.CODE + 'meet("for ever")\n'
    done = check(
        project({"setup.py": text}), *SHORT, "--timeout=1", variables=meeting.variables
    )
    assert done.returncode == 2
    assert "not done in 1 s; see --timeout" in done.stderr


TWICE = """
import os, signal
from setuptools_isolated_build._check import place
with place.open_place(is_kept=False, say=print):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        print("cleaned up")
"""


def test_a_second_signal(checker, tmpdir_of_builds):
    """It comes while the first one's clean-up goes on, and does not end that."""
    done = subprocess.run(
        [checker.python, "-c", TWICE],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (143, "cleaned up\n"), done.stderr
    assert list(tmpdir_of_builds.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_interrupt(project, checker, meeting, tmpdir_of_builds, number, status):
    """Ctrl-C ends the builds, and leaves nothing; so does timeout(1), which ends twice."""
    source = project({"setup.py": harness.Meeting.CODE + 'meet("here")\n'})
    command = [
        checker.python,
        "-m",
        "setuptools_isolated_build",
        "check",
        source,
        *SHORT,
    ]
    with subprocess.Popen(
        command,
        env={**os.environ, **meeting.variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        meeting.arrival()
        process.send_signal(number)
        process.send_signal(number)
        _, errors = process.communicate(timeout=harness.TIMEOUT)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert list(tmpdir_of_builds.iterdir()) == []


def test_without_the_extra(plugged, project):
    """One line says how to get what it needs."""
    command = [plugged.python, "-m", "setuptools_isolated_build", "check"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=project(PLAIN), timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "setuptools-isolated-build[check]"' in done.stderr
