"""Who only seems to be root cannot use root's own directories, and builds all the same."""

from __future__ import annotations

import os
import shutil

import harness
import pytest
import remains

pytestmark = [
    pytest.mark.any_setuptools,
    pytest.mark.skipif(
        not hasattr(os, "geteuid")
        or os.geteuid() != 0
        or shutil.which("setpriv") is None
        or not remains.can_be_another_user(),
        reason="needs root's directories and another user, and only root has both",
    ),
]
NOBODY = 65534
# What fakeroot does to a process, as far as it is asked for here.
SEEMS_ROOT = """
import os
os.geteuid = os.getuid = os.getegid = os.getgid = lambda: 0
"""
FILES = {
    "setup.py": "from setuptools import setup; setup(name='n', version='1', packages=['p'])\n",
    "p/__init__.py": "",
}


@pytest.fixture(params=["simulated", "fakeroot"])
def seems_root(request, tmp_path):
    """The command prefix and the variables of builds that seem to be root's."""
    if request.param == "simulated":
        variables = remains.hooked(tmp_path / "hooked", SEEMS_ROOT)
        return harness.as_another_user(), variables
    program = shutil.which("fakeroot")
    if program is None:
        pytest.skip("there is no fakeroot")
    return [*harness.as_another_user(), program, "--"], {}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("turns", [False, True], ids=["no turns", "turns"])
def test_after_real_root(kind, turns, seems_root, project, plain, plugged, tmp_path):
    """The root that is there is another user's, whatever `stat` says of it."""
    files = dict(FILES)
    if turns:
        files["pyproject.toml"] = (
            "[tool.setuptools-isolated-build]\ntake-turns = true\n"
        )
    source = project(files)
    pristine = harness.copy(source, tmp_path / "pristine")
    theirs = tmp_path / "theirs"
    outs = [tmp_path / name for name in ("expected", "root's", "fakeroot's")]
    for path in (theirs, *outs):
        path.mkdir()
        path.chmod(0o1777 if path is theirs else 0o777)
    variables = {"TMPDIR": str(theirs), "HOME": str(theirs)}
    expected, output = plain.hook(pristine, f"build_{kind}", str(outs[0]))
    assert expected == 0, output

    before = harness.listing(source)
    status, output = plugged.hook(
        source, f"build_{kind}", str(outs[1]), variables=variables
    )
    assert status == 0, output
    (root,) = filter(remains.is_root, theirs.iterdir())
    assert root.stat().st_uid == 0
    assert root.stat().st_mode & 0o777 == 0o700
    roots = harness.listing(root)

    prefix, more = seems_root
    command = [*prefix, *plugged.command(kind, source, outs[2])]
    run = plugged.start(command, source, {**variables, **more})
    output = run.finish()
    assert run.status == 0, output
    assert [line for line in output.splitlines() if str(root) in line], output
    assert not [line for line in output.splitlines() if line.startswith("error")]
    archives = [next(out.iterdir()) for out in outs]
    assert len({path.name for path in archives}) == 1
    for path in archives[1:]:
        assert harness.archive_contents(path) == harness.archive_contents(archives[0])
    assert harness.listing(root) == roots
    assert harness.listing(source) == before
    # Nor is anything left beside it.
    left = [path for path in theirs.iterdir() if path != root]
    assert [path for path in left if not remains.is_root(path)] == []
    assert [name for path in left for name in remains.litter(path.parent)] == []
