"""The system actions of an answer: each judged order as it was sent, with what is asserted of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from cds_service.crd.assertion import Assertion, Terms, assertions
from cds_service.crd.coverage_information import extension, identity_of
from cds_service.crd.versions import Version
from cds_service.decision import Decision
from fhir_mappings.chart import Resource

AsSent = Callable[[str], Resource | None]
"""An order by its reference, as the EHR wrote it."""


def system_actions(
    decisions: Iterable[Decision], as_sent: AsSent, version: Version, server: str | None, today: date, terms: Terms
) -> list[dict[str, Any]]:
    """Return one update for each order of which something new is asserted, in the order of the decisions."""
    by_order: dict[str, dict[str, Assertion]] = {}
    for decision in decisions:
        for one in assertions(decision, terms):
            by_order.setdefault(one.order, {}).setdefault(one.coverage, one)
    actions = []
    for reference, told in by_order.items():
        order = as_sent(reference)
        extensions = [extension(one, version, server or "", today) for one in told.values()]
        changed = with_extensions(order, extensions) if order is not None else None
        if changed is not None:
            actions.append(
                {"type": "update", "description": f"Coverage information for {reference}", "resource": changed}
            )
    return actions


def with_extensions(order: Resource, new: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return an order with these coverage-information extensions instead of the earlier ones of this service.

    Everything else stays as it is. None when nothing new is asserted.
    """
    held = order.get("extension")
    before = held if isinstance(held, list) else [] if held is None else [held]
    others = [one for one in before if identity_of(one) is None]
    if {identity_of(one) for one in before} - {None} == {identity_of(one) for one in new}:
        return None
    return {**order, "extension": [*others, *new]}
