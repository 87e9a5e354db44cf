"""One compilation through a compiler cache: right also where the cache is not.

ccache is told what the compiler would read today (`inputs`), so that it finds nothing
that was made from anything else; and it is kept from storing an object whose sources
changed while it was compiled (`guard`). A cache that fails is done without.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from setuptools_isolated_build._compilation import (
    ccache,
    direct,
    driver,
    guard,
    inputs,
)

if TYPE_CHECKING:
    from setuptools_isolated_build._compilation.lookups import Seen

__all__ = ["Cache"]

_GUARD = "setuptools-isolated-build-guard"
_TICK = 0.002  # seconds: file systems stamp by a clock that ticks every few of these
_MOST_TICKS = 50
_asking = threading.Lock()  # compilations that begin together would all ask the same
_broken: dict[str, object] = {}  # programs, each with who has seen it first


class Cache(NamedTuple):
    """A compiler cache in use, by one build.

    Attributes:
        program: the path of the cache's program.
        name: what it is, as `launcher` says it.
        directory: a private one, for files of ours.
        seen: what was looked for, as `lookups` has it.
    """

    program: str
    name: str
    directory: str
    seen: Seen

    def compile(
        self,
        run: Callable[..., None],
        compilation: inputs.Compilation,
        tell: Callable[[str], object],
        **kwargs: Any,
    ) -> None:
        """Compile through the cache, or without it if it cannot.

        Args:
            run: runs a command, and raises if that fails.
            compilation: what is compiled, which `known` knows.
            tell: says in the build's output what happens.
            kwargs: for *run*.
        """
        env = {**os.environ, **(kwargs.get("env") or {})}
        marker = os.path.join(self.directory, os.urandom(8).hex())
        try:
            asked = compilation.asked
            if self.name == "ccache" and self.program not in _broken:
                asked = self._ask(compilation, marker, env)
            if not asked or self.program in _broken:
                run(compilation.command, **kwargs)
                return
            asked = [self.program, *asked]
            if compilation.directory:
                into = ["sh", "-c", 'cd "$0" && exec "$@"', compilation.directory]
                asked = [*into, *asked]
            try:
                run(asked, **{**kwargs, "env": env})
            except _failures() as exc:
                if os.path.exists(marker + guard.FAILED):
                    raise _error_of(compilation.command, exc) from None
                if os.path.exists(marker + guard.OBJECT):
                    os.replace(marker + guard.OBJECT, _object(compilation.command))
                    tell("a source was changed meanwhile: its object is not stored")
                    return
                self._do_without(run, compilation.command, tell, kwargs)
        finally:
            _remove(marker)

    def _do_without(
        self,
        run: Callable[..., None],
        command: list[str],
        tell: Callable[[str], object],
        kwargs: dict[str, Any],
    ) -> None:
        tell(f"once more without {self.program}, in case it is what has failed")
        run(command, **kwargs)
        me = object()
        if _broken.setdefault(self.program, me) is not me:
            return  # a compilation beside this one has said it
        tell(f"{self.program} fails where the compiler does not: on without it")

    def _ask(
        self, compilation: inputs.Compilation, marker: str, env: dict[str, str]
    ) -> list[str]:
        """Return the arguments for ccache, and let *env* say what they depend on.

        Returns:
            No arguments if ccache may not be asked.
        """
        target = sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET")
        if target:  # as setuptools sets it
            env.setdefault("MACOSX_DEPLOYMENT_TARGET", str(target))
        asked, directory = compilation.asked, compilation.directory
        since = _make_newer(marker, asked)
        with _asking:
            stated = ccache.configuration(self.program)
            exactly = ccache.compares_contents(stated)
            tools = driver.toolchain(asked, env, self.directory, by_contents=exactly)
        if tools is None:
            return []
        compilation = compilation._replace(toolchain=tools.told)
        place = directory or os.getcwd()
        question = direct.question(compilation, env, stated)
        found = question.find(self.seen) if question else None
        if found is not None:
            _write(marker + guard.EXPECTED, found.listed)
        else:
            expected = marker + guard.EXPECTED
            found = inputs.read(compilation, expected, env, self.seen)
            if found is None:
                return []
            if question:
                question.keep(found)
        obj = os.path.join(place, _object(asked))
        states = {**found.states, **tools.states}
        paths = (f"./{path}" if path[0] == "-" else path for path in states)
        line = found.listed.removesuffix("\n")
        line = "-" if "\n" in line or not line else line  # which no list is
        before = guard.as_before(states.values(), since)
        variables = f"list={shlex.quote(line)}\nbefore='{before}'\n"
        _write(marker + guard.FILES, f"{variables}set -- {shlex.join(paths)}\n")
        _write(marker + guard.STATES, json.dumps([obj, since, states]))
        _write(marker + ".key", found.key)
        ccache.be_exact(env, stated, compilation.empty)
        env |= {
            guard.MARKER: marker,
            # By name, since ccache splits this at spaces.
            "CCACHE_PREFIX": f"{_GUARD} {stated.get('prefix_command', '')}".strip(),
            "PATH": self._guard() + os.pathsep + env.get("PATH", os.defpath),
            "CCACHE_EXTRAFILES": os.pathsep.join(
                filter(None, (stated.get("extra_files_to_hash"), marker + ".key"))
            ),
        }
        return [*asked, "-MD", "-MF", marker + guard.LISTED, "-MT", "-"]

    def _guard(self) -> str:
        """Return the directory in which `guard` is an executable."""
        directory = os.path.join(self.directory, "guard")
        if not os.path.isdir(directory):
            text = guard.SHELL.format(
                marker=guard.MARKER,
                failed=guard.FAILED,
                listed=guard.LISTED,
                expected=guard.EXPECTED,
                files=guard.FILES,
                stat=guard.STAT,
                python=shlex.join([sys.executable, "-I", "-S", guard.__file__]),
            )
            staged = tempfile.mkdtemp(dir=self.directory)
            path = os.path.join(staged, _GUARD)
            with open(path, "w", encoding=sys.getfilesystemencoding()) as file:
                file.write(text)
            os.chmod(path, 0o700)
            with contextlib.suppress(OSError):  # another thread was first
                os.replace(staged, directory)
        return directory


def _object(command: list[str]) -> str:
    return command[command.index("-o") + 1]


def _failures() -> tuple[type[Exception], ...]:
    """Return what is raised if a command fails: by setuptools, where it is imported."""
    errors = sys.modules.get("distutils.errors")
    own = (errors.DistutilsExecError,) if errors else ()
    return (*own, subprocess.CalledProcessError, OSError)


def _error_of(command: list[str], exc: Exception) -> Exception:
    """Return *exc* as it is when the compiler is run without a cache."""
    if isinstance(exc, subprocess.CalledProcessError):
        return subprocess.CalledProcessError(exc.returncode, command)
    program = shutil.which(command[0]) or command[0]
    return type(exc)(
        f"command {program!r} failed with {str(exc).rpartition(' failed with ')[2]}"
    )


def _write(path: str, text: str) -> None:
    with open(path, "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _remove(marker: str) -> None:
    suffixes = (
        *(guard.FILES, guard.STATES, guard.LISTED, guard.EXPECTED, guard.OBJECT),
        *(guard.FAILED, ".key"),
    )
    for path in (marker, *(marker + suffix for suffix in suffixes)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _make_newer(path: str, command: list[str]) -> int:
    """Make the file *path*, newer than what the command names; return its time."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    newest = max(map(_changed, command))
    for _ in range(_MOST_TICKS):
        if newest < os.stat(path).st_ctime_ns:
            break
        time.sleep(_TICK)  # a source was generated in this very tick
        os.utime(path)
    return os.stat(path).st_ctime_ns


def _changed(path: str) -> int:
    """Return when *path* was changed last, in nanoseconds, or 0 if it is no file."""
    try:
        return os.stat(path).st_ctime_ns
    except (OSError, ValueError):
        return 0
