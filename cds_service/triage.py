"""Which draft orders concern a policy: decided from the orders alone, before the chart is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from cds_service import prefetch
from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_client import Reader
from cds_service.hook_request import HookRequest
from fhir_mappings import orders
from fhir_mappings.chart import Resource
from fhir_mappings.facts import Order
from fhir_mappings.json_fields import reference_to
from fhir_mappings.orders import NeedsMedication


class Triage(NamedTuple):
    """The orders that are for a known therapy, and those whose drug could not be had."""

    known: tuple[Order, ...]
    unread: tuple[NotRead, ...]


class NotRead(NamedTuple):
    """An order whose drug is a reference that could not be followed, with the reason in our words."""

    order: str
    reason: str


def triage(request: HookRequest, reader: Reader | None) -> Triage:
    """Return which of the orders in question concern a policy.

    Looks at the draft orders alone; only a drug that is a bare reference is looked up elsewhere.
    """
    known: list[Order] = []
    unread: list[NotRead] = []
    lookup = {reference_to(r): r for r in request.draft_orders}
    read = [(resource, orders.read(resource, lookup)) for resource in selected(request)]
    referred = {order.medication for _, order in read if isinstance(order, NeedsMedication)}
    drugs = {reference: prefetch.find(request, reference) for reference in referred}
    if reader is not None:
        reader.prepare(reference for reference, sent in drugs.items() if sent is None)
    for resource, order in read:
        if isinstance(order, NeedsMedication):
            try:
                medication = drugs[order.medication] or _fetched(order.medication, reader)
            except CouldNotRetrieve as error:
                unread.append(NotRead(order.order, str(error)))
                continue
            order = orders.read(resource, {**lookup, order.medication: medication})
        if isinstance(order, Order):
            known.append(replace(order, notices=(*order.notices, *request.notices)))
    return Triage(tuple(known), tuple(unread))


def _fetched(medication: str, reader: Reader | None) -> Resource:
    if reader is None:
        raise CouldNotRetrieve("the medication that it refers to was not sent")
    return reader.read(medication)


def selected(request: HookRequest) -> Sequence[Resource]:
    """Return the draft orders in question: those just selected for order-select, else all."""
    if not request.selections:
        return request.draft_orders
    chosen = set(request.selections)
    return [r for r in request.draft_orders if reference_to(r) in chosen]
