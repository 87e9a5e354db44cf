"""The sdist has what setuptools packs in a pristine tree: names, order, modes, contents."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import harness
import pytest

CHECKOUT = {
    "setup.py": """
        from setuptools import setup
        setup(name="n_x", version="1.0rc1", packages=["p", "p.q"], package_dir={"": "lib"},
              include_package_data=True, scripts=["bin/tool"],
              data_files=[("share", ["dist/bundle.js", "dist/assets.tar.xz"])],
              entry_points={"console_scripts": ["run = p:run"]})
        """,
    "MANIFEST.in": "graft lib\nglobal-include *.rst\nglobal-exclude *.pyc\n",
    "README.rst": "read me\n",
    "docs/more.rst": "more\n",
    "bin/tool": "#!/usr/bin/python\n",
    "dist/bundle.js": "a project's own file in dist/\n",
    "dist/assets.tar.xz": "another one\n",
    "lib/p/__init__.py": "def run(): pass\n",
    "lib/p/q/__init__.py": "",
    "lib/p/q/ä.dat": "data\n",
}


@pytest.fixture
def same_sdist(plain, plugged, tmp_path):
    """Make an sdist of a pristine tree without, and of the tree itself with the plugin.

    Asserts that names, order, types, modes and contents are the same and that the tree
    stayed as it was; returns the two sdists.
    """

    def check(source, dirty=lambda source: None):
        pristine = tmp_path / "pristine"
        shutil.copytree(source, pristine, symlinks=True)
        status, output = plain.hook(source, "build_sdist", str(tmp_path / "expected"))
        assert status == 0, output
        shutil.rmtree(source)
        pristine.rename(source)
        dirty(source)
        before = harness.listing(source)
        status, output = plugged.hook(source, "build_sdist", str(tmp_path / "out"))
        assert status == 0, output
        assert "not a regular file" not in output
        (expected,) = (tmp_path / "expected").iterdir()
        (sdist,) = (tmp_path / "out").iterdir()
        assert sdist.name == expected.name
        assert harness.archive_contents(sdist) == harness.archive_contents(expected)
        assert harness.listing(source) == before
        return sdist, expected

    return check


@pytest.mark.parametrize("example", harness.PROJECTS)
def test_examples(example, tmp_path, same_sdist):
    same_sdist(harness.copy(harness.EXAMPLES / example, tmp_path / "project"))


def test_egg_info_below_package_dir(project, same_sdist):
    """The egg-info is packed at its usual place and listed under that name."""
    sdist, _ = same_sdist(project(CHECKOUT))
    contents = {name: content for name, *_, content in harness.archive_contents(sdist)}
    listed = contents["n_x-1.0rc1/lib/n_x.egg-info/SOURCES.txt"].decode().splitlines()
    assert "lib/n_x.egg-info/SOURCES.txt" in listed
    assert "lib/n_x.egg-info/entry_points.txt" in listed
    assert not [name for name in listed if os.path.isabs(name)]


@pytest.mark.parametrize(
    "lines",
    [
        "prune *.egg-info",
        "prune n.egg-info",
        "global-exclude *.txt",
        "recursive-exclude n.egg-info *",
        "exclude n.egg-info/PKG-INFO",
        "graft n.egg-info\nglobal-include *",
        # The same files by another name, which is in SOURCES.txt too.
        "recursive-include . *.txt",
        "graft ./n.egg-info\nglobal-exclude *.txt",
        "prune *.egg-info\ninclude ./n.egg-info/PKG-INFO n.egg-info/top_level.txt",
        "global-exclude **\ngraft n.egg-info",
        "not-a-command x\nprune\n\n# nothing\nexclude \\\n  n.egg-info/top_level.txt",
    ],
)
def test_template_that_names_the_egg_info(lines, project, same_sdist):
    """MANIFEST.in is read when the egg-info is private, and means the usual one."""
    same_sdist(
        project(
            {
                "setup.py": "from setuptools import setup; setup(name='n', version='1')\n",
                "MANIFEST.in": f"{lines}\n",
                "a.txt": "a\n",
            }
        )
    )


@pytest.mark.parametrize("mark", ["*", ""])
def test_left_overs_do_not_ship(mark, project, same_sdist):
    """What builds of any kind have left in a checkout, with a template that takes all."""
    source = project({**CHECKOUT, "MANIFEST.in": "global-include *\n"})

    def dirty(source: Path) -> None:
        for name in (
            "build/lib/p/old.py",
            "build/.tmp-0123456789abcdef/build/__editable__.n/p.py",
            "dist/n_x-0.9.tar.gz",
            "dist/n_x-0.9-py3-none-any.whl",
            "dist/.gitignore",
            "dist/.tmp-abcdefgh/n_x-1.tar.gz",
            "lib/n_x.egg-info/SOURCES.txt",
            "lib/n_x.egg-info/requires.txt",
            "lib/old_name.egg-info/PKG-INFO",
            "n_x.egg-info/PKG-INFO",
            "n_x-1.0rc1/setup.py",
            "lib/p/.tmp-0123456789abcdef/fast.so",
        ):
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            texts = {"SOURCES.txt": "lib/p/deleted.py\n", ".gitignore": mark}
            path.write_text(texts.get(path.name, "old\n"))

    sdist, _ = same_sdist(source, dirty)
    names = [name for name, *_ in harness.archive_contents(sdist)]
    assert any(name.endswith("/dist/bundle.js") for name in names)


def test_a_projects_own_gitignore_in_dist(project, same_sdist):
    """It is not the one that uv writes there."""
    text = "*\n!bundle.js\n"
    template = CHECKOUT["MANIFEST.in"] + "graft dist\n"
    files = {**CHECKOUT, "MANIFEST.in": template, "dist/.gitignore": text}
    sdist, _ = same_sdist(project(files))
    names = {name for name, *_ in harness.archive_contents(sdist)}
    assert "n_x-1.0rc1/dist/.gitignore" in names


def test_an_egg_info_that_is_a_source(project, same_sdist):
    """One by which a tree has entry points while it is built, as setuptools' own has."""
    files = {**CHECKOUT, "bootstrap.egg-info/entry_points.txt": "[x]\ny = z\n"}
    files["MANIFEST.in"] += "graft bootstrap.egg-info\n"
    files["setup.py"] = files["setup.py"].replace('package_dir={"": "lib"},', "")
    files |= {name[4:]: files.pop(name) for name in CHECKOUT if name[:4] == "lib/"}
    sdist, _ = same_sdist(project(files))
    names = {name for name, *_ in harness.archive_contents(sdist)}
    assert "n_x-1.0rc1/bootstrap.egg-info/entry_points.txt" in names


def test_egg_base_of_the_project(project, same_sdist):
    """setup.cfg is packed with the version's tags, and names the egg_base."""
    same_sdist(
        project(
            {
                "setup.py": "from setuptools import setup; setup(name='n', version='1')\n",
                "setup.cfg": "[egg_info]\negg_base = meta\ntag_build = .dev7\n\n"
                "[sdist]\nformats = zip\n",
                "meta/keep.txt": "",
                "MANIFEST.in": "recursive-include meta *\n",
            }
        )
    )


def test_subclass_writes_into_the_release_tree(project, same_sdist):
    """As versioneer does, and those who vendor: base_dir is where the tree is."""
    same_sdist(
        project(
            {
                "setup.py": """
                    import os
                    from setuptools import setup
                    from setuptools.command.sdist import sdist

                    class versioning_sdist(sdist):
                        def make_release_tree(self, base_dir, files):
                            super().make_release_tree(base_dir, files)
                            os.unlink(os.path.join(base_dir, "v.py"))
                            with open(os.path.join(base_dir, "v.py"), "w") as file:
                                file.write("version = 1\\n")
                            path = os.path.join(base_dir, "n.egg-info", "PKG-INFO")
                            with open(path, "a") as file:
                                file.write("and more\\n")

                    setup(name="n", version="1", py_modules=["v"],
                          cmdclass={"sdist": versioning_sdist})
                    """,
                "v.py": "version = None\n",
            }
        )
    )


def test_other_plugins_files(project, same_sdist):
    """Writers of other plugins, and sub-commands with sources of their own."""
    same_sdist(
        project(
            {
                "setup.py": """
                    from setuptools import Command, setup
                    from setuptools.command.build import build

                    class extra(Command):
                        user_options = []
                        editable_mode = False
                        def initialize_options(self): self.build_lib = None
                        def finalize_options(self):
                            self.set_undefined_options("build_py", ("build_lib",) * 2)
                        def run(self): pass
                        def get_source_files(self): return ["grammar.txt"]

                    class building(build):
                        sub_commands = [*build.sub_commands, ("extra", None)]

                    setup(name="n", version="1",
                          cmdclass={"build": building, "extra": extra})
                    """,
                "grammar.txt": "a: b\n",
                "ignored.txt": "",
            }
        )
    )


def test_sdist_of_an_unpacked_sdist(project, plain, same_sdist, tmp_path):
    """Its SOURCES.txt alone knows of its data, and it is rebuilt to the same sdist."""
    source = project(CHECKOUT, at="checkout")
    status, output = plain.setup_py(source, "sdist", "--dist-dir", str(tmp_path))
    assert status == 0, output
    first = tmp_path / "n_x-1.0rc1.tar.gz"
    (first,) = [first] if first.exists() else tmp_path.glob("n*.tar.gz")
    unpacked = harness.unpack(first, tmp_path / "unpacked")
    (unpacked / "MANIFEST.in").unlink()
    sdist, _ = same_sdist(unpacked)
    names = [name for name, *_ in harness.archive_contents(sdist)]
    assert any(name.endswith("ä.dat") for name in names)


def test_wheel_from_the_sdist(project, plugged, tmp_path):
    """The wheel built from the sdist is the one built from the tree."""
    source = project(CHECKOUT)
    from_tree = plugged.build(source, tmp_path / "from_tree")
    status, output = plugged.hook(source, "build_sdist", str(tmp_path / "sdists"))
    assert status == 0, output
    (sdist,) = (tmp_path / "sdists").iterdir()
    unpacked = harness.unpack(sdist, tmp_path / "unpacked")
    from_sdist = plugged.build(unpacked, tmp_path / "from_sdist")
    assert harness.wheel_contents(from_sdist) == harness.wheel_contents(from_tree)


def by_hand(plain, plugged, source, *command):
    """Run setup.py without the plugin in a copy and with it here; compare archives.

    Returns the names that each has left in its tree.
    """
    pristine = Path(shutil.copytree(source, source.parent / "copy", symlinks=True))
    left = []
    for environment, tree in ((plain, pristine), (plugged, source)):
        before = set(tree.rglob("*"))
        status, output = environment.setup_py(tree, *command)
        assert status == 0, output
        new = set(tree.rglob("*")) - before
        left.append({path.relative_to(tree).as_posix() for path in new})
    for name in left[0]:
        ours, theirs = source / name, pristine / name
        if ours.is_file() and theirs.is_file():
            if tarfile.is_tarfile(theirs) or theirs.suffix == ".whl":
                same = harness.archive_contents(ours) == harness.archive_contents(
                    theirs
                )
                assert same, name
            elif theirs.suffix == ".zip":
                ours_in, theirs_in = map(harness.wheel_contents, (ours, theirs))
                assert sorted(ours_in) == sorted(theirs_in)
            else:
                assert ours.read_bytes() == theirs.read_bytes(), name
    return left


def test_all_formats(project, plain, plugged):
    """By hand, with owner and group: all archives, and nothing else, in dist/."""
    command = ["sdist", "--formats", "tar,gztar,bztar,xztar,zip"]
    command += ["--owner", harness.user(), "--group", harness.user()]
    theirs, ours = by_hand(plain, plugged, project(CHECKOUT), *command)
    assert {name for name in theirs if name.startswith("dist/")} == ours
    assert len(ours) == 5


def test_keep_temp(project, plain, plugged):
    """The release tree is left where setuptools leaves it, with the same files."""
    theirs, ours = by_hand(plain, plugged, project(CHECKOUT), "sdist", "--keep-temp")
    assert {name for name in theirs if "lib/n_x.egg-info" not in name[:16]} == ours
    assert "n_x-1.0rc1/lib/n_x.egg-info/SOURCES.txt" in ours


def test_manifest_only(project, plain, plugged):
    """The option is one that setuptools has taken away, with and without the plugin."""
    source = project(CHECKOUT)
    outputs = []
    for environment in (plain, plugged):
        status, output = environment.setup_py(source, "sdist", "--manifest-only")
        assert status == 1
        outputs.append(output.strip().splitlines()[-1])
    assert outputs[0] == outputs[1] == "error: option --manifest-only not recognized"


def test_with_other_commands(project, plain, plugged):
    """Several in one line: each archive as setuptools makes it, products in the tree."""
    theirs, ours = by_hand(
        plain, plugged, project(CHECKOUT), "egg_info", "bdist_wheel", "sdist"
    )
    assert {name for name in theirs if not name.startswith("build")} == ours
