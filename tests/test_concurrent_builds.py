"""The stress run: ten builds at once, again and again, each compared with the oracle.

``--builds N`` sets how many builds of each project each frontend makes; the long run is
``nox -s stress``.
"""

from __future__ import annotations

import os

import harness
import pytest
import storm

AT_ONCE = 10
MIXED = "mixed"


@pytest.fixture
def scene(plain, tmp_path, tmpdir_of_builds, request):
    """A project's tree, the digest of its wheel, and how to build it at once."""

    def make(name):
        source = harness.copy(harness.EXAMPLES / name, tmp_path / "project")
        expected = harness.digest(harness.oracle(plain, source, tmp_path / "expected"))

        def run(environment, frontends, sources=None, builds=None, variables=None):
            return storm.rounds(
                builds or request.config.getoption("--builds"),
                AT_ONCE,
                lambda count: storm.build_at_once(
                    environment,
                    (sources or [source])[:1] * count,
                    expected,
                    frontends,
                    tmp_path / "out",
                    {"TMPDIR": str(tmpdir_of_builds), **(variables or {})},
                ),
            )

        return run

    return make


@pytest.mark.parametrize("frontend", [*harness.FRONTENDS, MIXED])
@pytest.mark.parametrize("name", harness.PROJECTS)
def test_with_the_plugin(scene, plugged, name, frontend, tmp_path, tmpdir_of_builds):
    """No build fails, no wheel differs, nothing is left, the tree stays as it was."""
    frontends = harness.FRONTENDS if frontend == MIXED else [frontend]
    outcome = scene(name)(plugged, frontends)
    assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]
    assert outcome.left == set()
    assert harness.leftovers(tmpdir_of_builds) == []
    for result in (tmp_path / "out").iterdir():
        names = {path.name for path in result.iterdir()} - {".gitignore"}  # uv's
        assert len(names) == 1


@pytest.mark.skipif(os.name == "nt", reason="ccache is for Unix compilers")
def test_with_the_extra(scene, extra, tmp_path):
    """At once with an empty cache, and with a full one: the same bytes."""
    variables = {"CCACHE_DIR": str(tmp_path / "ccache")}
    at_once = scene("c-extension")
    for _ in ("cold", "warm"):
        outcome = at_once(extra, harness.FRONTENDS, variables=variables)
        assert (outcome.failed, outcome.wrong) == (0, 0), outcome.outputs[0]
    counted = harness.ccache_counters(variables, extra.python.parent / "ccache")
    assert counted["direct_cache_hit"] > counted["cache_miss"] > 0


@pytest.mark.parametrize("name", harness.PROJECTS)
def test_without_it_builds_fail(scene, plain, name):
    """The same run shows the disease: or it would prove nothing."""
    outcome = scene(name)(plain, ["hook"], builds=20)
    assert outcome.failed + outcome.wrong > 0
    assert outcome.left != set()
