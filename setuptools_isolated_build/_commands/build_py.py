"""``build_py``: copies straight into a build_lib that nobody else has written to."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from setuptools_isolated_build import _isolation

if TYPE_CHECKING:
    from setuptools import Command as _Base
else:
    _Base = object

__all__ = ["BuildPy"]

_CHUNK = 1 << 20  # bytes


class BuildPy(_Base):
    """Mixin: asks once, and not five times for each file, what is there.

    Half of what `distutils.file_util.copy_file` costs goes to a target that may exist.
    """

    def copy_file(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> Any:
        """Copy a file as distutils does; by distutils, if there is anything unusual."""
        isolation = _isolation.current(self.distribution)
        if (
            isolation is not None
            and not args
            and kwargs.keys() <= {"preserve_mode"}  # what setuptools itself asks for
            and isolation.tree.holds(outfile)
            and not getattr(self, "dry_run", False)
            and _isolation.is_setuptools(super().copy_file)
            and _copy_new(infile, outfile, **kwargs)
        ):
            is_renamed = os.path.basename(infile) != os.path.basename(outfile)
            target = outfile if is_renamed else os.path.dirname(outfile)
            _isolation.tell(f"copying {infile} -> {target}")
            return outfile, True
        return super().copy_file(infile, outfile, *args, **kwargs)


def _copy_new(source: str, target: str, *, preserve_mode: bool = True) -> bool:
    """Copy *source* to *target*, or return False if there is something in the way."""
    flags = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        # Opening a pipe would wait for somebody to write to it.
        reader = os.open(source, os.O_RDONLY | flags | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        status = os.fstat(reader)
        if not stat.S_ISREG(status.st_mode):
            return False
        try:
            writer = os.open(
                target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o666
            )
        except OSError:
            return False
        try:
            while chunk := os.read(reader, _CHUNK):
                while chunk:
                    chunk = chunk[os.write(writer, chunk) :]
        finally:
            os.close(writer)
    finally:
        os.close(reader)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    if preserve_mode:
        os.chmod(target, stat.S_IMODE(status.st_mode))
    return True
