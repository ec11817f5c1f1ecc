"""Every token counts once: what was used is remembered until it expires, by all workers and machines together.

Only a hash of a token's id is kept. Within one process memory would do; workers of one machine share a file; several
machines share a database as well, and while that does not answer each machine still keeps its own count;
a machine that cannot, because its disk is full, leaves it to the database.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import Protocol

from cds_service.circuit_breaker import CircuitBreaker
from cds_service.errors import Unavailable
from cds_service.logs import log

MOST = 200_000
"""Tokens that memory holds; when it is full of tokens that could be used again, no further one is accepted."""
SWEEP = 60.0
"""Seconds between two looks for tokens that have expired."""
GRACE = 60
"""Seconds that a token is remembered beyond its end, for machines whose clocks differ."""
PATIENCE = 0.15
"""Seconds that a request waits for the database that several machines share."""
_AT_ONCE = 4
"""Requests that ask that database at the same time."""

Now = Callable[[], float]
"""Seconds of the epoch."""


class Replays(Protocol):
    """Whoever remembers which tokens were used."""

    def accept(self, issuer: str, jti: str, until: float) -> bool:
        """Whether an issuer's token is used for the first time; it is remembered until then (seconds of the epoch).

        Raises Unavailable when that cannot be known.
        """


class MemoryReplays:
    """Remembers in this process, and no more than a bounded number."""

    def __init__(self, now: Now, most: int = MOST) -> None:
        self._now, self._most = now, most
        self._lock = threading.Lock()
        self._until: dict[tuple[str, str], float] = {}
        self._swept = float("-inf")

    def accept(self, issuer: str, jti: str, until: float) -> bool:
        """Whether the token is new here, and there is room for it."""
        name = (issuer, hashed(jti))
        with self._lock:
            now = self._now()
            if now - self._swept > SWEEP or len(self._until) >= self._most:
                self._until = {name: end for name, end in self._until.items() if end + GRACE > now}
                self._swept = now
            if name in self._until or len(self._until) >= self._most:
                return False
            self._until[name] = until
            return True


class PatientReplays:
    """Asks a database that other machines share, for a short time, and for a while not at all when it did not answer.

    So it stands beside one that this machine keeps, which then still lets each token pass once.
    """

    def __init__(self, shared: Replays, patience: float = PATIENCE, breaker: CircuitBreaker | None = None) -> None:
        self._shared, self._patience = shared, patience
        self._breaker = breaker or CircuitBreaker()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="token-ids")

    def accept(self, issuer: str, jti: str, until: float) -> bool:
        """Whether the token is new to the database. Raises Unavailable when the database does not say."""
        if not self._breaker.admits():
            raise unavailable()
        asked: Future[bool] = self._threads.submit(self._shared.accept, issuer, jti, until)
        try:
            is_new = asked.result(self._patience)
        except (TookTooLong, Unavailable) as error:
            asked.cancel()
            self._breaker.failed()
            log.warning("token ids not shared", reason=type(error).__name__)
            raise unavailable() from None
        self._breaker.succeeded()
        return is_new


class EveryReplays:
    """Asks one after the other; a token has to be new to each that can say so now, and one at least has to."""

    def __init__(self, asked: Sequence[Replays]) -> None:
        self._asked = asked

    def accept(self, issuer: str, jti: str, until: float) -> bool:
        """Whether the token is new to all that can say. Raises Unavailable when none can."""
        is_known = False
        for replays in self._asked:
            try:
                if not replays.accept(issuer, jti, until):
                    return False
            except Unavailable:
                continue
            is_known = True
        if not is_known:
            raise unavailable()
        return True


class Sweep:
    """When a store is to be rid of tokens that have expired."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._swept = float("-inf")

    def before(self) -> float | None:
        """Return the second before which tokens are to be forgotten now; None when that was done a short while ago."""
        now = self._now()
        if now - self._swept <= SWEEP:
            return None
        self._swept = now
        return now - GRACE


def hashed(jti: str) -> str:
    """Return what is kept of a token's id."""
    return hashlib.sha256(jti.encode()).hexdigest()


def unavailable() -> Unavailable:
    """Return what a store raises that cannot say whether a token was used."""
    return Unavailable("The service cannot check tokens now; please try again later.")
