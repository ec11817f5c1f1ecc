"""The orders that a hook only names, dispatched or appointed, taken from the prefetch or read from the EHR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from cds_service import prefetch
from cds_service.errors import CouldNotRetrieve, NothingToGoOn
from cds_service.fhir_client import Reader
from cds_service.hook_request import HookRequest
from cds_service.same_patient import Person, refusal, whose
from cds_service.triage import NotRead
from fhir_mappings.chart import NOT_SENT, Resource
from fhir_mappings.json_fields import target
from fhir_mappings.orders import KINDS


class Gathered(NamedTuple):
    """The request with the orders that it names, and those that could not be had."""

    request: HookRequest
    unread: tuple[NotRead, ...] = ()


def gather(request: HookRequest, reader: Reader | None) -> Gathered:
    """Return a request whose orders are there; one that sent them itself is returned as it is.

    Only orders of types that a policy can be about are looked for. Raises NothingToGoOn (412) when no orders were sent,
    not even none, and there is nowhere to read them, and WrongPatient (400) when one is another patient's.
    """
    if not request.named_orders:
        return Gathered(request)
    wanted = [(r, kind) for r in request.named_orders for kind in _kinds(r, request)]
    found: dict[str, Resource | None] = {r: prefetch.find(request, r, kind) for r, kind in wanted}
    absent = [reference for reference, order in found.items() if order is None]
    were_sent = any(prefetch.ORDER_KEYS[kind] in request.prefetch for _, kind in wanted)
    if absent and len(absent) == len(found) and reader is None and not were_sent:
        raise NothingToGoOn(_nothing(request), "prefetch")
    failed: list[NotRead] = []
    if reader is not None:
        reader.prepare(absent[: prefetch.MAX_REFERENCES])
    for number, reference in enumerate(absent):
        order = _read(reference, reader if number < prefetch.MAX_REFERENCES else None)
        if isinstance(order, NotRead):
            failed.append(order)
        else:
            found[reference] = order
    orders = [_ours(order, request) for order in found.values() if order is not None]
    originals = {f"{order['resourceType']}/{order.get('id')}": order for order in orders}
    there = [_at(order, request.performer) for order in originals.values()]
    return Gathered(replace(request, draft_orders=tuple(there), originals=originals), tuple(failed))


def _kinds(reference: str, request: HookRequest) -> list[str]:
    """Return the type of order that a reference leads to; none when no policy can be about it.

    A URN does not tell the type: it counts when the prefetch holds an order under it.
    """
    if reference.startswith("urn:"):
        return [kind for kind in KINDS if prefetch.find(request, reference, kind) is not None][:1]
    kind, _, name = (target(reference) or "").partition("/")
    return [kind] if name and kind in KINDS else []


def _read(reference: str, reader: Reader | None) -> Resource | NotRead:
    if reader is None:
        return NotRead(target(reference) or reference, NOT_SENT.replace("was", "it was", 1), drug=False)
    try:
        return reader.read(reference)
    except CouldNotRetrieve as error:
        return NotRead(target(reference) or reference, str(error), drug=False)


def _ours(order: Resource, request: HookRequest) -> Resource:
    """Return an order of the request's patient. Raises WrongPatient."""
    if whose(order, Person(request.patient_id, request.fhir_server)) == "another":
        raise refusal(order, "the orders that the context names", "context")
    return order


def _at(order: Resource, performer: str | None) -> Mapping[str, object]:
    """Return an order as it will be carried out: by whom it is dispatched to, whatever it says itself."""
    if performer is None:
        return order
    named = {"reference": performer}
    return {**order, "performer": [named] if order["resourceType"] == "ServiceRequest" else named}


def _nothing(request: HookRequest) -> str:
    keys = ", ".join(prefetch.ORDER_KEYS.values())
    return (
        f"None of the orders that this {request.hook} names was sent; "
        f"send them as prefetch ({keys}) or a FHIR server that this service may read."
    )
