"""The JSON schema of the table ``[tool.setuptools-isolated-build]``, read by no build.

validate-pyproject finds it by an entry point. The file has the form in which editors'
schemas of tables of pyproject.toml are kept in SchemaStore.
"""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["tool_schema"]

_FILE = "settings.schema.json"


def tool_schema(tool: str = "") -> dict[str, Any]:  # noqa: ARG001  # there is one table
    """Return the schema (JSON Schema, draft 7) of this package's table.

    Called by validate-pyproject, with the name of the table.
    """
    path = os.path.join(os.path.dirname(__file__), _FILE)
    with open(path, encoding="utf-8") as file:
        schema: dict[str, Any] = json.load(file)
    return schema
