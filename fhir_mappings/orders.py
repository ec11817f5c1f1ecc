"""A draft order -> Order, when it is for a known therapy. Looks at nothing but the order and its medication."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fhir_mappings import codes, devices, medications, therapies
from fhir_mappings.chart import Resource
from fhir_mappings.dates import Moment
from fhir_mappings.descriptions import UNDESCRIBED, Description, describe, matches
from fhir_mappings.facts import Evidence, Order, Reason
from fhir_mappings.json_fields import (
    Lookup,
    is_true,
    items,
    objects,
    one_object,
    reference_to,
    resolve,
    target,
    text,
    token,
)
from fhir_mappings.procedures import occurrence
from fhir_mappings.resources import MODIFIED, UNREAD_DATE, is_modified, problem

_OVER = {"cancelled", "stopped", "revoked", "entered-in-error"}
_SCOPES = {"MedicationRequest": "medications", "ServiceRequest": "procedures", "DeviceRequest": "procedures"}


class NeedsMedication(NamedTuple):
    """An order whose drug is known only to the Medication that it refers to, and that was not sent."""

    order: str
    medication: str
    """The reference as ``Type/id``."""


def read(resource: Resource, lookup: Lookup) -> Order | NeedsMedication | None:
    """Return the order; None when it is for no known therapy, is over, or says not to do it.

    ``lookup`` may hold Medications and Devices. Never raises.
    """
    kind = text(resource.get("resourceType"))
    if kind not in _SCOPES or is_true(resource.get("doNotPerform")) or token(resource.get("status")) in _OVER:
        return None
    described, unresolved = _described(kind, resource, lookup)
    recognised = therapies.recognise(described.codings, described.texts)
    if recognised is None:
        if unresolved is None or described != UNDESCRIBED:
            return None
        return NeedsMedication(reference_to(resource), unresolved)
    reasons = tuple(_reasons(resource))
    when = occurrence(resource)
    return Order(
        reference=reference_to(resource),
        therapy=recognised.therapy,
        display=described.display or recognised.therapy,
        identified=recognised.identified,
        concepts=recognised.concepts | matches(described, _SCOPES[kind]).concepts,
        says=_says(resource, described, reasons),
        codes=tuple(dict.fromkeys(c for coding in described.codings if (c := codes.canonical(*coding)))),
        reasons=reasons,
        service_date=when.when,
        notices=(*recognised.notices, *_notices(resource, when)),
    )


def _described(kind: str, resource: Resource, lookup: Lookup) -> tuple[Description, str | None]:
    if kind == "MedicationRequest":
        return medications.drug(resource, lookup)
    if kind == "DeviceRequest":
        return devices.requested(resource, lookup), None
    return describe(resource.get("code")) + describe(resource.get("orderDetail")), None


def _reasons(resource: Resource) -> Iterator[Reason]:
    """Yield the coded reasons, then the ones that refer to something; facts() adds what the chart says of those."""
    reference = reference_to(resource)
    for concept in items(resource.get("reasonCode")):
        described = describe(concept)
        if described != UNDESCRIBED:
            yield Reason(_meaning(described), Evidence(reference, described.display))
    for pointer in objects(resource.get("reasonReference")):
        found = one_object(resolve(pointer, resource, {}))
        described = describe(pointer.get("display")) + describe(found.get("code"))
        source = target(pointer) or reference
        yield Reason(_meaning(described), Evidence(reference if source.startswith("#") else source, described.display))


def _meaning(described: Description) -> frozenset[str]:
    return matches(described, "reasons").concepts | matches(described, "conditions").concepts


def _says(resource: Resource, described: Description, reasons: tuple[Reason, ...]) -> frozenset[str]:
    """Return the value sets of the reasons, and those whose words stand in name, reasons or notes."""
    said: set[str] = set().union(*(reason.concepts for reason in reasons))
    for words in (*described.texts, *describe(resource.get("reasonCode")).texts, *_free_text(resource)):
        for scope in ("orders", "reasons"):
            said |= codes.match_words(words, scope).concepts
    return frozenset(said)


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
