"""One writer: commits in groups, and never lets a request wait for a database that does not answer."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from cds_service.errors import Refused, Unavailable
from cds_service.settings import Settings
from cds_service.store import chain, queued_writer, reading
from cds_service.store import writer as writers
from cds_service.store.database import Database
from cds_service.store.engine import FILE, open_engine
from cds_service.store.entry import Entry
from cds_service.store.journal import Journal
from cds_service.store.queued_writer import QueuedWriter
from cds_service.store.tables import decisions, feedback
from tests.cds_service.store.entries import card, database, decided, keys, said, told
from tests.waiting import PATIENCE, SOON, ends_by, until

WAIT = 0.15
"""Seconds that a request waits where the database is not to answer."""


class Trouble(Database):
    """A database that can be slow or gone, and counts its transactions."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(open_engine(settings, writes=True), keys(settings).current)
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()
        self.looks = 0
        self.gone = False
        self.refused: set[str] = set()
        self.transactions = 0

    def store(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        self.check()
        if self.refused.intersection(entry.id for entry in entries):
            raise Refused("canary: this entry does not fit")
        self.transactions += 1
        super().store(entries, again=again)

    def check(self) -> None:
        self.looks += 1
        self.asked.set()
        self.answers.wait(10 * PATIENCE)
        if self.gone:
            raise sqlite3.OperationalError("canary: the database is gone")
        super().check()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "AGAIN", 0.05)


@contextmanager
def running(settings: Settings, into: Database, wait: float = PATIENCE) -> Iterator[QueuedWriter]:
    writer = QueuedWriter(into, Journal(settings.data_dir, keys(settings)), wait)
    writer.start()
    try:
        yield writer
    finally:
        writer.close(PATIENCE)


def in_database(settings: Settings) -> list[str]:
    with reading.opened(settings) as connection:
        assert list(chain.verify(connection, keys(settings))) == []
        return sorted(connection.execute(select(decisions.c.id)).scalars())


def in_journal(settings: Settings) -> int:
    return Journal(settings.data_dir, keys(settings)).depth()


def eventually(settings: Settings, ids: Sequence[str]) -> None:
    until(
        lambda: in_database(settings) == sorted(ids) and not in_journal(settings),
        lambda: (len(in_database(settings)), len(ids), in_journal(settings)),
    )


def test_what_is_put_is_in_the_database_when_put_returns(settings: Settings) -> None:
    entries = [decided(settings, card()) for _ in range(3)]

    with running(settings, database(settings)) as writer:
        for number, entry in enumerate(entries, 1):
            writer.put(entry)
            assert len(in_database(settings)) == number

    assert in_journal(settings) == 0


def test_requests_at_once_share_transactions(settings: Settings) -> None:
    into = Trouble(settings)
    entries = [decided(settings, card()) for _ in range(32)]

    with running(settings, into) as writer, ThreadPoolExecutor(32) as pool:
        into.answers.clear()
        first = pool.submit(writer.put, entries[0])
        assert into.asked.wait(PATIENCE)  # while this transaction is under way, the other requests line up for the next
        others = [pool.submit(writer.put, entry) for entry in entries[1:]]
        until(lambda: len(writer._queue) == 31)  # noqa: SLF001 - nothing outside tells who has lined up
        into.answers.set()
        assert {put.result(PATIENCE) for put in (first, *others)} == {"database"}

    assert in_database(settings) == sorted(e.id for e in entries)
    assert into.transactions == 2


def test_a_transaction_waits_for_the_records_of_requests_that_are_being_answered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_writer, "GATHERING", PATIENCE)
    into = Trouble(settings)
    entries = [decided(settings, card()) for _ in range(8)]
    all_expected = threading.Barrier(8)

    with running(settings, into, wait=10 * PATIENCE) as writer, ThreadPoolExecutor(8) as pool:

        def answer(entry: Entry) -> str:
            with writer.expecting():
                all_expected.wait(PATIENCE)
                return writer.put(entry)

        began = time.monotonic()
        assert set(pool.map(answer, entries)) == {"database"}
        assert time.monotonic() - began < PATIENCE  # nobody waits once all are there

    assert into.transactions == 1


def test_a_transaction_does_not_wait_long_for_a_request_that_takes_long(settings: Settings) -> None:
    entry = decided(settings, card())

    with running(settings, database(settings)) as writer, writer.expecting(), writer.expecting():
        assert writer.put(entry) == "database"


def test_a_request_that_failed_is_expected_no_more(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued_writer, "GATHERING", 10 * PATIENCE)

    with running(settings, database(settings)) as writer:
        with pytest.raises(ValueError, match="nothing to record"), writer.expecting():
            raise ValueError("nothing to record")
        with writer.expecting():
            assert writer.put(decided(settings, card())) == "database"


def test_a_frozen_database_costs_a_request_its_short_wait_and_nothing_is_doubled_when_it_goes_on(
    settings: Settings,
) -> None:
    into = Trouble(settings)
    entries = [decided(settings, card()) for _ in range(20)]

    with running(settings, into, wait=2.0) as writer:
        into.answers.clear()
        began = time.monotonic()
        writer.put(entries[0])  # it returns although the database does not answer until further down
        assert time.monotonic() - began >= 2.0
        until(lambda: writer.gone)
        began = time.monotonic()
        for entry in entries[1:]:
            writer.put(entry)
        assert time.monotonic() - began < 19, "requests waited for a database that is known not to answer"
        assert in_journal(settings) == 20
        into.answers.set()
        eventually(settings, [e.id for e in entries])
        assert not writer.gone


def test_what_waits_behind_a_frozen_transaction_goes_to_the_journal_only(embedded: Settings) -> None:
    into = Trouble(embedded)
    first, second = decided(embedded), decided(embedded)

    with running(embedded, into, wait=1.0) as writer, ThreadPoolExecutor(2) as pool:
        into.answers.clear()
        one = pool.submit(writer.put, first)
        assert into.asked.wait(PATIENCE)
        two = pool.submit(writer.put, second)
        one.result()
        two.result()
        assert in_journal(embedded) == 2
        into.answers.set()
        eventually(embedded, [first.id, second.id])


def test_while_the_database_is_gone_the_journal_takes_all_and_gives_it_back(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    into = Trouble(settings)
    entries = [decided(settings, card()) for _ in range(30)]

    with running(settings, into) as writer:
        writer.put(entries[0])
        into.gone = True
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(writer.put, entries[1:]))
        assert in_journal(settings) == 29
        looked = into.looks
        until(lambda: into.looks > looked + 2)  # in vain
        into.gone = False
        eventually(settings, [e.id for e in entries])

    err = capsys.readouterr().err
    assert err.count("database gone") == err.count("database back") == 1
    assert "canary" not in err


def test_a_journal_that_was_stored_but_not_deleted_is_stored_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, words = decided(settings, card()), told(settings, said("a"))
    into = database(settings)
    into.store([entry, words])
    into.close()
    left = Journal(settings.data_dir, keys(settings))
    left.append(entry)
    left.append(words)
    left.close()

    with running(settings, database(settings)):
        eventually(settings, [entry.id])

    with reading.opened(settings) as connection:
        assert connection.execute(select(func.count()).select_from(feedback)).scalar_one() == 1


def test_what_the_database_refuses_is_set_aside_and_stops_nothing(embedded: Settings) -> None:
    into = Trouble(embedded)
    entries = [decided(embedded) for _ in range(3)]
    into.refused.add(entries[1].id)
    left = Journal(embedded.data_dir, keys(embedded))
    for entry in entries:
        left.append(entry)
    left.close()

    with running(embedded, into) as writer:
        eventually(embedded, [entries[0].id, entries[2].id])
        writer.put(last := decided(embedded))
        eventually(embedded, [entries[0].id, entries[2].id, last.id])

    assert entries[1].id in (left.folder / "lines.damaged").read_text()


def test_an_entry_that_a_working_database_takes_the_second_time_is_not_refused(embedded: Settings) -> None:
    failures = iter([True, True])

    class Failing(Trouble):
        def store(self, entries: Sequence[Entry], *, again: bool = False) -> None:
            if next(failures, False):  # all of them, and then the first of them alone
                raise ConnectionError("canary: the connection ended")
            super().store(entries, again=again)

    entries = [decided(embedded) for _ in range(3)]
    left = Journal(embedded.data_dir, keys(embedded))
    for entry in entries:
        left.append(entry)
    left.close()

    with running(embedded, Failing(embedded)):
        eventually(embedded, [entry.id for entry in entries])

    assert not (left.folder / "lines.damaged").exists()


def test_a_database_that_goes_again_while_a_journal_is_stored_leaves_the_journal(embedded: Settings) -> None:
    tried, is_back = threading.Event(), threading.Event()

    class Going(Trouble):
        def store(self, entries: Sequence[Entry], *, again: bool = False) -> None:
            tried.set()
            super().store(entries, again=again)

        def check(self) -> None:
            if tried.is_set() and not is_back.is_set():
                raise sqlite3.OperationalError("the database is gone again")
            super().check()

    into = Going(embedded)
    left = Journal(embedded.data_dir, keys(embedded))
    left.append(entry := decided(embedded))
    left.close()

    with running(embedded, into):
        assert tried.wait(PATIENCE)
        assert in_journal(embedded) == 1
        is_back.set()
        eventually(embedded, [entry.id])


@pytest.mark.parametrize("look", ["waiting", "take"])
def test_a_journal_that_cannot_be_read_now_is_read_later(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    left = Journal(embedded.data_dir, keys(embedded))
    left.append(entry := decided(embedded))
    left.close()
    does, failed = getattr(Journal, look), threading.Event()

    def once_broken(of: Journal) -> object:
        if not failed.is_set():
            failed.set()
            raise OSError(5, "Input/output error")
        return does(of)

    monkeypatch.setattr(Journal, look, once_broken)

    with running(embedded, database(embedded)):
        eventually(embedded, [entry.id])


def test_with_neither_database_nor_journal_the_request_is_told_to_come_again(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    into = Trouble(embedded)
    into.gone = True
    monkeypatch.setattr(Journal, "append", full)

    with running(embedded, into) as writer, pytest.raises(Unavailable, match="ask again later"):
        writer.put(decided(embedded))


def test_a_closed_writer_uses_the_journal(embedded: Settings) -> None:
    with running(embedded, database(embedded)) as writer:
        writer.close()
        writer.put(decided(embedded))

    assert in_journal(embedded) == 1


def test_another_process_that_holds_sqlite_s_lock_costs_a_short_wait(
    embedded: Settings,
) -> None:
    entry = decided(embedded)
    other = sqlite3.connect(embedded.data_dir / FILE, isolation_level=None)
    other.execute("begin immediate")

    with running(embedded, database(embedded), wait=WAIT) as writer:
        assert ends_by(SOON, lambda: writer.put(entry), tries=1)
        other.execute("rollback")
        other.close()
        eventually(embedded, [entry.id])
