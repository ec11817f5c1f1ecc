"""Which database a setting names, and who may read its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.store.engine import FILE, open_engine, url_of
from cds_service.store.migrate import upgrade
from tests.cds_service.store.entries import database, decided

FULL = 2
"""SQLite's number for an fsync with every commit; with less, a power cut may take what was acknowledged."""


@pytest.fixture
def _everybody_may_read_what_others_make() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_everybody_may_read_what_others_make")
def test_only_the_service_s_user_may_read_what_is_stored(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "made" / "data")

    upgrade(settings)
    into = database(settings)
    into.store([decided(settings)])

    made = [tmp_path / "made", *(tmp_path / "made").rglob("*")]
    assert {path.name for path in made} >= {FILE, f"{FILE}-wal", "record.key"}
    assert [path for path in made if path.stat().st_mode & 0o077] == []
    into.close()


def test_sqlite_says_that_a_record_is_stored_once_it_is_on_the_disk(tmp_path: Path) -> None:
    engine = open_engine(Settings.load(data_dir=tmp_path), writes=True)
    with engine.connect() as connection:
        told = {
            name: connection.execute(text(f"pragma {name}")).scalar_one() for name in ("journal_mode", "synchronous")
        }
    engine.dispose()

    assert told == {"journal_mode": "wal", "synchronous": FULL}


def test_a_file_and_a_folder_that_are_there_keep_their_modes(tmp_path: Path) -> None:
    (tmp_path / FILE).touch(mode=0o640)
    (tmp_path / FILE).chmod(0o640)
    tmp_path.chmod(0o750)

    open_engine(Settings.load(data_dir=tmp_path), writes=False).dispose()

    assert [path.stat().st_mode & 0o777 for path in (tmp_path, tmp_path / FILE)] == [0o750, 0o640]


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:////srv/records.sqlite3", "sqlite+pysqlite"),
        ("postgresql://user:x@host/name", "postgresql+psycopg"),
        ("postgres://user:x@host/name", "postgresql+psycopg"),
        ("postgresql+asyncpg://user:x@host/name", "postgresql+psycopg"),
    ],
)
def test_a_url_is_used_with_the_driver_that_is_installed(given: str, driver: str) -> None:
    assert url_of(Settings.load(database_url=given)).drivername == driver


@pytest.mark.parametrize("given", ["canary", "mysql://canary@host/name", "sqlite://", "sqlite:///:memory:", ""])
def test_another_url_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL: it has to be like") as refused:
        url_of(Settings.load(database_url=given))

    assert "canary" not in str(refused.value)


def test_a_server_that_says_nothing_is_asked_soon_whether_its_machine_is_there(postgres_url: str) -> None:
    engine = open_engine(Settings.load(database_url=postgres_url), writes=True)
    with engine.connect() as connection:
        told = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    engine.dispose()

    # of what was sent and not acknowledged the one setting tells, and of an answer that does not come the others
    assert told["tcp_user_timeout"] == "5000"
    assert int(told["keepalives_idle"]) + int(told["keepalives_count"]) * int(told["keepalives_interval"]) <= 15
