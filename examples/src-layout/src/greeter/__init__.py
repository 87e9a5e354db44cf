"""Greets in the languages that its package data knows."""

from pathlib import Path

DATA = Path(__file__).parent / "data"


def greeting(language):
    return (DATA / f"{language}.txt").read_text(encoding="utf-8").strip()


def main():
    for path in sorted(DATA.glob("*.txt")):
        print(greeting(path.stem))
