"""Each request sends its entry to the process that stores, and waits for its answer itself."""

from __future__ import annotations

from cds_service.errors import CoverageCdsError
from cds_service.store.entry import Entry
from cds_service.store.journal import Journal
from cds_service.store.remote_database import Late, RemoteDatabase
from cds_service.store.writer import Writer


class DirectWriter(Writer):
    """Nothing is queued in this process; its thread only looks whether the database is back, and stores journals."""

    def __init__(self, database: RemoteDatabase, journal: Journal, wait: float) -> None:
        super().__init__(database, journal, wait)
        self._remote = database
        self._doubted = False

    def close(self, timeout: float = 5.0) -> None:
        """Stop, when all requests have been answered."""
        super().close(timeout)
        self._remote.end()

    def _commits(self, entry: Entry) -> bool:
        if self.gone or self._closing:
            return False
        try:
            self._remote.store_at_once(entry, self._wait)
        except Late:
            self._doubt()
            return False
        except CoverageCdsError as error:
            self._is_gone(error)
            self._doubt()
            return False
        return True

    def _doubt(self) -> None:
        """Let the thread see at once whether the database answers: as long as it waits for that, nobody else does."""
        with self._changed:
            self._doubted = True
            self._next_look = 0.0
            self._changed.notify()

    def _is_waiting(self) -> bool:
        doubted, self._doubted = self._doubted, False
        return doubted or super()._is_waiting()

    def _work(self) -> None:
        with self._changed:
            if not self._closing:
                self._changed.wait(self._until_look())

    def _is_done(self) -> bool:
        return True
