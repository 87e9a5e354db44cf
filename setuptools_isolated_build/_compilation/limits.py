"""How many compilers a build may run at once: by cores, by memory, or as stated."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build._setuptools.distribution import stated_by_user

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["cores", "of_this_process", "stated"]

_OF_ONE_COMPILER = 1 << 30  # bytes
_CGROUPS = "sys/fs/cgroup"


def stated(
    setting: float | str, command: Any, environ: Mapping[str, str]
) -> int | None:
    """Return how many compilers are asked for, or None if nobody has said.

    The setting wins; then what the user says of `parallel`; then MAX_JOBS, which other
    build tools look at; then what the project says of `parallel`.

    Args:
        setting: the setting ``jobs``.
        command: ``build_ext`` or ``build_clib``.
        environ: the environment.
    """
    if not isinstance(setting, str):
        return int(setting)
    # Of ``build``, from which build_ext takes it; build_clib has none of its own.
    owners = [command, command.get_finalized_command("build")]
    parallel = next(filter(None, (getattr(o, "parallel", None) for o in owners)), None)
    number = parallel if type(parallel) is int else None  # True is for all cores
    is_by_user = any(
        stated_by_user(command.distribution, name, "parallel")
        for name in ("build_ext", "build")
    )
    most = environ.get("MAX_JOBS", "").strip()
    if most.isdigit() and int(most) > 0 and not (number and is_by_user):
        return int(most)
    return max(number, 1) if number else None


def of_this_process(root: str = "/") -> int:
    """Return how many compilers this process may run, one at least.

    Args:
        root: the directory in which ``proc`` and ``sys`` are looked for.
    """
    memory = min(_free_memory(root), default=None)
    number = cores(root)
    if memory is not None:
        number = min(number, memory // _OF_ONE_COMPILER)
    return max(number, 1)


def cores(root: str = "/") -> int:
    """Return how many cores this process may use: its affinity and its quotas."""
    if hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    else:
        number = os.cpu_count() or 1
    # A part of a core is one, too: two compilers on one and a half finish sooner.
    return max(min([number, *(-int(-quota // 1) for quota in _quotas(root))]), 1)


def _quotas(root: str) -> Iterator[float]:
    """Find the cores that the control groups of this process give to it."""
    for directory in _control_groups(root, "cpu"):
        # Version 2 has both in one file, "max 100000" where there is no quota.
        words = _read(os.path.join(directory, "cpu.max")).split()
        if not words:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            words = [_read(os.path.join(directory, name)).strip() for name in names]
        if len(words) == len(("quota", "period")) and all(map(str.isdigit, words)):
            yield int(words[0]) / max(int(words[1]), 1)


def _free_memory(root: str) -> Iterator[int]:
    """Find what is free in the machine and in each control group, in bytes."""
    for line in _read(os.path.join(root, "proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) << 10
    files = (  # of version 2 and version 1: the limit, the use, and what is cache in it
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for directory in _control_groups(root, "memory"):
        statistics = _read(os.path.join(directory, "memory.stat")).split()
        for limit, use, cache in files:
            most, used = (
                _read(os.path.join(directory, name)).strip() for name in (limit, use)
            )
            if most.isdigit() and used.isdigit():
                known = cache in statistics
                cached = statistics[statistics.index(cache) + 1] if known else "0"
                yield max(int(most) - int(used) + int(cached), 0)


def _control_groups(root: str, controller: str) -> Iterator[str]:
    """Find the directories of this process's control groups, and of those above."""
    for line in _read(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # A container sees its own group at the top, whatever the path says.
        for mounted in (controllers, controller) if controllers else ("", "unified"):
            top = os.path.join(root, _CGROUPS, mounted)
            inside = path.strip("/")
            while inside:
                yield os.path.join(top, inside)
                inside = os.path.dirname(inside)
            yield top


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
