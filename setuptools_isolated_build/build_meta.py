"""A build backend whose builds run side by side under uv, too.

    [build-system]
    requires = ["setuptools", "setuptools-isolated-build"]
    build-backend = "setuptools_isolated_build.build_meta"

It is `setuptools.build_meta` with all its hooks, under a name for which uv takes no
lock of its own. What that lock protects, and the entry point cannot reach, takes turns
here: setup.py, from its first line to its first command, so that what it generates
(``cythonize()``, version files) is made by one build at a time. Commands, and with them
compilers, are outside.

Other names: ``setuptools_isolated_build.build_meta:__legacy__``, for projects that name
`setuptools.build_meta:__legacy__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from setuptools import build_meta as _setuptools

from . import _failures, _turns

if TYPE_CHECKING:
    _Base = _setuptools._BuildMetaBackend  # noqa: SLF001
else:
    _Base = object

__all__ = [
    "SetupRequirementsError",
    "__legacy__",
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


class _SetupInTurn(_Base):
    """Mixin: lets setup.py take turns with other builds of the tree."""

    def run_setup(self, *args: Any, **kwargs: Any) -> None:
        with _turns.setup_in_turn():
            try:
                super().run_setup(*args, **kwargs)
            except (Exception, SystemExit) as exc:
                # It may have imported what another build was writing.
                if not _failures.setup_is_repeated(exc):
                    raise


class IsolatedBackend(_SetupInTurn, _setuptools._BuildMetaBackend):  # noqa: SLF001
    pass


class IsolatedLegacyBackend(_SetupInTurn, _setuptools._BuildMetaLegacyBackend):  # noqa: SLF001
    pass


_backend = IsolatedBackend()
__legacy__ = IsolatedLegacyBackend()
SetupRequirementsError = _setuptools.SetupRequirementsError

build_sdist = _backend.build_sdist
build_wheel = _backend.build_wheel
get_requires_for_build_sdist = _backend.get_requires_for_build_sdist
get_requires_for_build_wheel = _backend.get_requires_for_build_wheel
prepare_metadata_for_build_wheel = _backend.prepare_metadata_for_build_wheel

# Older releases let the user switch them off: SETUPTOOLS_ENABLE_FEATURES.
if hasattr(_setuptools, "build_editable"):
    build_editable = _backend.build_editable
    get_requires_for_build_editable = _backend.get_requires_for_build_editable
    prepare_metadata_for_build_editable = _backend.prepare_metadata_for_build_editable
