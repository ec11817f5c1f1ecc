"""Finding records by what operators know of them, and everything that is stored around one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Select, func, or_, select

from cds_service.settings import Settings
from cds_service.store import chain
from cds_service.store.journal import Journal
from cds_service.store.keys import Keys
from cds_service.store.records import about, card_id, comment_of, secret_of
from cds_service.store.tables import cards, chains, decisions, feedback

PAGE = 50
"""Records on one page of a list."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; what is None or empty is not asked for."""

    since: date | None = None
    until: date | None = None
    policy: str = ""
    outcome: str = ""
    therapy: str = ""
    client: str | None = None
    patient: str = ""
    """The id that the client gave the patient; the records hold its pseudonym only."""
    id: str = ""
    """Of a record, or of one of its cards."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of records, newest first."""

    records: tuple[dict[str, Any], ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands in a chain, and whether it is there as it was written."""

    chain: int
    seq: int
    hash: str
    intact: bool | None
    """None when the key of the chain is not configured."""


@dataclass(frozen=True, slots=True)
class Told:
    """Feedback on a card."""

    received: str
    outcome: str
    outcome_at: str
    reason: str
    comment: str
    suggestions: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A record with everything around it."""

    record: dict[str, Any]
    secrets: tuple[dict[str, Any] | None, ...]
    """For each card what was encrypted: the card, the line of business, the facts; None where no key opens it."""
    told: tuple[tuple[Told, ...], ...]
    """For each card the feedback on it, as it was received."""
    place: Place | None
    """None while it waits in the journal."""


def find(connection: Connection, keys: Keys, wanted: Wanted, page: int = 0) -> Found:
    """Return a page of the records that are wanted, the first is page 0."""
    if any("\0" in name for name in (wanted.policy, wanted.outcome, wanted.client or "")):
        return Found((), more=False)  # PostgreSQL refuses the question
    query = select(decisions.c.record).order_by(decisions.c.at.desc(), decisions.c.id)
    query = _limited(query, wanted)
    if wanted.patient:
        names = [wanted.client] if wanted.client is not None else clients(connection)
        known = [key.pseudonym(name, wanted.patient) for name in names for key in keys.every()]
        query = query.where(decisions.c.patient.in_(known))
    rows = connection.execute(query.offset(page * PAGE).limit(PAGE + 1)).scalars().all()
    return Found(tuple(orjson.loads(str(text)) for text in rows[:PAGE]), len(rows) > PAGE)


def clients(connection: Connection) -> list[str | None]:
    """Return the names of the clients that have records; None for calls without one."""
    return sorted(connection.execute(select(decisions.c.client).distinct()).scalars(), key=lambda name: name or "")


def policies(connection: Connection) -> list[str]:
    """Return the policies that cards name."""
    named = select(cards.c.policy).where(cards.c.policy.is_not(None)).distinct().order_by(cards.c.policy)
    return [str(name) for name in connection.execute(named).scalars()]


def whole(connection: Connection, keys: Keys, settings: Settings, record_id: str) -> Whole | None:
    """Return the record with an id with all that is stored around it; None when there is none, here or waiting."""
    record_id = card_id(record_id)
    row = connection.execute(select(decisions).where(decisions.c.id == record_id)).mappings().first()
    if row is None:
        return _waiting(connection, keys, settings, record_id)
    record = orjson.loads(row["record"])
    stored = select(cards.c.sealed).where(cards.c.decision == record_id).order_by(cards.c.position)
    sealed = list(connection.execute(stored).scalars())
    place = _place(connection, keys, row["writer"], row["seq"], row["record"], row["hash"])
    digests = [hashlib.sha256(part or b"").hexdigest() for part in sealed]
    if place.intact and digests != [card["sealed"] for card in record["cards"]]:
        place = Place(place.chain, place.seq, place.hash, intact=False)
    return Whole(record, _opened(keys, record, sealed), _told(connection, keys, record), place)


def waiting(settings: Settings, keys: Keys) -> int:
    """Return how many entries wait in the journal for the database."""
    return Journal(settings.data_dir, keys).depth()


def _limited(query: Select[tuple[str]], wanted: Wanted) -> Select[tuple[str]]:
    if wanted.since:
        query = query.where(decisions.c.at >= wanted.since.isoformat())
    if wanted.until and wanted.until < date.max:
        query = query.where(decisions.c.at < (wanted.until + timedelta(days=1)).isoformat())
    if wanted.client is not None:
        query = query.where(func.coalesce(decisions.c.client, "") == wanted.client)
    if wanted.policy or wanted.outcome:
        of_card = select(cards.c.decision)
        of_card = of_card.where(cards.c.policy == wanted.policy) if wanted.policy else of_card
        of_card = of_card.where(cards.c.outcome == wanted.outcome) if wanted.outcome else of_card
        query = query.where(decisions.c.id.in_(of_card))
    if wanted.therapy:
        # the record is canonical JSON: nothing but a card's own member is written like this
        written = f'"therapy":{orjson.dumps(wanted.therapy).decode()}'
        query = query.where(decisions.c.record.contains(written, autoescape=True))
    if wanted.id:
        plain = card_id(wanted.id.strip())
        with_card = select(cards.c.decision).where(cards.c.uuid == plain)
        query = query.where(or_(decisions.c.id == plain, decisions.c.id.in_(with_card)))
    return query


def _waiting(connection: Connection, keys: Keys, settings: Settings, record_id: str) -> Whole | None:
    for entry in Journal(settings.data_dir, keys).entries():
        if entry.kind == "decision" and entry.id == record_id:
            record = orjson.loads(entry.record)
            return Whole(record, _opened(keys, record, entry.sealed), _told(connection, keys, record), None)
    return None


def _opened(keys: Keys, record: dict[str, Any], sealed: Sequence[bytes]) -> tuple[dict[str, Any] | None, ...]:
    pairs = zip(record["cards"], sealed, strict=False)  # a card's row may have been deleted
    plain = [keys.open(part, about(card["uuid"])) if part else None for card, part in pairs]
    plain += [None] * (len(record["cards"]) - len(plain))
    return tuple(None if text is None else secret_of(text) for text in plain)


def _told(connection: Connection, keys: Keys, record: dict[str, Any]) -> tuple[tuple[Told, ...], ...]:
    return tuple(_on_card(connection, keys, card["uuid"], record["client"]) for card in record["cards"])


def _on_card(connection: Connection, keys: Keys, uuid: str, client: str | None) -> tuple[Told, ...]:
    same_client = func.coalesce(feedback.c.client, "") == (client or "")
    query = select(feedback).where(feedback.c.card == card_id(uuid), same_client).order_by(feedback.c.received)
    return tuple(_one(dict(row), keys) for row in connection.execute(query).mappings())


def _one(row: dict[str, Any], keys: Keys) -> Told:
    held = orjson.loads(row["entry"])
    reason = held.get("overrideReason", {}).get("reason") or {}
    comment = comment_of(row, keys.open)
    sealed = "a comment that cannot be decrypted with the keys that are configured" if "comment" in held else ""
    return Told(
        received=row["received"],
        outcome=row["outcome"],
        outcome_at=row["outcome_at"],
        reason=str(reason.get("display") or reason.get("code") or ""),
        comment=comment if comment is not None else sealed,
        suggestions=len(held.get("acceptedSuggestions", [])),
    )


def _place(connection: Connection, keys: Keys, writer: str, seq: int, record: str, stored: str) -> Place:
    row = connection.execute(select(chains).where(chains.c.writer == writer)).mappings().first()
    if row is None:
        return Place(0, seq, stored, intact=False)
    key = keys.by_id(row["key_id"])
    if key is None:
        return Place(row["number"], seq, stored, intact=None)
    if seq == row["base_seq"] + 1:
        before: str | None = row["base_hash"]
    else:
        earlier = select(decisions.c.hash).where(decisions.c.writer == writer, decisions.c.seq == seq - 1)
        before = connection.execute(earlier).scalar()
    intact = before is not None and stored == chain.link(key, writer, seq, before, record)
    return Place(row["number"], seq, stored, intact)
