"""A backup holds every record that was acknowledged before it began, wherever it was then."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.settings import Settings
from cds_service.store import backup, chain, reading
from cds_service.store.journal import Journal
from cds_service.store.queued_writer import QueuedWriter
from tests.cds_service.store.entries import card, database, decided, keys, stored
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    import pytest


def ids(settings: Settings) -> set[str]:
    with reading.opened(settings) as connection:
        return {record["id"] for record in reading.records(connection)}


def problems(settings: Settings) -> list[str]:
    with reading.opened(settings) as connection:
        return list(chain.verify(connection, keys(settings)))


def restored(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"data_dir": folder})


def journal_stored(settings: Settings) -> None:
    """Do what a service does at its start with what waits in the journal."""
    writer = QueuedWriter(database(settings), Journal(settings.data_dir, keys(settings)), PATIENCE)
    writer.start()
    writer.put(decided(settings))
    writer.close(PATIENCE)


def cli(settings: Settings, folder: Path) -> Result:
    told = {"COVERAGE_CDS_DATA_DIR": str(settings.data_dir), "COVERAGE_CDS_RECORD_KEYS": "k" * 32}
    if settings.database_url:
        told["COVERAGE_CDS_DATABASE_URL"] = settings.database_url.get_secret_value()
    return CliRunner().invoke(main, ["db", "backup", str(folder)], env=told, prog_name="coverage-cds")


def test_the_copy_is_a_data_folder_with_the_same_records_that_verifies(embedded: Settings, tmp_path: Path) -> None:
    entries = [decided(embedded, card()) for _ in range(3)]
    stored(embedded, *entries)

    backup.back_up(embedded, tmp_path / "copy")
    shutil.rmtree(embedded.data_dir)
    copy = restored(embedded, tmp_path / "copy")

    assert ids(copy) == {entry.id for entry in entries}
    assert problems(copy) == []


def test_what_waits_in_the_journal_is_in_the_copy_and_is_stored_from_there(embedded: Settings, tmp_path: Path) -> None:
    in_database, waiting = decided(embedded, card()), decided(embedded, card())
    stored(embedded, in_database)
    journal = Journal(embedded.data_dir, keys(embedded))
    journal.append(waiting)

    copied = backup.back_up(embedded, tmp_path / "copy")
    journal.close()
    shutil.rmtree(embedded.data_dir)
    copy = restored(embedded, tmp_path / "copy")
    journal_stored(copy)

    assert copied.lines == 1
    assert ids(copy) >= {in_database.id, waiting.id}
    assert problems(copy) == []


def test_a_record_that_moves_from_the_journal_to_the_database_meanwhile_is_not_missed(
    embedded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = decided(embedded, card())
    journal = Journal(embedded.data_dir, keys(embedded))
    journal.append(moving)
    journal.close()
    copy_database = backup._copy_sqlite  # noqa: SLF001 - the moment between its two halves

    def after_it_moved(source: Path, target: Path) -> Path:
        journal_stored(embedded)
        return copy_database(source, target)

    monkeypatch.setattr(backup, "_copy_sqlite", after_it_moved)
    backup.back_up(embedded, tmp_path / "copy")
    copy = restored(embedded, tmp_path / "copy")
    journal_stored(copy)

    assert moving.id in ids(copy)
    assert problems(copy) == []


def test_a_backup_beside_a_service_that_records_is_whole(embedded: Settings, tmp_path: Path) -> None:
    stop = threading.Event()
    acknowledged: list[str] = []
    before: set[str] = set()

    def has_more_than(known: int) -> bool:
        return len(acknowledged) > known

    def record() -> None:
        writer = QueuedWriter(database(embedded), Journal(embedded.data_dir, keys(embedded)), PATIENCE)
        writer.start()
        while not stop.is_set():
            entry = decided(embedded, card())
            writer.put(entry)
            acknowledged.append(entry.id)
        writer.close(PATIENCE)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        for number in range(5):
            until(partial(has_more_than, len(before)))
            before = set(acknowledged)
            backup.back_up(embedded, tmp_path / f"copy{number}")
            copy = restored(embedded, tmp_path / f"copy{number}")
            journal_stored(copy)
            assert ids(copy) >= before
            assert problems(copy) == []
    finally:
        stop.set()
        thread.join()


def test_it_is_for_its_user_only_and_holds_no_key(embedded: Settings, tmp_path: Path) -> None:
    (embedded.data_dir / "record.key").write_text("x" * 40, encoding="ascii")
    journal = Journal(embedded.data_dir, keys(embedded))
    journal.append(decided(embedded))
    backup.back_up(embedded, tmp_path / "copy")
    journal.close()
    made = [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]

    assert {path.name for path in made if path.is_file()} == {
        "coverage-cds.sqlite3",
        *os.listdir(embedded.data_dir / "journal"),  # noqa: PTH208 - names
    }
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == {0}


def test_the_command_says_what_it_copied_and_refuses_a_folder_that_is_there(settings: Settings, tmp_path: Path) -> None:
    first, second = cli(settings, tmp_path / "copy"), cli(settings, tmp_path / "copy")

    assert first.exit_code == 0, first.output
    assert ("pg_dump" in first.output) == (settings.database_url is not None)
    assert "Keys are in no backup" in first.output
    assert second.exit_code == 2
    assert "a backup goes to a new folder" in second.output


def test_without_a_database_there_is_nothing_to_copy(tmp_path: Path) -> None:
    done = cli(Settings.load(data_dir=tmp_path / "none"), tmp_path / "copy")

    assert done.exit_code == 2
    assert "there is no database" in done.output
    assert not (tmp_path / "copy").exists()
