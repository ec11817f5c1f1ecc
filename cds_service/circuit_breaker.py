"""Circuit breakers: a server that fails again and again is left alone for a while, then tried by one request."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Generic, Literal, TypeVar

from cds_service.deadline import Clock

State = Literal["closed", "open", "half-open"]
"""Closed: asked by everybody. Open: by nobody. Half-open: by one, whose success closes it."""

FAILURES = 5
"""Failures in a row, with no success between them, that open a breaker."""
REST = 10.0
"""Seconds for which an open breaker lets nobody through, and then one at a time."""
MAX_SERVERS = 256
"""Breakers kept; beyond, the one not used for longest is forgotten."""

Name = TypeVar("Name", bound=Hashable)


class CircuitBreaker:
    """Counts the failures of one server. Safe for threads."""

    def __init__(self, failures: int = FAILURES, rest: float = REST, clock: Clock = time.monotonic) -> None:
        self._most = failures
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._next_try: float | None = None
        self._trying = False

    @property
    def state(self) -> State:
        """Return the state as it is now."""
        with self._lock:
            if self._next_try is None:
                return "closed"
            return "half-open" if self._trying or self._clock() >= self._next_try else "open"

    def admits(self) -> bool:
        """Whether the server may be asked. An open breaker lets one through after each rest, to try."""
        with self._lock:
            if self._next_try is None:
                return True
            if self._clock() < self._next_try:
                return False
            # The one that tries may never report: after another rest the next one may.
            self._next_try = self._clock() + self._rest
            self._trying = True
            return True

    def succeeded(self) -> None:
        """Note that the server answered: the breaker closes."""
        with self._lock:
            self._in_a_row = 0
            self._next_try = None
            self._trying = False

    def failed(self) -> None:
        """Note that the server failed: the last straw, or a try that failed, opens the breaker."""
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= self._most:
                self._next_try = self._clock() + self._rest
                self._trying = False


class Breakers(Generic[Name]):
    """One breaker for each server, made when it is first asked for. Safe for threads."""

    def __init__(
        self,
        failures: int = FAILURES,
        rest: float = REST,
        most: int = MAX_SERVERS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._settings = (failures, rest, clock)
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Name, CircuitBreaker] = OrderedDict()

    def of(self, name: Name) -> CircuitBreaker:
        """Return the breaker of a server."""
        with self._lock:
            breaker = self._held.get(name)
            if breaker is None:
                breaker = self._held[name] = CircuitBreaker(*self._settings)
            self._held.move_to_end(name)
            if len(self._held) > self._most:
                self._held.popitem(last=False)
            return breaker

    def states(self) -> Mapping[Name, State]:
        """Return the state of each server's breaker, for whoever reports them."""
        with self._lock:
            held = list(self._held.items())
        return {name: breaker.state for name, breaker in held}
