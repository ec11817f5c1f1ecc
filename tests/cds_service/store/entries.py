"""Entries as the tests of the store need them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from cds_service.decision import Decision
from cds_service.settings import Settings
from cds_service.store.database import Database
from cds_service.store.engine import open_engine
from cds_service.store.entry import Entry
from cds_service.store.keys import Keys, load_keys
from cds_service.store.records import Call, decision_entry, feedback_entry

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
PATIENT = "canary-patient"


def card(**assessed: Any) -> dict[str, Any]:
    uuid = str(uuid4())
    assessment = {
        "decisionId": uuid,
        "order": "MedicationRequest/m1",
        "therapy": "a-therapy",
        "asOf": "2026-11-20",
        "policy": {"id": "POL", "title": "T", "payer": "P", "effectiveFrom": "2025-01-01", "revision": "abc"},
        "basis": "member-plan",
        "outcome": "undocumented",
        "criteria": [
            {"id": "A", "outcome": "met", "text": "t", "reason": "canary-value", "assumed": True},
            {"id": "B", "outcome": "undocumented", "evidence": [{"reference": f"Patient/{PATIENT}", "display": "x"}]},
        ],
        "notices": [f"Could not be read: `Patient/{PATIENT}` (why)."],
        **assessed,
    }
    return {"uuid": uuid, "summary": "canary-summary", "extension": {"coverage-cds.assessment": assessment}}


def decided(
    settings: Settings,
    *cards: dict[str, Any],
    when: datetime = NOW,
    client: str | None = None,
    judged: tuple[Decision, ...] = (),
) -> Entry:
    call = Call("order-sign", str(uuid4()), PATIENT, b"{}", client)
    key = load_keys(settings).current
    return decision_entry(call, {"cards": list(cards)}, judged, when, 12.34, key, store_facts=settings.store_facts)


def told(settings: Settings, *entries: dict[str, Any], client: str | None = None, when: datetime = NOW) -> Entry:
    return feedback_entry("coverage-criteria", entries, client, when, load_keys(settings).current)


def said(card_uuid: str, outcome: str = "accepted", **members: Any) -> dict[str, Any]:
    return {"card": card_uuid, "outcome": outcome, "outcomeTimestamp": "2026-11-20T09:31:00Z", **members}


def database(settings: Settings) -> Database:
    return Database(open_engine(settings, writes=True), keys(settings).current)


def keys(settings: Settings) -> Keys:
    return load_keys(settings)


def stored(settings: Settings, *entries: Entry) -> None:
    """Store entries, one transaction each."""
    into = database(settings)
    for entry in entries:
        into.store([entry])
    into.close()
