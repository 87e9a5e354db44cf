"""Any number of setuptools builds of one source tree at once.

There is nothing to call: add ``setuptools-isolated-build`` to ``build-system.requires``
and setuptools finds `_plugin` through its entry point. The errors that a build may end
with are public.
"""

from __future__ import annotations

from . import errors

__all__ = ["errors"]
