"""What a build can end with: one line that names the path, the cause and the way out.

At its end is the address of the section in the documentation that says more.
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
    "SetuptoolsTooOldError",
    "SourceTreeError",
    "TurnError",
]

# Below what [project.urls] in pyproject.toml says; tests/test_docs.py compares.
_PAGE = (
    "https://github.com/setuptools-isolated-build/setuptools-isolated-build"
    "/blob/main/docs/reference/errors.md"
)


class IsolatedBuildError(BaseError):
    """Base of all errors of this package.

    Attributes:
        path: the file or directory (or settings source) that the error is about.
        cause: what is wrong with it.
        remedy: what the reader can do about it.
        section: the anchor of its section in the documentation of errors.
    """

    section = "errors"

    def __init__(self, path: str, cause: str, remedy: str) -> None:
        super().__init__(path, cause, remedy)
        self.path = path
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        address = f"{_PAGE}#{self.section}"
        return f"{self.path}: {self.cause}; {self.remedy} ({address})"


class SettingsError(IsolatedBuildError):
    """``[tool.setuptools-isolated-build]`` or its environment variables are wrong."""

    section = "settings"


class SetuptoolsTooOldError(IsolatedBuildError):
    """The setuptools that builds is older than the oldest one that is supported."""

    section = "setuptools-is-too-old"


class BuildRootError(IsolatedBuildError):
    """No build tree can be made below the directory that should hold them."""

    section = "no-place-for-the-build-tree"


class PublishError(IsolatedBuildError):
    """A finished archive could not be put into its directory; nothing was put there."""

    section = "the-archive-cannot-be-published"


class DiskFullError(IsolatedBuildError):
    """A file system ran full during the build."""

    section = "a-disk-is-full"


class BuildTreeLostError(IsolatedBuildError):
    """A build's private directories were removed or replaced while it was running."""

    section = "the-build-tree-was-removed"


class TurnError(IsolatedBuildError):
    """Another build of the source tree has kept its turn for too long."""

    section = "another-build-goes-on-too-long"


class SourceTreeError(IsolatedBuildError):
    """Another build was writing what this one has read, and it cannot be repeated."""

    section = "another-build-wrote-what-this-one-read"
