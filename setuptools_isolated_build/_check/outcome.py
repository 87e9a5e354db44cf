"""What came of the check of a project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .advice import Advice

if TYPE_CHECKING:
    from .advice import Trial
    from .errors import CheckError
    from .project import Project
    from .results import Half
    from .saving import Saving

__all__ = ["Result", "Unknown"]


@dataclass
class Result:
    """What came of the check of one project.

    Attributes:
        quiet: what is wrong with quiet builds with the plugin.
        varying: members of archives that are others each time, without the plugin too.
        written: what the project's own build writes into its tree.
    """

    project: Project
    without: Half
    with_plugin: Half
    quiet: list[str] = field(default_factory=list)
    varying: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    trial: Trial | None = None
    saving: Saving | None = None
    advice: Advice = field(default_factory=Advice)

    @property
    def is_right(self) -> bool:
        """Whether all is right with the plugin."""
        is_cached_right = self.saving is None or self.saving.is_right
        return not self.quiet and self.with_plugin.is_right and is_cached_right


class Unknown(NamedTuple):
    """A project of which it could not be told, and why."""

    path: str
    error: CheckError
