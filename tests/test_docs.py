"""README and docs/: commands run, settings are read, links lead somewhere, nothing is left out.

In a page, each block of ``console`` is run, in order, in one project for each page (with the
option ``--docs``; without it, those of the README and the reference). Lines without ``$`` are
output, where ``…`` stands for anything. Each block of ``toml`` is read, and
built with if it is about builds. A comment before a block says more:

- ``<!-- file: NAME -->``: the block is that file of the project.
- ``<!-- in: checkout -->``: it is run in a copy of this repository.
- ``<!-- needs: TOOL … -->``: it needs tools, which are installed with ``--docs``.
- ``<!-- not run: REASON -->``: it is not run.
"""

from __future__ import annotations

import ast
import os
import re
import shutil

import docs_settings
import harness
import pytest
from setuptools.config.pyprojecttoml import load_file
from setuptools_isolated_build import errors
from setuptools_isolated_build._settings import _KEYS, read_settings

pytestmark = pytest.mark.any_setuptools

DOCS = harness.REPOSITORY / "docs"
PAGES = [harness.REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [path.relative_to(harness.REPOSITORY).as_posix() for path in PAGES]
BLOCK = re.compile(
    r"(?:^[ ]*<!-- (?P<kind>file|in|needs|not run): (?P<text>.*?) -->\n)?"
    r"^(?P<indent>[ ]*)```[ ]*(?P<language>\w*)\n(?P<body>.*?)^[ ]*```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
RUN, READ = "console", "toml"
SHOWN = {"text", "yaml"}
SHORT = (harness.REPOSITORY, DOCS / "reference")
COMMANDS = ("_check", "_status")  # they print, and say nothing in a build
PROJECT = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools", "setuptools-isolated-build"]

        [project]
        name = "example"
        version = "1.0"

        [tool.setuptools]
        packages = ["example"]
        """,
    "setup.py": "from setuptools import setup\nsetup()\n",
    "example/__init__.py": "",
}


class Block:
    def __init__(self, found):
        self.kind, self.text = found["kind"] or "", found["text"] or ""
        self.language = found["language"]
        indent = found["indent"]
        lines = found["body"].splitlines()
        self.lines = [line.removeprefix(indent) for line in lines]
        self.body = "\n".join(self.lines) + "\n"

    @property
    def commands(self):
        return [line[2:] for line in self.lines if line.startswith(("$ ", "> "))]

    @property
    def output(self):
        lines = [line for line in self.lines if not line.startswith(("$ ", "> "))]
        return [line for line in lines if line.strip()]


def blocks(page):
    return [Block(found) for found in BLOCK.finditer(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_is_run_or_says_why_not(page):
    text = page.read_text(encoding="utf-8")
    found = blocks(page)
    assert text.count("```") == 2 * len(found), "a fence that is not understood"
    for block in found:
        has_reason = block.kind in {"file", "not run"}
        assert has_reason or block.language in {RUN, READ, *SHOWN}, block.body
        assert block.language != RUN or block.commands, block.body
        assert block.kind != "not run" or len(block.text.split()) > 2, "the reason"
    # Markdown takes an indented paragraph for code: nobody would run it.
    assert re.search(r"\n\n    .*", BLOCK.sub("", text)) is None


@pytest.fixture
def docs_environment(page, request, make_environment, plugged):
    """Where the commands of *page* are run: by hand, or with all tools but no plugin."""
    if page.parent == DOCS / "reference" or not request.config.getoption("--docs"):
        return plugged
    needed = {
        tool
        for page in PAGES
        for block in blocks(page)
        if block.kind == "needs"
        for tool in block.text.split()
    }
    return make_environment("docs", "setuptools", *sorted(needed))


def pytest_generate_tests(metafunc):
    """Without ``--docs``, the pages that a reader sees first and those that are fast."""
    if metafunc.function is not test_commands:
        return
    pages = [page for page in PAGES if any(b.language == RUN for b in blocks(page))]
    if not metafunc.config.getoption("--docs"):
        pages = [page for page in pages if page.parent in SHORT]
    names = [page.relative_to(harness.REPOSITORY).as_posix() for page in pages]
    metafunc.parametrize("page", pages, ids=names)


@pytest.mark.skipif(
    os.name != "posix", reason="the commands are those of a POSIX shell"
)
def test_commands(page, request, project, docs_environment, wheelhouse, tmp_path):
    """A reader who follows the page, in a project of their own."""
    source = project(PROJECT)
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()  # a page may keep its build trees
    scripts = docs_environment.python.parent
    variables = {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PIP_FIND_LINKS": str(wheelhouse),
        "UV_FIND_LINKS": str(wheelhouse),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "VIRTUALENV_NO_PERIODIC_UPDATE": "1",
    }
    for block in blocks(page):
        is_left_out = block.kind == "needs" and not request.config.getoption("--docs")
        if block.kind == "file":
            path = source / block.text
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, encoding="utf-8")
        if block.language != RUN or block.kind == "not run" or is_left_out:
            continue
        place = checkout(tmp_path) if block.text == "checkout" else source
        script = "\n".join(["set -e", *block.commands])
        run = docs_environment.start(["bash", "-c", script], place, variables)
        output = run.finish()
        assert run.status == 0, f"{script}\n{output}"
        for line in block.output:
            parts = [re.escape(part.strip()) for part in line.split("…")]
            assert re.search(".*".join(parts), output), f"{line}\nis not in\n{output}"


def checkout(tmp_path):
    """A copy of this repository, in which a build may leave what it likes."""
    target = tmp_path / "checkout"
    if not target.exists():
        left_out = ("tests", "docs", "benchmarks", "build", "dist", "__pycache__")
        hidden = shutil.ignore_patterns(".*", *left_out)
        shutil.copytree(harness.REPOSITORY, target, ignore=hidden)
    return target


# By their text: many pages show the same two lines.
TABLES = {
    block.body: pytest.param(block, id=f"{name}-{number}")
    for name, page in zip(NAMES, PAGES)
    for number, block in enumerate(blocks(page))
    if block.language == READ and block.kind != "not run"
}


@pytest.mark.parametrize("block", TABLES.values())
def test_tables(block, project, plugged, tmp_path):
    """Our settings are known to the parser, and a project builds with what is shown."""
    path = tmp_path / "pyproject.toml"
    path.write_text(block.body, encoding="utf-8")
    table = load_file(path)
    read_settings(str(tmp_path), {})
    ours = table.get("tool", {}).get("setuptools-isolated-build")
    if ours is None and "build-system" not in table:
        return
    requirement = table.get("build-system", {}).get("requires", [])
    is_ours = any("setuptools-isolated-build" in each for each in requirement)
    assert is_ours or not requirement
    default = f"{harness.SETUPTOOLS}:__legacy__"
    backend = table.get("build-system", {}).get("build-backend", default)
    name = table.get("project", {}).get("name", "example")
    body = block.body
    if "project" not in table:
        body += "[project]\nname = 'example'\nversion = '1.0'\n"
    if "setuptools" not in table.get("tool", {}):
        body += "[tool.setuptools]\npackages = ['example']\n"
    source = project({**PROJECT, "pyproject.toml": body})
    environment = harness.Environment(plugged.python, backend)
    assert environment.build(source, tmp_path / "out").name.startswith(f"{name}-1.0")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links(page):
    """Those to other files; mkdocs looks at the anchors, too."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if "://" in link or not path:
            continue
        target = (page.parent / path).resolve()
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, link


def test_every_page_is_in_the_navigation():
    """And every entry is a page: mkdocs says the same, with ``nox -s docs``."""
    text = (harness.REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    entries = re.findall(r"^ *-.* ([\w/-]+\.md)$", text, re.MULTILINE)
    pages = [path.relative_to(DOCS).as_posix() for path in PAGES[1:]]
    assert sorted(entries) == sorted(pages)


def slug(heading):
    plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[\s]+", "-", plain)


def test_table_of_settings():
    """The table is made from the parser, and each setting has a section."""
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert docs_settings.with_table(page) == page, "run tests/docs_settings.py"
    for key in _KEYS:
        assert f"\n## `{key}`\n" in page


def said_by(names):
    """The texts in the calls of *names*, and in what is assigned to be said by them."""
    package = harness.REPOSITORY / "setuptools_isolated_build"
    for path in sorted(package.rglob("*.py")):
        if path.parent.name in COMMANDS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            found = []
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                found = node.args if called in names else []
            elif isinstance(node, (ast.Assign, ast.AugAssign)):
                targets = getattr(node, "targets", [getattr(node, "target", None)])
                named = {getattr(t, "id", "").strip("_").lower() for t in targets}
                is_said = {"cause", "remedy", "elsewhere"} & named
                found = [node.value] if is_said and errors.__name__ in names else []
            for constant in found:
                for part in ast.walk(constant):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield path.name, part.value


def assert_all_said(said, name):
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    text = " ".join(page.replace("\\|", "|").split())
    texts = [(path, " ".join(part.split())) for path, part in said]
    texts = [(path, part) for path, part in texts if len(part) > 8]
    assert len(texts) > 10
    missing = [f"{path}: {part}" for path, part in texts if part not in text]
    assert missing == [], f"not in docs/reference/{name}"


def test_errors_are_in_the_docs():
    """Each that is raised, and what is said as its cause and its way out."""
    names = {*errors.__all__, errors.__name__}
    assert_all_said(said_by(names), "errors.md")


def test_errors_name_their_sections():
    """The address at the end of a message, and ``[project.urls]``, are the page's."""
    urls = load_file(harness.REPOSITORY / "pyproject.toml")["project"]["urls"]
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    # The page begins with "# ", its sections with "## ".
    sections = {slug(part.partition("\n")[0]): part for part in page[2:].split("\n## ")}
    for name in errors.__all__:
        error = getattr(errors, name)("PATH", "CAUSE", "WAY OUT")
        address, _, anchor = (
            str(error).removesuffix(")").partition(" (")[2].partition("#")
        )
        assert str(error) == f"PATH: CAUSE; WAY OUT ({address}#{anchor})"
        assert address.startswith(f"{urls['Documentation']}/reference/errors")
        assert f"`{name}`" in sections[anchor]
    shared = {getattr(errors, name).section for name in errors.__all__}
    assert len(shared) == len(errors.__all__)


def test_log_lines_are_in_the_docs():
    assert_all_said(said_by({"tell", "warn"}), "log-lines.md")
