"""Knows the names of its modules from a file that the build has made."""

from ._modules import MODULES

__all__ = ["MODULES"]
