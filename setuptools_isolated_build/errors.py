"""What a build can end with: one line that names the path, the cause and the way out.

All of these derive from `setuptools.errors.BaseError`, which distutils' ``setup()``
prints as ``error: …`` without a traceback.
"""

from __future__ import annotations

from setuptools.errors import BaseError

__all__ = [
    "BuildRootError",
    "BuildTreeLostError",
    "DiskFullError",
    "IsolatedBuildError",
    "PublishError",
    "SettingsError",
    "SourceTreeError",
    "TurnError",
]


class IsolatedBuildError(BaseError):
    """Base of all errors of this package.

    Attributes:
        path: the file or directory (or settings source) that the error is about.
        cause: what is wrong with it.
        remedy: what the reader can do about it.
    """

    def __init__(self, path: str, cause: str, remedy: str) -> None:
        super().__init__(path, cause, remedy)
        self.path = path
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.cause}; {self.remedy}"


class SettingsError(IsolatedBuildError):
    """``[tool.setuptools-isolated-build]`` or its environment variables are wrong."""


class BuildRootError(IsolatedBuildError):
    """No build tree can be made below the directory that should hold them."""


class PublishError(IsolatedBuildError):
    """A finished archive could not be put into its directory; nothing was put there."""


class DiskFullError(IsolatedBuildError):
    """A file system ran full during the build."""


class BuildTreeLostError(IsolatedBuildError):
    """A build's private directories were removed or replaced while it was running."""


class TurnError(IsolatedBuildError):
    """Another build of the source tree has kept its turn for too long."""


class SourceTreeError(IsolatedBuildError):
    """Another build was writing what this one has read, and it cannot be repeated."""
