"""A release, as far as one machine can make it: ``nox -s release -- --dry-run``.

Sdist and wheel are built from a clean clone, by the tree's own backend, and looked at.
They go to an index on this machine, are installed from there into fresh environments, as
wheel and as sdist, and have to build there, and to pass our own `check` of our own tree.

The workflow that publishes runs the same with ``--tag``: then the tag, the version and
the changelog have to agree as well. ``--index`` tries what an index already has.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness
from setuptools.config.pyprojecttoml import load_file

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "setuptools-isolated-build"
SMOKE = harness.EXAMPLES / "report"
CHECK = ["--at-once", "3", "--rounds", "1", "--no-ccache", "--frontend", "build"]
CHECK += ["--artifact", "wheel", "--artifact", "sdist"]
# A link of Markdown to a file, or an image.
RELATIVE = re.compile(r"(?P<image>!?)(?P<text>\[[^]]*\]\()(?!\w+:|#)(?P<path>[^)#]+)")
SECONDS_TO_START = 30
ATTEMPTS, PAUSE = 20, 15  # until an index shows what it was given, in seconds


def run(*command: object, cwd: Path | None = None, **variables: str) -> None:
    """Run a command, say so, and end with it if it fails."""
    words = [str(word) for word in command]
    print("$", " ".join(words), flush=True)
    environ = {**os.environ, **variables}
    done = subprocess.run(words, cwd=cwd, env=environ, timeout=harness.TIMEOUT)
    if done.returncode != 0:
        sys.exit(f"error: exit status {done.returncode}: {' '.join(words)}")


def stated(root: Path) -> dict[str, Any]:
    """Return the project's metadata, whose version stands nowhere else."""
    return load_file(root / "pyproject.toml")["project"]


def check_texts(root: Path, tag: str | None) -> None:
    """Compare version, changelog, tag, and the repository that the tag is in."""
    project = stated(root)
    version = project["version"]
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found = re.match(r"(\S+) - (\S+)\n", sections[0]) if sections else None
    if found is None:
        sys.exit("error: CHANGELOG.md: there is no section '## VERSION - DATE'")
    if found[1] != version:
        sys.exit(
            f"error: CHANGELOG.md: its newest section is of {found[1]}, and "
            f"pyproject.toml has the version {version}; make them the same"
        )
    if not re.search(r"^- ", sections[0], flags=re.MULTILINE):
        sys.exit(f"error: CHANGELOG.md: it says nothing of {version}")
    if tag is None:
        return
    if tag != f"v{version}":
        sys.exit(f"error: the tag {tag} is not v{version}, pyproject.toml's version")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", found[2]):
        sys.exit(f"error: CHANGELOG.md: {version} is '{found[2]}'; write the date")
    here = os.environ.get("GITHUB_REPOSITORY")
    if here and project["urls"]["Source"] != f"https://github.com/{here}":
        sys.exit(f"error: pyproject.toml: [project.urls] does not name {here}")


def link_to_repository(clone: Path) -> None:
    """Let the README's links lead to this version's files, as no index has them.

    Raises:
        SystemExit: one leads nowhere.
    """
    project = stated(clone)
    source, tag = project["urls"]["Source"], f"v{project['version']}"

    def absolute(found: re.Match[str]) -> str:
        if not (clone / found["path"]).exists():
            sys.exit(f"error: README.md: there is no {found['path']}")
        kind = "raw" if found["image"] else "blob"
        address = f"{source}/{kind}/{tag}/{found['path']}"
        return f"{found['image']}{found['text']}{address}"

    path = clone / "README.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(RELATIVE.sub(absolute, text), encoding="utf-8")


def build(clone: Path, dist: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; return both."""
    run(sys.executable, "-m", "build", "--outdir", dist, clone)
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    return sdist, wheel


def check_archives(clone: Path, sdist: Path, wheel: Path) -> None:
    """Look at both, as an index and its users do."""
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    run(sys.executable, "-m", "check_wheel_contents", wheel)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    missing = set(listed.stdout.splitlines()) - names
    if listed.returncode != 0 or missing:
        sys.exit(f"error: {sdist.name}: it lacks {sorted(missing)}; see MANIFEST.in")
    print(f"{sdist.name}: all {len(listed.stdout.splitlines())} files of the clone")


@contextlib.contextmanager
def local_index(directory: Path) -> Iterator[str]:
    """Serve an index of *directory* in the block; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1"]
    command += ["-p", str(port), "-P", ".", "-a", ".", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("error: pypiserver does not start")
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(harness.TIMEOUT)


def install(place: Path, index: str, version: str, kind: str, *extra: str) -> Path:
    """Install a release from *index* into a fresh environment; return its Python.

    Args:
        place: where the environment is made.
        index: the URL of the index, of which nothing but the release is taken.
        version: of the release.
        kind: ``wheel`` or ``sdist``.
        extra: what else is to be there.
    """
    environment = harness.Environment.create(
        place, "setuptools>=77.0.3", "fasteners>=0.18", *extra
    )
    how = {"wheel": "--only-binary", "sdist": "--no-binary"}[kind]
    command = [
        environment.python,
        "-m",
        "pip",
        "install",
        "--no-cache-dir",
        "--no-deps",
    ]
    command += ["--no-build-isolation", "--index-url", index, how, NAME]
    no_other = {"PIP_CONFIG_FILE": os.devnull}
    no_other |= dict.fromkeys(("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"), "")
    run(*command, f"{NAME}=={version}", **no_other)
    return environment.python


def smoke(python: Path, place: Path) -> None:
    """Build a project three times at once, and see that the plugin has a part in it."""
    source = shutil.copytree(SMOKE, place / "smoke")
    command = [str(python), "-m", "build", "--wheel", "--no-isolation"]
    outs = [place / f"out-{number}" for number in range(3)]
    builds = [
        subprocess.Popen(
            [*command, "--outdir", str(out), str(source)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for out in outs
    ]
    outputs = [process.communicate(timeout=harness.TIMEOUT)[0] for process in builds]
    for process, output, out in zip(builds, outputs, outs):
        if process.returncode != 0 or "isolated build: " not in output:
            sys.exit(f"error: a build with the release is wrong:\n{output}")
        (wheel,) = out.iterdir()
        print(f"built with it: {wheel.name}")
    run(python, "-m", "setuptools_isolated_build", "status", source)


def try_index(index: str, version: str, place: Path, tree: Path | None) -> None:
    """Install a release from *index*, as wheel and as sdist, and build with it.

    Args:
        index: the URL of the index.
        version: of the release.
        place: a directory for all of it.
        tree: a clone of our own tree, which is checked; or None.
    """
    for kind in ("wheel", "sdist"):
        print(f"== installed as {kind} from {index}", flush=True)
        directory = place / kind
        directory.mkdir()
        python = install(directory / "environment", index, version, kind)
        smoke(python, directory)
    if tree is not None:
        print("== our own check of our own tree", flush=True)
        # Of the installed release, whose extra comes from the usual index.
        run(python, "-m", "pip", "install", "--quiet", f"{NAME}[check]=={version}")
        run(python.with_name(NAME), "check", *CHECK, tree)


def wait_for(index: str, version: str) -> None:
    """Wait until *index* shows the release."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{index}/{NAME}/", timeout=30) as page:
                if f"-{version}.tar.gz" in page.read().decode():
                    return
        time.sleep(PAUSE)
    sys.exit(f"error: {index} has no {NAME} {version}")


def make(tag: str | None, keep: Path | None, place: Path) -> None:
    """Make the release in *place*; copy its archives to *keep*."""
    clone, dist = place / "clone", place / "dist"
    run("git", "clone", "--quiet", "--no-local", harness.REPOSITORY, clone)
    dirty = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=harness.REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if dirty:
        print(f"not committed, and so not in the release:\n{dirty}", flush=True)
    check_texts(clone, tag)
    link_to_repository(clone)
    sdist, wheel = build(clone, dist)
    check_archives(clone, sdist, wheel)
    (place / "index").mkdir()
    with local_index(place / "index") as url:
        upload = [sys.executable, "-m", "twine", "upload", "--disable-progress-bar"]
        upload += ["--non-interactive", "--repository-url", url, "-u", "-", "-p", "-"]
        run(*upload, sdist, wheel)
        try_index(f"{url}/simple", stated(clone)["version"], place, clone)
    if keep is not None:
        shutil.copytree(dist, keep, dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--dry-run", action="store_true", help="publish nothing")
    what.add_argument("--tag", help="the same, where all has to be ready for this tag")
    what.add_argument("--index", metavar="URL", help="try what is on an index")
    parser.add_argument("--out", type=Path, help="where the archives are copied to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory).resolve()
        if options.index:
            version = stated(harness.REPOSITORY)["version"]
            wait_for(options.index, version)
            try_index(options.index, version, place, None)
        else:
            make(options.tag, options.out, place)
    print("all of it is right")


if __name__ == "__main__":
    main()
