"""Finding records, and what is stored around one, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from cds_service.settings import Settings
from cds_service.store import reading, search
from cds_service.store.entry import Entry
from cds_service.store.journal import Journal
from cds_service.store.search import Found, Wanted, Whole
from cds_service.store.tables import cards, decisions, feedback
from tests.cds_service.store.conftest import KEY
from tests.cds_service.store.entries import NOW, PATIENT, card, database, decided, keys, said, stored, told

ANOTHER = "another secret of the tests that is long enough"


def found(settings: Settings, page: int = 0, **asked: Any) -> Found:
    with reading.opened(settings) as connection:
        return search.find(connection, keys(settings), Wanted(**asked), page)


def ids(settings: Settings, **asked: Any) -> list[str]:
    return [record["id"] for record in found(settings, **asked).records]


def whole(settings: Settings, entry: Entry) -> Whole:
    with reading.opened(settings) as connection:
        one = search.whole(connection, keys(settings), settings, entry.id)
    assert one
    return one


def test_records_are_found_by_everything_that_is_known_of_them(settings: Settings) -> None:
    other = card(policy=None, therapy="a-ther_py", outcome=None, elsewhere={"document": "D", "because": "b"})
    one = decided(settings, shown := card(outcome="not-met"), client="Example EHR")
    two = decided(settings, other, when=NOW + timedelta(days=1))
    stored(settings, one, two)

    assert ids(settings) == [two.id, one.id]
    assert ids(settings, policy="POL") == ids(settings, outcome="not-met") == [one.id]
    assert ids(settings, therapy="a-therapy") == [one.id]
    assert ids(settings, therapy="a-ther_py") == [two.id]
    assert ids(settings, therapy="a-ther") == ids(settings, therapy="%") == []
    assert ids(settings, client="Example EHR") == [one.id]
    assert ids(settings, since=date(2026, 11, 21)) == [two.id]
    assert ids(settings, until=date(2026, 11, 20)) == [one.id]
    assert ids(settings, until=date.max) == [two.id, one.id]
    assert ids(settings, id=one.id) == ids(settings, id=f" urn:uuid:{shown['uuid'].upper()} ") == [one.id]
    assert ids(settings, policy="POL", outcome="met") == []


def test_what_no_database_can_hold_is_found_nowhere_and_is_no_failure(settings: Settings) -> None:
    stored(settings, decided(settings, card()))

    for name in ("policy", "outcome", "therapy", "client", "patient", "id"):
        assert ids(settings, **{name: "POL\0"}) == []
    with reading.opened(settings) as connection:
        assert search.whole(connection, keys(settings), settings, "\0") is None


def test_a_patient_is_found_by_the_id_that_each_client_gave_under_every_key(embedded: Settings) -> None:
    old = decided(embedded, card(), client="Example EHR")
    stored(embedded, old)
    rotated = Settings.load(data_dir=embedded.data_dir, record_keys=f"{ANOTHER},{KEY}")
    new = decided(rotated, card(), when=NOW + timedelta(hours=1))
    stored(rotated, new)

    assert ids(rotated, patient=PATIENT) == [new.id, old.id]
    assert ids(rotated, patient=PATIENT, client="Example EHR") == [old.id]
    assert ids(embedded, patient=PATIENT) == [old.id]
    assert ids(rotated, patient="canary") == []


def test_a_list_has_pages(embedded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE", 2)
    entries = [decided(embedded, when=NOW + timedelta(minutes=minute)) for minute in range(3)]
    stored(embedded, *entries)

    first, second = found(embedded), found(embedded, page=1)

    assert [record["id"] for record in (*first.records, *second.records)] == [e.id for e in reversed(entries)]
    assert (first.more, second.more) == (True, False)


def test_a_record_comes_with_its_cards_feedback_and_place(settings: Settings) -> None:
    shown = card()
    entry = decided(settings, shown, client="Example EHR")
    reason = {"reason": {"code": "c", "system": "s", "display": "Not for us"}, "userComment": "canary-comment"}
    by_others = told(settings, said(shown["uuid"]), client="Other")
    overridden = told(settings, said(shown["uuid"], "overridden", overrideReason=reason), client="Example EHR")
    accepted = told(
        settings,
        said(shown["uuid"], acceptedSuggestions=[{"id": "1"}]),
        client="Example EHR",
        when=NOW + timedelta(minutes=1),
    )
    stored(settings, entry, by_others, overridden, accepted)

    one = whole(settings, entry)

    assert one.secrets[0] is not None
    assert one.secrets[0]["card"] == shown
    first, second = one.told[0]
    assert (first.outcome, first.reason, first.comment) == ("overridden", "Not for us", "canary-comment")
    assert (second.outcome, second.suggestions, second.comment) == ("accepted", 1, "")
    assert one.place
    assert (one.place.chain, one.place.seq, one.place.intact) == (1, 1, True)


def test_without_its_key_a_record_shows_that_there_is_more(embedded: Settings) -> None:
    shown = card()
    entry = decided(embedded, shown)
    stored(embedded, entry, told(embedded, said(shown["uuid"], "overridden", overrideReason={"userComment": "c"})))
    others = Settings.load(data_dir=embedded.data_dir, record_keys=ANOTHER)

    one = whole(others, entry)

    assert one.secrets == (None,)
    assert one.told[0][0].comment == "a comment that cannot be decrypted with the keys that are configured"
    assert one.place
    assert one.place.intact is None


@pytest.mark.parametrize("number", [0, 1])
def test_a_record_that_was_changed_is_seen(embedded: Settings, number: int) -> None:
    entries = [decided(embedded, card()) for _ in range(2)]
    stored_in_one_chain(embedded, *entries)
    with reading.opened(embedded, writes=True) as connection:
        text = entries[number].record.replace("order-sign", "order-select")
        connection.execute(update(decisions).where(decisions.c.id == entries[number].id).values(record=text))

    places = [whole(embedded, entry).place for entry in entries]

    assert [place.intact if place else None for place in places] == [number != 0, number != 1]


def test_a_card_that_was_changed_or_deleted_is_seen(embedded: Settings) -> None:
    changed, deleted = decided(embedded, card()), decided(embedded, card())
    stored(embedded, changed, deleted)
    with reading.opened(embedded, writes=True) as connection:
        connection.execute(update(cards).where(cards.c.decision == changed.id).values(sealed=b"x"))
        connection.execute(cards.delete().where(cards.c.decision == deleted.id))

    for entry in (changed, deleted):
        one = whole(embedded, entry)
        assert one.secrets == (None,)
        assert one.place
        assert one.place.intact is False


def test_a_record_of_no_chain_is_not_as_it_was_written(embedded: Settings) -> None:
    entry = decided(embedded, card())
    stored(embedded, entry)
    with reading.opened(embedded, writes=True) as connection:
        connection.execute(update(decisions).values(writer="nobody"))

    place = whole(embedded, entry).place

    assert place
    assert place.intact is False


def test_what_waits_in_the_journal_is_found_and_stays_there(embedded: Settings) -> None:
    entry = decided(embedded, shown := card())
    journal = Journal(embedded.data_dir, keys(embedded))
    journal.append(told(embedded, said(shown["uuid"])))
    journal.append(entry)

    one = whole(embedded, entry)

    assert one.place is None
    assert one.secrets[0] is not None
    assert one.secrets[0]["card"] == shown
    assert search.waiting(embedded, keys(embedded)) == 2
    journal.close()


def test_nothing_is_found_where_nothing_is(embedded: Settings) -> None:
    with reading.opened(embedded) as connection:
        assert search.whole(connection, keys(embedded), embedded, "none") is None
        assert search.clients(connection) == search.policies(connection) == []


def test_the_clients_and_policies_of_the_records_are_listed_once(embedded: Settings) -> None:
    for client in ("B", None, "A", "B"):
        stored(embedded, decided(embedded, card(), client=client))

    with reading.opened(embedded) as connection:
        assert search.clients(connection) == [None, "A", "B"]
        assert search.policies(connection) == ["POL"]
        assert connection.execute(feedback.select()).first() is None


def stored_in_one_chain(settings: Settings, *entries: Entry) -> None:
    into = database(settings)
    into.store(list(entries))
    into.close()


def test_the_secrets_of_a_record_that_was_replaced_are_not_taken_for_its_own(embedded: Settings) -> None:
    entry = decided(embedded, card(), card())
    stored(embedded, replace_sealed(entry))

    one = whole(embedded, entry)

    assert one.secrets == (None, None)


def replace_sealed(entry: Entry) -> Entry:
    """Return the entry with the encrypted parts of its two cards exchanged."""
    return entry._replace(sealed=tuple(reversed(entry.sealed)))
