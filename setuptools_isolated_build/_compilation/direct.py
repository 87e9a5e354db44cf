"""What a preprocessor would say, without asking it: what it has said is kept.

If of all files that it may find those are there that it has read, and no other, and
their contents are the same, then it finds and reads the same again: its first look for
a file leads to the same as before, and so does the next. This holds for the same
program, asked in the same way. Where it cannot be shown, the preprocessor is asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import threading
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from setuptools_isolated_build._compilation import inputs, known, names
from setuptools_isolated_build._compilation.lookups import Lookups, full, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from setuptools_isolated_build._compilation import guard
    from setuptools_isolated_build._compilation.lookups import Seen
    from setuptools_isolated_build._compilation.searches import Searches

__all__ = ["Question", "question"]

_FORMAT = 4
_DIRECTORY = "setuptools-isolated-build"  # in ccache's own
_DIGITS = 3  # of the names of files: 4,096 of some 4 KB are the most
_MOST = 1 << 20  # bytes of one of them
_LEAST = 1_000  # bytes of a text; a shorter one takes gcc no longer than all this
_DIGEST = hashlib.sha256().digest_size
_SAFELY = sum(getattr(os, f"O_{x}", 0) for x in ("NOFOLLOW", "NONBLOCK", "CLOEXEC"))
# As ``__DATE__``, ``__TIME__`` and ``__TIMESTAMP__`` say it, or that it is not known.
_MONTHS = b"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_TIME = re.compile(
    rb'"(?:(?:Sun |Mon |Tue |Wed |Thu |Fri |Sat )?(?:%b) [ \d]\d |\d\d:\d\d:|\?\?)'
    % _MONTHS
)
_asking = threading.Lock()  # two threads would read the same files
_asked: dict[str, frozenset[str] | None] = {}  # by the digest of what asks


class Question(NamedTuple):
    """What a preprocessor is asked.

    Attributes:
        path: where its answer is kept.
        digest: of all that the answer depends on, apart from files.
        is_kept: whether an answer may be kept.
    """

    path: str
    digest: str
    is_kept: bool

    def find(self, seen: Seen) -> inputs.Inputs | None:
        """Return what would be read now, or None if that is not known.

        Args:
            seen: what was looked for in this build, as `Lookups` has it.
        """
        try:
            kept = _read(self.path)
            if kept is None or kept["question"] != self.digest:
                return None
            wanted = list(map(frozenset, kept["names"]))
            places = tuple((path, wanted[number]) for path, number in kept["places"])
            found = Lookups(places, seen, frozenset(kept["own"])).find()
            if found is None:
                return None
            source, *headers = inputs.dependencies(kept["listed"])
            states = {source: state(source)}
            states |= {path: found.pop(full(path)) for path in headers}
            if found:
                return None
        except (OSError, LookupError):
            return None  # nothing is kept, or a header is missing
        is_same = kept["contents"] == _contents(states)
        return inputs.Inputs(kept["key"], kept["listed"], states) if is_same else None

    def keep(self, read: inputs.Inputs) -> None:
        """Keep what was *read*, if it can be shown when that is so again."""
        if not self.is_kept or read.evidence is None:
            return
        text, lookups, searches = read.evidence
        digests = [now.digest for now in read.states.values()]
        if (
            len(text) < _LEAST
            or not searches.is_usual
            or _TIME.search(text)
            # ``#pragma once`` takes them for one file, if their times are the same.
            or len({*digests}) < len(digests)
        ):
            return
        with contextlib.suppress(OSError):  # it is asked the next time, too
            if _are_answered(read.states, searches.directories):
                if self._has_failed():
                    paths = list(read.states)
                    lookups = _located(text, paths, searches) or lookups
                places = lookups.places
                wanted = list({what for _, what in places})
                kept = {
                    "question": self.digest,
                    "key": read.key,
                    "listed": read.listed,
                    "contents": _contents(read.states),
                    "names": list(map(list, wanted)),
                    "places": [[path, wanted.index(what)] for path, what in places],
                    "own": list(lookups.own),
                }
                _write(self.path, kept)

    def _has_failed(self) -> bool:
        """Whether an answer was kept, and did not hold."""
        try:
            kept = _read(self.path)
        except OSError:
            return False
        return kept is not None and kept["question"] == self.digest


def question(
    compilation: inputs.Compilation, env: Mapping[str, str], stated: Mapping[str, str]
) -> Question | None:
    """Return what is asked for *compilation*, or None if no answer is kept.

    Args:
        compilation: one that `known` knows.
        env: the variables that it is run with.
        stated: the user's configuration of ccache.
    """
    at = compilation.asked.index("-o")
    command = compilation.asked[:at] + compilation.asked[at + 2 :]
    command = [word for word in command if word not in compilation.empty]
    cache = stated.get("cache_dir", "")
    said = " ".join((*command, *(value for _, value in known.variables(env))))
    private = compilation.private
    if (
        sys.platform != "linux"
        or not os.path.isabs(cache)
        or compilation.directory  # it is asked in another way in each build
        or (private and private in said)
        or names.may_ask(os.fsencode(said))
        or "\n" in said  # as a part of a name; gcc says each in a line
    ):
        return None
    here = (os.getcwd(), env.get("PWD"))
    # Names that lead out of an empty directory are kept where there was none.
    has_empty = bool(compilation.empty)
    asked = (_FORMAT, command, has_empty, here, compilation.toolchain)
    digest = hashlib.sha256(repr(asked).encode(errors="surrogateescape")).hexdigest()
    path = os.path.join(cache, _DIRECTORY, digest[:_DIGITS])
    is_kept = "true" not in {stated.get("read_only"), stated.get("remote_only")}
    return Question(path, digest, is_kept)


def _located(text: bytes, paths: list[str], searches: Searches) -> Lookups | None:
    """Return what is looked for, where and nowhere else, or None if it is not clear.

    A quoted name that is beside the file that includes it is found there.
    """
    known = set(map(full, paths))
    found = names.located(text, paths[0])
    if found is None or not known.issuperset(map(full, {*found.quoted, *found.own})):
        return None
    places = []
    wanted = names.searched(text)
    for path, quoted in found.quoted.items():
        beside = os.path.dirname(path)
        wanted |= {name for name in quoted if full(beside, name) not in known}
        places.append((full(beside), frozenset(quoted)))
    every = frozenset(wanted)
    places += [(full(path), every) for path in searches.directories]
    return Lookups(tuple(places), {}, frozenset(map(full, found.own)))


def _contents(states: Mapping[str, guard.State]) -> str:
    digests = "".join(now.digest for now in states.values())
    return hashlib.sha256(digests.encode()).hexdigest()


def _are_answered(states: Mapping[str, guard.State], searched: Iterable[str]) -> bool:
    """Whether all that the files ask for is among them, and so is there again."""
    for path, (*_, digest) in states.items():
        if digest not in _asked:
            with _asking:
                _asked[digest] = _names_in(path, digest)
        asked = _asked[digest]
        if asked is None:
            return False
        for name in asked:
            known = {full(path) for path in states if path.endswith(name)}
            if known.isdisjoint(full(place, name) for place in searched):
                return False
    return True


def _names_in(path: str, digest: str) -> frozenset[str] | None:
    if digest in _asked:  # by another thread
        return _asked[digest]
    with open(path, "rb") as file:
        text = file.read()
    return names.asked(text) if hashlib.sha256(text).hexdigest() == digest else None


def _read(path: str) -> dict[str, Any] | None:
    """Return what is kept at *path*, or None if another build is about to write it."""
    number = os.open(path, os.O_RDONLY | _SAFELY)
    with open(number, "rb") as file:
        stored = file.read(_MOST)
    digest, packed = stored[:_DIGEST], stored[_DIGEST:]
    if hashlib.sha256(packed).digest() != digest:
        return None
    kept: dict[str, Any] = json.loads(zlib.decompress(packed))
    return kept


def _write(path: str, kept: Mapping[str, object]) -> None:
    """Keep it. Who reads it meanwhile sees by its digest that it is not whole."""
    packed = zlib.compress(json.dumps(kept).encode(), 1)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _SAFELY, 0o666)
    with open(number, "wb", buffering=0) as file:
        file.write(hashlib.sha256(packed).digest() + packed)
