"""The stress run: ten builds at once, again and again, each compared with the oracle.

Each project is built by all frontends together, and by one that it is alone with. ``nox
-s stress`` and the demo build every project by every frontend alone. ``--builds N`` sets
how many builds each of these tests makes, but it is one by each frontend at least.
"""

from __future__ import annotations

import os

import harness
import pytest
import storm

AT_ONCE = 10
ALONE = dict(
    zip(
        harness.FRONTENDS,
        ("src-layout", "c-extension", "report", "cmdclass", "requirements/t"),
    )
)
SHORT = {"hook", "build"}  # what others are alone in is for --long


@pytest.fixture
def scene(plain, tmp_path, tmpdir_of_builds, request):
    """A project's tree, the digest of its wheel, and how to build it at once."""

    def make(name):
        source = harness.copy(harness.EXAMPLES / name, tmp_path / "project")
        expected = harness.digest(harness.oracle(plain, source, tmp_path / "expected"))

        def run(environment, frontends, builds=0, variables=None):
            wanted = builds or request.config.getoption("--builds")
            return storm.rounds(
                max(wanted, len(frontends)),
                AT_ONCE,
                lambda count: storm.build_at_once(
                    environment,
                    [source] * count,
                    expected,
                    frontends,
                    tmp_path / "out",
                    {"TMPDIR": str(tmpdir_of_builds), **(variables or {})},
                ),
            )

        return run

    return make


@pytest.mark.parametrize(
    ("name", "frontends"),
    [
        *((name, harness.FRONTENDS) for name in harness.PROJECTS),
        *(
            pytest.param(
                *(name, [frontend]),
                marks=[] if frontend in SHORT else pytest.mark.long,
            )
            for frontend, name in ALONE.items()
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_with_the_plugin(scene, plugged, name, frontends, tmp_path, tmpdir_of_builds):
    """No build fails, no wheel differs, nothing is left, the tree stays as it was."""
    outcome = scene(name)(plugged, frontends)
    assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]
    assert outcome.left == set()
    assert harness.leftovers(tmpdir_of_builds) == []
    for result in (tmp_path / "out").iterdir():
        names = {path.name for path in result.iterdir()} - {".gitignore"}  # uv's
        assert len(names) == 1


@pytest.mark.any_setuptools
@pytest.mark.skipif(os.name == "nt", reason="ccache is for Unix compilers")
def test_with_the_extra(scene, extra, tmp_path):
    """At once with an empty cache, and with a full one: the same bytes."""
    variables = {"CCACHE_DIR": str(tmp_path / "ccache")}
    at_once = scene("c-extension")
    for builds in (AT_ONCE, len(harness.FRONTENDS)):
        outcome = at_once(extra, harness.FRONTENDS, builds, variables)
        assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]
    counted = harness.ccache_counters(variables, extra.python.parent / "ccache")
    assert counted["direct_cache_hit"] > counted["cache_miss"] > 0


@pytest.mark.any_setuptools
@pytest.mark.parametrize("name", harness.PROJECTS)
def test_without_it_builds_fail(scene, plain, name):
    """The same run shows the disease: or it would prove nothing."""
    at_once = scene(name)
    outcome = storm.Outcome()
    while not outcome.failed + outcome.wrong and outcome.total < 5 * AT_ONCE:
        outcome += at_once(plain, ["hook"], builds=AT_ONCE)
    assert outcome.failed + outcome.wrong > 0
    assert outcome.left != set()
