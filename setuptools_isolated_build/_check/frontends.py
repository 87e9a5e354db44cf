"""How each frontend is told to build, in the environment that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "HOOKS",
    "HOOKS_ALONE",
    "WAYS",
    "Way",
    "backend_code",
    "command",
    "hook_code",
]

# What frontends ask a backend for, by the name of what they get: the hook and how it is
# called, with "{}" for the result directory.
HOOKS: dict[str, tuple[object, ...]] = {
    "wheel": ("build_wheel", "{}"),
    "sdist": ("build_sdist", "{}"),
    "editable": ("build_editable", "{}"),
    "strict editable": ("build_editable", "{}", {"editable_mode": "strict"}),
    "metadata": ("prepare_metadata_for_build_wheel", "{}"),
    "editable metadata": ("prepare_metadata_for_build_editable", "{}"),
    "requires": ("get_requires_for_build_wheel",),
    "sdist requires": ("get_requires_for_build_sdist",),
    "editable requires": ("get_requires_for_build_editable",),
}
HOOKS_ALONE = "hooks"
_BACKEND = """
from importlib import import_module
backend, *args = sys.argv[1:]
del sys.argv[1:]
module, _, name = backend.partition(":")
build_meta = import_module(module)
for part in filter(None, name.split(".")):
    build_meta = getattr(build_meta, part)
"""
# Its last but one line says who has had a part in it. There is no brace in it: from
# Python 3.13 on tracebacks show its lines as those of a setup.py, which is "<string>"
# too, and setuptools formats the text of a traceback (editable_wheel._safely_run).
_CALL = """
hook, *args = args
args[1:] = map(eval, args[1:])  # config_settings
result = getattr(build_meta, hook)(*args)
known = ("setuptools", "setuptools_isolated_build")
print("built with:", *(name for name in known if name in sys.modules))
print("result:", result)
"""
_PIP = (
    "-m pip wheel --no-deps --no-build-isolation --no-cache-dir"
    " --disable-pip-version-check -vv --wheel-dir"
)
_BUILD = "-m build --{} --no-isolation --skip-dependency-check --outdir"
_UV = "build --{} --no-build-isolation --offline --python"


class Way(NamedTuple):
    """Which frontend makes which artifact."""

    frontend: str
    artifact: str

    def __str__(self) -> str:
        return f"{self.frontend} {self.artifact}"


WAYS = (
    *(Way(HOOKS_ALONE, name) for name in ("wheel", "sdist", "editable", "metadata")),
    Way("pip", "wheel"),
    *(Way("build", name) for name in ("wheel", "sdist")),
    *(Way("uv", name) for name in ("wheel", "sdist")),
)


def hook_code(path: Sequence[str] = ()) -> str:
    """Return a program that calls a hook: ``python -c CODE BACKEND HOOK ARGUMENT …``.

    Args:
        path: what is on ``sys.path`` in place of the current directory.
    """
    return backend_code(path) + _CALL


def backend_code(path: Sequence[str] = ()) -> str:
    """Return a program that has BACKEND as ``build_meta``, and calls no hook."""
    return f"import sys\nsys.path[:1] = {list(path)!r}\n{_BACKEND}"


def command(  # what a frontend has to be told
    way: Way,
    python: str,
    source: Path,
    out: Path,
    backend: str,
    backend_path: Sequence[str] = (),
    uv: Sequence[str] = (),
) -> list[str]:
    """Return the command by which *way* builds *source* into *out*.

    None isolates the environment: what *python* can import is what builds.

    Args:
        backend: whose hooks are called, where that is the frontend's affair.
        uv: the command that starts uv.
    """
    if way.frontend == HOOKS_ALONE:
        arguments = [str(arg).replace("{}", str(out)) for arg in HOOKS[way.artifact]]
        return [python, "-c", hook_code(backend_path), backend, *arguments]
    if way.frontend == "pip":
        return [python, *_PIP.split(), str(out), str(source)]
    if way.frontend == "build":
        return [python, *_BUILD.format(way.artifact).split(), str(out), str(source)]
    arguments = _UV.format(way.artifact).split()
    return [*uv, *arguments, python, "--out-dir", str(out), str(source)]
