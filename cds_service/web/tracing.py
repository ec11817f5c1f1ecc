"""The trace of one call, for whoever asks for it: how each order was read, why which policy, and the time it took.

A request asks with ``"extension": {"coverage-cds.trace": true}``; its answer then has a member of that name. It tells
nothing that the request or its cards do not hold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from cds_service.cards.plain import plain
from cds_service.cards.render import without_empty
from cds_service.decision import Decision
from cds_service.hook_request import HookRequest
from cds_service.library import Library
from cds_service.routing_text import why
from cds_service.trace import Stage, Trace
from cds_service.triage import Triage, selected
from fhir_mappings import therapies
from fhir_mappings.chart import Resource
from fhir_mappings.facts import Order
from fhir_mappings.json_fields import reference_to

NAME = "coverage-cds.trace"

_RECOGNISED_BY = {
    "product": "a code of the product",
    "ingredient": "a code of the ingredient or brand",
    "procedure": "the code of a procedure",
    "text": "its name in words",
}
_NO_THERAPY = "No card: it is for no therapy that this library knows, or it is over, or it says not to do it."
_NO_POLICY = "No card: no policy asks about an order of this kind for this member, on its own."


class Listener(Trace):
    """Hears of one review and takes the time. The clock is read here."""

    def __init__(self, began: float) -> None:
        self._last = began
        self._spent: dict[Stage, float] = {}
        self._orders_in_question: Sequence[Resource] = ()
        self._found = Triage((), ())

    def triaged(self, request: HookRequest, found: Triage) -> None:
        """Keep which orders there are, and which of them concern a policy."""
        self._orders_in_question = selected(request)
        self._found = found

    def reached(self, stage: Stage) -> None:
        """Count the time since the last stage to this one."""
        now = time.perf_counter()
        self._spent[stage] = self._spent.get(stage, 0.0) + now - self._last
        self._last = now

    def added_to(self, answer: Mapping[str, Any], judged: Sequence[Decision], library: Library) -> dict[str, Any]:
        """Return the answer with the trace: stages in milliseconds, every order, the route to each policy."""
        told = {
            "stages": [
                {"stage": s, "ms": round(self._spent[s] * 1000, 2)} for s in get_args(Stage) if s in self._spent
            ],
            "orders": list(self._orders(judged)),
            "routes": [_route(decision, library) for decision in judged],
        }
        return {**answer, "extension": {**answer.get("extension", {}), NAME: told}}

    def _orders(self, judged: Sequence[Decision]) -> Iterator[dict[str, Any]]:
        # the judged ones first: a name that fits several products was decided only there
        known = {order.reference: order for order in self._found.known}
        known |= {decision.facts.order.reference: decision.facts.order for decision in judged}
        decided = {decision.facts.order.reference for decision in judged}
        unread = {found.order: found.reason for found in self._found.unread}
        for resource in self._orders_in_question:
            reference = reference_to(resource)
            if reference in known:
                yield _order(known[reference], has_card=reference in decided)
            elif resource["resourceType"].endswith(("Request", "Order")):
                yield {"order": plain(reference), "because": unread.get(reference, _NO_THERAPY)}


def is_wanted(extension: Mapping[str, Any]) -> bool:
    """Whether a request's extension asks for the trace."""
    return extension.get(NAME) is True


def _order(order: Order, *, has_card: bool) -> dict[str, Any]:
    return without_empty(
        {
            "order": plain(order.reference),
            "display": plain(order.display),
            "therapy": order.therapy,
            "name": therapies.display_name(order.therapy),
            "by": _RECOGNISED_BY[order.identified],
            "codes": [f"{coding.system} {plain(coding.code)}" for coding in order.codes],
            "because": None if has_card else _NO_POLICY,
        }
    )


def _route(decision: Decision, library: Library) -> dict[str, Any]:
    return {
        "decisionId": decision.card["uuid"],
        "coverages": [plain(reference) for reference in decision.selection.coverages],
        "why": why(decision.selection, library.payers, decision.facts.as_of),
    }
