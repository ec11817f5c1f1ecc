"""Observation -> Statements: the value decides what a result or a recorded answer says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fhir_mappings import chimerism, quantities, severity
from fhir_mappings.answers import Answer, answer, has_value, is_called_normal, is_inapplicable
from fhir_mappings.chart import Resource
from fhir_mappings.codes import NOTHING, Match, together
from fhir_mappings.dates import Moment, moment
from fhir_mappings.descriptions import Description, describe, matches
from fhir_mappings.facts import Evidence, Quantity, Statement
from fhir_mappings.json_fields import items, number, objects, one_object, reference_to, text
from fhir_mappings.resources import (
    MODIFIED,
    UNKNOWN_STATUS,
    UNREAD_CODE,
    UNREAD_DATE,
    Reading,
    evidence,
    is_modified,
    unreadable,
)
from fhir_mappings.statuses import Standing, standing

_ANSWER_DECIDES = {"pregnancy-test", "pregnancy-status-question", "tobacco-status-question", "gvhd-grade"}
"""Value sets whose codes ask a question: without a clear yes, or a grade, they say nothing yet."""
_AFFIRMED = {"pregnancy-status-question": "pregnancy-current"}
_DENIED = {"pregnancy-status-question": "not-pregnant", "pregnancy-test": "not-pregnant"}
"""What yes and no to a question mean, as value sets."""
_NUMBER_DECIDES = {"hba1c"}
"""Value sets whose codes ask for a number, which is a result however it is interpreted."""


class _Part(NamedTuple):
    """An Observation, or one of its components, that a value set holds."""

    holder: Resource
    code: Description
    asked: Match
    answered: Match


def read(resource: Resource) -> Reading | None:
    """Return what an Observation and its components yield; None when no value set holds them or nothing was found."""
    code = describe(resource.get("code"))
    parts = _parts(resource, code)
    if not parts:
        return unreadable(resource, UNREAD_CODE) if code.unread else None
    if is_modified(resource) or any(is_modified(part.holder) for part in parts):
        return unreadable(resource, MODIFIED)
    counts = standing(resource)
    if counts is None:
        return None
    taken = moment(
        resource.get("effectiveDateTime"),
        resource.get("effectivePeriod"),
        resource.get("effectiveInstant"),
        resource.get("effectiveTiming"),
        resource.get("issued"),
    )
    statements = [s for part in parts if (s := _statement(resource, part, counts, taken))]
    if not statements:
        return None
    unread_date = UNREAD_DATE if taken.unread else None
    return evidence(resource, statements, None if counts.known else UNKNOWN_STATUS, unread_date)


def _parts(resource: Resource, code: Description) -> Sequence[_Part]:
    """Return what a value set holds. A panel without a value of its own says nothing beside its components."""
    if "component" not in resource and "hasMember" not in resource:
        if "valueCodeableConcept" not in resource and not matches(code, "observations").concepts:
            return ()  # most of a chart
        part = _part(resource, code)
        return () if part is None else (part,)
    components = objects(resource.get("component"))
    is_panel = bool(components or items(resource.get("hasMember"))) and not has_value(resource)
    found = [] if is_panel else [_part(resource, code)]
    found += [_part(component, describe(component.get("code"))) for component in components]
    return [part for part in found if part is not None]


def _part(holder: Resource, code: Description) -> _Part | None:
    asked, answered = matches(code, "observations"), NOTHING
    if (value := holder.get("valueCodeableConcept")) is not None:
        answered = matches(describe(value))
    return _Part(holder, code, asked, answered) if asked.concepts or answered.concepts else None


def _statement(resource: Resource, part: _Part, counts: Standing, taken: Moment) -> Statement | None:
    """Return what one part says; None where it says that the thing is not there, or gives no data."""
    if part.holder.get("dataAbsentReason") is not None or is_inapplicable(part.holder):
        return None
    grade, measured, value = _grade(part), _measured(part), _words(part.holder)
    if chimerism.is_about(part.asked.concepts):
        match, measured, value = chimerism.result(part.asked, part.code, value, measured)
        clear = True
    else:
        said = answer(part.holder, measures=not part.asked.concepts.isdisjoint(_NUMBER_DECIDES))
        if said == "number" and "pregnancy-test" in part.asked.concepts and is_called_normal(part.holder):
            said = "absent"  # a quantity of the hormone that is normal is that of nobody pregnant
        match, clear = _meaning(part, said, graded=grade is not None)
    if not match.concepts or grade == 0:
        return None
    return Statement(
        kind="observation",
        concepts=match.concepts,
        unverified=match.unverified,
        evidence=Evidence(reference_to(resource), part.code.display, value, taken.text),
        phase=counts.phase,
        when=taken.when,
        confirmed=counts.confirmed and clear,
        grade=grade,
        quantity=measured,
    )


def _meaning(part: _Part, said: Answer, *, graded: bool) -> tuple[Match, bool]:
    """Return the value sets that the part is evidence for, and whether it says so clearly."""
    if said == "absent":
        return together((part.answered, _as_said(part.asked, _DENIED))), True
    asks = bool(part.asked.concepts & _ANSWER_DECIDES)
    clear = graded or said == "present" or (said in ("number", "unstated") and not asks)
    if part.answered.concepts and not clear:
        return part.answered, True
    affirmed = _as_said(part.asked, _AFFIRMED) if said == "present" else NOTHING
    return together((affirmed if affirmed.concepts else part.asked, part.answered)), clear


def _as_said(asked: Match, meanings: Mapping[str, str]) -> Match:
    """Return the value sets that the answer to a question means, unverified where the question is."""
    meant, doubtful = (
        frozenset(meaning for question, meaning in meanings.items() if question in questions)
        for questions in (asked.concepts, asked.unverified)
    )
    return Match(meant, doubtful)


def _measured(part: _Part) -> Quantity | None:
    field = one_object(part.holder.get("valueQuantity"))
    measured = (
        quantities.quantity(field) if field else quantities.percent_in(text(part.holder.get("valueString")) or "")
    )
    return quantities.hba1c(measured) if "hba1c" in part.asked.concepts else measured


def _grade(part: _Part) -> int | None:
    if not severity.is_graded(part.asked.concepts):
        return None
    value = part.holder
    said = [describe(value.get("valueCodeableConcept")), describe(value.get("valueString")), describe(_number(value))]
    return severity.grade(said, part.code)


def _number(holder: Resource) -> str | None:
    value = number(holder.get("valueInteger", one_object(holder.get("valueQuantity")).get("value")))
    return None if value is None else f"{value:f}"


def _words(holder: Resource) -> str | None:
    """Return the value as it stands there."""
    if field := one_object(holder.get("valueQuantity")):
        return quantities.written(field)
    truth = holder.get("valueBoolean")
    if isinstance(truth, bool):
        return "yes" if truth else "no"
    return describe(holder.get("valueCodeableConcept")).display or text(holder.get("valueString")) or _number(holder)
