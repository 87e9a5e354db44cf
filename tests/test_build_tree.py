"""Leases: the lowest free slot, cleaned on the proof of its lock, bounded in number."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys

import pytest
from setuptools_isolated_build import _build_tree
from setuptools_isolated_build.errors import BuildRootError


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir(0o700)
    return str(path)


@pytest.fixture(autouse=True)
def no_lease_is_left():
    yield
    _build_tree._release_all()


def die_in_a_lease(root: str, make: str = "pass") -> str:
    """Lease in a process that is killed while it holds the slot; return the slot."""
    code = (
        "import os, signal, sys\n"
        "from setuptools_isolated_build import _build_tree\n"
        "tree = _build_tree.lease(sys.argv[1])\n"
        "print(tree.slot, flush=True)\n"
        f"{make}\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, root],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    return done.stdout.strip()


def slots(root: str) -> list[str]:
    return sorted(name for name in os.listdir(root) if not name.endswith(".lock"))


def test_the_lowest_free_slot(root):
    """0, 1, 2; what is released first is leased first; all gone at the end."""
    trees = [_build_tree.lease(root) for _ in range(3)]
    assert slots(root) == ["0", "1", "2"]
    _build_tree.release(trees[1])
    assert slots(root) == ["0", "2"]
    assert _build_tree.lease(root) == trees[1]
    for tree in trees:
        _build_tree.release(tree)
    assert slots(root) == []
    assert sorted(os.listdir(root)) == ["0.lock", "1.lock", "2.lock"]


def test_paths(root):
    """egg_base exists and is not below build_base; both are the tree's."""
    tree = _build_tree.lease(root)
    assert os.listdir(tree.egg_base) == []
    assert not tree.egg_base.startswith(tree.build_base)
    assert stat.S_IMODE(os.stat(tree.slot).st_mode) == 0o700
    assert tree.holds(tree.build_base)
    assert tree.holds(os.path.join(tree.egg_base, "x.egg-info"))
    assert not tree.holds(tree.slot + "1/build")
    assert not tree.holds("build")


def test_other_processes_get_other_slots(root):
    """A spawned process leases the next slot, and its end frees it."""
    first = _build_tree.lease(root)
    assert die_in_a_lease(root) == os.path.join(root, "1")
    _build_tree.release(first)
    assert _build_tree.lease(root) == first


def test_killed_builds_do_not_pile_up(root):
    """However many are killed one after the other, one slot is all there is."""
    for _ in range(5):
        slot = die_in_a_lease(root, "open(tree.egg_base + '/rest', 'w').close()")
        assert slot == os.path.join(root, "0")
    assert slots(root) == ["0"]
    _build_tree.release(_build_tree.lease(root))
    assert slots(root) == []


def test_orphans_of_a_killed_build_cannot_reach_the_next_one(root):
    """After a kill the next build works under a path that no orphan was given."""
    slot = die_in_a_lease(root, "os.mkdir(tree.build_base)")
    tree = _build_tree.lease(root)
    assert tree.slot == slot
    assert os.path.dirname(tree.directory) == slot
    with pytest.raises(FileNotFoundError):  # what a compiler does that was left over
        open(os.path.join(slot, "build", "late.o"), "w")
    _build_tree.release(tree)
    assert _build_tree.lease(root).directory == slot


def test_staging_directories_of_killed_builds_are_removed(root, tmp_path):
    """What was remembered goes with the slot, if it has the name of a staging one."""
    staged, other = tmp_path / "dist" / ".tmp-0a1b2c3d", tmp_path / "dist" / "wheels"
    for path in (staged, other):
        path.mkdir(parents=True)
        (path / "half.whl").write_text("half")
    remember = "tree.remember_staging({!r})".format
    die_in_a_lease(root, f"{remember(str(staged))}; {remember(str(other))}")
    _build_tree.release(_build_tree.lease(root))
    assert not staged.exists()
    assert (other / "half.whl").exists()


def test_half_a_record_removes_nothing(root, tmp_path):
    """Killed while it wrote the record: the path may be cut off, so it is no path."""
    (tmp_path / "dist").mkdir()
    half = f"open(tree.slot + '/staging', 'w').write({str(tmp_path / 'dist')!r})"
    die_in_a_lease(root, half)
    _build_tree.release(_build_tree.lease(root))
    assert (tmp_path / "dist").exists()


def test_read_only_directories_are_removed(root):
    """A project may make what only chmod lets one remove."""
    tree = _build_tree.lease(root)
    os.makedirs(tree.build_base + "/a/b")
    open(tree.build_base + "/a/b/c", "w").close()
    os.chmod(tree.build_base + "/a/b", 0o500)
    os.chmod(tree.build_base + "/a", 0o500)
    _build_tree.release(tree)
    assert slots(root) == []


def test_links_out_of_the_tree_are_not_followed(root, tmp_path):
    """Neither a link inside the tree nor one in the slot's place leads outside."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("")
    tree = _build_tree.lease(root)
    os.symlink(tmp_path / "outside", tree.build_base)
    _build_tree.release(tree)
    os.symlink(tmp_path / "outside", tree.slot)
    _build_tree.release(_build_tree.lease(root))
    assert slots(root) == []
    assert (tmp_path / "outside" / "precious").exists()


def test_a_child_never_removes_it(root):
    """Not when it exits (which is what atexit calls), not when it is asked to."""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork")
    tree = _build_tree.lease(root)
    for ask in (_build_tree._release_all, lambda: _build_tree.release(tree)):
        process = multiprocessing.get_context("fork").Process(target=ask)
        process.start()
        process.join(60)
        assert process.exitcode == 0
        assert os.path.isdir(tree.slot)


def test_released_at_the_end_of_the_process(root):
    """Also when nothing has released it, and whatever ends the interpreter."""
    for end in ("", "sys.exit(1)", "raise KeyboardInterrupt"):
        code = (
            "import sys\nfrom setuptools_isolated_build import _build_tree\n"
            f"_build_tree.lease(sys.argv[1])\n{end}\n"
        )
        subprocess.run(
            [sys.executable, "-c", code, root], stderr=subprocess.DEVNULL, timeout=60
        )
        assert slots(root) == []


def test_keep(root):
    """A kept tree leaves its slot, which the next one gets empty."""
    tree = _build_tree.lease(root)
    open(tree.egg_base + "/mark", "w").close()
    kept = _build_tree.release(tree, keep=True)
    again = _build_tree.lease(root)
    assert again == tree
    assert os.listdir(again.egg_base) == []
    assert os.listdir(kept + "/egg_base") == ["mark"]


def test_unwritable_root(root, monkeypatch):
    """One error that names the root, also where an OSError has no file name."""
    if os.geteuid() == 0:
        root = "/proc/self"
    else:
        os.chmod(root, 0o500)
    with pytest.raises(BuildRootError) as caught:
        _build_tree.lease(root)
    assert caught.value.path == root


def test_directories_are_made_again(root):
    """distutils' mkpath remembers what it made; the next build needs it made anew."""
    import setuptools  # noqa: F401
    from distutils.dir_util import mkpath

    for _ in range(2):
        tree = _build_tree.lease(root)
        mkpath(os.path.join(tree.build_base, "lib", "p"))
        assert os.path.isdir(os.path.join(tree.build_base, "lib", "p"))
        _build_tree.release(tree)
