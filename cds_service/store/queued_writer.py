"""One thread commits what the requests of a process record, many entries in one transaction."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from cds_service.store.entry import Entry
from cds_service.store.journal import Journal
from cds_service.store.writer import MOST, Stores, Writer

GATHERING = 0.005
"""Seconds for which a transaction waits for the records of other requests that are being answered."""


class _Ticket:
    """An entry on its way: ``stored`` changes under the writer's lock only."""

    __slots__ = ("_settled", "entry", "stored")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.stored = False
        self._settled = threading.Lock()
        self._settled.acquire()

    def settle(self) -> None:
        """Let the request go on."""
        self._settled.release()

    def wait(self, seconds: float) -> bool:
        """Return, in so many seconds at the latest, whether the writer is done with the entry."""
        return self._settled.acquire(timeout=seconds)


class QueuedWriter(Writer):
    """The queue of a process whose thread has the database open."""

    def __init__(self, database: Stores, journal: Journal, wait: float) -> None:
        super().__init__(database, journal, wait)
        self._queue: deque[_Ticket] = deque()
        self._expected = 0

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Let transactions wait a little for what is going to be put inside."""
        with self._changed:
            self._expected += 1
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1

    def _commits(self, entry: Entry) -> bool:
        """Whether the database took the entry in time."""
        ticket = _Ticket(entry)
        with self._changed:
            if self.gone or self._closing:
                return False
            self._queue.append(ticket)
            if len(self._queue) == 1 or len(self._queue) >= self._expected:
                self._changed.notify()
        if ticket.wait(self._wait):
            return ticket.stored
        with self._changed:
            if ticket in self._queue:
                self._queue.remove(ticket)
            # one that was taken may still be committed; its journal line is then found to be there already
            return ticket.stored

    def _work(self) -> None:
        batch = self._take()
        if batch:
            self._commit(batch)

    def _is_done(self) -> bool:
        return not self._queue

    def _take(self) -> list[_Ticket]:
        with self._changed:
            if not self._queue and not self._closing:
                self._changed.wait(self._until_look())
            if self._queue and len(self._queue) < self._expected and not self._closing:
                self._changed.wait(GATHERING)
            return [self._queue.popleft() for _ in range(min(MOST, len(self._queue)))]

    def _commit(self, batch: list[_Ticket]) -> None:
        stored = self._store([ticket.entry for ticket in batch])
        with self._changed:
            left = [] if stored else [self._queue.popleft() for _ in range(len(self._queue))]
            for ticket in batch:
                ticket.stored = stored
            for ticket in (*batch, *left):
                ticket.settle()
