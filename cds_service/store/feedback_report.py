"""What became of the cards: per policy and criterion, how often shown, accepted and overridden, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection, and_, func, select

from cds_service.store.tables import cards, decisions, feedback

NO_REASON = "no reason given"


@dataclass(slots=True)
class Tally:
    """Counts of cards that show one policy, or one criterion of it that is not met on them or not documented."""

    shown: int = 0
    accepted: int = 0
    overridden: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: str | None, reason: str) -> None:
        """Count one card, and the last that was said of it."""
        self.shown += 1
        self.accepted += outcome == "accepted"
        if outcome == "overridden":
            self.overridden += 1
            self.reasons[reason] += 1


@dataclass(frozen=True, slots=True)
class Report:
    """Tallies by policy (criterion ``None``) and by criterion, and how much feedback is on no card that is stored."""

    tallies: dict[tuple[str, str | None], Tally]
    unknown: int


def report(connection: Connection) -> Report:
    """Return the report. Feedback on a card counts when it comes from the client that the card was sent to."""
    same_client = func.coalesce(feedback.c.client, "") == func.coalesce(decisions.c.client, "")
    shown = cards.join(decisions, cards.c.decision == decisions.c.id)
    told = shown.join(feedback, and_(feedback.c.card == cards.c.uuid, same_client))
    last: dict[str, tuple[str, str]] = {}
    rows = select(feedback.c.card, feedback.c.outcome, feedback.c.entry).select_from(told)
    # received, not the time that the client states: clocks and time zones of clients differ
    for row in connection.execute(rows.order_by(feedback.c.received, feedback.c.key)):
        last[row.card] = (row.outcome, _reason(row.entry))
    tallies: dict[tuple[str, str | None], Tally] = {}
    for row in connection.execute(select(cards).where(cards.c.policy.is_not(None))):
        said = last.get(row.uuid, (None, ""))
        gaps = [name for name, outcome in orjson.loads(row.criteria).items() if outcome != "met"]
        for name in (None, *gaps):
            tallies.setdefault((row.policy, name), Tally()).add(*said)
    return Report(tallies, _unknown(connection, select(feedback.c.key).select_from(told)))


def _unknown(connection: Connection, known: object) -> int:
    found = connection.execute(select(func.count()).where(feedback.c.key.not_in(known)))  # type: ignore[arg-type]
    return found.scalar_one()


def _reason(entry: str) -> str:
    held = orjson.loads(entry)
    reason = held.get("overrideReason", {}).get("reason")
    if reason:
        return str(reason["code"])
    return "in words" if "comment" in held else NO_REASON
