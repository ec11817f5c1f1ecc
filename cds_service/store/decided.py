"""One recorded card by its id: what it decided in plain text, and what was encrypted with it."""

from __future__ import annotations

import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, select

from cds_service.errors import Unavailable, UnusableInput
from cds_service.questionnaires.catalogue import Judged
from cds_service.settings import Settings
from cds_service.store.keys import Keys, load_keys
from cds_service.store.reading import opened
from cds_service.store.records import about, uuid_of
from cds_service.store.tables import cards, decisions


def decided(settings: Settings, decision: str) -> Judged | None:
    """Return what a card judged by a policy; None for an unknown id, or one of a card that judged nothing.

    Raises Unavailable when the store cannot be read.
    """
    row = _row(settings, decision)
    if row is None:
        return None
    told = orjson.loads(row["record"])["cards"][row["position"]]
    if "policy" not in told:
        return None
    return Judged(
        policy=told["policy"]["id"],
        effective_from=told["policy"]["effectiveFrom"],
        therapy=told["therapy"],
        as_of=datetime.date.fromisoformat(told["asOf"]),
        outcomes={criterion["id"]: criterion["outcome"] for criterion in told.get("criteria", [])},
    )


def shown(settings: Settings, decision: str, keys: Keys | None = None) -> dict[str, Any] | None:
    """Return the card of a decision as it was sent; None when it is unknown or no key opens it."""
    row = _row(settings, decision)
    plain = (keys or load_keys(settings)).open(row["sealed"], about(row["uuid"])) if row and row["sealed"] else None
    return None if plain is None else orjson.loads(plain)["card"]


def _row(settings: Settings, decision: str) -> RowMapping | None:
    wanted = uuid_of(decision)
    if wanted is None:
        return None
    joined = cards.join(decisions, cards.c.decision == decisions.c.id)
    query = select(decisions.c.record, cards.c.position, cards.c.uuid, cards.c.sealed).select_from(joined)
    try:
        with opened(settings) as connection:
            return connection.execute(query.where(cards.c.uuid == wanted)).mappings().first()
    except (OSError, UnusableInput):
        raise Unavailable("The record of decisions cannot be read now; please try again later.") from None
