"""The patches in docs/upstream, tried on setuptools' sdist: ``python tests/upstream_patches.py``.

Three steps, or those that are named:

``apply``: each patch applies alone and all do together, and each has a change, a test
and a news fragment. That is all that CI runs (test_upstream_patches).

``each``: with its test part only, the new tests of a patch fail; with all of it they pass.

``all``: setuptools' own tests of the commands concerned, with all patches and without. A
test that passes without them passes with them.

Setuptools' tests run as in tests/upstream.py, from Python 3.11 on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from upstream import Release, Suite

RELEASE = "84.2.1"  # what the patches are made from
PATCHES = sorted((harness.REPOSITORY / "docs" / "upstream").glob("*.patch"))
STEPS = ("apply", "each", "all")
TESTS = "setuptools/tests/"
NEWS = "newsfragments/"


def download(release: str, directory: Path) -> Path:
    """Download the sdist of *release*, or "newest", from the package index."""
    requirement = "setuptools" if release == "newest" else f"setuptools=={release}"
    options = ("--no-deps", "--no-binary=setuptools", "--no-build-isolation")
    run(
        *(sys.executable, "-m", "pip", "download", *options),
        *(f"--dest={directory}", requirement),
    )
    (sdist,) = directory.glob("setuptools-*.tar.gz")
    return sdist


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run *command*, and return its output; it must not fail."""
    cwd = cwd or Path.cwd()
    env = {
        **harness.build_variables(),
        # In a checkout git would take the paths for those of the checkout's root, and
        # pass over all that are not below cwd.
        "GIT_CEILING_DIRECTORIES": str(cwd.parent),
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=harness.TIMEOUT,
    )
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output
    return output


def files_of(patch: Path) -> list[str]:
    """Return the files that *patch* changes."""
    lines = run("git", "apply", "--numstat", patch).splitlines()
    return [line.split("\t")[2] for line in lines]


def apply(patch: Path, tree: Path, *options: str) -> None:
    """Apply *patch*; patches that change neighbouring lines may do so in any order."""
    run("git", "apply", "-C1", *options, patch, cwd=tree)


def check_forms() -> None:
    """Check that each patch has all that its pull request needs."""
    assert PATCHES
    for patch in PATCHES:
        files = files_of(patch)
        tests = [name for name in files if name.startswith(TESTS)]
        news = [name for name in files if name.startswith(NEWS)]
        assert tests, patch
        assert news, patch
        assert set(files) > {*tests, *news}, patch


def check_applying(tree: Path) -> None:
    """Apply each patch to *tree*, and all; leave it as it was."""
    for patch in PATCHES:
        apply(patch, tree)
        apply(patch, tree, "--reverse")
    for patch in PATCHES:
        apply(patch, tree)
    for patch in reversed(PATCHES):
        apply(patch, tree, "--reverse")


def try_test(patch: Path, suite: Suite) -> bool:
    """Print how the new tests of *patch* end without its change, and with it.

    Returns:
        Whether all fail without it, and pass with it.
    """
    files = [name for name in files_of(patch) if name.startswith(TESTS)]
    known = set(suite.collect(files))
    apply(patch, suite.tree, f"--include={TESTS}*")
    new = [test for test in suite.collect(files) if test not in known]
    without = suite.run(new)
    said = suite.output.read_text(errors="replace")
    apply(patch, suite.tree, f"--exclude={TESTS}*")
    with_it = suite.run(new)
    said += suite.output.read_text(errors="replace")
    apply(patch, suite.tree, "--reverse")
    good = bool(new)
    for test in new:
        before, after = without.get(test), with_it.get(test)
        print(f"  {test}: {before} without the change, {after} with it", flush=True)
        good = good and (before, after) == ("failed", "passed")
    if not good:
        print(said)
    return good


def patched(release: Release, place: Path) -> Release:
    """Make an sdist and a wheel of *release* with all patches."""
    from upstream import Release

    tree = harness.unpack(release.sdist, place / "unpacked")
    for patch in PATCHES:
        apply(patch, tree)
    sdist = place / release.sdist.name
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tree, tree.name)
    options = ("--no-deps", "--no-build-isolation", f"--wheel-dir={place}")
    run(sys.executable, "-m", "pip", "wheel", *options, tree)
    return Release(sdist, place / release.wheel.name)


def compare(plain: Suite, changed: Suite) -> bool:
    """Run setuptools' tests without the patches and with them; print what is lost.

    Returns:
        Whether nothing is, but tests that fail without them, too.
    """
    import upstream

    outcomes = []
    for suite, what in ((plain, "without"), (changed, "with all")):
        print(f"running setuptools' tests {what} patches", flush=True)
        outcomes.append(suite.run(upstream.QUICK))
        counts = Counter(outcomes[-1].values()).most_common()
        print("  " + ", ".join(f"{n} {outcome}" for outcome, n in counts), flush=True)
    before, after = outcomes
    passed = upstream.PASSED
    lost = [
        test
        for test, outcome in before.items()
        if outcome in passed and after.get(test) not in passed
    ]
    verdicts = upstream.judge(lost, plain, changed)
    new = [test for test in after if test not in before]
    broken = [test for test in new if after[test] not in passed]
    print(f"  lost: {len(lost)}; new: {len(new)}, of which {len(broken)} do not pass")
    for test in lost:
        print(f"  {test}: {after.get(test)}, {verdicts[test]}")
    for test in broken:
        print(f"  {test}: {after[test]}, and new")
    flaky = [test for test in lost if verdicts[test] == upstream.FLAKY]
    return not broken and flaky == lost


def try_tests(version: str, steps: list[str], place: Path) -> bool:
    """Do the steps that run setuptools' tests."""
    import upstream

    upstream.pip("install", f"--target={place / 'tools'}", "uv")
    uv = place / "tools" / "bin" / "uv"
    release = upstream.Release.download(version, place / "release")
    plain = upstream.Suite.create(release, place / "plain", uv)
    good = True
    if "each" in steps:
        for patch in PATCHES:
            print(patch.name, flush=True)
            good = try_test(patch, plain) and good
    if "all" in steps:
        (place / "built").mkdir()
        changed = patched(release, place / "built")
        changed_suite = upstream.Suite.create(changed, place / "patched", uv)
        good = compare(plain, changed_suite) and good
    return good


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("step", nargs="*", choices=[*STEPS, []])
    parser.add_argument("--release", default=RELEASE, help='or "newest"')
    options = parser.parse_args(arguments)
    steps = options.step or STEPS
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(os.path.realpath(temporary))
        if "apply" in steps:
            check_forms()
            sdist = download(options.release, place / "sdist")
            check_applying(harness.unpack(sdist, place / "tree"))
            print(f"{len(PATCHES)} patches apply to {sdist.name}", flush=True)
        if {"each", "all"}.intersection(steps):
            good = try_tests(options.release, steps, place)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
