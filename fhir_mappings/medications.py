"""MedicationRequest, MedicationStatement, MedicationDispense and MedicationAdministration -> Statement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from fhir_mappings.chart import Resource
from fhir_mappings.dates import UNDATED, Moment, end, moment
from fhir_mappings.descriptions import UNDESCRIBED, Description, describe, matches
from fhir_mappings.facts import DateRange, Evidence, Statement
from fhir_mappings.json_fields import Lookup, number, objects, one_object, reference_to, resolve, target
from fhir_mappings.resources import (
    MODIFIED,
    UNKNOWN_STATUS,
    UNREAD_CODE,
    UNREAD_DATE,
    Reading,
    evidence,
    is_modified,
    told_apart,
    unreadable,
)
from fhir_mappings.statuses import standing

_LONGEST_SUPPLY = 400
_LAST_YEAR = 9990
_SYSTEMIC = frozenset({"immunosuppressant-maintenance"})
"""Value sets of drugs that count only where they act on the whole body."""
_LOCAL = "local-application"


class Drug(NamedTuple):
    """What a resource says about its medication."""

    description: Description
    unresolved: str | None = None
    """The reference to a Medication that was not sent."""


def drug(resource: Resource, lookup: Lookup) -> Drug:
    """Return what a resource with medication[x] says it is: a concept, or the Medication it refers to."""
    described = describe(resource.get("medicationCodeableConcept"))
    reference = resource.get("medicationReference")
    if reference is None:
        return Drug(described)
    if isinstance(reference, dict):
        described += describe(reference.get("display"))
    medication = resolve(reference, resource, lookup)
    if medication is None:
        return Drug(described, target(reference))
    described += describe(medication.get("code"))
    for ingredient in objects(medication.get("ingredient")):
        described += describe(ingredient.get("itemCodeableConcept"))
        described += describe(one_object(ingredient.get("itemReference")).get("display"))
    return Drug(described)


def read(resource: Resource, lookup: Lookup) -> Reading | None:
    """Return what a medication resource yields; None when no value set holds the drug, or when it was not given.

    A Medication that was not sent and has no display makes the resource unreadable: the drug is not known.
    """
    described, unresolved = drug(resource, lookup)
    match = matches(described, "medications", therapy=True)
    if not match.concepts.isdisjoint(_SYSTEMIC) and _is_local(resource, described):
        match = match._replace(concepts=match.concepts - _SYSTEMIC, unverified=match.unverified - _SYSTEMIC)
    if not match.concepts:
        return _unknown_drug(resource, described, unresolved)
    if is_modified(resource):
        return unreadable(resource, MODIFIED)
    counts = standing(resource)
    if counts is None:
        return None
    start, until = _start(resource), _until(resource)
    given = resource.get("resourceType") == "MedicationAdministration"
    statement = Statement(
        kind="administration" if given else "medication",
        concepts=match.concepts,
        unverified=match.unverified,
        evidence=Evidence(reference_to(resource), described.display, date=start.text),
        phase=counts.phase,
        when=start.when,
        until=until.when,
        confirmed=counts.confirmed,
    )
    unread_date = UNREAD_DATE if start.unread or until.unread else None
    return evidence(resource, told_apart(statement, match.told), None if counts.known else UNKNOWN_STATUS, unread_date)


def _is_local(resource: Resource, described: Description) -> bool:
    """Whether the drug is put on skin or eye, by its name, its route or its dosage."""
    for dosage in (*objects(resource.get("dosageInstruction")), *objects(resource.get("dosage"))):
        # a route says how it is given; a text says much else beside it, such as what to put on against the sun
        for field in ("route",) if dosage.get("route") is not None else ("site", "text"):
            described += describe(dosage.get(field))
    return _LOCAL in matches(described, "dosages").concepts


def _unknown_drug(resource: Resource, described: Description, unresolved: str | None) -> Reading | None:
    if described.unread:
        return unreadable(resource, UNREAD_CODE)
    if unresolved is not None and described == UNDESCRIBED and standing(resource) is not None:
        return unreadable(resource, "the Medication that it refers to was not sent")
    return None


def _start(resource: Resource) -> Moment:
    return moment(
        resource.get("authoredOn"),
        resource.get("effectiveDateTime"),
        resource.get("effectivePeriod"),
        resource.get("whenHandedOver"),
        resource.get("whenPrepared"),
        resource.get("dateAsserted"),
    )


def _until(resource: Resource) -> Moment:
    """Return when the drug ends: by its period, by the order's validity, by its dosage, or by the days supplied."""
    bounds = [_bounds(dosage) for dosage in objects(resource.get("dosageInstruction")) if "timing" in dosage]
    stated = end(
        resource.get("effectivePeriod"), one_object(resource.get("dispenseRequest")).get("validityPeriod"), *bounds
    )
    if stated is not UNDATED or "daysSupply" not in resource:
        return stated
    days = number(one_object(resource.get("daysSupply")).get("value"))
    handed = moment(resource.get("whenHandedOver")).when
    if handed is None or days is None or not 0 < days <= _LONGEST_SUPPLY or handed.last.year > _LAST_YEAR:
        return UNDATED
    supply = timedelta(int(days))
    return Moment(DateRange(handed.first + supply, handed.last + supply))


def _bounds(dosage: Resource) -> Any:
    return one_object(one_object(dosage.get("timing")).get("repeat")).get("boundsPeriod")
