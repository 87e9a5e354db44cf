"""Write the table of settings in docs/ from the parser: ``python tests/docs_settings.py``.

With the plugin installed; the test compares.
"""

from __future__ import annotations

import harness
from setuptools_isolated_build._settings import _KEYS, _PREFIX, Settings

PAGE = harness.REPOSITORY / "docs" / "reference" / "settings.md"
BEGIN, END = "<!-- made by tests/docs_settings.py -->\n", "<!-- end of the table -->"


def default(key: str) -> str:
    """What is in force where nothing is stated, as TOML."""
    settings = Settings()
    if key == "lock-timeout":
        return f"`{settings.seconds_to_publish:g}`, `{settings.seconds_for_turn:g}`"
    value = getattr(settings, key.replace("-", "_"))
    if value is None:
        return "none"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f'`"{value}"`'


def table() -> str:
    rows = ["| setting | environment | value | default |", "|---|---|---|---|"]
    for key, known in _KEYS.items():
        variable = _PREFIX + key.upper().replace("-", "_")
        row = [f"[`{key}`](#{key})", f"`{variable}`", known.expects, default(key)]
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
