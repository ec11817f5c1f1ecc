"""Whether this process can answer: it has the keys of its clients, can keep records, and has not been told to stop.

Of policies there is nothing to ask: without them the application does not come into being.
"""

from __future__ import annotations

import logging
import time

from cds_service.deadline import Clock
from cds_service.draining import Draining
from cds_service.logs import log
from cds_service.security.tokens import Verifier
from cds_service.store.recorder import Recorder

PATIENCE = 30.0
"""Seconds for which one client's keys are waited for; then the others are served without them."""


class Readiness:
    """The answer to /readyz, of one process."""

    def __init__(
        self, recorder: Recorder, draining: Draining, judge: Verifier | None = None, clock: Clock = time.monotonic
    ) -> None:
        self._recorder, self._draining, self._judge, self._clock = recorder, draining, judge, clock
        self._first_asked: float | None = None
        self._told: dict[str, str] = {}

    def lacking(self) -> dict[str, str]:
        """Return what is not there, by what it is for, each with the reason; nothing when all is."""
        found: dict[str, str] = {}
        if self._draining.begun:
            found["service"] = "it has been told to stop, and takes no new clients"
        if problem := self._recorder.problem():
            found["store"] = problem
        if problem := self._keys():
            found["keys"] = problem
        if found != self._told:
            self._told = found
            log.log(logging.WARNING if found else logging.INFO, "readiness", lacking=found)
        return found

    def _keys(self) -> str | None:
        if self._judge is None:
            return None
        lacking, clients = self._judge.lacking_keys(), self._judge.clients
        if self._first_asked is None:
            self._first_asked = self._clock()
        # a new process must not be kept from serving all clients because the server of one's keys is down
        waits = len(lacking) == clients or self._clock() - self._first_asked < PATIENCE
        return f"the keys of {len(lacking)} of {clients} clients are not known yet" if lacking and waits else None
