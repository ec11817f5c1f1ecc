from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import conditions
from fhir_mappings.dates import date_range
from fhir_mappings.facts import Evidence, Statement
from fhir_mappings.resources import MODIFIED, UNKNOWN_STATUS, UNREAD_CODE, UNREAD_DATE, Reading

from .examples import ICD, MODIFIER, SNOMED, concept, condition, damaged, status, without


def only(resource: dict[str, Any]) -> Statement:
    reading = conditions.read(resource)
    assert reading is not None
    (statement,) = reading.statements
    return statement


def quality(resource: dict[str, Any]) -> str | None:
    reading = conditions.read(resource)
    assert reading is not None
    return reading.quality.problem if reading.quality else None


def test_a_condition_becomes_a_statement_with_its_evidence() -> None:
    assert conditions.read(condition()) == Reading(
        (
            Statement(
                kind="condition",
                concepts=frozenset({"type-1-diabetes"}),
                evidence=Evidence("Condition/c1", "Type 1 diabetes", date="1999-05-01"),
                phase="current",
                when=date_range("1999-05-01"),
            ),
        )
    )


@pytest.mark.parametrize(
    ("code", "phase", "confirmed"),
    [
        ("active", "current", True),
        ("recurrence", "current", True),
        ("relapse", "current", True),
        ("inactive", "past", True),
        ("remission", "past", True),
        ("resolved", "past", True),
        ("bogus", "current", False),
    ],
)
def test_each_clinical_status_counts_as_decided(code: str, phase: str, confirmed: bool) -> None:
    statement = only(condition(clinicalStatus=status(code)))
    assert (statement.phase, statement.confirmed) == (phase, confirmed)
    assert (quality(condition(clinicalStatus=status(code))) == UNKNOWN_STATUS) == (not confirmed)


@pytest.mark.parametrize("shape", ["Resolved", {"text": "Resolved"}, [status("resolved")], {"code": "resolved"}])
def test_a_clinical_status_in_a_shape_that_is_not_r4_is_read(shape: Any) -> None:
    assert only(condition(clinicalStatus=shape)).phase == "past"


@pytest.mark.parametrize("code", ["unconfirmed", "provisional", "differential", "bogus"])
def test_an_unsure_verification_is_not_enough(code: str) -> None:
    assert not only(condition(verificationStatus=status(code))).confirmed


@pytest.mark.parametrize("code", ["refuted", "entered-in-error"])
def test_a_refuted_condition_is_no_evidence(code: str) -> None:
    assert conditions.read(condition(verificationStatus=status(code))) is None
    both = {"coding": [{"code": "local"}, {"code": code}]}
    assert conditions.read(condition(verificationStatus=both)) is None


def test_without_statuses_a_condition_holds_now_and_is_confirmed() -> None:
    statement = only(without(condition(), "clinicalStatus", "verificationStatus"))
    assert (statement.phase, statement.confirmed) == ("current", True)


@pytest.mark.parametrize(
    "abatement",
    [{"abatementString": "last year"}, {"abatementAge": {"value": 40}}, {"abatementPeriod": {"start": "2020"}}],
)
def test_an_abatement_without_its_end_day_is_past(abatement: dict[str, Any]) -> None:
    assert only(condition(**abatement)).phase == "past"


def test_an_abatement_with_its_day_is_left_to_the_day_of_the_order() -> None:
    statement = only(condition(abatementDateTime="2027-02-01"))
    assert (statement.phase, statement.until) == ("current", date_range("2027-02-01"))


@pytest.mark.parametrize(
    ("fields", "when"),
    [
        ({"onsetDateTime": "2020-03"}, "2020-03"),
        ({"onsetPeriod": {"start": "2020-03-01"}}, "2020-03-01"),
        ({"recordedDate": "2021"}, "2021"),
        ({"onsetAge": {"value": 12}, "recordedDate": "2021"}, None),
        ({"onsetString": "childhood", "recordedDate": "2021"}, None),
        ({}, None),
    ],
)
def test_a_condition_is_dated_by_its_onset_else_by_its_recording(fields: dict[str, Any], when: str | None) -> None:
    statement = only(without(condition(), "onsetDateTime") | fields)
    assert (statement.when, statement.evidence.date) == (date_range(when), when)


@pytest.mark.parametrize("field", ["onsetDateTime", "abatementDateTime"])
def test_a_date_that_cannot_be_read_leaves_evidence_with_a_notice(field: str) -> None:
    assert quality(condition(**{field: "long ago"})) == UNREAD_DATE
    assert quality(condition(**{field: 5})) == UNREAD_DATE


def test_an_invalid_condition_whose_needed_fields_can_be_read_is_evidence_with_a_notice() -> None:
    assert quality(without(condition(), "subject")) == "Condition.subject is required and missing"


def test_a_code_that_cannot_be_read_makes_it_unreadable_and_another_code_makes_it_nothing() -> None:
    reading = conditions.read(condition(code=5))
    assert reading is not None
    assert reading.unreadable is not None
    assert reading.unreadable.problem == UNREAD_CODE
    assert conditions.read(condition(code=concept(ICD, "J00"))) is None
    assert conditions.read(without(condition(), "code")) is None


def test_an_unknown_modifier_extension_makes_it_unreadable() -> None:
    reading = conditions.read(condition(modifierExtension=MODIFIER))
    assert reading is not None
    assert reading.statements == ()
    assert reading.unreadable is not None
    assert reading.unreadable.problem == MODIFIED


def test_the_overall_grade_is_read_for_graft_versus_host_disease_only() -> None:
    stage = [{"summary": {"text": "Grade III"}}, {"summary": {"text": "skin stage 2"}}]
    assert only(condition(code=concept(ICD, "D89.810"), stage=stage)).grade == 3
    assert only(condition(code=concept(ICD, "D89.810", "Acute GVHD grade II"))).grade == 2
    assert only(condition(code=concept(ICD, "D89.810"))).grade is None
    assert only(condition(stage=stage)).grade is None


def test_severity_is_read() -> None:
    assert only(condition(severity=concept(SNOMED, "24484000"))).severity == "severe"


@given(damaged([condition(), condition(code=concept(ICD, "D89.810"), stage=[{"summary": {"text": "III"}}])]))
def test_a_damaged_condition_never_raises(resource: dict[str, Any]) -> None:
    conditions.read(resource)
