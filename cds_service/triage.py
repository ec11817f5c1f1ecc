"""Which draft orders concern a policy: decided from the orders alone, before the chart is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from cds_service import prefetch
from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_client import Reader
from cds_service.hook_request import HookRequest
from fhir_mappings import orders
from fhir_mappings.chart import Resource
from fhir_mappings.facts import Order
from fhir_mappings.json_fields import reference_to, text, token
from fhir_mappings.orders import NeedsMedication


class Triage(NamedTuple):
    """The orders that are for a known therapy, and those whose drug could not be had."""

    known: tuple[Order, ...]
    unread: tuple[NotRead, ...]


class NotRead(NamedTuple):
    """An order whose drug, or which itself, is a reference that could not be followed; the reason in our words."""

    order: str
    reason: str
    drug: bool = True
    """False when it is the order itself that could not be had."""


def triage(request: HookRequest, reader: Reader | None) -> Triage:
    """Return which of the orders in question concern a policy.

    Looks at the draft orders alone; only a drug that is a bare reference is looked up elsewhere.
    """
    known: list[Order] = []
    unread: list[NotRead] = []
    lookup = {**request.full_urls, **{reference_to(r): r for r in request.draft_orders}}
    read = [(resource, orders.read(resource, lookup)) for resource in selected(request)]
    referred = {order.medication for _, order in read if isinstance(order, NeedsMedication)}
    drugs = {reference: prefetch.find(request, reference) for reference in referred}
    if reader is not None:
        reader.prepare(reference for reference, sent in drugs.items() if sent is None and _is_medication(reference))
    for resource, order in read:
        if isinstance(order, NeedsMedication):
            try:
                medication = drugs[order.medication] or _fetched(order.medication, reader)
            except CouldNotRetrieve as error:
                unread.append(NotRead(order.order, str(error)))
                continue
            order = orders.read(resource, {**lookup, order.medication: medication})
        if isinstance(order, Order):
            odd = () if request.named_orders else tuple(_oddities(resource))
            added = (*odd, *request.notices)
            known.append(replace(order, notices=(*order.notices, *added)) if added else order)
    return Triage(tuple(known), tuple(unread))


def _fetched(medication: str, reader: Reader | None) -> Resource:
    if reader is None or not _is_medication(medication):
        raise CouldNotRetrieve("the medication that it refers to was not sent")
    return reader.read(medication)


def _is_medication(reference: str) -> bool:
    """Whether a reference can lead to a drug; what else it could lead to might be somebody's data."""
    return reference.startswith("Medication/")


def _oddities(order: Resource) -> Iterator[str]:
    status = token(order.get("status"))
    if status != "draft":
        stated = "has another status than draft" if status else "does not state its status"
        yield f"The order {stated}; it was read as one that is about to be signed."


def selected(request: HookRequest) -> Sequence[Resource]:
    """Return the draft orders in question: those just selected for order-select, else all."""
    if not request.selections:
        return request.draft_orders
    chosen = set(request.selections)
    return [r for r in request.draft_orders if reference_to(r) in chosen or text(r.get("id")) in chosen]
