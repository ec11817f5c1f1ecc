"""Goal -> Statement: the HbA1c that the patient and the clinicians aim for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_mappings import quantities
from fhir_mappings.chart import Resource
from fhir_mappings.dates import moment
from fhir_mappings.descriptions import Description, describe, matches
from fhir_mappings.facts import Evidence, Statement
from fhir_mappings.json_fields import objects, one_object, reference_to
from fhir_mappings.resources import MODIFIED, UNKNOWN_STATUS, UNREAD_DATE, Reading, evidence, is_modified, unreadable
from fhir_mappings.statuses import standing

CONCEPT = "hba1c-goal"


def read(resource: Resource) -> Reading | None:
    """Return one statement per HbA1c target of a Goal, in NGSP percent; None when it has none or is not pursued."""
    described = describe(resource.get("description"))
    targets = list(_hba1c_targets(resource, described))
    if not targets:
        return None
    if is_modified(resource):
        return unreadable(resource, MODIFIED)
    counts = standing(resource, field="lifecycleStatus")
    if counts is None:
        return None
    set_on = moment(resource.get("startDate"), resource.get("statusDate"))
    display = described.display
    statements = [
        Statement(
            kind="goal",
            concepts=frozenset({CONCEPT}),
            evidence=Evidence(reference_to(resource), display, quantities.written(detail), set_on.text),
            phase=counts.phase,
            when=set_on.when,
            confirmed=counts.confirmed,
            quantity=quantities.hba1c(quantities.quantity(detail, bound=True)),
        )
        for detail in targets
    ]
    unread_date = UNREAD_DATE if set_on.unread else None
    return evidence(resource, statements, None if counts.known else UNKNOWN_STATUS, unread_date)


def _hba1c_targets(resource: Resource, described: Description) -> Iterable[dict[str, Any]]:
    """Yield the value of each HbA1c target, the upper one of a range; a target without measure is the goal's."""
    about = "hba1c" in matches(described, "observations").concepts
    for target in objects(resource.get("target")):
        measure = target.get("measure")
        if "hba1c" in matches(describe(measure), "observations").concepts or (measure is None and about):
            span = one_object(target.get("detailRange"))
            detail = target.get("detailQuantity") or span.get("high") or span.get("low")
            yield dict(one_object(detail))
