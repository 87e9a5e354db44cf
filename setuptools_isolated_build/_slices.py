"""For how long a build has its core at a time while others wait for it.

On two cores Linux lets each run for 1.4 ms then, and it finds the core's caches full of
what is the others'. Twelve compilers take 1.16 to 1.25 times the processor time of two
so, and 1.01 to 1.08 times with the longest slice that can be asked for (EEVDF, from
Linux 6.12 on). The shares stay the same, and what sleeps wakes as soon.

Asked for by system calls: neither Python nor older C libraries have a function.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["longer"]

_LONGEST = 100_000_000  # nanoseconds
_LOAD = "/proc/loadavg"
# sched_getattr and sched_setattr, of 64-bit programs.
_NUMBERS = {"x86_64": (315, 314), "aarch64": (275, 274)}
# The kernel's struct sched_attr: size, policy, flags, nice, priority, runtime, and what
# is for deadlines only.
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
_POLICY, _RUNTIME = 1, 5


@contextlib.contextmanager
def longer() -> Iterator[None]:
    """Let what this thread starts in the block run longer at a time, on a busy machine.

    Threads and processes keep what they were started with.
    """
    before = 0
    # No ctypes, another processor, forbidden: whatever it is, only time is lost.
    with contextlib.suppress(Exception):
        before = _set(_LONGEST) if _is_busy() else 0
    try:
        yield
    finally:
        with contextlib.suppress(Exception):
            if before:
                _set(before)


def _is_busy() -> bool:
    """Whether more threads want to run than there are cores for this one.

    Raises:
        OSError: the system does not say so.
        LookupError, ValueError: it says so in another way.
    """
    if sys.platform != "linux" or sys.maxsize < 1 << 32:
        return False
    with open(_LOAD, encoding="ascii") as file:
        running = file.read().partition("/")[0].split()[-1]
    return int(running) > len(os.sched_getaffinity(0))


def _set(runtime: int) -> int:
    """Set this thread's slice; return what it was, or 0 if it cannot be set."""
    attributes = _attributes()
    before = attributes[_RUNTIME]
    if before and attributes[_POLICY] in {os.SCHED_OTHER, os.SCHED_BATCH}:
        attributes[_RUNTIME] = runtime
        _call(1, _ATTRIBUTES.pack(*attributes), 0)
        return int(before)
    return 0


def _attributes() -> list[int]:
    found = _call(0, bytes(_ATTRIBUTES.size), _ATTRIBUTES.size, 0)
    return list(_ATTRIBUTES.unpack(found))


def _call(which: int, attributes: bytes, *rest: int) -> bytes:
    """Do one of the two calls, and return the *attributes* as they are then."""
    import ctypes  # most builds need none

    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    call = ctypes.CDLL(None, use_errno=True).syscall
    if call(_NUMBERS[os.uname().machine][which], 0, buffer, *rest):
        raise OSError(ctypes.get_errno(), "no slices of time")
    return buffer.raw
