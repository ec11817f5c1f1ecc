"""The process that stores for the workers: what it took is stored once, whatever becomes of it or of them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select, text

from cds_service import logs
from cds_service.errors import SettingsError, StoreFailed, UnusableInput
from cds_service.settings import Settings
from cds_service.store import chain, reading, remote_database, storing, storing_process
from cds_service.store import writer as writers
from cds_service.store.engine import url_of
from cds_service.store.entry import Entry
from cds_service.store.journal import Journal
from cds_service.store.recorder import Recorder
from cds_service.store.remote_database import Ask, RemoteDatabase
from cds_service.store.storing_process import StoringProcess
from cds_service.store.tables import decisions, feedback
from cds_service.store.writer import Writer
from tests.cds_service.store.conftest import KEY
from tests.cds_service.store.entries import card, decided, keys, said, told
from tests.waiting import PATIENCE, SOON, ends_by, until

WAIT = 0.15
"""Seconds that a request waits where the process is not to answer."""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "AGAIN", 0.05)


@contextmanager
def started(settings: Settings) -> Iterator[StoringProcess]:
    process = StoringProcess(settings)
    process.start()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.end()


@contextmanager
def running(settings: Settings) -> Iterator[StoringProcess]:
    with started(settings) as process:
        process.begin()
        yield process


@contextmanager
def writing(process: StoringProcess, settings: Settings, wait: float = PATIENCE) -> Iterator[Writer]:
    writer = process.writer(keys(settings), Journal(settings.data_dir, keys(settings)), wait)
    writer.start()
    try:
        yield writer
    finally:
        writer.close(PATIENCE)


def kill(process: StoringProcess) -> None:
    """Kill it, and wait until its parent can see that."""
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process.lives())


def in_database(settings: Settings) -> list[str]:
    with reading.opened(settings) as connection:
        assert list(chain.verify(connection, keys(settings))) == []
        return sorted(connection.execute(select(decisions.c.id)).scalars())


def eventually(settings: Settings, entries: Sequence[Entry]) -> None:
    ids = sorted(entry.id for entry in entries)
    left = Journal(settings.data_dir, keys(settings))
    until(lambda: in_database(settings) == ids and not left.depth())


def test_what_several_workers_put_is_in_the_database_when_put_returns(settings: Settings) -> None:
    entries = [decided(settings, card()) for _ in range(60)]

    with running(settings) as process, writing(process, settings) as one, writing(process, settings) as other:
        assert one.put(entries[0]) == "database"
        assert in_database(settings) == [entries[0].id]
        with ThreadPoolExecutor(12) as pool:
            took = [pool.submit((one, other)[n % 2].put, entry) for n, entry in enumerate(entries[1:])]
            assert {put.result(PATIENCE) for put in took} == {"database"}
        assert other.put(told(settings, said("a-card"))) == "database"

    assert in_database(settings) == sorted(entry.id for entry in entries)
    with reading.opened(settings) as connection:
        assert connection.execute(select(func.count()).select_from(feedback)).scalar() == 1


def test_an_entry_that_is_longer_than_what_a_socket_holds_is_taken_whole(settings: Settings) -> None:
    entry = decided(settings, card(notices=[f"notice {n}" for n in range(100_000)]))

    with running(settings) as process, writing(process, settings) as writer:
        assert writer.put(entry) == "database"

    with reading.opened(settings) as connection:
        assert reading.find(connection, entry.id)["cards"][0]["notices"][-1] == "notice 99999"


def test_it_is_begun_again_when_it_has_ended_and_the_journal_stands_in_meanwhile(settings: Settings) -> None:
    entries = [decided(settings, card()) for _ in range(4)]

    with running(settings) as process, writing(process, settings) as writer:
        assert writer.put(entries[0]) == "database"
        first = process.pid
        kill(process)
        assert {writer.put(entry) for entry in entries[1:3]} == {"journal"}
        assert writer.gone

        process.look()

        until(lambda: not writer.gone)
        assert writer.put(entries[3]) == "database"
        assert process.pid != first
        eventually(settings, entries)


def test_nothing_is_lost_or_doubled_when_it_is_killed_again_and_again(settings: Settings) -> None:
    entries = [decided(settings, card()) for _ in range(300)]

    with running(settings) as process, writing(process, settings) as writer, ThreadPoolExecutor(6) as pool:
        puts = [pool.submit(writer.put, entry) for entry in entries]
        for seen in (50, 120, 200):
            until(partial(are_done, puts, seen))
            kill(process)
            process.look()
        assert {put.result(PATIENCE) for put in puts} <= {"database", "journal"}
        eventually(settings, entries)


def are_done(puts: Sequence[Future[Any]], many: int) -> bool:
    return sum(put.done() for put in puts) >= many


def test_what_is_asked_while_none_is_there_is_answered_by_the_next(settings: Settings) -> None:
    entry = decided(settings, card())

    with running(settings) as process, writing(process, settings) as writer, ThreadPoolExecutor(1) as pool:
        kill(process)
        put = pool.submit(writer.put, entry)
        process.look()

        assert put.result(PATIENCE) in {"database", "journal"}
        eventually(settings, [entry])


def test_no_request_waits_for_a_process_that_is_stopped(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    entries = [decided(settings, card()) for _ in range(50)]

    with running(settings) as process, writing(process, settings, WAIT) as writer:
        os.kill(process.pid, signal.SIGSTOP)
        assert writer.put(entries[0]) == "journal"
        until(lambda: writer.gone)
        assert ends_by(SOON, lambda: [writer.put(entry) for entry in entries[1:]], tries=1)
        assert len(entries) == Journal(settings.data_dir, keys(settings)).depth()

        os.kill(process.pid, signal.SIGCONT)

        until(lambda: not writer.gone)
        eventually(settings, entries)

    err = capsys.readouterr().err
    assert (err.count("database gone"), err.count("database back")) == (1, 1)


def test_what_the_database_refuses_of_one_request_is_not_the_problem_of_the_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Ask] = []
    ask = remote_database.ask

    def asking(connection: socket.socket, what: Ask) -> None:
        ask(connection, what)
        sent.append(what)

    good, doubled = (decided(settings, card()) for _ in range(2))
    unfit = Entry("decision", "unfit", "{}")

    with running(settings) as process, writing(process, settings) as writer, ThreadPoolExecutor(3) as pool:
        assert writer.put(doubled) == "database"
        with writing(process, settings) as other:
            monkeypatch.setattr(remote_database, "ask", asking)
            os.kill(process.pid, signal.SIGSTOP)  # so that it finds all three at once
            puts = [pool.submit(writer.put, entry) for entry in (good, doubled)]
            refused = pool.submit(other.put, unfit)
            until(lambda: len(sent) >= 3)
            os.kill(process.pid, signal.SIGCONT)

            assert {put.result(PATIENCE) for put in puts} == {"database"}
            assert refused.result(PATIENCE) == "journal"

        assert in_database(settings) == sorted([good.id, doubled.id])


WRITES = "set default_transaction_read_only = off"
READ_ONLY = "alter database {name} set default_transaction_read_only = "
END = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'coverage-cds'"


@pytest.mark.parametrize(
    ("closed", "opened"),
    [
        (["alter table cards rename to moved"], ["alter table moved rename to cards"]),
        (
            ["alter table cards add note text not null default ''", "alter table cards alter note drop default"],
            ["alter table cards drop note"],
        ),
        ([READ_ONLY + "on", END], [WRITES, READ_ONLY + "off", END]),
    ],
    ids=["a table is missing", "a column has to have a value", "read only"],
)
def test_what_a_database_that_answers_does_not_write_waits_in_the_journal_until_it_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, closed: Sequence[str], opened: Sequence[str]
) -> None:
    if settings.database_url is None and len(closed) > 1:
        pytest.skip("of PostgreSQL only")
    entries = [decided(settings, card()) for _ in range(4)]
    left = Journal(settings.data_dir, keys(settings))
    looks: list[None] = []
    check = RemoteDatabase.check

    def counted(database: RemoteDatabase) -> None:
        looks.append(None)
        check(database)

    monkeypatch.setattr(RemoteDatabase, "check", counted)
    with running(settings) as process, writing(process, settings) as writer:
        assert writer.put(entries[0]) == "database"
        change(settings, closed)
        assert {writer.put(entry) for entry in entries[1:3]} == {"journal"}
        seen = len(looks)
        until(lambda: len(looks) > seen + 3)  # in vain
        assert (left.depth(), (left.folder / "lines.damaged").exists()) == (2, False)

        change(settings, opened)

        eventually(settings, entries[:3])
        until(lambda: not writer.gone)
        assert writer.put(entries[3]) == "database"


def change(settings: Settings, commands: Sequence[str]) -> None:
    engine = create_engine(url_of(settings), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for command in commands:
            connection.execute(text(command.format(name=engine.url.database)))
    engine.dispose()


def test_tables_of_another_version_stop_the_start(embedded: Settings) -> None:
    with reading.opened(embedded, writes=True) as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    with started(embedded) as process, pytest.raises(UnusableInput, match="later coverage-cds"):
        Recorder(embedded, process).prepare()


def test_a_url_that_names_no_database_stops_the_start(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path, record_keys=KEY, database_url="mysql://user@host/name")
    with started(settings) as process, pytest.raises(SettingsError, match="DATABASE_URL"):
        Recorder(settings, process).prepare()


def test_one_that_ends_before_the_tables_are_ready_is_waited_for_no_longer(embedded: Settings) -> None:
    with started(embedded) as process:
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(StoreFailed):
            process.begin()
        Recorder(embedded, process).prepare()  # which goes on, as with any database that does not answer


def test_tables_that_another_version_has_changed_meanwhile_leave_all_to_the_journal(embedded: Settings) -> None:
    with running(embedded) as process, writing(process, embedded) as writer:
        with reading.opened(embedded, writes=True) as connection:
            connection.exec_driver_sql("update alembic_version set version_num = '9999'")
        kill(process)
        process.look()

        assert writer.put(decided(embedded, card())) == "journal"
        assert writer.put(decided(embedded, card())) == "journal"


def test_a_machine_that_has_no_room_for_a_process_is_asked_again(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with running(embedded) as process, writing(process, embedded) as writer:
        kill(process)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fork", full)
            process.look()
            assert not process.lives()
        process.look()

        until(lambda: writer.put(decided(embedded, card())) == "database")


def test_it_says_whether_the_database_answers(embedded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing_process, "_PATIENCE", 0.1)
    with running(embedded) as process:
        until(process.answers)
        os.kill(process.pid, signal.SIGSTOP)
        assert not process.answers()
        os.kill(process.pid, signal.SIGCONT)
        until(process.answers)


def test_who_stops_all_processes_at_once_does_not_stop_it_before_the_workers(embedded: Settings) -> None:
    entry = decided(embedded, card())

    with running(embedded) as process, writing(process, embedded) as writer:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            os.kill(process.pid, number)

        assert writer.put(entry) == "database"


def test_it_ends_when_nobody_is_left_who_could_ask(embedded: Settings) -> None:
    process = StoringProcess(embedded)
    process.start()
    process.begin()
    process.end()

    assert not Path(f"/proc/{process.pid}").exists()


def test_a_worker_that_is_stopped_while_it_sends_does_not_stop_the_others(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "PATIENCE", 0.1)  # before it is forked
    entry = decided(embedded, card())

    with running(embedded) as process, process.connect() as stopped, writing(process, embedded) as writer:
        stopped.sendall(b"\0\0")

        assert writer.put(entry) == "database"
        assert stopped.recv(1) == b""


def test_one_that_is_begun_again_keeps_nothing_open_that_is_its_parents(embedded: Settings) -> None:
    with running(embedded) as process, socket.create_server(("127.0.0.1", 0)) as listener:
        kill(process)
        process.look()
        until(process.answers)
        address = listener.getsockname()
        listener.close()

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_the_threads_of_a_worker_do_not_wait_for_each_other(embedded: Settings) -> None:
    entries = [decided(embedded, card()) for _ in range(8)]

    with running(embedded) as process, writing(process, embedded) as writer:
        os.kill(process.pid, signal.SIGSTOP)
        threads = [threading.Thread(target=writer.put, args=(entry,)) for entry in entries]
        for thread in threads:
            thread.start()
        os.kill(process.pid, signal.SIGCONT)
        for thread in threads:
            thread.join(PATIENCE)

    assert in_database(embedded) == sorted(entry.id for entry in entries)
