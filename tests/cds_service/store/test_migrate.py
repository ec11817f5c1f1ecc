"""Tables of the right version: made, kept, and refused when they are of a later program; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner, Result
from sqlalchemy import Connection, text

from cds_service.cli import main
from cds_service.errors import UnusableInput
from cds_service.settings import Settings
from cds_service.store import migrate, reading
from cds_service.store.engine import open_engine
from cds_service.store.own_storage import OwnStorage
from cds_service.store.recorder import Recorder
from cds_service.store.tables import metadata
from tests.cds_service.store.conftest import KEY, emptied
from tests.cds_service.store.entries import decided, stored
from tests.waiting import PATIENCE


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a store without tables."""
    values: dict[str, Any] = {"data_dir": tmp_path / "data", "record_keys": KEY}
    if request.param == "postgresql":
        values["database_url"] = emptied(request.getfixturevalue("postgres_url"))
    return Settings.load(**values)


@pytest.fixture
def later(settings: Settings) -> Settings:
    """A store whose tables a later program has changed."""
    engine = open_engine(settings, writes=True)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    return settings


def seen(settings: Settings, look: Callable[[Connection], object]) -> object:
    engine = open_engine(settings, writes=False)
    try:
        with engine.connect() as connection:
            return look(connection)
    finally:
        engine.dispose()


def cli(settings: Settings, *arguments: str) -> Result:
    given = {"COVERAGE_CDS_DATA_DIR": str(settings.data_dir), "COVERAGE_CDS_RECORD_KEYS": KEY}
    if settings.database_url:
        given["COVERAGE_CDS_DATABASE_URL"] = settings.database_url.get_secret_value()
    return CliRunner().invoke(main, arguments, env=given, prog_name="coverage-cds")


def test_an_empty_database_gets_the_tables_that_the_program_uses(empty: Settings) -> None:
    assert migrate.upgrade(empty) == migrate.newest()

    assert seen(empty, lambda c: compare_metadata(MigrationContext.configure(c), metadata)) == []


def test_a_second_upgrade_changes_nothing(settings: Settings) -> None:
    stored(settings, entry := decided(settings))

    migrate.upgrade(settings)

    with reading.opened(settings) as connection:
        assert [record["id"] for record in reading.records(connection)] == [entry.id]


def test_many_that_upgrade_at_once_do_it_once(empty: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(migrate.upgrade, empty) for _ in range(4)]

    assert {upgraded.result(PATIENCE) for upgraded in done} == {migrate.newest()}


def test_tables_of_a_later_program_are_refused_in_one_sentence(later: Settings) -> None:
    for refused in (lambda: migrate.upgrade(later), lambda: _opened(later), lambda: _prepare(later)):
        with pytest.raises(
            UnusableInput, match=r"are version 9999, of a later coverage-cds; this one knows them up to"
        ):
            refused()
    for command in (("db", "upgrade"), ("decisions", "list"), ("serve", "--port", "8123")):
        done = cli(later, *command)
        assert done.exit_code != 0
        assert done.stderr.count("\n") == 1
        assert "of a later coverage-cds" in done.stderr


def test_a_service_with_a_database_of_its_own_does_not_start_on_missing_tables(empty: Settings) -> None:
    if empty.database_url is None:
        _prepare(empty)  # its own file is brought up to date
        assert seen(empty, lambda c: MigrationContext.configure(c).get_current_revision()) == migrate.newest()
        return
    done = cli(empty, "serve", "--port", "8123")
    assert done.exit_code != 0
    assert done.stderr == (
        "coverage-cds: the database has other tables than this version; run coverage-cds db upgrade.\n"
    )


def test_a_database_that_does_not_answer_does_not_stop_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "postgresql://nobody:canary@127.0.0.1:9/none"

    _prepare(Settings.load(data_dir=tmp_path, record_keys=KEY, database_url=nowhere))

    err = capsys.readouterr().err
    assert "store not ready" in err
    assert "canary" not in err


def test_there_is_no_way_back() -> None:
    versions = ScriptDirectory(str(migrate.FOLDER)).walk_revisions()

    assert [version.revision for version in versions if hasattr(version.module, "downgrade")] == []
    assert "downgrade" not in CliRunner().invoke(main, ["db", "--help"]).output


def _opened(settings: Settings) -> None:
    with reading.opened(settings):
        pass


def _prepare(settings: Settings) -> None:
    Recorder(settings, OwnStorage(settings)).prepare()
