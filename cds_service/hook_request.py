"""From the JSON of a CDS Hooks request to a frozen HookRequest; every 400 about its shape is decided here.

Only what cannot be answered without is demanded (hook, hookInstance, patientId, draftOrders); all else that is odd
becomes a notice, because real clients send it. The prefetch is carried, not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cds_service import bundles, exact_json
from cds_service.errors import NotAHookRequest, Unprocessable, WrongHook, WrongPatient
from cds_service.same_patient import Person, patient_of, patients_of, refusal, whose
from fhir_mappings.chart import Resource
from fhir_mappings.json_fields import items, objects, reference_to, target

_PATIENT_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._~:@+=-]{1,128}")
"""Wider than a FHIR id, since test systems use more, but nothing that means something in a URL."""

BRINGS_ORDERS = ("order-sign", "order-select")
NAMES_ORDERS = ("order-dispatch", "appointment-book")
HOOKS = (*BRINGS_ORDERS, *NAMES_ORDERS)
"""The hooks that are answered: those whose context brings the orders, and those that only name them."""

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call of an order hook. What could be a patient's data or a secret is left out of ``repr``."""

    hook: str
    hook_instance: str
    patient_id: str = field(repr=False)
    draft_orders: tuple[Resource, ...] = field(default=(), repr=False)
    """The orders to judge; of context.draftOrders every resource as sent, other things than orders among them."""
    full_urls: Mapping[str, Resource] = field(default_factory=lambda: _EMPTY, repr=False)
    """The resources of context.draftOrders by the fullUrl of their entry."""
    named_orders: tuple[str, ...] = field(default=(), repr=False)
    """References of the orders, where the context only names them (see ``named_orders``)."""
    performer: str | None = field(default=None, repr=False)
    """Whom the orders are dispatched to, as a reference."""
    originals: Mapping[str, Resource] = field(default_factory=lambda: _EMPTY, repr=False)
    """The orders that were only named, as the EHR holds them, by ``Type/id``."""
    user_id: str | None = field(default=None, repr=False)
    encounter_id: str | None = field(default=None, repr=False)
    selections: tuple[str, ...] = field(default=(), repr=False)
    """For order-select: references of the draft orders just selected."""
    prefetch: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, repr=False)
    fhir_server: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    token_patient: str | None = field(default=None, repr=False)
    extension: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, repr=False)
    notices: tuple[str, ...] = ()
    """What was odd about the request, in our words, without the values."""
    text: bytes = field(default=b"", repr=False, compare=False)
    """The request as it came, for what is sent back exactly as it was."""
    _original: exact_json.Original = field(init=False, repr=False, compare=False)
    _drafts: Mapping[str, Resource] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_original", exact_json.Original(self.text))
        # of several with one id the first counts
        object.__setattr__(self, "_drafts", {reference_to(r): r for r in reversed(self.draft_orders)})

    def as_sent(self, reference: str) -> Resource | None:
        """Return the order of a reference (``Type/id``) as the EHR wrote it, its numbers too; None without an id."""
        if "/" not in reference:
            return None
        order = self.originals.get(reference) or self._drafts.get(reference)
        return self._original.as_written(order) if order is not None else None


def read(body: object, hook_expected: Collection[str], text: bytes = b"") -> HookRequest:
    """Read a request's parsed JSON; ``text``: what it was parsed from.

    Raises NotAHookRequest, WrongHook and WrongPatient (400) and Unprocessable (422).
    """
    if not isinstance(body, dict):
        raise NotAHookRequest("The request body is not a JSON object; a CDS Hooks request was expected.")
    hook = _text(body, "hook")
    if hook not in hook_expected:
        expected = " or ".join(sorted(hook_expected))
        raise WrongHook(f"The hook of this request is not one of this service; {expected} was expected.", "hook")
    hook_instance = _text(body, "hookInstance")
    context = body.get("context")
    if not isinstance(context, dict):
        raise NotAHookRequest("The member context is missing or not an object; it has to hold patientId.", "context")
    notices: list[str] = []
    patient_id = _patient_id(body, context, notices)
    fhir_server = _optional(body, "fhirServer", "fhirServer", notices)
    person = Person(patient_id, fhir_server)
    authorization = _object(body, "fhirAuthorization", notices)
    token_patient = _optional(authorization, "patient", "fhirAuthorization.patient", notices)
    _demand_same(person, token_patient, "fhirAuthorization.patient", "The access token is for")
    orders, full_urls = _draft_orders(context, person, notices) if hook in BRINGS_ORDERS else ((), _EMPTY)
    return HookRequest(
        hook=hook,
        hook_instance=hook_instance,
        patient_id=patient_id,
        draft_orders=orders,
        full_urls=full_urls,
        named_orders=_NAMED[hook](context, person) if hook in _NAMED else (),
        performer=_optional(context, "performer", "context.performer", notices) if hook == "order-dispatch" else None,
        user_id=_optional(context, "userId", "context.userId", notices),
        encounter_id=_encounter_id(context, notices),
        selections=_selections(context, full_urls, notices) if hook == "order-select" else (),
        prefetch=_object(body, "prefetch", notices),
        fhir_server=fhir_server,
        access_token=_optional(authorization, "access_token", "fhirAuthorization.access_token", notices),
        token_patient=token_patient,
        extension=_object(body, "extension", notices),
        notices=tuple(notices),
        text=text,
    )


def _text(holder: Mapping[str, Any], name: str, path: str | None = None) -> str:
    path = path or name
    value = holder.get(name)
    if value is None:
        raise NotAHookRequest(f"The member {path} is missing; it is required.", path)
    if not isinstance(value, str) or not value.strip():
        raise NotAHookRequest(f"The member {path} is not a text with something in it, as it has to be.", path)
    return value


def _patient_id(body: Mapping[str, Any], context: Mapping[str, Any], notices: list[str]) -> str:
    path = "context.patientId"
    before = body.get("patient")
    if context.get("patientId") is None and isinstance(before, str):
        notices.append(f"{path} is missing; patient, where the drafts of CDS Hooks 1.0 had it, was read in its place")
        context, path = {"patientId": before}, "patient"
    sent = _text(context, "patientId", path)
    patient_id = patient_of(sent)
    if patient_id is None:
        patient_id = sent
    elif path != "patient":
        notices.append(f"{path} was sent as a reference; a plain id was expected")
    if not _PATIENT_ID.fullmatch(patient_id):
        raise Unprocessable(f"The member {path} is not the id of a FHIR resource; a plain id was expected.", path)
    _demand_same(Person(patient_id), before, "patient", "The member patient names")
    return patient_id


def _demand_same(person: Person, sent: object, path: str, what: str) -> None:
    """Raise WrongPatient when an id of, or a reference to, a patient is another's."""
    if not isinstance(sent, str) or not sent:
        return
    named = person.is_named(sent)
    if not (sent == person.patient_id if named is None else named):
        raise WrongPatient(f"{what} another patient than context.patientId; both have to name the same.", path)


def _encounter_id(context: Mapping[str, Any], notices: list[str]) -> str | None:
    path = "context.encounterId"
    sent = _optional(context, "encounterId", path, notices)
    reference = target(sent)
    if sent is None or reference is None or not reference.startswith("Encounter/"):
        return sent
    notices.append(f"{path} was sent as a reference; a plain id was expected")
    return reference.removeprefix("Encounter/")


def _optional(holder: Mapping[str, Any], name: str, path: str, notices: list[str]) -> str | None:
    """Return a text, or None when it is absent or empty, or with a notice when it is no text."""
    value = holder.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        notices.append(f"{path} was not used: it is not a text")
        return None
    return value


def _object(holder: Mapping[str, Any], name: str, notices: list[str]) -> Mapping[str, Any]:
    value = holder.get(name)
    if value is None:
        return _EMPTY
    if not isinstance(value, dict):
        notices.append(f"{name} was not used: it is not an object")
        return _EMPTY
    return value


def _selections(context: Mapping[str, Any], full_urls: Mapping[str, Resource], notices: list[str]) -> tuple[str, ...]:
    """Return what was selected as ``Type/id``; what is written in another way, as it was sent."""
    value = context.get("selections")
    if value is None:
        return ()
    if not isinstance(value, list):
        notices.append("context.selections was not used: it is not a list")
        return ()
    texts = [v for v in value if isinstance(v, str) and v]
    if len(texts) < len(value):
        notices.append("context.selections has entries that are no references")
    return tuple(reference_to(full_urls[t]) if t in full_urls else target(t) or t for t in texts)


def _draft_orders(
    context: Mapping[str, Any], person: Person, notices: list[str]
) -> tuple[tuple[Resource, ...], Mapping[str, Resource]]:
    """Return the resources of context.draftOrders, all of them and by fullUrl."""
    path = "context.draftOrders"
    bundle = context.get("draftOrders")
    if bundle is None and isinstance(context.get("orders"), dict):
        notices.append(f"{path} is missing; context.orders, as CDS Hooks 1.0 has it, was read in its place")
        path, bundle = "context.orders", context["orders"]
    if bundle is None:
        raise NotAHookRequest(f"The member {path} is missing; a Bundle of the orders is required.", path)
    if not isinstance(bundle, dict) or bundle.get("resourceType", "Bundle") != "Bundle":
        raise NotAHookRequest(f"The member {path} is not a Bundle, as it has to be.", path)
    entries = bundles.entries(bundle)
    links = patients_of(entries, person, path, path).links
    orders: list[Resource] = []
    full_urls: dict[str, Resource] = {}
    unclear = 0
    for number, entry in enumerate(entries, 1):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            continue
        about = whose(resource, person, links)
        if about == "another":
            raise refusal(resource, f"{path} entry {number}", path)
        unclear += about == "unclear"
        orders.append(resource)
        if isinstance(entry, dict) and isinstance(entry.get("fullUrl"), str):
            full_urls[entry["fullUrl"]] = resource
    if len(orders) < len(entries):
        notices.append(f"{len(entries) - len(orders)} of the entries of {path} could not be read as a resource")
    if unclear:
        notices.append(f"{unclear} of the resources of {path} do not say clearly that they are about this patient")
    return tuple(orders), full_urls


def _dispatched(context: Mapping[str, Any], person: Person) -> tuple[str, ...]:  # noqa: ARG001 - as for appointments
    """Return the orders of an order-dispatch: a list (1.1; its examples spell it with a hyphen), or one (1.0)."""
    for name in ("dispatchedOrders", "dispatched-orders", "order"):
        if context.get(name) is not None:
            found = _references(context[name])
            if found:
                return found
            raise NotAHookRequest(
                f"The member context.{name} names no order; references were expected.", f"context.{name}"
            )
    path = "context.dispatchedOrders"
    raise NotAHookRequest(f"The member {path} is missing; references to the orders are required.", path)


def _appointed(context: Mapping[str, Any], person: Person) -> tuple[str, ...]:
    """Return the orders that the appointments of an appointment-book are based on; there may be none.

    An order that is no ServiceRequest is named by an extension of the reference (Da Vinci CRD, alternate-reference).
    """
    path = "context.appointments"
    bundle = context.get("appointments")
    if not isinstance(bundle, Mapping):
        raise NotAHookRequest(f"The member {path} is missing or not a Bundle; one of Appointments is required.", path)
    named: list[str] = []
    for number, (_, appointment) in enumerate(bundles.named(bundle), 1):
        actors = [p.get("actor") for p in objects(appointment.get("participant"))]
        about = {person.is_named(r) for actor in actors for r in _references(actor)} - {None}
        if about == {False}:
            raise refusal(appointment, f"{path} entry {number}", path)
        for pointer in items(appointment.get("basedOn")):
            other = (
                [e.get("valueReference") for e in objects(pointer.get("extension"))]
                if isinstance(pointer, dict)
                else []
            )
            named += [r for p in (pointer, *other) for r in _references(p)]
    return tuple(dict.fromkeys(named))


def _references(value: object) -> tuple[str, ...]:
    """Return the references in a Reference, its bare text, or a list of either."""
    found = (one.get("reference") if isinstance(one, dict) else one for one in items(value))
    return tuple(one for one in found if isinstance(one, str) and one)


_NAMED: Mapping[str, Callable[[Mapping[str, Any], Person], tuple[str, ...]]] = MappingProxyType(
    {"order-dispatch": _dispatched, "appointment-book": _appointed}
)
