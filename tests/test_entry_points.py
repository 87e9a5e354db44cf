"""The installed entry points: read once, and never different from what is installed."""

from __future__ import annotations

import os
import sys

import harness
import pytest
import setuptools  # noqa: F401  # its modules are changed
from setuptools_isolated_build._setuptools import entry_points

GROUPS = (
    "distutils.commands",
    "distutils.setup_keywords",
    "egg_info.writers",
    "setuptools.finalize_distribution_options",
    "no.such.group",
)
TEXT = "[distutils.commands]\n{name} = here:Command\n"


@pytest.fixture
def metadata(monkeypatch):
    """What setuptools sees as its metadata module, for this test only."""
    importlib = sys.modules["setuptools._importlib"]
    original = importlib.metadata
    for name, module in list(sys.modules.items()):
        if name.startswith("setuptools.") and hasattr(module, "metadata"):
            monkeypatch.setattr(module, "metadata", module.metadata)
    while isinstance(original, entry_points._ReadOnce):
        original = original._wrapped
    monkeypatch.setattr(importlib, "metadata", original)
    entry_points.read_once()
    return importlib.metadata, original


@pytest.fixture
def count(metadata, monkeypatch):
    """Count how often the metadata is really read."""
    _, original = metadata
    calls = []
    read = original.entry_points

    def entry_points(**wanted):
        calls.append(wanted)
        return read(**wanted)

    monkeypatch.setattr(original, "entry_points", entry_points)
    return calls


def install(directory, name, kind="dist-info"):
    path = directory / f"{name}-1.{kind}"
    path.mkdir(parents=True)
    (path / ("METADATA" if kind == "dist-info" else "PKG-INFO")).write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
    )
    (path / "entry_points.txt").write_text(TEXT.format(name=name))


def names(metadata):
    return {found.name for found in metadata.entry_points(group="distutils.commands")}


def test_the_same(metadata):
    """Of each group and each name, in the same order, by the same types."""
    once, original = metadata
    for group in GROUPS:
        expected = original.entry_points(group=group)
        found = once.entry_points(group=group)
        assert list(found) == list(expected)
        assert type(found) is type(expected)
        for name in {*(entry.name for entry in expected), "no such name"}:
            wanted = {"group": group, "name": name}
            assert list(once.entry_points(**wanted)) == list(
                original.entry_points(**wanted)
            )
    module = {"module": "setuptools.command.build"}
    assert list(once.entry_points(**module)) == list(original.entry_points(**module))
    assert once.version("setuptools") == original.version("setuptools")


def test_read_once(metadata, count):
    """Whatever is asked for, as long as nothing changes."""
    once, _ = metadata
    for group in GROUPS:
        once.entry_points(group=group)
        once.entry_points(group=group, name="build")
    assert len(count) == 1


def test_an_installation(metadata, tmp_path, monkeypatch):
    """While setup.py runs: into a directory that is searched, and into a new one."""
    once, _ = metadata
    monkeypatch.syspath_prepend(tmp_path)
    assert not {"first", "second"} & names(once)
    install(tmp_path, "first")
    harness.let_age(tmp_path)
    os.utime(tmp_path)  # an installation is later than what was read before
    assert "first" in names(once)
    install(tmp_path / "new", "second")
    monkeypatch.syspath_prepend(tmp_path / "new")
    assert {"first", "second"} <= names(once)


def test_what_a_build_writes(metadata, tmp_path, monkeypatch):
    """An egg-info in the source tree is written again, and no directory changes."""
    once, _ = metadata
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "own", "egg-info")
    assert "own" in names(once)
    text = TEXT.format(name="another")
    (tmp_path / "own-1.egg-info" / "entry_points.txt").write_text(text)
    assert "another" in names(once)


def test_an_egg_info_in_the_tree(project, plain, plugged, tmp_path):
    """A command that the project brings along is there when egg_info has written it."""
    source = project(
        {
            "own.py": """
                from setuptools import Command
                class Own(Command):
                    user_options = []
                    def initialize_options(self): pass
                    def finalize_options(self): pass
                    def run(self): print("the project's command runs")
                """,
            "setup.py": """
                import os, sys
                from setuptools import setup
                from setuptools.command.egg_info import egg_info
                sys.path.insert(0, os.getcwd())
                class then_own(egg_info):
                    def run(self):
                        super().run()
                        self.run_command("own")
                setup(name="n", version="1", py_modules=["own"],
                      cmdclass={"egg_info": then_own},
                      entry_points={"distutils.commands": ["own = own:Own"]})
                """,
            "n.egg-info/entry_points.txt": "",
            "n.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: n\nVersion: 1\n",
        }
    )
    for environment in (plugged, plain):
        (source / "n.egg-info" / "entry_points.txt").write_text("")
        command = [environment.python, "setup.py", "egg_info"]
        run = environment.start(command, source)
        output = run.finish()
        assert run.status == 0, output
        assert "the project's command runs" in output
