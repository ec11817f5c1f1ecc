"""From a request to its answer: triage, chart, facts, routing, evaluation, cards. Pure but for the chart."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cds_service import fhir_client, prefetch
from cds_service.cards import render
from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_client import Reader
from cds_service.hook_request import HookRequest
from cds_service.library import Library, load_library
from cds_service.policy.evaluate import evaluate, notices
from cds_service.routing import Elsewhere, Selected, Selection
from cds_service.settings import Settings
from fhir_mappings import orders, therapies
from fhir_mappings.chart import Chart, Resource
from fhir_mappings.extract import Record, facts, read_chart
from fhir_mappings.facts import Facts, Order, Records
from fhir_mappings.orders import NeedsMedication

log = logging.getLogger(__name__)

ALWAYS_NEEDED: frozenset[Records] = frozenset({"patient", "coverage"})
UNIDENTIFIED = "unidentified-biologic"
BESIDE_A_THERAPY = frozenset({"fertility-preservation", "medical-transport"})
"""Orders that only matter beside a cell or gene therapy."""


def new_uuid() -> str:
    """Return a fresh random UUID: the identity of a card and of its decision."""
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Services:
    """What answering needs besides the request."""

    settings: Settings
    library: Library
    new_id: Callable[[], str] = new_uuid

    @classmethod
    def load(cls, settings: Settings) -> Services:
        """Read the library that the settings name; raises PolicyError when a file in it is not right."""
        return cls(settings, load_library(settings.policies, settings.payers))


def answer(
    request: HookRequest, services: Services, *, today: datetime.date, base_url: str = "http://127.0.0.1:8000"
) -> dict[str, Any]:
    """Return the CDS Hooks response. Raises RequestError (400 another patient's data, 412 nothing to go on)."""
    settings = services.settings
    reader = fhir_client.connect(
        request.fhir_server, request.access_token, allowed=settings.fhir_servers, deadline=settings.fetch_deadline
    )
    known, unknown = triage(request, reader)
    context = render.Context(settings.base_url or base_url, services.new_id, therapies.display_name)
    cards = [render.unidentified(order, reason, today, context) for order, reason in unknown]
    if known and _worth_reading(request, known, services, reader, today):
        chart = prefetch.complete(request, needs(known, services.library), reader)
        cards = [*review(chart, known, services, today, context), *cards]
    return {"cards": cards}


def triage(request: HookRequest, reader: Reader | None) -> tuple[list[Order], list[tuple[str, str]]]:
    """Return the orders that are for a known therapy, and those whose drug could not be had, with the reason.

    Looks at the draft orders alone; only a drug that is a bare reference is looked up elsewhere.
    """
    known: list[Order] = []
    unknown: list[tuple[str, str]] = []
    lookup = {f"{r.get('resourceType')}/{r.get('id')}": r for r in request.draft_orders}
    for resource in selected(request):
        order = orders.read(resource, lookup)
        if isinstance(order, NeedsMedication):
            try:
                medication = prefetch.find(request, order.medication) or _fetched(order.medication, reader)
            except CouldNotRetrieve as error:
                unknown.append((order.order, str(error)))
                continue
            order = orders.read(resource, {**lookup, order.medication: medication})
        if isinstance(order, Order) and order.therapy not in BESIDE_A_THERAPY:
            known.append(order)
    return known, unknown


def _fetched(medication: str, reader: Reader | None) -> Resource:
    if reader is None:
        raise CouldNotRetrieve("the medication that it refers to was not sent")
    return reader.read(medication)


def selected(request: HookRequest) -> Sequence[Resource]:
    """Return the draft orders in question: those just selected for order-select, else all."""
    if not request.selections:
        return request.draft_orders
    chosen = set(request.selections)
    return [r for r in request.draft_orders if f"{r.get('resourceType')}/{r.get('id')}" in chosen]


def _worth_reading(
    request: HookRequest, known: Sequence[Order], services: Services, reader: Reader | None, today: datetime.date
) -> bool:
    """Whether a chart is needed: an unlisted code alone matters only to a payer that covers every product."""
    if any(order.therapy != UNIDENTIFIED for order in known):
        return True
    record = read_chart(prefetch.complete(request, frozenset({"coverage"}), reader))
    return any(_governing(order, record, services.library, _day(order, today)) for order in known)


def needs(known: Sequence[Order], library: Library) -> frozenset[Records]:
    """Return the records that any policy for these orders asks for, with answers where a letter can be attested."""
    found = set(ALWAYS_NEEDED)
    for therapy in {order.therapy for order in known}:
        for document in library.router.judging(therapy):
            found |= document.records(therapy)
            if document.questions:
                found.add("questionnaire-responses")
    return frozenset(found)


def review(
    chart: Chart, known: Sequence[Order], services: Services, today: datetime.date, context: render.Context
) -> Iterator[dict[str, Any]]:
    """Return the cards of a chart's orders: one per order and policy, in the order of the orders."""
    record = read_chart(chart)
    for order in known:
        day = _day(order, today)
        found = facts(record, order, day)
        for selection in _governing(order, record, services.library, day):
            yield _card(selection, found, services, context)


def _day(order: Order, today: datetime.date) -> datetime.date:
    return order.service_date.first if order.service_date else today


def _governing(order: Order, record: Record, library: Library, day: datetime.date) -> Sequence[Selection]:
    selections = library.router.select(record.insurances, order.therapy, day)
    if order.therapy == UNIDENTIFIED:
        return [s for s in selections if isinstance(s, Selected) and s.basis == "member-plan"]
    return selections


def _card(selection: Selection, found: Facts, services: Services, context: render.Context) -> dict[str, Any]:
    if isinstance(selection, Elsewhere):
        policy = selection.policy
        return render.elsewhere(selection, found, notices(policy, found, selection.line) if policy else (), context)
    try:
        assessment = evaluate(selection.document, found, selection.line, services.settings.silence)
    except Exception as error:  # a policy that fails must be seen on a card, whatever it raised
        log.error("policy %s failed: %s", selection.document.id, type(error).__name__)  # noqa: TRY400 - the message may hold patient data
        return render.unchecked(selection, found, context)
    return render.assessed(selection, assessment, found, context)
