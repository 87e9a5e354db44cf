"""The environments: without and with the plugin, otherwise the same."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import environments, frontends
from .errors import CheckError
from .plugin import make_wheel
from .side import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .options import Options
    from .place import Place
    from .project import Project
    from .tell import Watcher

    _Run = Callable[[Sequence[str]], object]

__all__ = ["OFF", "Setups"]

OFF = {"SETUPTOOLS_ISOLATED_BUILD_ENABLED": "false"}
_REQUIRES = (
    "get_requires_for_build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_editable",
)
_IS_SUPPORTED = "import sys, venv; assert sys.version_info >= (3, 9), sys.version"
_WAY_OUT = "with --no-isolation it is built with what is installed here"


class Setups:
    """The environments of a check; projects with the same requirements share them.

    Attributes:
        frontends: those that are there.
        uv: the command that starts uv.
    """

    def __init__(self, options: Options, place: Place) -> None:
        self._place = place
        self._is_isolated = options.is_isolated
        self._pythons = self._found(options.pythons)
        self._made: dict[tuple[str, ...], Path] = {}
        self._wheel: Path | None = None
        self.uv = _uv()
        self.frontends = [frontends.HOOKS_ALONE, "pip", "build"]
        if not options.is_isolated:
            python = next(iter(self._pythons.values()))
            self.frontends = [
                name
                for name in self.frontends
                if name == frontends.HOOKS_ALONE or self._has(python, name)
            ]
        if self.uv:
            self.frontends.append("uv")

    def sides(
        self, project: Project, tree: Path, watcher: Watcher
    ) -> tuple[Side, Side]:
        """Return how *project* is built without the plugin, and how with it.

        Raises:
            CheckError: an environment cannot be made, or has no setuptools.
        """
        plain, plugged = {}, {}
        off = {}
        for name, base in self._pythons.items():
            if not self._is_isolated:
                plain[name] = plugged[name] = Path(base)
                off = OFF
                if not self._has(base, "setuptools_isolated_build"):
                    raise CheckError(
                        f"{base}: has no setuptools-isolated-build; install it, or "
                        "leave --no-isolation out"
                    )
                continue
            watcher.step(f"an environment for {', '.join(project.requires)}")
            plain[name] = self._make(base, project.requires)
            self._expect_setuptools(project, tree, plain[name])
            more = self._hooks_requires(project, tree, plain[name])
            if more:
                plain[name] = self._extend(plain[name], more)
            watcher.step("the same with the plugin")
            bare = plugged[name] = self._extend(plain[name], [str(self._plugin())])
            if project.extras:
                plugged[name] = self._extend(bare, [self._with(project.extras)])
            if project.has_our_backend:
                plain[name], off = bare, OFF
        stated = (project.backend, project.backend_path)
        # With the extra [ccache] that is there already: never the user's own cache.
        cache = {"CCACHE_DIR": str(self._place.new("ccache"))} if project.extras else {}
        return (
            Side("without the plugin", plain, tree, *stated, off, is_plugged=False),
            Side("with the plugin", plugged, tree, *stated, cache, is_plugged=True),
        )

    def of_ccache(
        self, sides: tuple[Side, Side], watcher: Watcher
    ) -> tuple[Side, Side] | None:
        """Return the side with the plugin without the extra [ccache], and with it.

        Or None under --no-isolation, where nothing is installed.
        """
        if not self._is_isolated:
            return None
        watcher.step("the same with the extra [ccache]")
        plain, plugged = sides
        name, python = next(iter(plain.pythons.items()))
        bare = self._extend(python, [str(self._plugin())])
        extra = self._extend(bare, [self._with(["ccache"])])
        return (
            plugged._replace(pythons={name: bare}),
            plugged._replace(pythons={name: extra}),
        )

    def _with(self, extras: Sequence[str]) -> str:
        """Return the requirement of the plugin with *extras*."""
        return f"{self._plugin()}[{','.join(extras)}]"

    def _plugin(self) -> Path:
        if self._wheel is None:
            self._wheel = make_wheel(
                self._place.new("wheelhouse"),
                lambda command: self._place.run(command, "a wheel of the plugin", ""),
            )
        return self._wheel

    def _make(self, base: str, requirements: Sequence[str]) -> Path:
        """Make an environment of the interpreter *base*."""
        return self._once(
            (base, *sorted(requirements)),
            lambda path, run: environments.create(
                path, ["build", *requirements], run, base
            ),
        )

    def _extend(self, python: Path, requirements: Sequence[str]) -> Path:
        """Make one with what is in the environment of *python*, and more."""
        return self._once(
            (str(python), *sorted(requirements)),
            lambda path, run: environments.copy(python, path, requirements, run),
        )

    def _once(self, key: tuple[str, ...], make: Callable[[Path, _Run], Path]) -> Path:
        if key not in self._made:
            what = f"installing {', '.join(key[1:])}"

            def run(command: Sequence[str]) -> object:
                return self._place.run(command, what, _WAY_OUT)

            self._made[key] = make(self._place.new("environment"), run)
        return self._made[key]

    def _expect_setuptools(self, project: Project, tree: Path, python: Path) -> None:
        path = [str(tree / name) for name in project.backend_path]
        if not self._has(str(python), "setuptools", path):
            raise CheckError(
                f"{project.path}: is built by {project.backend} without setuptools, so "
                "there is nothing that the plugin could do"
            )

    def _hooks_requires(self, project: Project, tree: Path, python: Path) -> list[str]:
        """Ask the hooks what else is needed, in a copy of its own."""
        if project.has_our_backend:
            return []  # it is not there yet, and adds nothing to setuptools' own
        copy = self._place.new("asked") / project.path.name
        shutil.copytree(tree, copy, symlinks=True)
        needed: set[str] = set()
        path = [str(copy / name) for name in project.backend_path]
        program = "import os, sys; os.chdir(sys.argv.pop(1))\n"
        program += frontends.backend_code(path)
        program += f"for hook in {_REQUIRES!r}:\n"
        program += "    if hasattr(build_meta, hook):\n"
        program += "        print('needs:', *getattr(build_meta, hook)(), sep='\\t')\n"
        command = [str(python), "-c", program, str(copy), project.backend]
        output = self._place.run(
            command, "the hooks for requirements", "correct that first"
        )
        for line in output.splitlines():
            if line.startswith("needs:"):
                needed.update(line.split("\t")[1:])
        shutil.rmtree(copy)
        return sorted(needed)

    def _found(self, stated: Sequence[str]) -> dict[str, str]:
        """Return the interpreters by their names."""
        found: dict[str, str] = {}
        for text in stated:
            path = shutil.which(text)
            if path is None:
                raise CheckError(f"--python {text}: not there; give the path of one")
            self._place.run(
                [path, "-c", _IS_SUPPORTED],
                f"--python {text}: is no Python 3.9 or later",
                "give the path of one",
            )
            names = (os.path.basename(text), text, path)
            found[next(name for name in names if found.get(name, path) == path)] = path
        return found or {"python": sys.executable}

    def _has(self, python: str, module: str, path: Sequence[str] = ()) -> bool:
        """Whether the interpreter can import *module*, also from those directories."""
        code = f"import sys, importlib.util as u; sys.path[:1] = {list(path)!r}\n"
        code += f"print(bool(u.find_spec({module!r})))"
        command = [python, "-c", code]
        output = self._place.run(command, f"looking for {module}", f"see {python}")
        return output.strip() == "True"


def _uv() -> list[str]:
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    path = beside or shutil.which("uv")
    return [path] if path else []
