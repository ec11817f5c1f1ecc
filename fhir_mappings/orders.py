"""A draft order -> Order, when it is for a known therapy. Looks at nothing but the order and its medication."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from fhir_mappings import codes, devices, facilities, medications, products, reasons, routes, therapies
from fhir_mappings.chart import Resource
from fhir_mappings.dates import Moment
from fhir_mappings.descriptions import UNDESCRIBED, Description, describe, matches
from fhir_mappings.facts import Coding, Order, Reason
from fhir_mappings.json_fields import Lookup, is_true, objects, reference_to, text, token
from fhir_mappings.procedures import occurrence
from fhir_mappings.resources import MODIFIED, UNREAD_DATE, is_modified, problem
from fhir_mappings.therapies import Recognised

_OVER = {"cancelled", "stopped", "revoked", "entered-in-error"}
_SCOPES = {"MedicationRequest": "medications", "ServiceRequest": "procedures", "DeviceRequest": "procedures"}
KINDS = frozenset(_SCOPES)
"""The types of order that a policy can be about."""


class NeedsMedication(NamedTuple):
    """An order whose drug is known only to the Medication that it refers to, and that was not sent."""

    order: str
    medication: str
    """The reference as ``Type/id``."""


def read(resource: Resource, lookup: Lookup) -> Order | NeedsMedication | None:
    """Return the order; None when it is for no known therapy, is over, or says not to do it.

    ``lookup`` may hold what it refers to: Medications, Devices, facilities. What else the chart knows of its reasons
    and facilities is added by ``extract.facts``. Never raises.
    """
    kind = text(resource.get("resourceType"))
    if kind not in _SCOPES or is_true(resource.get("doNotPerform")) or token(resource.get("status")) in _OVER:
        return None
    described, unresolved = _described(kind, resource, lookup)
    recognised = described.once(_recognised)
    if recognised is None:
        if unresolved is None or described != UNDESCRIBED:
            return None
        return NeedsMedication(reference_to(resource), unresolved)
    why = tuple(reasons.read(resource))
    when = occurrence(resource)
    coded = described.once(_canonical)
    return Order(
        reference=reference_to(resource),
        therapy=recognised.therapy,
        display=described.display or recognised.therapy,
        identified=recognised.identified,
        concepts=recognised.concepts | matches(described, _SCOPES[kind]).concepts,
        says=_says(resource, described, why),
        codes=coded,
        reasons=why,
        service_date=when.when,
        alternatives=recognised.alternatives,
        routes=routes.stated(resource, coded),
        course=products.course(recognised.therapy),
        approval=products.approval(recognised.therapy),
        facilities=facilities.of_order(resource, lookup, when.when.first if when.when else None),
        notices=(*recognised.notices, *_notices(resource, when)),
    )


def as_product(order: Order, therapy: str) -> Order:
    """Return the order as one for another product that its name may mean."""
    return replace(order, therapy=therapy, course=products.course(therapy), approval=products.approval(therapy))


def _recognised(described: Description) -> Recognised | None:
    return therapies.recognise(described.codings, described.texts, ordered=True)


def _canonical(described: Description) -> tuple[Coding, ...]:
    return tuple(dict.fromkeys(c for coding in described.codings if (c := codes.canonical(*coding))))


def _described(kind: str, resource: Resource, lookup: Lookup) -> tuple[Description, str | None]:
    if kind == "MedicationRequest":
        return medications.drug(resource, lookup)
    if kind == "DeviceRequest":
        return devices.requested(resource, lookup), None
    return describe(resource.get("code")) + describe(resource.get("orderDetail")), None


def _says(resource: Resource, described: Description, why: tuple[Reason, ...]) -> frozenset[str]:
    """Return the value sets of the reasons, and those whose words stand in name, reasons or notes."""
    return frozenset().union(
        *(reason.concepts for reason in why),
        described.once(_named),
        describe(resource.get("reasonCode")).once(_named),
        *map(_in_words, _free_text(resource)),
    )


def _named(described: Description) -> frozenset[str]:
    return frozenset().union(*map(_in_words, described.texts))


def _in_words(words: str) -> frozenset[str]:
    return codes.match_words(words, "orders").concepts | codes.match_words(words, "reasons").concepts


def _free_text(resource: Resource) -> Iterator[str]:
    for name, field in (("note", "text"), ("reasonReference", "display"), ("dosageInstruction", "text")):
        for entry in objects(resource.get(name)):
            value: Any = entry.get(field)
            if isinstance(value, str):
                yield value


def _notices(resource: Resource, when: Moment) -> Iterator[str]:
    if is_modified(resource):
        yield f"The order {MODIFIED}."
    defect = UNREAD_DATE if when.unread else problem(resource)
    if defect:
        yield f"The order is not valid FHIR R4: {defect}."
