"""A moment by which something has to be done, shared by everything that works towards it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds on a clock that never goes back."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of a clock (seconds). Make one with ``after``."""

    at: float
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> Deadline:
        """Return the moment that many seconds from now."""
        return cls(clock() + seconds, clock)

    def left(self) -> float:
        """Return the seconds that are left; zero or less when it has passed."""
        return self.at - self.clock()

    def within(self, seconds: float, reserve: float = 0.0) -> Deadline:
        """Return the deadline of a part that may take some seconds and has to leave ``reserve`` of the whole."""
        return Deadline(min(self.at - reserve, self.clock() + seconds), self.clock)
