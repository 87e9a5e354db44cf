"""``config``: what setup.py asks the compiler, in files that no other build has.

It is asked before any command runs, of a distribution that no plugin has seen
(``Distribution().get_command_obj("config")``). Setuptools does look for an entry point
of the command's name then, and has none of its own: ours is `config`.
"""

from __future__ import annotations

import os
from distutils.command import config as _distutils  # setuptools' own
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["Config", "config"]

_NAME = "_configtest"


class Config(_Base):
    """Mixin: gives its files names of their own, where distutils has ``_configtest``.

    Of two builds in one tree the first to end removes the other's. The compiler of that
    one then "lacks" what it was asked for, which makes another wheel (cffi).
    """

    compiler: Any
    temp_files: list[str]

    def _gen_temp_sourcefile(self, body: str, headers: Any, lang: str) -> str:
        name = f"{_NAME}-{os.urandom(8).hex()}{_distutils.LANG_EXT[lang]}"
        included = "".join(f"#include <{header}>\n" for header in headers or ())
        end = "" if body.endswith("\n") else "\n"
        with open(name, "x", encoding="utf-8") as file:
            file.write(f"{included}\n{body}{end}" if included else f"{body}{end}")
        return name

    def _preprocess(
        self, body: str, headers: Any, include_dirs: Any, lang: str
    ) -> tuple[str, str]:
        source = self._gen_temp_sourcefile(body, headers, lang)
        out = f"{os.path.splitext(source)[0]}.i"
        self.temp_files.extend([source, out])
        self.compiler.preprocess(source, out, include_dirs=include_dirs)
        return source, out


class config(Config, _distutils.config):  # type: ignore[misc]  # noqa: N801  # the command's
    """The command of distributions whose look-up is not wrapped."""
