"""What quiet builds make: the reference, and what of it varies by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import archives, trees
from .archives import Difference
from .errors import CheckError
from .frontends import HOOKS_ALONE, Way
from .results import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .bench import Bench
    from .results import Half
    from .side import Side

__all__ = ["Reference"]


class Reference:
    """What quiet builds without the plugin have made.

    Attributes:
        side: with what they were made.
        products: by interpreter and artifact: the archive, or the directory.
        varies: by interpreter and way: the members that are others each time.
        seconds: by artifact: how long a build takes.
        written: what builds leave in the tree.
    """

    def __init__(self, bench: Bench, side: Side) -> None:
        self._bench = bench
        self.side = side
        self._looked: set[tuple[str, Way]] = set()
        self._later: dict[tuple[str, str, tuple[Way, ...]], Path | None] = {}
        self.products: dict[tuple[str, str], Path] = {}
        self.varies: dict[tuple[str, Way], frozenset[str]] = {}
        self.seconds: dict[str, float] = {}
        self.written: set[str] = set()

    def make(
        self,
        artifacts: Sequence[str],
        say: Callable[[str], object],
        like: Reference | None = None,
    ) -> None:
        """Build each artifact quietly, twice to see what varies.

        Args:
            like: has seen what varies; once is enough then.

        Raises:
            CheckError: one of them has failed.
        """
        self.varies = dict(like.varies) if like else {}
        for python in self.side.pythons:
            for artifact in artifacts:
                say(f"{artifact} alone, {'once' if like else 'twice'}")
                way = Way(HOOKS_ALONE, artifact)
                product, changed, run, _ = self._bench.quiet(self.side, python, way)
                self.products[python, artifact] = product
                self.seconds[artifact] = run.cpu or (run.ended or 0.0) - run.started
                self.written |= changed
                if like:
                    continue
                again, *_ = self._bench.quiet(self.side, python, way)
                found = self.differences(python, way, again)
                self.let_vary(python, way, found, again)

    def left(self, changed: set[str]) -> set[str]:
        """Return those *changed* that builds without the plugin leave as they are.

        But for Python's cache where they fill it, too: of a setuptools that is in the
        tree the plugin imports more (`config`).
        """
        caches = {name for name in self.written if Path(name).name == "__pycache__"}
        new = changed - self.written
        return {name for name in new if str(Path(name).parent) not in caches}

    def look_again(self, half: Half) -> None:
        """Take for right what differs by itself, or by the order of builds."""
        for build in half.builds:
            if build.product is None:
                continue
            what = build.python, build.way, build.product
            build.differences = self.second_look(*what)
            if not build.differences or self._is_made_after_others(*what):
                build.differences = []
                build.verdict, build.product = OK, None

    def second_look(self, python: str, way: Way, product: Path) -> list[Difference]:
        """Say how *product* differs, after one more quiet build by *way*.

        A time stamp may have been the same in two quiet builds, and frontends differ.
        """
        if (python, way) not in self._looked:
            self._looked.add((python, way))
            again, *_ = self._bench.quiet(self.side, python, way)
            found = self.differences(python, way, again)
            self.let_vary(python, way, found, again)
        return self.differences(python, way, product)

    def _is_made_after_others(self, python: str, way: Way, product: Path) -> bool:
        """Whether builds without the plugin make *product* one after the other.

        What the project's build leaves in the tree can be in a later sdist, at once or
        not.
        """
        if not trees.own(self.written):
            return False
        alone = [
            Way(HOOKS_ALONE, artifact)
            for known, artifact in self.products
            if known == python
        ]
        for after in (tuple(alone), *((one,) for one in alone)):
            key = python, way.artifact, after
            if key not in self._later:
                self._later[key] = self._make_after(*key)
            made = self._later[key]
            if made is not None and not self.differences(python, way, product, made):
                return True
        return False

    def _make_after(
        self, python: str, artifact: str, after: Sequence[Way]
    ) -> Path | None:
        way = Way(HOOKS_ALONE, artifact)
        try:
            product, *_ = self._bench.quiet(self.side, python, way, after)
        except CheckError:
            return None  # they break each other even so
        return product

    def differences(
        self, python: str, way: Way, product: Path, expected: Path | None = None
    ) -> list[Difference]:
        """Say how *product* differs from what it should be, or from *expected*."""
        expected = expected or self.products[python, way.artifact]
        varies = self.passed_over(python, way)
        found = archives.differences(expected, product, varies)
        names = {expected.name, product.name}
        if expected.is_file() and len(names) > 1 and expected.name not in varies:
            found.append(Difference(expected.name, f"is called {product.name}"))
        return found

    def passed_over(self, python: str, way: Way) -> frozenset[str]:
        """Return what varies in quiet builds, whatever the frontend or by this one."""
        common = self.varies.get((python, Way(HOOKS_ALONE, way.artifact)), frozenset())
        return common | self.varies.get((python, way), frozenset())

    def let_vary(
        self, python: str, way: Way, found: Sequence[Difference], product: Path
    ) -> None:
        """Note what differs between two quiet builds."""
        names = {item.member for item in found}
        if names and product.suffix == ".whl":
            members = (str(entry[0]) for entry in archives.contents(product))
            names |= {name for name in members if name.endswith(".dist-info/RECORD")}
        known = self.varies.get((python, way), frozenset())
        self.varies[python, way] = known | names

    @property
    def varying(self) -> list[str]:
        """All members that vary, for people."""
        names = set().union(*self.varies.values())
        return sorted(n for n in names if not n.endswith(".dist-info/RECORD"))

    @property
    def has_extensions(self) -> bool:
        """Whether the wheel has compiled modules."""
        wheels = [p for (_, kind), p in self.products.items() if kind == "wheel"]
        names = (str(entry[0]) for path in wheels for entry in archives.contents(path))
        return any(name.endswith((".so", ".pyd")) for name in names)
