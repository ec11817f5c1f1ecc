"""One thread for each process stores what stands in the journal; the journal stands in for the database.

A request waits a short while for the database. When it does not answer in that time, or is known to be gone, the
request writes to the journal itself: no state of the database makes it wait longer.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

from cds_service.errors import Refused, Unavailable
from cds_service.logs import log
from cds_service.store.entry import Entry
from cds_service.store.journal import Journal

MOST = 200
"""Entries of one transaction."""
AGAIN = 1.0
"""Seconds between attempts to reach a database that is gone, and between looks for journals to store."""


class Stores(Protocol):
    """The writing end of the store, for one thread: ``Database``, or one that another process has open."""

    def store(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        """Store entries, all or none, durably; ``again`` looks first which are there. Raises Refused."""

    def check(self) -> None:
        """Raise when the database does not answer, or would not store what is right."""

    def close(self) -> None:
        """Let go of the database: after a failure, or at the end."""


class Writer(ABC):
    """What takes the entries of a process: a database, at once or by way of a queue, or the journal."""

    def __init__(self, database: Stores, journal: Journal, wait: float) -> None:
        self._database = database
        self._journal = journal
        self._wait = wait
        self._changed = threading.Condition()
        self._began: float | None = None
        self._gone = False
        self._refused = False
        self._closing = False
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def expecting(self) -> AbstractContextManager[None]:
        """Let transactions wait a little for what is going to be put inside, if that is of use."""
        return nullcontext()

    def put(self, entry: Entry) -> Literal["database", "journal"]:
        """Return, when the entry is durable, what took it. Raises Unavailable (503)."""
        if self._commits(entry):
            return "database"
        self._tell_of_silence()
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

    @abstractmethod
    def _commits(self, entry: Entry) -> bool:
        """Whether the database took the entry in time."""

    @abstractmethod
    def _work(self) -> None:
        """Do what the thread is there for, until there is time to look, or something to do: it is called again."""

    @abstractmethod
    def _is_done(self) -> bool:
        """Whether nothing is queued."""

    def _is_stuck(self) -> bool:
        began = self._began
        return began is not None and time.monotonic() - began > self._wait

    def _tell_of_silence(self) -> None:
        # the thread that would notice waits for an answer itself
        with self._changed:
            if not self._gone and self._is_stuck():
                self._gone = True
                self._next_look = 0.0
                log.error("database gone")

    def _until_look(self) -> float:
        return max(0.0, self._next_look - time.monotonic())

    def _run(self) -> None:
        while True:
            self._work()
            if not self._until_look():
                self._look()
            with self._changed:
                if self._closing and self._is_done():
                    break
        self._database.close()

    def _store(self, entries: list[Entry], *, again: bool = False) -> bool:
        """Store entries and return whether they are."""
        return self._tried(lambda: self._database.store(entries, again=again))

    def _answers(self) -> bool:
        return self._tried(self._database.check)

    def _tried(self, what: Callable[[], None]) -> bool:
        """Do something with the database and return whether it is done; nothing that is raised may end the thread."""
        self._began = time.monotonic()
        try:
            what()
        except Exception as error:  # whatever a driver raises, the journal has the entries or takes them
            self._refused = isinstance(error, Refused)
            self._lost(error)
            return False
        finally:
            self._began = None
        return True

    def _lost(self, error: Exception) -> None:
        self._is_gone(error)
        self._database.close()

    def _is_gone(self, error: Exception) -> None:
        if not self._gone:
            log.error("database gone", exc_info=error)
        self._gone = True
        self._next_look = time.monotonic() + AGAIN

    def _look(self) -> None:
        """See whether a database that was gone is back, and store what the journals hold."""
        self._next_look = time.monotonic() + AGAIN
        if not self._gone and not self._is_waiting():
            return
        if not self._answers():
            return
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
        """Store entries of a part that failed, one by one; set aside what a working database refuses twice."""
        for entry in entries:
            # the first failure may have been the end of a connection, and the next one works
            if self._store([entry], again=True) or (self._answers() and self._store([entry], again=True)):
                continue
            if not self._refused or not self._answers():
                return False
            log.error("entry refused", entry=entry.id)
            self._journal.set_aside(entry)
        self._gone = False
        return True
