"""What has changed in a source tree, and what is being written there."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace

import harness
import pytest
from setuptools_isolated_build import _places
from setuptools_isolated_build._validation import changes

pytestmark = pytest.mark.any_setuptools

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("ctime", "room"),
    [
        (1_700_000_002 * SECOND, 2 * SECOND),  # FAT
        (1_700_000_003 * SECOND, SECOND),
        (1_700_000_003 * SECOND + 5, 10_000_000),
    ],
)
def test_file_systems_that_round(ctime, room):
    """A file may have been changed later than its time says, by what was cut off."""
    found = SimpleNamespace(st_mtime_ns=1_700_000_001 * SECOND, st_ctime_ns=ctime)
    assert changes.last_change(found) == ctime + room


@pytest.fixture
def tree(tmp_path):
    for name in ("p/old.py", ".git/index", "p/__pycache__/old.pyc", "out/x.whl"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).touch()
    for name in ("venv/pyvenv.cfg", "venv/lib.py", "root/CACHEDIR.TAG", "root/new.py"):
        (tmp_path / "tree" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tree" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "linked.py").touch()
    (tmp_path / "tree" / "p" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "tree" / "p" / "circle").symlink_to(tmp_path / "tree")
    return tmp_path / "tree"


def names(tree, moment, private=()):
    found = changes.since(str(tree), moment, set(map(str, private)))
    return sorted(os.path.basename(path) for path in found)


def test_what_is_read(tree):
    """All but what nobody reads, through links too."""
    links = ["circle", "link"]
    assert names(tree, 0, [tree / "out"]) == [*links, "linked.py", "old.py"]
    assert names(tree, 0) == [*links, "linked.py", "old.py", "x.whl"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_what_is_no_file(tree):
    """Whoever opens a pipe waits for a writer."""
    os.mkfifo(tree / "p" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tree / "p" / "socket"))
        found = names(tree, 0)
    assert not {"pipe", "socket"}.intersection(found)


def test_a_link_that_goes_while_it_is_followed(tree, monkeypatch):
    """Whether it leads to what is new, or to nothing."""
    links = [tree / "p" / "led.py", tree / "p" / "dangling"]
    links[0].symlink_to("old.py")
    links[1].symlink_to("nothing")
    harness.let_age(tree)
    later = links[1].lstat().st_ctime_ns + SECOND
    for path in (tree / "p" / "old.py", tree / "p"):
        os.utime(path, ns=(later, later))

    def realpath(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(os.path, "realpath", realpath)
    found = set(changes.since(str(tree), later, set()))
    assert found.issuperset(map(str, links))


@pytest.mark.parametrize("above", ["/", ".."])
def test_a_link_that_leads_above(tree, above):
    """What is there is not the project's, and may be all that the machine has."""
    (tree / "p" / "above").symlink_to(tree / above)
    (tree.parent / "not.py").touch()
    assert names(tree, 0) == sorted(
        ["above", "circle", "link", "linked.py", "old.py", "x.whl"]
    )


def test_sources_in_what_looks_like_a_cache(tree):
    found = changes.since(str(tree), 0, set(), sources={str(tree / "root")})
    assert str(tree / "root" / "new.py") in found


def test_what_may_be_a_source(tree):
    """When a build has failed, all may: but for what is in roots of build trees."""
    assert _places.private_directory(str(tree / "own")) is None
    found = {*changes.since(str(tree), 0, set(), names=True)}
    assert {str(tree / "root" / "new.py"), str(tree / "venv" / "lib.py")} < found
    assert not any(path.startswith(str(tree / "own")) for path in found)


def test_nothing_has_changed(tree):
    later = (tree / "p" / "old.py").stat().st_ctime_ns + SECOND
    assert names(tree, later) == []
    os.utime(tree / "p" / "old.py", ns=(later, later))
    assert names(tree, later) == ["old.py"]


def test_a_link_that_leads_elsewhere(tree):
    """What it leads to is as old as what it has led to."""
    old = tree / "p" / "old.py"
    link = tree / "p" / "link.py"
    harness.let_age(old.parent)
    link.symlink_to(old)
    made = link.lstat().st_ctime_ns
    os.utime(link, ns=(0, 0), follow_symlinks=False)
    assert str(link) in changes.since(str(tree), made, set())
    assert changes.changed(str(link), made)
    later = made + SECOND * 10
    assert names(tree, later) == []
    assert not changes.changed(str(link), later)
    os.utime(old, ns=(later, later))
    assert list(changes.since(str(tree), later, set())) == [str(old)] * 2
    assert changes.changed(str(link), later)


def test_a_directory_that_was_moved(tree):
    """What is in it is as old as what was there before."""
    place = tree.parent / "elsewhere"
    harness.let_age(place)
    place.replace(tree / "q")
    moved = (tree / "q").stat().st_ctime_ns
    assert str(tree / "q") in changes.since(str(tree), moved, set())
    assert names(tree, moved + SECOND * 10) == []
    (tree / "q" / "new").mkdir()
    assert str(tree / "q") not in changes.since(str(tree), moved, set())


def test_a_name_is_gone(tree):
    """The directory tells, and none of the files in it."""
    (tree / "p" / "old.py").unlink()
    moment = (tree / "p").stat().st_ctime_ns
    assert str(tree / "p") in changes.since(str(tree), moment, set(), names=True)
    assert str(tree / "p") not in changes.since(str(tree), moment, set())
    later = moment + SECOND * 10
    assert list(changes.since(str(tree), later, set(), names=True)) == []


@pytest.mark.parametrize("target", ["p/none", "none/none", "circle"])
def test_a_link_to_nothing(tree, target):
    """Many projects have one. Somebody may have removed what it leads to."""
    link = tree / "links" / "circle"
    link.parent.mkdir()
    link.symlink_to(link if target == "circle" else tree / target)
    made = link.lstat().st_ctime_ns
    assert "circle" in names(tree, made)
    later = made + SECOND * 10
    assert names(tree, later) == []
    place = {"p/none": tree / "p", "none/none": tree, "circle": link.parent}[target]
    os.utime(place, ns=(later, later))
    assert names(tree, later) == ["circle"]


def test_a_file_that_goes_meanwhile(tree, monkeypatch):
    """After its directory was read: nobody knows what was in it."""
    later = (tree / "p" / "old.py").stat().st_ctime_ns + SECOND * 10
    read = os.scandir

    def read_and_remove(directory):
        entries = list(read(directory))
        (tree / "p" / "old.py").unlink(missing_ok=True)
        return entries

    with monkeypatch.context() as context:
        context.setattr(os, "scandir", read_and_remove)
        assert names(tree / "p", later) == ["old.py"]


def test_a_time_that_was_set_back(tree):
    """The system's own time cannot be set."""
    moment = (tree / "p" / "old.py").stat().st_ctime_ns
    os.utime(tree / "p" / "old.py", (1, 1))
    assert "old.py" in names(tree, moment)
