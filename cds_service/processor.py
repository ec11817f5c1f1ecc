"""Keeps a worker on one processor while it has most of that to itself.

The threads of a worker take turns anyway, and to hand the interpreter's lock from one processor to another takes
longer than many a request.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

EVERY = 1.0
"""Seconds between looks at what else the processors do."""
CROWDED = 0.5
"""The share of a processor's time that others may take before the worker leaves it."""
IDLE = 0.2
"""The share of a processor that a worker has to use itself before it looks for a better one: what others do while it
has nothing to do says little about the time when it has."""
_STAT, _TASKS = Path("/proc/stat"), Path("/proc/self/task")
_TICKS = os.sysconf("SC_CLK_TCK")
_BUSY = (0, 1, 2, 5, 6, 7)
"""Of a line of /proc/stat: user, nice, system, interrupts, soft interrupts, steal; not idle and waiting for a disk."""


def can_be_kept() -> bool:
    """Whether this system lets a process keep to a processor, and tells how busy each one is (Linux)."""
    return hasattr(os, "sched_setaffinity") and _STAT.exists()


def choice(now: int | None, others: Mapping[int, float]) -> int | None:
    """Return the processor to keep to; None when no one has room and the system is to share out the time.

    ``others``: for each processor that may be used, the share of its time that others take (0 to 1).
    """
    best = min(others, key=lambda processor: (others[processor], processor != now))
    if others[best] > CROWDED:
        return None
    return best if now is None or others[now] > CROWDED else now


class Processor:
    """The processor of this process, from now on: all its threads keep to it."""

    def __init__(self, place: int) -> None:
        """Begin at a place: of workers with different ones, each has a processor of its own while there are enough."""
        self._allowed = sorted(os.sched_getaffinity(0))
        self._now: int | None = None
        self._looked, self._busy, self._ours = time.monotonic(), _busy(), time.process_time()
        self._keep_to(self._allowed[place % len(self._allowed)])

    def look(self) -> None:
        """Move to another processor, or let the system choose, when others need this one. Call it often."""
        now = time.monotonic()
        passed = now - self._looked
        if passed < EVERY:
            return
        busy, ours = _busy(), time.process_time()
        wanted = self._now
        # by chance: two workers that look at the same time are not to run to the same place
        if ours - self._ours >= IDLE * passed and secrets.randbelow(2):
            wanted = choice(self._now, self._others(busy, ours, passed))
        self._looked, self._busy, self._ours = now, busy, ours
        if wanted != self._now:
            self._keep_to(wanted)

    def _others(self, busy: Mapping[int, float], ours: float, passed: float) -> dict[int, float]:
        used = ours - self._ours
        share = {self._now: used} if self._now is not None else dict.fromkeys(self._allowed, used / len(self._allowed))
        taken = {one: busy.get(one, 0.0) - self._busy.get(one, 0.0) - share.get(one, 0.0) for one in self._allowed}
        return {one: max(0.0, seconds / passed) for one, seconds in taken.items()}

    def _keep_to(self, processor: int | None) -> None:
        self._now = processor
        wanted = self._allowed if processor is None else [processor]
        for thread in _TASKS.iterdir():
            with contextlib.suppress(OSError):  # it has just ended, or the processor was taken out of service
                os.sched_setaffinity(int(thread.name), wanted)


def _busy() -> dict[int, float]:
    """Return the seconds that each processor has been busy; on a machine that hides them, nothing."""
    found = {}
    with contextlib.suppress(OSError):
        for line in _STAT.read_text(encoding="ascii").splitlines():
            name, *ticks = line.split()
            if name.startswith("cpu") and name != "cpu":
                found[int(name[3:])] = sum(int(ticks[kind]) for kind in _BUSY) / _TICKS
    return found
