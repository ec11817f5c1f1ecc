"""The time between being told to stop and not listening any more: load balancers look, and send requests elsewhere."""

from __future__ import annotations

import mmap


class Draining:
    """A flag that a server's parent process raises and all of its workers see."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)  # memory of its own, which processes forked later share

    def begin(self) -> None:
        """Raise it; it is never taken down."""
        self._shared[0] = 1

    @property
    def begun(self) -> bool:
        """Whether it is raised."""
        return self._shared[0] == 1
