"""``install``: where a wheel's files go, without the work that changes nothing.

It pays for the modules that the plugin loads: one build is to cost no more than before.
"""

from __future__ import annotations

from distutils import util  # setuptools' own
from distutils.command import install as _distutils
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["Install"]

_EXPANDED = frozenset("~${}")


class Install(_Base):
    """Mixin: expands only the directories in which there is something to expand.

    For each of eight, `distutils.util.subst_vars` makes text of all configuration
    variables, nearly a thousand. None of a wheel's names one.
    """

    def _expand_attrs(self, attrs: Iterable[str]) -> None:
        expand: Any = super()._expand_attrs  # type: ignore[misc]
        if _is_setuptools_own(expand):
            util.check_environ()  # it sets PLAT, which whatever runs later sees
            attrs = [name for name in attrs if not _is_plain(getattr(self, name))]
        expand(attrs)


def _is_setuptools_own(expand: Any) -> bool:
    substitute = vars(util).get("subst_vars")
    return (
        getattr(expand, "__globals__", None) is vars(_distutils)
        and getattr(substitute, "__globals__", None) is vars(util)
        and vars(_distutils).get("subst_vars") is substitute
    )


def _is_plain(value: Any) -> bool:
    return type(value) is str and _EXPANDED.isdisjoint(value)
