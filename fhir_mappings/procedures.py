"""Procedure and ServiceRequest -> Statement."""

from __future__ import annotations

from collections.abc import Callable

from fhir_mappings.chart import Resource
from fhir_mappings.dates import Moment, begin, moment
from fhir_mappings.descriptions import Description, describe, matches
from fhir_mappings.facts import Evidence, Kind, Statement
from fhir_mappings.json_fields import reference_to
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


def read(resource: Resource) -> Reading | None:
    """Return what a Procedure yields; None when no value set holds it, or when it was not done."""
    return service(resource, "procedure", describe(resource.get("code")), _performed)


def read_request(resource: Resource) -> Reading | None:
    """Return what a ServiceRequest yields. It is a plan: a completed one does not show that the service was given."""
    described = describe(resource.get("code"))
    if (details := resource.get("orderDetail")) is not None:
        described += describe(details)
    return service(resource, "service-request", described, expected)


def occurrence(resource: Resource) -> Moment:
    """Return the service date of an order: ``occurrence[x]`` (start), else ``authoredOn``."""
    return begin(*_ordered_for(resource))


def expected(resource: Resource) -> Moment:
    """Return when what a record orders is to be given; by the end of a Period that has no start."""
    return moment(*_ordered_for(resource))


def _ordered_for(resource: Resource) -> tuple[object, ...]:
    named = ("occurrenceDateTime", "occurrencePeriod", "occurrenceTiming", "authoredOn")
    return tuple(resource.get(name) for name in named)


def _performed(resource: Resource) -> Moment:
    return moment(resource.get("performedDateTime"), resource.get("performedPeriod"))


def service(
    resource: Resource, kind: Kind, described: Description, dated: Callable[[Resource], Moment]
) -> Reading | None:
    """Return what a procedure, or an order for a procedure or a device, yields."""
    match = matches(described, "procedures", therapy=True)
    if not match.concepts:
        return unreadable(resource, UNREAD_CODE) if described.unread else None
    if is_modified(resource):
        return unreadable(resource, MODIFIED)
    counts = standing(resource)
    if counts is None:
        return None
    when = dated(resource)
    statement = Statement(
        kind=kind,
        concepts=match.concepts,
        unverified=match.unverified,
        evidence=Evidence(reference_to(resource), described.display, date=when.text),
        phase=counts.phase,
        when=when.when,
        confirmed=counts.confirmed,
    )
    return evidence(
        resource,
        told_apart(statement, match.told),
        None if counts.known else UNKNOWN_STATUS,
        UNREAD_DATE if when.unread else None,
    )
