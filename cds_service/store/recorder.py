"""What the web calls to have an answer or feedback recorded before it is acknowledged. The clock is read here."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, Protocol

from cds_service import logs
from cds_service.decision import Decision
from cds_service.errors import StoreFailed, Unavailable
from cds_service.logs import log
from cds_service.settings import Settings
from cds_service.store.journal import FOLDER, Depth, Journal
from cds_service.store.keys import Keys, load_keys
from cds_service.store.records import Call, decision_entry, feedback_entry
from cds_service.store.writer import Writer

_CANNOT = "What was sent could not be recorded now; please send it again later."


class Storage(Protocol):
    """Where the database is opened: in this process (``OwnStorage``) or for all workers (``StoringProcess``)."""

    def begin(self) -> None:
        """Get the tables ready. Raises UnusableInput for tables of another version, StoreFailed."""

    def writer(self, keys: Keys, journal: Journal, seconds: float) -> Writer:
        """Return what takes the entries of this process; an entry waits so many seconds. Raises StoreFailed."""

    def answers(self) -> bool:
        """Whether the database answers now."""


class Recorder:
    """Records for one application. Its thread and connection belong to the process that first records something."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._process = 0
        self._writer: Writer | None = None
        self._journal: Journal | None = None
        self._depth = Depth(settings.data_dir / FOLDER)

    def prepare(self) -> None:
        """Read or make the keys, and get the tables ready.

        Raises SettingsError, UnusableInput for tables of another version. A folder that cannot be written now, or a
        database that does not answer, is not the end: every call tries again.
        """
        try:
            self._loaded()
            self._storage.begin()
        except (OSError, StoreFailed) as error:
            log.error("store not ready", exc_info=error)

    def expecting(self) -> AbstractContextManager[None]:
        """Let other records of this process wait a little for the one that is going to be made inside."""
        writer = self._writer
        return writer.expecting() if writer is not None and self._process == os.getpid() else nullcontext()

    def decision(self, call: Call, answer: Mapping[str, Any], judged: Sequence[Decision], milliseconds: float) -> None:
        """Return when the answer is recorded. Raises Unavailable (503) when nothing can take the record."""
        writer, keys = self._started()
        store_facts, now = self._settings.store_facts, datetime.now(UTC)
        entry = decision_entry(call, answer, judged, now, milliseconds, keys.current, store_facts=store_facts)
        logs.note(recorded=writer.put(entry))

    def feedback(self, service: str, entries: Sequence[Mapping[str, Any]], client: str | None = None) -> None:
        """Return when a batch of feedback is recorded, all of it. Raises Unavailable (503), then nothing is."""
        writer, keys = self._started()
        logs.note(recorded=writer.put(feedback_entry(service, entries, client, datetime.now(UTC), keys.current)))

    def problem(self) -> str | None:
        """Return why nothing can be recorded now; None when the journal, or else the database, can take a record."""
        try:
            writer, _ = self._started()
        except Unavailable:
            return "the keys or tables for records cannot be read or made"
        if self._journal is None or self._journal.is_writable():
            return None
        if writer.gone or not self._storage.answers():
            return "the data folder cannot be written and the database does not answer"
        return None

    def database_gone(self) -> bool:
        """Whether the journal stands in for the database just now."""
        return self._writer is not None and self._writer.gone

    def journal_depth(self) -> int:
        """Return how many lines of all processes wait in the journal."""
        return self._depth.now()

    def close(self) -> None:
        """Write what is queued and let go of the database."""
        with self._lock:
            if self._writer is not None and self._process == os.getpid():
                self._writer.close()
            self._writer = None

    def _started(self) -> tuple[Writer, Keys]:
        with self._lock:
            try:
                keys = self._loaded()
                if self._writer is None or self._process != os.getpid():
                    self._writer = self._new_writer(keys)
            except (OSError, StoreFailed):
                raise Unavailable(_CANNOT) from None
            return self._writer, keys

    def _loaded(self) -> Keys:
        if self._keys is None:
            self._keys = load_keys(self._settings)
        return self._keys

    def _new_writer(self, keys: Keys) -> Writer:
        # a thread and a connection do not survive a fork
        journal = Journal(self._settings.data_dir, keys)
        writer = self._storage.writer(keys, journal, self._settings.commit_wait)
        self._process, self._journal = os.getpid(), journal
        writer.start()
        return writer
