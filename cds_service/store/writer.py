"""One thread for each process commits what its requests record, many in one transaction; the journal stands in.

A request waits a short while for the commit. When the database does not answer in that time, or is known to be gone,
the request writes to the journal itself: no state of the database makes it wait longer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from cds_service.errors import Unavailable
from cds_service.logs import log
from cds_service.store.database import Database
from cds_service.store.journal import Journal
from cds_service.store.records import Entry

MOST = 200
"""Entries of one transaction."""
GATHERING = 0.005
"""Seconds for which a transaction waits for the records of other requests that are being answered."""
AGAIN = 1.0
"""Seconds between attempts to reach a database that is gone, and between looks for journals to store."""


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


class Writer:
    """The queue of a process and the thread that empties it."""

    def __init__(self, database: Database, journal: Journal, wait: float) -> None:
        self._database = database
        self._journal = journal
        self._wait = wait
        self._changed = threading.Condition()
        self._queue: deque[_Ticket] = deque()
        self._began: float | None = None
        self._gone = False
        self._closing = False
        self._expected = 0
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

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

    def put(self, entry: Entry) -> Literal["database", "journal"]:
        """Return, when the entry is durable, what took it. Raises Unavailable (503)."""
        if self._commits(entry):
            return "database"
        try:
            self._journal.append(entry)
        except OSError:
            log.error("not recorded")
            raise Unavailable("The answer could not be recorded now; please ask again later.") from None
        return "journal"

    @property
    def gone(self) -> bool:
        """Whether the database was not there, or did not answer, when it was last needed."""
        return self._gone or self._is_stuck()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued and stop. What a frozen database has not taken by then is in the journal."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._journal.close()

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

    def _is_stuck(self) -> bool:
        began = self._began
        return began is not None and time.monotonic() - began > self._wait

    def _run(self) -> None:
        while True:
            batch = self._take()
            if batch:
                self._commit(batch)
            if time.monotonic() >= self._next_look:
                self._look()
            with self._changed:
                if self._closing and not self._queue:
                    break
        self._database.close()

    def _take(self) -> list[_Ticket]:
        with self._changed:
            if not self._queue and not self._closing:
                self._changed.wait(max(0.0, self._next_look - time.monotonic()))
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

    def _store(self, entries: list[Entry], *, again: bool = False) -> bool:
        """Store entries and return whether they are; nothing that a driver raises may end the thread."""
        self._began = time.monotonic()
        try:
            self._database.store(entries, again=again)
        except Exception as error:  # whatever a driver raises, the journal takes the entries
            self._lost(error)
            return False
        finally:
            self._began = None
        return True

    def _lost(self, error: Exception) -> None:
        if not self._gone:
            log.error("database gone", exc_info=error)
        self._gone = True
        self._next_look = time.monotonic() + AGAIN
        self._database.close()

    def _look(self) -> None:
        """See whether a database that was gone is back, and store what the journals hold."""
        self._next_look = time.monotonic() + AGAIN
        if not self._gone and not self._is_waiting():
            return
        self._began = time.monotonic()
        try:
            self._database.check()
        except Exception as error:  # as above
            self._lost(error)
            return
        finally:
            self._began = None
        if self._gone:
            self._gone = False
            log.warning("database back")
        try:
            self._store_journals()
        except OSError as error:
            log.error("journal unreadable", exc_info=error)

    def _is_waiting(self) -> bool:
        try:
            return self._journal.waiting()
        except OSError as error:
            log.error("journal unreadable", exc_info=error)
            return False

    def _store_journals(self) -> None:
        for taken in self._journal.take():
            for start in range(0, len(taken.entries), MOST):
                part = taken.entries[start : start + MOST]
                if not self._store(part, again=True) and not self._store_singly(part):
                    return
            self._journal.done(taken)
            log.warning("journal stored", entries=len(taken.entries))

    def _store_singly(self, entries: list[Entry]) -> bool:
        """Store entries of a part that failed, one by one; set aside what a working database refuses."""
        for entry in entries:
            if self._store([entry], again=True):
                continue
            try:
                self._database.check()
            except Exception as error:  # as above
                self._lost(error)
                return False
            log.error("entry refused", entry=entry.id)
            self._journal.set_aside(entry)
        self._gone = False
        return True
