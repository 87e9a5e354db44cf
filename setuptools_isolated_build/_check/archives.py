"""What is in an archive, and how two of them differ."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from typing import TYPE_CHECKING, NamedTuple
from zipfile import ZipFile

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Difference",
    "contents",
    "differences",
    "is_archive",
    "product",
    "taken",
    "unpack",
    "wheel_contents",
]

_SHOWN = 12  # letters of a type or mode
_EMPTY = "empty"

Entry = tuple[object, ...]


class Difference(NamedTuple):
    """One member that is not as it should be: its name, and what is wrong."""

    member: str
    what: str

    def __str__(self) -> str:
        return f"{self.member}: {self.what}"


def is_archive(path: Path) -> bool:
    """Whether *path* is called as a wheel or an sdist is."""
    return path.name.endswith((".whl", ".tar.gz", ".zip"))


def taken(path: Path, directory: Path) -> Path:
    """Copy the archive *path* into *directory*, while others may replace it.

    What was opened can be read to its end. A link would not do: Linux finds the old
    file, which has no name any more, and says that there is none.

    Raises:
        FileNotFoundError: there is none at this moment.
    """
    return shutil.copyfile(path, directory / path.name)


def wheel_contents(wheel: Path) -> list[Entry]:
    """List a wheel in the archive's order, so that a difference can be read."""
    with ZipFile(wheel) as archive:
        return [
            (info.filename, oct(info.external_attr >> 16), archive.read(info))
            for info in archive.infolist()
        ]


def contents(path: Path) -> list[Entry]:
    """List a wheel or an sdist: names, modes and contents in the archive's order.

    Of a directory: the names and contents of its files, but for the egg-info that comes
    with a dist-info, which frontends do not read, and which names the directory.
    """
    if path.is_dir():
        return [
            (file.relative_to(path).as_posix(), "", file.read_bytes())
            for file in sorted(path.rglob("*"))
            if file.is_file()
            and not any(part.endswith(".egg-info") for part in file.parts)
        ]
    if path.suffix in (".whl", ".zip"):
        return wheel_contents(path)
    with tarfile.open(path) as archive:
        entries: list[Entry] = []
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            data = file.read() if file else False
            entries.append((member.name, member.type, oct(member.mode), data))
        return entries


def differences(
    expected: Path, actual: Path, passed_over: frozenset[str] = frozenset()
) -> list[Difference]:
    """Say how *actual* differs from *expected*.

    Both are archives or directories. Of the members *passed_over*, which vary by
    themselves, only whether they are empty. An archive that cannot be read is one
    difference.
    """
    if not expected.is_dir() and expected.read_bytes() == actual.read_bytes():
        return []
    try:
        ours = contents(actual)
    except (OSError, EOFError, ValueError, tarfile.TarError, RuntimeError) as exc:
        return [Difference(actual.name, f"cannot be read ({exc})")]
    except Exception as exc:  # noqa: BLE001  # zipfile and zlib have their own
        return [Difference(actual.name, f"cannot be read ({exc})")]
    theirs = contents(expected)
    by_name = {str(entry[0]): entry for entry in ours}
    found = []
    for entry in theirs:
        name = str(entry[0])
        what = _difference(entry, by_name[name]) if name in by_name else "missing"
        # Of what is another one each time it can still be told that there is nothing.
        if what and (name not in passed_over or what == _EMPTY):
            found.append(Difference(name, what))
    known = {str(entry[0]) for entry in theirs}
    found += [
        Difference(name, "should not be there")
        for name in by_name
        if name not in known | passed_over
    ]
    if expected.suffix == ".whl" and found and not passed_over:
        # RECORD says of each what has been said already.
        own = [item for item in found if not item.member.endswith(".dist-info/RECORD")]
        found = own or found
    is_same_order = [entry[0] for entry in ours] == [entry[0] for entry in theirs]
    if not found and not is_same_order and not passed_over:
        found.append(Difference(actual.name, "other order of members"))
    if not found and expected.suffix == ".whl" and not passed_over:
        found.append(Difference(actual.name, "other bytes, with the same members"))
    return found


def product(result: Path, output: str) -> str:
    """Return a digest of all that a hook has put into *result*, or has returned.

    Of archives and directories: names, order, modes and contents. The times in an sdist
    are those of its making, without the plugin too; and the egg-info that comes with a
    dist-info, which frontends do not read, names the result directory.
    """
    parts: list[object] = [output.rpartition("result: ")[2]]
    for path in sorted(result.rglob("*")):
        if any(part.endswith(".egg-info") for part in path.parts):
            continue
        parts.append(path.relative_to(result).as_posix())
        if path.suffix in (".whl", ".gz"):
            parts.append(contents(path))
        elif path.is_file():
            parts.append(path.read_bytes())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def unpack(sdist: Path, target: Path) -> Path:
    """Unpack an sdist below *target* and return the tree that was in it."""
    if sdist.suffix == ".zip":
        with ZipFile(sdist) as archive:
            archive.extractall(target)  # noqa: S202  # an sdist, to be built from
    else:
        with tarfile.open(sdist) as tar:
            # Newer Pythons warn without it, older ones do not know it.
            if hasattr(tarfile, "data_filter"):
                tar.extractall(target, filter="data")
            else:
                tar.extractall(target)  # noqa: S202
    (tree,) = target.iterdir()
    return tree


def _difference(expected: Entry, actual: Entry) -> str:
    was, now = expected[-1], actual[-1]
    if expected[1:-1] != actual[1:-1]:
        return f"mode {_mode(actual)}, not {_mode(expected)}"
    if was == now or not isinstance(was, bytes) or not isinstance(now, bytes):
        return "" if was == now else "of another type"
    if not now:
        return _EMPTY
    if was.startswith(now):
        return f"cut off ({len(now)} of {len(was)} bytes)"
    return f"other contents ({len(now)} bytes, not {len(was)})"


def _mode(entry: Entry) -> str:
    return " ".join(str(part)[:_SHOWN] for part in entry[1:-1])
