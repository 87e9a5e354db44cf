"""Integers, the slow way."""

from ._native import factorial, power

__all__ = ["factorial", "power"]
