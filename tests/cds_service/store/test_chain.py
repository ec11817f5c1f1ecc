from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, event, insert, select, text, update

from cds_service.settings import Settings
from cds_service.store import chain, reading
from cds_service.store.keys import Keys
from cds_service.store.records import moment
from cds_service.store.tables import cards, chains, decisions, feedback, registry
from tests.cds_service.store.entries import NOW, card, database, decided, keys, said, stored, told


def problems(settings: Settings, with_keys: Keys | None = None) -> list[str]:
    with reading.opened(settings) as connection:
        return list(chain.verify(connection, with_keys or keys(settings)))


def changed(settings: Settings, change: Callable[[Connection], object]) -> None:
    with reading.opened(settings, writes=True) as connection:
        change(connection)


def filled(settings: Settings) -> None:
    """Two chains: one of four records, one of a single record."""
    stored(settings, *(decided(settings, card(), card()) for _ in range(4)))
    stored(settings, decided(settings))


def at(place: int) -> object:
    return (
        select(decisions.c.id).where(decisions.c.seq == place).order_by(decisions.c.writer).limit(1).scalar_subquery()
    )


def test_an_empty_store_has_nothing_to_find(settings: Settings) -> None:
    assert problems(settings) == []


def test_records_as_they_were_written_are_right(settings: Settings) -> None:
    filled(settings)

    assert problems(settings) == []
    with reading.opened(settings) as connection:
        assert [line.split(",")[0] for line in chain.heads(connection)] == ["chain 1: 4 records", "chain 2: 1 records"]


def test_records_that_come_while_it_looks_are_no_problem(settings: Settings) -> None:
    stored(settings, decided(settings))
    with reading.opened(settings) as connection:

        @event.listens_for(connection, "after_cursor_execute", once=True)
        def _(*_: object) -> None:
            stored(settings, decided(settings), decided(settings))

        assert list(chain.verify(connection, keys(settings))) == []
    assert problems(settings) == []


FOURTH = select(decisions.c.writer).where(decisions.c.seq == 4).scalar_subquery()
TAMPERING: dict[str, tuple[str, Callable[[Connection], object]]] = {
    "edited": (
        "was changed or moved",
        lambda c: c.execute(
            update(decisions).where(decisions.c.seq == 2).values(record=text("replace(record, 'undocumented', 'met')"))
        ),
    ),
    "deleted": ("record 2 is missing", lambda c: c.execute(delete(decisions).where(decisions.c.seq == 2))),
    "two deleted": (
        "record 2 to 3 is missing",
        lambda c: c.execute(delete(decisions).where(decisions.c.seq.in_([2, 3]))),
    ),
    "tail deleted": ("is missing at the end", lambda c: c.execute(delete(decisions).where(decisions.c.seq == 4))),
    "first deleted": ("record 1 is missing", lambda c: c.execute(delete(decisions).where(decisions.c.seq == 1))),
    "chain deleted": (
        "chain 2 is missing",
        lambda c: c.execute(delete(chains).where(chains.c.number == 2)),
    ),
    "records of a deleted chain": (
        "is in no chain",
        lambda c: c.execute(delete(chains).where(chains.c.number == 2)),
    ),
    "all deleted": (
        "chain 1 is missing",
        lambda c: [c.execute(delete(table)) for table in (cards, decisions, chains)],
    ),
    "moved": (
        "was changed or moved",
        lambda c: [
            c.execute(update(decisions).where(decisions.c.seq == old).values(seq=new))
            for old, new in ((2, 99), (3, 2), (99, 3))
        ],
    ),
    "end put back": (
        "the end of chain 1 was changed",
        lambda c: c.execute(update(chains).where(chains.c.number == 1).values(head_seq=3)),
    ),
    "beginning moved": (
        "the beginning of chain 1 was changed",
        lambda c: c.execute(update(chains).where(chains.c.number == 1).values(base_seq=1)),
    ),
    "another last hash": (
        "its end is not what was recorded last",
        lambda c: c.execute(update(chains).where(chains.c.number == 1).values(head_hash="0" * 64)),
    ),
    "count": ("the count of chains was changed", lambda c: c.execute(update(registry).values(chains=1))),
    "count gone": ("was never begun", lambda c: c.execute(delete(registry))),
    "column": (
        "its columns do not say",
        lambda c: c.execute(update(decisions).where(decisions.c.seq == 3).values(client="x")),
    ),
    "outcome of a card": ("its cards are not those", lambda c: c.execute(update(cards).values(outcome="met"))),
    "sealed card": ("its cards are not those", lambda c: c.execute(update(cards).values(sealed=b"x"))),
    "card deleted": ("its cards are not those", lambda c: c.execute(delete(cards).where(cards.c.position == 1))),
    "not JSON": ("cannot be read", lambda c: c.execute(update(decisions).values(record="x"))),
    "not a record": ("cannot be read", lambda c: c.execute(update(decisions).values(record="[]"))),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_whatever_is_changed_is_found(settings: Settings, name: str) -> None:
    filled(settings)
    expected, change = TAMPERING[name]

    changed(settings, change)

    assert any(expected in problem for problem in problems(settings)), problems(settings)


def test_a_card_that_was_replaced_by_a_text_is_found(embedded: Settings) -> None:
    filled(embedded)
    with reading.opened(embedded, writes=True) as connection:
        connection.exec_driver_sql("update cards set sealed = 'a text'")

    assert "its cards are not those that it tells of" in problems(embedded)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "accepted"},
        {"card": "another-card"},
        {"client": "another"},
        {"service": "another"},
        {"outcome_at": "2026-11-21T09:31:00Z"},
        {"entry": "[]"},
        {"entry": "canary"},
        {"entry": '{"card": "a-card", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:31:00Z"}'},
    ],
)
def test_feedback_that_was_changed_is_found(settings: Settings, change: dict[str, str]) -> None:
    reason = {"code": "payer-agreed", "system": "urn:coverage-cds:override-reasons"}
    of_card = [
        said("a-card", "overridden", overrideReason={"reason": reason, "userComment": "why"}),
        said("urn:uuid:6BC883B2-B795-4DCB-B661-34884A31D472", "overridden", overrideReason={"userComment": "why"}),
        said("a-card", "overridden", overrideReason={"reason": reason}),
        said("a-card", acceptedSuggestions=[{"id": "a"}]),
        said("a-card"),
    ]
    stored(settings, told(settings, *of_card, client="EHR"))

    def found() -> list[str]:
        with reading.opened(settings) as connection:
            return list(reading.feedback_problems(connection, keys(settings)))

    assert found() == []
    changed(settings, lambda connection: connection.execute(update(feedback).values(**change)))
    assert len(found()) >= 3  # two were accepted before
    assert all("was changed" in sentence for sentence in found())


def test_a_record_that_the_service_did_not_write_is_found(settings: Settings) -> None:
    filled(settings)
    forged = decided(settings)

    def forge(connection: Connection) -> None:
        row = connection.execute(select(decisions).where(decisions.c.seq == 4)).mappings().one()
        connection.execute(insert(decisions).values({**row, "seq": 5, "id": forged.id, "record": forged.record}))

    changed(settings, forge)

    assert any("was changed or moved" in problem for problem in problems(settings))


def test_a_key_that_is_not_configured_is_named(settings: Settings) -> None:
    filled(settings)

    found = problems(settings, Keys(["another secret, as long as it has to be"]))

    assert len(found) == 3
    assert all("which is not configured" in problem for problem in found)


def test_after_a_purge_what_is_left_is_right_and_what_is_new_is_kept(settings: Settings) -> None:
    old, new = NOW.replace(year=2019), NOW
    shown = card()
    into = database(settings)
    for when in (old, old, new):
        into.store([decided(settings, card(), when=when)])
    into.store([told(settings, said(shown["uuid"]), when=old), told(settings, said(shown["uuid"]), client="x")])

    with reading.opened(settings, writes=True) as connection:
        assert reading.purge(connection, keys(settings), moment(NOW.replace(year=2020))) == (2, 1)
    into.store([decided(settings, card())])
    into.close()

    assert problems(settings) == []
    with reading.opened(settings) as connection:
        assert len(list(reading.records(connection))) == 2
        assert len(connection.execute(select(cards)).all()) == 2
        assert len(connection.execute(select(feedback)).all()) == 1
    changed(settings, lambda c: c.execute(delete(decisions).where(decisions.c.seq == 3)))
    assert any("record 3 is missing" in problem for problem in problems(settings))


def test_a_purge_may_leave_a_chain_empty_and_spares_one_of_another_key(settings: Settings) -> None:
    stored(settings, decided(settings))
    other = Keys(["another secret, as long as it has to be"])
    later = moment(NOW.replace(year=2030))

    with reading.opened(settings, writes=True) as connection:
        assert reading.purge(connection, other, later) == (0, 0)
        assert reading.purge(connection, keys(settings), later) == (1, 0)
        assert reading.purge(connection, keys(settings), later) == (0, 0)

    assert problems(settings) == []
