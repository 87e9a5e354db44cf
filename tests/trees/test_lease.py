"""Leases: one tree for each build, no name twice, cleaned on the proof of its lock."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import zlib

import pytest
from setuptools_isolated_build import _process
from setuptools_isolated_build._trees import lease as _lease
from setuptools_isolated_build._trees import removal
from setuptools_isolated_build._trees.kept import Kept
from setuptools_isolated_build.errors import BuildRootError, BuildTreeLostError

pytestmark = pytest.mark.any_setuptools

fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@pytest.fixture
def lease(root):
    """Lease in *root*; what is not ended is ended after the test."""
    made = []

    def make():
        made.append(_lease.lease(root, _lease.Kind(), "a test"))
        return made[-1]

    yield make
    for item in made:
        item.end(failed=False, keep=False)


def end(lease, *, failed=False, keep=False):
    lease.end(failed=failed, keep=keep)


def die_in_a_lease(root: str, make: str = "pass") -> str:
    """Lease in a process that is killed while it has the tree; return its path."""
    code = (
        "import os, signal, sys\n"
        "from setuptools_isolated_build._trees import lease\n"
        "made = lease.lease(sys.argv[1], lease.Kind(), 'dying')\n"
        "tree = made.tree\n"
        "print(tree.directory, flush=True)\n"
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


def test_one_tree_for_each(root, lease):
    """Live leases have different trees, in this process too."""
    leases = [lease() for _ in range(3)]
    assert len({item.tree.directory for item in leases}) == 3
    for item in leases:
        end(item)
    assert len(os.listdir(root)) == 3


def test_a_lone_build_has_the_same_path_each_time(root, lease):
    """And what builds at once have left is gone with it, all but that one tree."""
    for item in [lease() for _ in range(3)]:
        end(item)
    paths = set()
    for _ in range(3):
        item = lease()
        paths.add(item.tree.directory)
        end(item)
    assert [os.path.basename(path) for path in paths] == os.listdir(root)


def test_paths(lease):
    """egg_base exists and is not below build_base; both are the tree's."""
    tree = lease().tree
    assert os.listdir(tree.egg_base) == []
    assert not tree.egg_base.startswith(tree.build_base)
    assert stat.S_IMODE(os.stat(tree.directory).st_mode) == 0o700
    assert tree.holds(tree.build_base)
    assert tree.holds(os.path.join(tree.egg_base, "x.egg-info"))
    assert not tree.holds(tree.directory + "1/build")
    assert not tree.holds("build")


@pytest.fixture(params=["alphabet", "oldest", "newest", *range(20)])
def listed_by(request, monkeypatch):
    """Let directories be listed in some order; the numbers are of different hashes."""
    ages: dict[str, int] = {}
    count = itertools.count()

    def key(path):
        if request.param in {"oldest", "newest"}:
            age = ages.setdefault(path, next(count))
            return age if request.param == "oldest" else -age
        name = os.path.basename(path)
        is_sorted = request.param == "alphabet"
        return name if is_sorted else zlib.crc32(f"{request.param} {name}".encode())

    def listdir(path, real=os.listdir):
        names = sorted(real(path))
        return sorted(names, key=lambda name: key(os.path.join(path, name)))

    def replace(source, target, real=os.replace):
        real(source, target)
        ages.pop(target, None)

    def unlink(path, real=os.unlink):
        real(path)
        ages.pop(path, None)

    for function in (listdir, replace, unlink):
        monkeypatch.setattr(os, function.__name__, function)


def notices_that_it_is_removed(made):
    """Remove what is listed before all that is built; the lease has to notice."""
    made.check()
    directory, work = os.path.split(made.tree.work)
    assert directory == made.tree.directory
    names = os.listdir(directory)
    for name in names[: names.index(work)]:
        path = os.path.join(directory, name)
        removal.remove(path) if os.path.isdir(path) else os.unlink(path)
    with pytest.raises(BuildTreeLostError):
        made.check()


@pytest.mark.usefixtures("listed_by")
def test_what_is_listed_before_all_that_is_built(lease):
    """Whoever removes the tree begins with it."""
    notices_that_it_is_removed(lease())


@pytest.mark.usefixtures("listed_by")
def test_what_is_listed_before_a_kept_tree(root):
    """It is as with a new one, and what was kept is found."""
    kept = Kept("n", "/source", {})
    works = []
    for _ in range(3):
        made = _lease.lease(root, kept, "a test")
        works.append(made.tree.work)
        made.wanted.add(made.tree.build_base)
        os.makedirs(os.path.join(made.tree.build_base, "temp"), exist_ok=len(works) > 1)
        made.check()
        end(made)
    assert works == works[:1] * 3
    made = _lease.lease(root, kept, "a test")
    assert os.listdir(made.tree.build_base) == ["temp"]
    notices_that_it_is_removed(made)
    end(made)


def test_other_processes_get_other_trees(root, lease):
    """And the end of one, however bad, leaves the other alone."""
    first = lease()
    assert die_in_a_lease(root) != first.tree.directory
    first.check()


def test_killed_builds_do_not_pile_up(root, lease):
    """However many are killed, at once or one after the other: one lone build."""
    for _ in range(5):
        die_in_a_lease(root, "open(tree.egg_base + '/rest', 'w').close()")
    end(lease())
    (name,) = os.listdir(root)
    assert os.listdir(os.path.join(root, name)) == ["idle"]


@pytest.mark.parametrize("how", ["killed", "failed"])
def test_its_name_is_not_used_again(root, lease, how):
    """What it has started may live on: its writes end nowhere, for all time."""
    if how == "killed":
        name = die_in_a_lease(root, "os.mkdir(tree.build_base)")
    else:
        failing = lease()
        name = failing.tree.directory
        end(failing, failed=True)
    for _ in range(3):
        item = lease()
        assert item.tree.directory != name
        with pytest.raises(FileNotFoundError):  # a compiler that was left over
            open(os.path.join(name, "build", "late.o"), "w")
        end(item)


def test_what_an_orphan_makes_is_removed(root, lease):
    """One that makes its directories anew, too."""
    name = die_in_a_lease(root)
    end(lease())
    os.makedirs(os.path.join(name, "build"))
    item = lease()
    assert item.tree.directory != name
    assert not os.path.exists(name)


def test_staging_directories_of_killed_builds_are_removed(root, tmp_path, lease):
    """What was remembered goes with the tree, if it has the name of a staging one."""
    staged, other = tmp_path / "dist" / ".tmp-0a1b2c3d", tmp_path / "dist" / "wheels"
    for path in (staged, other):
        path.mkdir(parents=True)
        (path / "half.whl").write_text("half")
    remember = "tree.remember_staging({!r})".format
    die_in_a_lease(root, f"{remember(str(staged))}; {remember(str(other))}")
    lease()
    assert not staged.exists()
    assert (other / "half.whl").exists()


def test_half_a_record_removes_nothing(root, tmp_path, lease):
    """Killed while it wrote the record: the path may be cut off, so it is no path."""
    half = tmp_path / ".tmp-0a1b2c3d"
    half.mkdir()
    die_in_a_lease(root, f"open(tree.staging_record, 'w').write({str(half)!r})")
    lease()
    assert half.exists()


@pytest.mark.skipif(not hasattr(os, "chown"), reason="there are no owners")
@pytest.mark.parametrize("planted", ["a record", "a link to a record", "a tree"])
def test_what_is_not_ours_is_not_believed(root, tmp_path, lease, planted):
    """A record, or a whole tree, that somebody else has put there."""
    if os.geteuid() != 0:
        pytest.skip("needs another user, and only root can be one")
    victim = tmp_path / ".tmp-0a1b2c3d"
    victim.mkdir()
    tree = os.path.join(root, "tree-00000000")
    os.mkdir(tree, 0o700)
    record = os.path.join(tree, "staging")
    if planted == "a link to a record":
        (tmp_path / "words").write_text(f"{victim}\0")
        os.symlink(tmp_path / "words", record)
    else:
        with open(record, "w") as file:
            file.write(f"{victim}\0")
        os.chown(tree if planted == "a tree" else record, 65534, 65534)
    lease()
    assert victim.exists()
    assert os.path.exists(tree) == (planted == "a tree")


def test_read_only_directories_are_removed(lease):
    """A project may make what only chmod lets one remove."""
    item = lease()
    os.makedirs(item.tree.build_base + "/a/b")
    open(item.tree.build_base + "/a/b/c", "w").close()
    os.chmod(item.tree.build_base + "/a/b", 0o500)
    os.chmod(item.tree.build_base + "/a", 0o500)
    end(item)
    assert os.listdir(item.tree.directory) == ["idle"]


def test_a_tree_that_cannot_be_emptied(root, lease, monkeypatch):
    """It is taken out of use, so that no build finds another one's files in it."""

    def fail(_kept, directory):
        raise OSError(errno.EIO, os.strerror(errno.EIO), directory)

    item = lease()
    os.makedirs(item.tree.build_base)
    monkeypatch.setattr(removal, "remove_all_but", fail)
    end(item)
    assert os.listdir(root) == []


def test_links_out_of_the_tree_are_not_followed(root, tmp_path, lease):
    """Neither a link inside a tree nor one with the name of a tree leads outside."""
    (tmp_path / "outside").mkdir(mode=0o750)
    (tmp_path / "outside" / "precious").write_text("")
    os.symlink(tmp_path / "outside", os.path.join(root, "tree-00000000"))
    item = lease()
    os.symlink(tmp_path / "outside", item.tree.build_base)
    end(item)
    assert os.listdir(item.tree.directory) == ["idle"]
    assert (tmp_path / "outside" / "precious").exists()
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o750


def test_a_copy_of_the_tree_loses_nothing(root, lease, tmp_path):
    """POSIX record locks go when any descriptor of the file is closed; these do not."""
    item = lease()
    for directory, _, names in os.walk(root):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            if os.path.isdir(path):
                os.close(os.open(path, os.O_RDONLY))
            else:
                open(path, "rb").close()
    assert die_in_a_lease(root) != item.tree.directory


@pytest.mark.parametrize("how", ["removed", "emptied", "replaced", "another's"])
def test_a_lost_tree_is_noticed(root, lease, how):
    """And what is in its place then stays there."""
    item = lease()
    item.check()
    directory = item.tree.directory
    if how == "emptied":
        os.unlink(os.path.join(directory, "lease"))
    else:
        os.replace(directory, directory + "-old")
    if how in ("replaced", "another's"):
        os.mkdir(directory)
    if how == "another's":
        open(os.path.join(directory, "precious"), "w").close()
    with pytest.raises(BuildTreeLostError, match="was removed during the build"):
        item.check()
    end(item, failed=True)
    if how == "another's":
        assert os.listdir(directory) == ["precious"]


@fork_only
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_never_removes_it(lease):
    """Not when it exits (which is what atexit calls), not when it is asked to."""

    class Owner:
        pass

    owner, item = Owner(), lease()
    _process.add(item, owner)
    for ask in (
        _process._end_all,
        lambda: _process.end(item.tree, failed=True, keep=False),
    ):
        process = multiprocessing.get_context("fork").Process(target=ask)
        process.start()
        process.join(60)
        assert process.exitcode == 0
        item.check()
    _process.end(item.tree, failed=False, keep=False)


@fork_only
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_lives_on_keeps_it(root, lease, tmp_path):
    """Nobody gets the tree of a killed build whose forked child may still write."""
    reader, writer = os.pipe()
    fork = (
        "if os.fork() == 0:\n"
        "    os.close(1)\n"
        f"    os.read({reader}, 1)\n"
        "    os._exit(0)\n"
    )
    code = (
        "import os, signal, sys\n"
        "from setuptools_isolated_build._trees import lease\n"
        "made = lease.lease(sys.argv[1], lease.Kind(), 'dying')\n"
        "print(made.tree.directory, flush=True)\n"
        f"{fork}"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, root],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        pass_fds=[reader],
    )
    directory = done.stdout.strip()
    item = lease()
    assert os.path.isdir(directory)
    end(item)
    os.write(writer, b"!")
    os.close(writer)
    os.close(reader)
    for _ in range(10_000):  # until init has seen its end
        item = lease()
        if not os.path.isdir(directory):
            break
        end(item)
    assert not os.path.isdir(directory)


def test_released_at_the_end_of_the_process(root):
    """Also when nothing has released it, and whatever ends the interpreter."""
    endings = ["", "sys.exit(1)"]
    # PyPy runs no exit handlers after this one: it is as if the process was killed.
    if sys.implementation.name != "pypy":
        endings.append("raise KeyboardInterrupt")
    for last in endings:
        code = (
            "import sys\n"
            "from setuptools_isolated_build import _process\n"
            "from setuptools_isolated_build._trees import lease\n"
            "class Owner: pass\n"
            "owner = Owner()\n"
            "_process.add(lease.lease(sys.argv[1], lease.Kind(), 'x'), owner)\n"
            f"{last}\n"
        )
        subprocess.run(
            [sys.executable, "-c", code, root], stderr=subprocess.DEVNULL, timeout=60
        )
        assert os.listdir(root) == []


def test_an_empty_directory_is_no_tree_in_order(root, lease):
    """It may be the first thing that the child of a killed build makes."""
    name = die_in_a_lease(root)
    end(lease())
    os.mkdir(name)
    item = lease()
    assert item.tree.directory != name
    assert not os.path.exists(name)


def test_keep(root, lease):
    """What somebody wants to look into stays where it is, and nobody builds in it."""
    kept = lease()
    open(kept.tree.egg_base + "/mark", "w").close()
    end(kept, keep=True)
    again = lease()
    assert again.tree.directory != kept.tree.directory
    assert os.listdir(again.tree.egg_base) == []
    assert os.listdir(kept.tree.egg_base) == ["mark"]


def test_kept_ones_are_bounded(root, lease, monkeypatch):
    """The oldest go."""
    monkeypatch.setattr(_lease, "_MOST_KEPT", 2)
    for number in range(5):
        kept = lease()
        end(kept, keep=True)
        mark = os.path.join(kept.tree.directory, "keep")
        os.utime(mark, (number, number))
    assert len(os.listdir(root)) <= 3
    assert kept.tree.directory in {
        os.path.join(root, name) for name in os.listdir(root)
    }


def test_unwritable_root(root):
    """One error that names the root, also where an OSError has no file name."""
    if os.geteuid() == 0:
        root = "/proc/self"
    else:
        os.chmod(root, 0o500)
    with pytest.raises(BuildRootError) as caught:
        _lease.lease(root, _lease.Kind(), "a test")
    assert caught.value.path == root


def test_private(tmp_path):
    """A tree without a lock, of a name that nobody else has, is gone at its end."""
    made = _lease.private(str(tmp_path), "a test")
    made.check()
    for failed in (False, True):
        made = _lease.private(str(tmp_path), "a test")
        end(made, failed=failed)
        assert not os.path.exists(made.tree.directory)
