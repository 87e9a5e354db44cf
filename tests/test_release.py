"""What a release needs is there, and a release that is not ready is refused."""

from __future__ import annotations

import re
import shutil

import harness
import pytest
import release

pytestmark = pytest.mark.any_setuptools

WORKFLOWS = sorted((harness.REPOSITORY / ".github" / "workflows").glob("*.yml"))
VERSION = release.stated(harness.REPOSITORY)["version"]


def test_actions_are_pinned():
    """By the full commit, with the version beside it: a tag may be moved."""
    used = [
        line.partition("uses:")[2].strip()
        for path in WORKFLOWS
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(used) > 10
    pinned = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in used if not pinned.fullmatch(line)] == []


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The two files, of a version that can be released."""
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(harness.REPOSITORY / name, tmp_path)
    path = tmp_path / "CHANGELOG.md"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(## \S+) - .*", r"\1 - 2026-01-02", text, count=1)
    path.write_text(text, encoding="utf-8")
    return tmp_path


def test_this_tree():
    """Its changelog is of its version, dated or not."""
    release.check_texts(harness.REPOSITORY, None)


def test_ready(tree, monkeypatch):
    release.check_texts(tree, f"v{VERSION}")
    source = release.stated(tree)["urls"]["Source"]
    monkeypatch.setenv("GITHUB_REPOSITORY", "/".join(source.split("/")[-2:]))
    release.check_texts(tree, f"v{VERSION}")


@pytest.mark.parametrize(
    ("name", "pattern", "becomes", "said"),
    [
        ("CHANGELOG.md", "2026-01-02", "unreleased", "write the date"),
        ("CHANGELOG.md", rf"## {VERSION}", "## 0.0.1", "make them the same"),
        ("CHANGELOG.md", r"(?m)^- ", "* ", "says nothing of"),
        ("CHANGELOG.md", r"(?m)^## ", "### ", "there is no section"),
        ("pyproject.toml", r'(?m)^version = ".*"', 'version = "9.9"', "the same"),
    ],
)
def test_not_ready(name, pattern, becomes, said, tree):
    """One line says what is missing."""
    path = tree / name
    text = re.sub(pattern, becomes, path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=said) as raised:
        release.check_texts(tree, f"v{VERSION}")
    assert len(str(raised.value).splitlines()) == 1


def test_links_of_the_readme(tmp_path):
    """An index shows it without the files that it links to."""
    readme = (harness.REPOSITORY / "README.md").read_text(encoding="utf-8")
    shutil.copytree(harness.REPOSITORY / "docs", tmp_path / "docs")
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(harness.REPOSITORY / name, tmp_path)
    release.link_to_repository(tmp_path)
    linked = (tmp_path / "README.md").read_text(encoding="utf-8")
    source = release.stated(tmp_path)["urls"]["Source"]
    assert f"]({source}/blob/v{VERSION}/docs/faq.md)" in linked
    assert f"with it]({source}/raw/v{VERSION}/docs/check.svg)" in linked
    links = re.findall(r"\]\(([^)]+)\)", linked)
    assert [link for link in links if not link.startswith("https://")] == []
    assert re.sub(rf"{source}/(blob|raw)/v{VERSION}/", "", linked) == readme

    (tmp_path / "docs" / "faq.md").unlink()
    shutil.copy(harness.REPOSITORY / "README.md", tmp_path)
    with pytest.raises(SystemExit, match=r"there is no docs/faq\.md"):
        release.link_to_repository(tmp_path)


def test_another_tag(tree):
    with pytest.raises(SystemExit, match=f"v9.9 is not v{VERSION}"):
        release.check_texts(tree, "v9.9")


def test_another_repository(tree, monkeypatch):
    """A fork publishes under a name of its own."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/else")
    with pytest.raises(SystemExit, match="somebody/else"):
        release.check_texts(tree, f"v{VERSION}")
