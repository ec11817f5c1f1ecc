"""How the C library hands out memory to the threads of a process."""

from __future__ import annotations

import ctypes
import os

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""
_VARIABLE = "MALLOC_ARENA_MAX"
"""What glibc itself reads; an operator who sets it has chosen."""


def share_one_arena() -> None:
    """Let all threads share one heap, from the first thread on; other C libraries than glibc are left alone.

    glibc gives each thread its own, and each keeps for ever what the largest request that it met needed. The threads
    hardly ever want memory at the same time: the interpreter's lock keeps them apart already.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and _VARIABLE not in os.environ:
        mallopt(_ARENA_MAX, 1)
