"""What ``status`` and ``clean`` print."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build._status import locks, trees

if TYPE_CHECKING:
    from setuptools_isolated_build._locks.processes import Holder
    from setuptools_isolated_build._status.cache import Cache
    from setuptools_isolated_build._status.survey import Survey

__all__ = ["as_json", "as_text", "of_clean"]

_STEP = 1000  # from one unit to the next
_UNITS = ("kB", "MB", "GB", "TB")
_KINDS = {
    locks.BUILD: "a build",
    locks.GATE: "the gate before builds",
    locks.TURN: "a turn",
    locks.OBJECT: "an object that is compiled",
    locks.PUBLISH: "a publication",
}
_HITS = ("direct_cache_hit", "preprocessed_cache_hit")


def as_text(survey: Survey) -> str:
    """Return what was found, for people."""
    lines = []
    for root, found in survey.trees.items():
        lines.append(f"build trees in {root}: {_size(_sum(found))}")
        lines += [f"  {_of_tree(tree)}" for tree in found] or ["  none"]
    if not survey.trees:
        lines.append("there are no build trees")
    if survey.places.locks is None:
        lines.append("there are no locks")
    else:
        lines.append(f"locks in {survey.places.locks}")
        lines += [f"  {_of_lock(lock, survey.key)}" for lock in survey.locks]
        lines += [] if survey.locks else ["  none is held"]
    lines += _of_cache(survey.cache)
    left = [tree for tree in _all(survey) if tree.state == trees.LEFT]
    if left or not all(lock.is_held for lock in survey.locks):
        lines.append(
            f"killed builds have left {_size(_sum(left))}, which the next build "
            "removes, or: setuptools-isolated-build clean"
        )
    return "\n".join(lines)


def as_json(survey: Survey) -> str:
    """Return what was found, for programs: sizes in bytes, times in local time.

    ``roots``: path, trees: path, state, bytes, staged, process, since, what.
    ``locks``: path, and locks: path, kind, is_held, is_of_path, process, since, what.
    ``compiler_cache``: name, program, counters; or null.
    """
    value = {
        "roots": [
            {"path": root, "trees": [_tree_as_dict(tree) for tree in found]}
            for root, found in survey.trees.items()
        ],
        "locks": {
            "path": survey.places.locks,
            "locks": [
                {
                    "path": lock.path,
                    "kind": lock.kind,
                    "is_held": lock.is_held,
                    "is_of_path": lock.key == survey.key,
                    **_holder_as_dict(lock.holder),
                }
                for lock in survey.locks
            ],
        },
        "compiler_cache": survey.cache and survey.cache._asdict(),
    }
    return json.dumps(value, indent=2)


def of_clean(removed: list[trees.Removed], lock_files: list[locks.Lock]) -> str:
    """Return what was removed, for people."""
    lines = []
    for tree, freed, is_gone in removed:
        verb = "removed" if is_gone else "could not remove all of"
        lines.append(f"{verb} {tree.path}: {_size(freed)}{_by(tree.holder)}")
        lines += [f"{verb} {path}" for path in tree.staged]
    lines += [f"removed {lock.path}{_by(lock.holder)}" for lock in lock_files]
    total = _size(sum(item.freed for item in removed if item.is_gone))
    lines.append(
        f"build trees: {len(removed)}, lock files: {len(lock_files)}, freed: {total}"
        if lines
        else "there is nothing to remove: no killed build has left anything"
    )
    return "\n".join(lines)


def _of_tree(tree: trees.Tree) -> str:
    name = os.path.basename(tree.path)
    return f"{name}: {tree.state}, {_size(tree.bytes)}{_by(tree.holder)}"


def _of_lock(lock: locks.Lock, key: str) -> str:
    of = " of this source tree" if lock.key == key else ""
    state = "held" if lock.is_held else "left by a killed build"
    name = os.path.basename(lock.path)
    return f"{name}: {_KINDS[lock.kind]}{of}, {state}{_by(lock.holder)}"


def _of_cache(cache: Cache | None) -> list[str]:
    if cache is None:
        return ["no compiler cache"]
    lines = [f"compiler cache: {cache.name}, {cache.program}"]
    if cache.counters is None:
        return [*lines, f"  see {cache.name} --show-stats"]
    hits = sum(cache.counters.get(name, 0) for name in _HITS)
    misses = cache.counters.get("cache_miss", 0)
    kibibytes = cache.counters.get("cache_size_kibibyte", 0)
    return [*lines, f"  {hits} hits, {misses} misses, {_size(kibibytes * 1024)}"]


def _by(holder: Holder) -> str:
    return f"; {holder}" if holder.process else ""


def _tree_as_dict(tree: trees.Tree) -> dict[str, Any]:
    return {
        "path": tree.path,
        "state": tree.state,
        "bytes": tree.bytes,
        "staged": list(tree.staged),
        **_holder_as_dict(tree.holder),
    }


def _holder_as_dict(holder: Holder) -> dict[str, Any]:
    pid = holder.process.partition(":")[0]
    return {
        "process": int(pid) if pid.isdigit() else None,
        "since": holder.since or None,
        "what": holder.what or None,
    }


def _all(survey: Survey) -> list[trees.Tree]:
    return [tree for found in survey.trees.values() for tree in found]


def _sum(found: list[trees.Tree]) -> int:
    return sum(tree.bytes for tree in found)


def _size(number: int) -> str:
    if number < _STEP:
        return f"{number} bytes"
    power = min(len(str(number)) - 1, 3 * len(_UNITS)) // 3
    return f"{number / _STEP**power:.1f} {_UNITS[power - 1]}"
