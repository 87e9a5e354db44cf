"""The recording of a board: each frame once, and small enough for a README."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import harness
import pytest
import record_board
from rich.text import Text

pytestmark = pytest.mark.any_setuptools

SVG = "{http://www.w3.org/2000/svg}"


def bar(length):
    """A label and a bar, whose letters are put there one by one, as the board does."""
    text = Text("wheel ")
    for _ in range(length):
        text.append("━", style="green")
    return text.append(" ok", style="bold")


def drawn(page):
    """Return the texts of each frame."""
    frames = ET.fromstring(page).iter(f"{SVG}g")
    return [[text.text for text in frame.iter(f"{SVG}text")] for frame in frames]


def test_frames():
    """One bar is one text, with what is beside it in its own style."""
    page = record_board.page([bar(3), bar(5)])
    assert [[text.strip("\xa0") for text in frame] for frame in drawn(page)] == [
        ["wheel", "━━━", "ok"],
        ["wheel", "━━━━━", "ok"],
    ]


def test_chosen():
    """The last one is among them, and not many more than are asked for."""
    assert record_board.chosen(["a", "b"]) == ["a", "b"]
    some = record_board.chosen(list(range(1000)))
    assert some[-1] == 999
    assert len(some) <= record_board.FRAMES + 1


def test_the_one_of_the_readme():
    """It shows builds without the plugin and with it."""
    page = (harness.REPOSITORY / "docs" / "board.svg").read_text(encoding="utf-8")
    seen = {frame[0].replace("\xa0", " ") for frame in drawn(page)}
    assert seen >= {"without the plugin, round 1", "with the plugin, round 1"}
