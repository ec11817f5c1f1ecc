"""Used tokens in the file of a machine and in the database that machines share: the same promises of both."""

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from cds_service.errors import Unavailable
from cds_service.security.file_replays import FileReplays
from cds_service.security.replays import GRACE, SWEEP, PatientReplays, Replays, hashed
from cds_service.security.sql_replays import SqlReplays
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


@contextmanager
def remembering(settings: Settings, now: Callable[[], float] = lambda: NOW) -> Iterator[Replays]:
    """What remembers tokens where the settings store records: in a file beside them, or in the same PostgreSQL."""
    if settings.database_url is None:
        with closing(FileReplays(settings.data_dir / authentication.TOKEN_IDS, now, PATIENCE)) as replays:
            yield replays
        return
    engine = open_engine(settings, writes=True, pool_size=4)
    try:
        yield SqlReplays(engine, now)
    finally:
        engine.dispose()


@pytest.fixture
def replays(settings: Settings) -> Iterator[Replays]:
    with remembering(settings) as found:
        yield found


def kept(settings: Settings) -> list[tuple[Any, ...]]:
    """Return the rows that are there."""
    if settings.database_url is None:
        with closing(sqlite3.connect(settings.data_dir / authentication.TOKEN_IDS)) as file:
            return file.execute("select * from token_ids").fetchall()
    engine = open_engine(settings, writes=False)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql("select * from token_ids")]
    engine.dispose()
    return rows


def test_of_parallel_copies_exactly_one_is_accepted_in_every_round(settings: Settings) -> None:
    with remembering(settings) as one, remembering(settings) as other:
        accepted = accepted_of_a_race(one, other)

    assert accepted == [1] * ROUNDS
    assert len(kept(settings)) == ROUNDS


def test_of_copies_in_several_processes_exactly_one_is_accepted(settings: Settings) -> None:
    spawn = multiprocessing.get_context("spawn")
    start, found = spawn.Barrier(PROCESSES), spawn.SimpleQueue()
    processes = [spawn.Process(target=_try_all, args=(settings, start, found)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LONG)

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert sum(found.get() for _ in processes) == ROUNDS
    assert len(kept(settings)) == ROUNDS


def _try_all(settings: Settings, start: Barrier, found: "multiprocessing.SimpleQueue[int]") -> None:
    with remembering(settings) as replays:
        start.wait(PATIENCE)
        found.put(sum(replays.accept(ISSUER, f"round {number}", NOW + 300) for number in range(ROUNDS)))


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


def test_an_id_is_of_its_issuer_whatever_is_in_it(replays: Replays) -> None:
    tokens = [("a", "1"), ("b", "1"), ("a", "1"), ("a", "'; drop table token_ids; --"), ("a", "x" * 1024), ("a", "\0é")]

    assert [replays.accept(issuer, jti, NOW + 300) for issuer, jti in tokens] == [True, True, False, True, True, True]


def test_only_a_hash_of_the_id_is_kept(replays: Replays, settings: Settings) -> None:
    replays.accept(ISSUER, "canary", NOW + 300.5)

    [(issuer, jti_hash, expires)] = kept(settings)
    assert (issuer, expires) == (ISSUER, NOW + 301)
    assert len(jti_hash) == 64
    assert "canary" not in jti_hash


def test_tokens_that_have_expired_are_forgotten_after_a_while(settings: Settings) -> None:
    times = [NOW]
    with remembering(settings, lambda: times[-1]) as replays:
        replays.accept(ISSUER, "old", NOW + 10)
        replays.accept(ISSUER, "long", NOW + 10_000)
        times.append(NOW + SWEEP - 1)
        replays.accept(ISSUER, "next", NOW + 10_000)

        assert len(kept(settings)) == 3
        times.append(NOW + SWEEP + GRACE)
        replays.accept(ISSUER, "last", NOW + 10_000)
        assert len(kept(settings)) == 3
        assert not replays.accept(ISSUER, "long", NOW + 10_000)


def test_a_database_without_the_table_cannot_say_anything(postgres_url: str, tmp_path: Path) -> None:
    engine = open_engine(Settings.load(data_dir=tmp_path, database_url=emptied(postgres_url)), writes=True)

    with pytest.raises(Unavailable):
        SqlReplays(engine, lambda: NOW).accept(ISSUER, "1", NOW)
    engine.dispose()


def schema(path: Path) -> list[tuple[Any, ...]]:
    """Return the columns of the table and its indexes."""
    with closing(sqlite3.connect(path)) as file:
        tables = ("table_info('token_ids')", "index_list('token_ids')", "index_info('token_ids_expires')")
        return [row for table in tables for row in file.execute(f"select * from pragma_{table}")]  # noqa: S608 - ours


class TestFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "data" / authentication.TOKEN_IDS

    def test_a_restart_forgets_nothing(self, path: Path) -> None:
        for expected in (True, False):
            with closing(FileReplays(path, lambda: NOW)) as replays:
                assert replays.accept(ISSUER, "1", NOW + 300) is expected

    def test_it_has_the_table_of_the_database(self, path: Path) -> None:
        engine = open_engine(Settings.load(data_dir=path.parent, database_url=f"sqlite:///{path}"), writes=True)
        token_ids.create(engine)
        with engine.begin() as connection:
            connection.execute(token_ids.insert().values(issuer=ISSUER, jti_hash=hashed("1"), expires=NOW + 300))
        made = schema(path)
        engine.dispose()

        with closing(FileReplays(path, lambda: NOW)) as replays:
            assert not replays.accept(ISSUER, "1", NOW + 300)
            assert replays.accept(ISSUER, "2", NOW + 300)
        path.unlink()
        FileReplays(path, lambda: NOW)
        assert schema(path) == made

    def test_it_is_for_the_service_alone(self, path: Path) -> None:
        with closing(FileReplays(path, lambda: NOW)) as replays:
            replays.accept(ISSUER, "1", NOW + 300)

            assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}

    def test_while_it_is_locked_nothing_can_be_known_and_afterwards_all_goes_on(self, path: Path) -> None:
        with closing(FileReplays(path, lambda: NOW, busy=0.01)) as replays, closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                replays.accept(ISSUER, "1", NOW + 300)
            other.rollback()

            assert replays.accept(ISSUER, "1", NOW + 300)

    def test_while_it_cannot_be_opened_nothing_can_be_known(self, path: Path) -> None:
        replays = FileReplays(path, lambda: NOW)
        path.unlink()
        path.mkdir()

        with pytest.raises(Unavailable):
            replays.accept(ISSUER, "1", NOW + 300)
