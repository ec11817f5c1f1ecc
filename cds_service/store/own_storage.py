"""The database as this process opens it itself: its tables, its connections, what they raise as one error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from cds_service.errors import StoreFailed
from cds_service.settings import Settings
from cds_service.store import engine as engines
from cds_service.store.database import Database
from cds_service.store.journal import Journal
from cds_service.store.keys import Keys, load_keys
from cds_service.store.migrate import require_current, upgrade
from cds_service.store.queued_writer import QueuedWriter
from cds_service.store.writer import Writer


class OwnStorage:
    """Opens the database of the settings. Raises SettingsError for an unusable URL."""

    def __init__(self, settings: Settings) -> None:
        engines.url_of(settings)
        self._settings = settings
        self._upgraded = False

    def begin(self) -> None:
        """Bring SQLite's tables in the data folder up to date; other tables have to be so.

        Raises UnusableInput for tables of another version, StoreFailed when that cannot be done or seen now.
        """
        with _told():
            if self._settings.database_url is None:
                self._upgrade()
            else:
                self._check_tables()

    def writer(self, keys: Keys, journal: Journal, seconds: float) -> Writer:
        """Return what takes the entries of this process. Raises as ``database``."""
        return QueuedWriter(self.database(keys), journal, seconds)

    def database(self, keys: Keys) -> Database:
        """Return what stores, for one thread. Raises as ``begin`` where the tables in the data folder are not ready."""
        with _told():
            if self._settings.database_url is None:
                self._upgrade()
            return Database(engines.open_engine(self._settings, writes=True), keys.current)

    def answers(self) -> bool:
        """Whether the database would take a record over a new connection, within the time for connecting."""
        with suppress(OSError, SQLAlchemyError, StoreFailed), closing(self.database(load_keys(self._settings))) as new:
            new.check()
            return True
        return False

    def _upgrade(self) -> None:
        if not self._upgraded:
            upgrade(self._settings)
            self._upgraded = True

    def _check_tables(self) -> None:
        engine = engines.open_engine(self._settings, writes=False)
        try:
            require_current(engine)
        finally:
            engine.dispose()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        raise StoreFailed(type(error).__name__) from error
