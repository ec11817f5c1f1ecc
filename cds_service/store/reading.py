"""Reading what is stored: lists, one record with what was encrypted, exports, and the retention's end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from cds_service.errors import UnusableInput
from cds_service.settings import Settings
from cds_service.store import chain
from cds_service.store.engine import open_engine
from cds_service.store.keys import Keys
from cds_service.store.migrate import require_current
from cds_service.store.records import about, is_as_told, moment, secret_of
from cds_service.store.tables import cards, chains, decisions, feedback


@contextmanager
def opened(settings: Settings, *, writes: bool = False) -> Iterator[Connection]:
    """Open the store for one transaction. Raises UnusableInput when it is not there or of another version."""
    engine = open_engine(settings, writes=writes)
    try:
        require_current(engine)
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise UnusableInput(f"the database cannot be used ({type(error).__name__}).") from None
    finally:
        engine.dispose()


def records(connection: Connection, *, since: str = "", policy: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield records, oldest first, with members ``chain`` and ``hash``; ``since`` is a date or a time.

    Raises UnusableInput for a ``since`` that is neither.
    """
    first = _moment(since) if since else ""
    query = select(decisions).where(decisions.c.at >= first).order_by(decisions.c.at, decisions.c.id)
    if policy is not None:
        query = query.where(decisions.c.id.in_(select(cards.c.decision).where(cards.c.policy == policy)))
    for row in connection.execute(query.execution_options(yield_per=500)).mappings():
        yield {**orjson.loads(row["record"]), "chain": f"{row['writer']}:{row['seq']}", "hash": row["hash"]}


def _moment(text: str) -> str:
    """Return a date or a time as times are stored; one without a zone is in UTC."""
    try:
        when = datetime.fromisoformat(text)
        return moment(when if when.tzinfo else when.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise UnusableInput(f"{text} is neither a date, 2026-11-20, nor a time, 2026-11-20T09:30Z.") from None


def find(connection: Connection, wanted: str) -> dict[str, Any]:
    """Return the record with an id, or with a card of this uuid. Raises UnusableInput."""
    with_card = select(cards.c.decision).where(cards.c.uuid == wanted)
    query = select(decisions.c.record).where(or_(decisions.c.id == wanted, decisions.c.id.in_(with_card)))
    text = connection.execute(query).scalars().first()
    if text is None:
        raise UnusableInput(f"no record or card has the id {wanted}.")
    found: dict[str, Any] = orjson.loads(text)
    return found


def secrets(connection: Connection, keys: Keys, record_id: str) -> list[dict[str, Any] | None]:
    """Return for each card of a record what was encrypted: card, line and facts; None where no key opens it."""
    query = select(cards.c.uuid, cards.c.sealed).where(cards.c.decision == record_id).order_by(cards.c.position)
    opened_cards = [keys.open(row.sealed, about(row.uuid)) for row in connection.execute(query)]
    return [None if plain is None else secret_of(plain) for plain in opened_cards]


def feedback_problems(connection: Connection, keys: Keys) -> Iterator[str]:
    """Yield a sentence for every entry of feedback that is not as it was told. It is in no chain: none is missed."""
    rows = select(feedback).order_by(feedback.c.received, feedback.c.key)
    for row in connection.execute(rows.execution_options(yield_per=500)).mappings():
        try:
            is_whole = is_as_told(dict(row), keys)
        except (ValueError, KeyError, TypeError, AttributeError):
            is_whole = False
        if not is_whole:
            yield f"feedback {row['key'][:8]} on card {row['card']} was changed, or its key is not configured"


def purge(connection: Connection, keys: Keys, before: str) -> tuple[int, int]:
    """Delete records and feedback from before a time; return how many. Each chain then begins after the last one.

    A chain that was signed with a key that is not configured stays as it is. A record written late, by way of the
    journal, goes when those before it in its chain go.
    """
    deleted = 0
    for row in connection.execute(select(chains).order_by(chains.c.number).with_for_update()).mappings().all():
        of_chain = decisions.c.writer == row["writer"]
        kept = select(func.min(decisions.c.seq)).where(of_chain, decisions.c.at >= before)
        first_kept = connection.execute(kept).scalar() or row["head_seq"] + 1
        last = select(decisions.c.seq, decisions.c.hash).where(of_chain, decisions.c.seq < first_kept)
        key = keys.by_id(row["key_id"])
        gone = connection.execute(last.order_by(decisions.c.seq.desc()).limit(1)).first()
        if gone is not None and key is not None:
            old = select(decisions.c.id).where(of_chain, decisions.c.seq <= gone.seq)
            connection.execute(delete(cards).where(cards.c.decision.in_(old)))
            deleted += connection.execute(delete(decisions).where(of_chain, decisions.c.seq <= gone.seq)).rowcount
            chain.move_base(connection, key, dict(row), gone.seq, gone.hash)
    told = connection.execute(delete(feedback).where(feedback.c.received < before)).rowcount
    return deleted, told
