"""Connections to the database: SQLite in the data folder, or PostgreSQL when ``database_url`` names one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from cds_service.errors import SettingsError
from cds_service.settings import PREFIX, Settings
from cds_service.store.folders import make_file

FILE = "coverage-cds.sqlite3"
BUSY = 2.0
"""Seconds that SQLite waits for another process's commit; a request waits less and turns to the journal."""
_CONNECT = 2
"""Seconds for a connection to PostgreSQL."""
_UNHEARD = 5000
"""Milliseconds after which a connection without acknowledgement from the other machine counts as lost."""
_KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
"""Seconds and tries after which a server whose answer is waited for counts as lost: the system waits for hours."""


def url_of(settings: Settings) -> URL:
    """Return the database's URL. Raises SettingsError for one that is neither PostgreSQL nor SQLite."""
    if settings.database_url is None:
        return URL.create("sqlite+pysqlite", database=str(Path(settings.data_dir, FILE).resolve()))
    try:
        url = make_url(settings.database_url.get_secret_value())
    except ArgumentError:
        raise _unusable() from None
    kind = url.get_backend_name()
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise _unusable()


def open_engine(settings: Settings, *, writes: bool, pool_size: int = 1) -> Engine:
    """Return an engine that connects when it is used. One that ``writes`` takes SQLite's write lock at once."""
    url = url_of(settings)
    if url.get_backend_name() == "sqlite":
        # what SQLite would make itself could be read by others; its log beside it has the file's own mode
        make_file(Path(str(url.database)))
        engine = create_engine(url, pool_size=pool_size, max_overflow=0, connect_args={"timeout": BUSY})
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _immediate if writes else _deferred)
        return engine
    options = {
        "connect_timeout": _CONNECT,
        "tcp_user_timeout": _UNHEARD,
        **_KEEPALIVES,
        "application_name": "coverage-cds",
    }
    # a reader sees one state of the database from its first query to its last, as in SQLite
    level = "READ COMMITTED" if writes else "REPEATABLE READ"
    return create_engine(url, isolation_level=level, pool_size=pool_size, max_overflow=0, connect_args=options)


def _sqlite_connected(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where the engine says so
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _immediate(connection: Any) -> None:
    # a transaction that reads first and then writes could fail half way when another process wrote in between
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _deferred(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")


def _unusable() -> SettingsError:
    return SettingsError(
        f"{PREFIX}DATABASE_URL: it has to be like postgresql://user:password@host/database or sqlite:////path/to/file."
    )
