import multiprocessing
from collections.abc import Iterator
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, func, select

from cds_service.errors import Unavailable
from cds_service.security.replays import GRACE, SWEEP, PatientReplays
from cds_service.security.sql_replays import SqlReplays, prepared
from cds_service.settings import Settings
from cds_service.store import engine as engines
from cds_service.store.engine import open_engine
from cds_service.store.migrate import upgrade
from cds_service.store.tables import token_ids
from cds_service.web import authentication
from tests.cds_service.security.replaying import ROUNDS, accepted_of_a_race
from tests.cds_service.store.conftest import emptied
from tests.waiting import LONG, PATIENCE

NOW = 1_790_000_000.0
PROCESSES = 2
ISSUER = "https://ehr.example.org"


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    found = open_engine(settings, writes=True, pool_size=4)
    yield found
    found.dispose()


def kept(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(token_ids)).scalar_one()


def test_of_parallel_copies_exactly_one_is_accepted_in_every_round(engine: Engine, settings: Settings) -> None:
    other = open_engine(settings, writes=True, pool_size=4)
    try:
        accepted = accepted_of_a_race(SqlReplays(engine, lambda: NOW), SqlReplays(other, lambda: NOW))
    finally:
        other.dispose()

    assert accepted == [1] * ROUNDS
    assert kept(engine) == ROUNDS


def test_of_copies_in_several_processes_exactly_one_is_accepted(engine: Engine, settings: Settings) -> None:
    spawn = multiprocessing.get_context("spawn")
    start, found = spawn.Barrier(PROCESSES), spawn.SimpleQueue()
    processes = [spawn.Process(target=_try_all, args=(settings, start, found)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LONG)

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert sum(found.get() for _ in processes) == ROUNDS
    assert kept(engine) == ROUNDS


def _try_all(settings: Settings, start: Barrier, found: "multiprocessing.SimpleQueue[int]") -> None:
    engines.BUSY = PATIENCE
    engine = open_engine(settings, writes=True)
    replays = SqlReplays(engine, lambda: NOW)
    start.wait(PATIENCE)
    found.put(sum(replays.accept(ISSUER, f"round {number}", NOW + 300) for number in range(ROUNDS)))
    engine.dispose()


@pytest.fixture
def _as_a_service_does(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let tokens be remembered as a service does, but with time for the database; close its connections."""
    made: list[Engine] = []

    def opened(settings: Settings, **options: Any) -> Engine:
        made.append(open_engine(settings, **options))
        return made[-1]

    monkeypatch.setattr(engines, "open_engine", opened)
    monkeypatch.setattr(authentication, "PatientReplays", partial(PatientReplays, patience=PATIENCE))
    yield
    for engine in made:
        engine.dispose()


@pytest.mark.usefixtures("_as_a_service_does")
def test_machines_that_share_a_database_accept_a_token_once_between_them(postgres_url: str, tmp_path: Path) -> None:
    url = emptied(postgres_url)
    machines = [Settings.load(data_dir=tmp_path / name, database_url=url) for name in ("one", "other")]
    upgrade(machines[0])
    one, other = (authentication.replays_of(machine, lambda: NOW) for machine in machines)

    tokens = [str(uuid4()) for _ in range(5)]

    assert [replays.accept(ISSUER, token, NOW + 300) for token in tokens for replays in (one, other)] == [
        True,
        False,
    ] * 5


def test_an_id_is_of_its_issuer_whatever_is_in_it(engine: Engine) -> None:
    replays = SqlReplays(engine, lambda: NOW)
    tokens = [("a", "1"), ("b", "1"), ("a", "1"), ("a", "'; drop table token_ids; --"), ("a", "x" * 1024), ("a", "\0é")]

    assert [replays.accept(issuer, jti, NOW + 300) for issuer, jti in tokens] == [True, True, False, True, True, True]


def test_only_a_hash_of_the_id_is_kept(engine: Engine) -> None:
    SqlReplays(engine, lambda: NOW).accept(ISSUER, "canary", NOW + 300.5)

    with engine.connect() as connection:
        [row] = connection.execute(select(token_ids))
    assert row.expires == NOW + 301
    assert len(row.jti_hash) == 64
    assert "canary" not in str(row)


def test_tokens_that_have_expired_are_forgotten_after_a_while(engine: Engine) -> None:
    times = [NOW]
    replays = SqlReplays(engine, lambda: times[-1])
    replays.accept(ISSUER, "old", NOW + 10)
    replays.accept(ISSUER, "long", NOW + 10_000)
    times.append(NOW + SWEEP - 1)
    replays.accept(ISSUER, "next", NOW + 10_000)

    assert kept(engine) == 3
    times.append(NOW + SWEEP + GRACE)
    replays.accept(ISSUER, "last", NOW + 10_000)
    assert kept(engine) == 3
    assert not replays.accept(ISSUER, "long", NOW + 10_000)


def test_without_the_table_nothing_can_be_known(tmp_path: Path) -> None:
    engine = open_engine(Settings.load(data_dir=tmp_path), writes=True)

    with pytest.raises(Unavailable):
        SqlReplays(engine, lambda: NOW).accept(ISSUER, "1", NOW)
    engine.dispose()


def test_a_file_of_its_own_is_made_and_kept(tmp_path: Path) -> None:
    for expected in (True, False):
        engine = prepared(open_engine(Settings.load(data_dir=tmp_path), writes=True))
        assert SqlReplays(engine, lambda: NOW).accept(ISSUER, "1", NOW + 300) is expected
        engine.dispose()
