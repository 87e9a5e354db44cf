"""``build`` below a private build_base, when a wheel is what is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from setuptools_isolated_build import _build_meta, _isolation

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["Build"]

# By hand, these are asked for what they leave in build/.
_IN_TREE = {
    "bdist_dumb",
    "bdist_egg",
    "bdist_rpm",
    "build",
    "build_clib",
    "build_ext",
    "build_py",
    "build_scripts",
    "clean",
    "develop",
    "install",
    "install_lib",
}


class Build(_Base):
    """Mixin: changes the default of build_base, from which all others are derived."""

    build_base: str
    build_base_in_tree: str

    def finalize_options(self) -> None:
        """Use the build tree, unless the user has said otherwise."""
        dist = self.distribution
        self.build_base_in_tree = self.build_base
        requested = _isolation.requested(dist)
        if "bdist_wheel" in requested:
            # Before sdist, say, derives other paths: "setup.py sdist bdist_wheel".
            _isolation.isolate(dist)
        isolation = _isolation.current(dist)
        if (
            isolation is not None
            and not _isolation.stated_by_user(dist, "build", "build_base")
            and (_IN_TREE.isdisjoint(requested) or _build_meta.running_hook())
        ):
            self.build_base = isolation.tree.build_base
        super().finalize_options()
