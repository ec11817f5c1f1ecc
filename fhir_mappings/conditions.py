"""Condition -> Statement."""

from __future__ import annotations

from typing import Any

from fhir_mappings import severity
from fhir_mappings.chart import Resource
from fhir_mappings.dates import end, moment
from fhir_mappings.descriptions import Description, describe, matches
from fhir_mappings.facts import Evidence, Phase, Statement
from fhir_mappings.json_fields import reference_to, token
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

_REFUTED = {"refuted", "entered-in-error"}
_UNSURE = {"unconfirmed", "provisional", "differential"}
_PAST = {"inactive", "remission", "resolved"}
_KNOWN = _PAST | {"active", "recurrence", "relapse"}
_KNOWN_VERIFICATION = _UNSURE | {"confirmed"}
_ABATED = frozenset({"abatementDateTime", "abatementPeriod", "abatementAge", "abatementRange", "abatementString"})
_UNDATED_ONSET = frozenset({"onsetAge", "onsetRange", "onsetString"})


def read(resource: Resource) -> Reading | None:
    """Return what a Condition yields; None when no value set holds it, or when it is refuted or entered in error."""
    described = describe(resource.get("code"))
    match = matches(described, "conditions")
    if not match.concepts:
        return unreadable(resource, UNREAD_CODE) if described.unread else None
    if is_modified(resource):
        return unreadable(resource, MODIFIED)
    verification = describe(resource.get("verificationStatus")).once(_tokens)
    if verification & _REFUTED:
        return None
    clinical = describe(resource.get("clinicalStatus")).once(_tokens)
    odd = bool(verification and not verification & _KNOWN_VERIFICATION) or bool(clinical and not clinical & _KNOWN)
    onset = moment(*_onset(resource))
    until = end(resource.get("abatementDateTime"), resource.get("abatementPeriod"))
    statement = Statement(
        kind="condition",
        concepts=match.concepts,
        unverified=match.unverified,
        evidence=Evidence(reference_to(resource), described.display, date=onset.text),
        phase=_phase(resource, clinical, dated=until.when is not None),
        when=onset.when,
        until=until.when,
        confirmed=not odd and not verification & _UNSURE,
        severity=severity.severity(resource.get("severity")),
        grade=_grade(resource, described, match.concepts),
    )
    unread_date = UNREAD_DATE if onset.unread or until.unread else None
    return evidence(resource, [statement], unread_date, UNKNOWN_STATUS if odd else None)


def is_refuted(resource: Resource) -> bool:
    """Whether a Condition is refuted or was entered in error."""
    return bool(describe(resource.get("verificationStatus")).once(_tokens) & _REFUTED)


def _tokens(described: Description) -> frozenset[str]:
    """Return the codes of a status in lower case, or its text where it has no code."""
    codes = {token(code) for _, code in described.codings} or {token(words) for words in described.texts}
    return frozenset(code for code in codes if code)


def _phase(resource: Resource, clinical: frozenset[str], *, dated: bool) -> Phase:
    """Return past for what is over. An abatement with its date may lie ahead (a due date): facts() decides that."""
    if clinical & _PAST:
        return "past"
    return "past" if not dated and _states(resource, _ABATED) else "current"


def _states(resource: Resource, names: frozenset[str]) -> bool:
    """Whether one of these fields has a value; most resources have none of them at all."""
    return not names.isdisjoint(resource) and any(resource.get(name) is not None for name in names)


def _onset(resource: Resource) -> tuple[Any, ...]:
    """Return the fields that can date the condition. An onset stated as an age is not the day it was recorded."""
    dated = resource.get("onsetDateTime"), resource.get("onsetPeriod")
    if _states(resource, _UNDATED_ONSET):
        return dated
    return *dated, resource.get("recordedDate")


def _grade(resource: Resource, described: Description, concepts: frozenset[str]) -> int | None:
    if not severity.is_graded(concepts):
        return None
    answers = [*severity.stages(resource.get("stage")), describe(resource.get("severity"))]
    return severity.grade(answers, described)
