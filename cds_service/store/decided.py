"""One recorded card by its id: what it decided in plain text, whose it was, and what was encrypted with it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import RowMapping, select

from cds_service.errors import Unavailable, UnusableInput
from cds_service.questionnaires.catalogue import Judged
from cds_service.settings import Settings
from cds_service.store.keys import load_keys
from cds_service.store.reading import opened
from cds_service.store.records import about, uuid_of
from cds_service.store.tables import cards, decisions


@dataclass(frozen=True, slots=True)
class Shown:
    """A card as it was sent, with the patient whose it is."""

    card: dict[str, Any]
    patient: str | None
    """``Patient/id``, where the facts were stored."""


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


def shown(settings: Settings, decision: str, of: tuple[str, str] | None = None) -> Shown | None:
    """Return the card of a decision; None when it is unknown or no key opens it. Raises Unavailable.

    ``of``: the client and the patient (its id) whose decision it has to be, when that matters.
    """
    row = _row(settings, decision)
    if row is None or not row["sealed"]:
        return None
    try:
        keys = load_keys(settings)
    except OSError:
        raise Unavailable(_CANNOT) from None
    key = keys.by_id(orjson.loads(row["record"])["key"])
    if key is None or (of is not None and key.pseudonym(*of) != row["patient"]):
        return None
    plain = keys.open(row["sealed"], about(row["uuid"]))
    if plain is None:
        return None
    secret = orjson.loads(plain)
    patient = ((secret.get("facts") or {}).get("patient") or {}).get("reference")
    return Shown(secret["card"], patient)


_CANNOT = "The record of decisions cannot be read now; please try again later."


def _row(settings: Settings, decision: str) -> RowMapping | None:
    wanted = uuid_of(decision)
    if wanted is None:
        return None
    joined = cards.join(decisions, cards.c.decision == decisions.c.id)
    wanted_columns = (decisions.c.record, decisions.c.patient, cards.c.position, cards.c.uuid, cards.c.sealed)
    query = select(*wanted_columns).select_from(joined).where(cards.c.uuid == wanted)
    try:
        with opened(settings) as connection:
            return connection.execute(query).mappings().first()
    except (OSError, UnusableInput):
        raise Unavailable(_CANNOT) from None
