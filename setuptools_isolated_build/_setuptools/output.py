"""What the plugin says in a build's output."""

from __future__ import annotations

__all__ = ["tell", "warn"]


def tell(message: str) -> None:
    """Put *message* into the build's output, at the verbosity of "running …"."""
    from distutils import log  # setuptools' own; it has to be imported first

    log.info(message)


def warn(message: str) -> None:
    """Put *message* into the build's output, also under ``--quiet``."""
    from distutils import log

    log.warn(message)
