from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import observations
from fhir_mappings.dates import date_range
from fhir_mappings.facts import Evidence, Quantity, Statement
from fhir_mappings.resources import MODIFIED, UNKNOWN_STATUS, UNREAD_CODE, UNREAD_DATE, Reading

from .examples import ICD, LOINC, MODIFIER, SNOMED, concept, damaged, observation, without

SMOKER = concept(SNOMED, "77176002", "Smoker")


def bare(**fields: Any) -> dict[str, Any]:
    return without(observation(), "valueQuantity") | fields


def only(resource: dict[str, Any]) -> Statement:
    reading = observations.read(resource)
    assert reading is not None
    (statement,) = reading.statements
    return statement


def test_a_result_becomes_a_statement_with_its_evidence() -> None:
    assert observations.read(observation()) == Reading(
        (
            Statement(
                kind="observation",
                concepts=frozenset({"hba1c"}),
                evidence=Evidence("Observation/o1", "Hemoglobin A1c", "8.1 %", "2026-10-01"),
                phase="done",
                when=date_range("2026-10-01"),
                quantity=Quantity(Decimal("8.1"), "%"),
            ),
        )
    )


@pytest.mark.parametrize(
    ("status", "confirmed"),
    [
        ("final", True),
        ("amended", True),
        ("corrected", True),
        ("preliminary", False),
        ("registered", False),
        ("unknown", False),
        ("bogus", False),
        ("cancelled", None),
        ("entered-in-error", None),
    ],
)
def test_each_status_counts_as_decided(status: str, confirmed: bool | None) -> None:
    reading = observations.read(observation(status=status))
    assert (reading and reading.statements[0].confirmed) == confirmed


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ({"value": 64, "unit": "mmol/mol"}, "8.0"),
        ({"value": 8.1}, None),
        ({"value": 8.1, "unit": "mg/dL"}, None),
        ({"value": 14, "unit": "%", "comparator": ">"}, None),
        ({"value": "high", "unit": "%"}, None),
    ],
)
def test_hba1c_is_in_percent_or_not_a_number_at_all(quantity: dict[str, Any], value: str | None) -> None:
    statement = only(observation(valueQuantity=quantity))
    assert statement.concepts == {"hba1c"}
    assert statement.quantity == (Quantity(Decimal(value), "%") if value else None)


@pytest.mark.parametrize("interpretation", [concept("i", "N", "Normal"), concept("i", "NEG"), {"text": "Not at goal"}])
def test_hba1c_is_its_number_whatever_the_interpretation_says(interpretation: dict[str, Any]) -> None:
    statement = only(observation(interpretation=[interpretation]))
    assert statement.confirmed
    assert statement.quantity == Quantity(Decimal("8.1"), "%")


def test_the_evidence_shows_the_value_as_it_was_sent() -> None:
    assert only(observation(valueQuantity={"value": 64, "unit": "mmol/mol"})).evidence.value == "64 mmol/mol"
    assert only(observation(valueQuantity={"value": 14, "unit": "%", "comparator": ">"})).evidence.value == "> 14 %"
    assert only(bare(valueInteger=8)).evidence.value == "8"
    assert only(bare(valueBoolean=True)).evidence.value == "yes"
    assert only(bare(valueString="8.2 %")).quantity == Quantity(Decimal("8.2"), "%")


@pytest.mark.parametrize(
    "fields",
    [
        {"valueBoolean": False},
        {"valueString": "not detected"},
        {"valueCodeableConcept": concept(SNOMED, "260415000")},
        {"dataAbsentReason": {"text": "not performed"}},
    ],
)
def test_a_value_that_says_no_or_nothing_is_no_evidence(fields: dict[str, Any]) -> None:
    assert observations.read(bare(**fields)) is None


def test_the_answer_decides_what_a_question_says() -> None:
    question = concept(LOINC, "72166-2")
    assert "tobacco-current" in only(bare(code=question, valueCodeableConcept=SMOKER)).concepts
    unread = only(bare(code=question, valueString="some"))
    assert unread.concepts == {"tobacco-status-question"}
    assert not unread.confirmed
    assert not only(bare(code=question)).confirmed


@pytest.mark.parametrize(
    ("fields", "confirmed"),
    [
        ({"valueCodeableConcept": concept(SNOMED, "10828004")}, True),
        ({"valueString": "Positive"}, True),
        ({"valueBoolean": True}, True),
        ({"interpretation": [concept("i", "POS")], "valueQuantity": {"value": 9000, "unit": "m[IU]/mL"}}, True),
        ({"valueQuantity": {"value": 9000, "unit": "m[IU]/mL"}}, False),
        ({}, False),
        ({"interpretation": [concept("i", "N", "Normal")]}, False),
        ({"interpretation": [concept("i", "A", "Abnormal")]}, False),
    ],
)
def test_a_pregnancy_test_is_positive_only_when_it_says_so(fields: dict[str, Any], confirmed: bool) -> None:
    statement = only(bare(code=concept(LOINC, "2106-3"), **fields))
    assert statement.concepts == {"pregnancy-test"}
    assert statement.confirmed == confirmed


@pytest.mark.parametrize(
    "fields",
    [
        {"valueString": "Negative"},
        {"valueString": "Neg."},
        {"interpretation": [concept("i", "N")], "valueQuantity": {"value": 1, "unit": "m[IU]/mL", "comparator": "<"}},
        {"interpretation": [concept("i", "NEG")], "valueQuantity": {"value": 1, "unit": "m[IU]/mL"}},
    ],
)
def test_a_negative_pregnancy_test_says_that_the_patient_is_not_pregnant(fields: dict[str, Any]) -> None:
    statement = only(bare(code=concept(LOINC, "2106-3"), **fields))
    assert statement.concepts == {"not-pregnant"}
    assert statement.confirmed


@pytest.mark.parametrize(
    "fields",
    [
        {"valueString": "N/A"},
        {"valueCodeableConcept": {"text": "Not applicable"}},
        {"valueCodeableConcept": concept(SNOMED, "385432009")},
    ],
)
def test_a_question_that_does_not_apply_says_nothing(fields: dict[str, Any]) -> None:
    assert observations.read(bare(code=concept(LOINC, "82810-3"), **fields)) is None


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({"valueCodeableConcept": concept(LOINC, "LA15173-0", "Pregnant")}, "pregnancy-current"),
        ({"valueCodeableConcept": concept(SNOMED, "77386006")}, "pregnancy-current"),
        ({"valueCodeableConcept": concept(SNOMED, "373066001")}, "pregnancy-current"),
        ({"valueBoolean": True}, "pregnancy-current"),
        ({"valueString": "Pregnant"}, "pregnancy-current"),
        ({"valueCodeableConcept": concept(LOINC, "LA26683-5", "Not pregnant")}, "not-pregnant"),
        ({"valueCodeableConcept": concept(SNOMED, "60001007")}, "not-pregnant"),
        ({"valueBoolean": False}, "not-pregnant"),
        ({"valueString": "Not pregnant"}, "not-pregnant"),
        ({"valueString": "Non-pregnant"}, "not-pregnant"),
        ({"valueString": "Patient denies pregnancy"}, "not-pregnant"),
    ],
)
def test_the_answer_to_the_pregnancy_status_is_pregnant_or_not(fields: dict[str, Any], meant: str) -> None:
    statement = only(bare(code=concept(LOINC, "82810-3"), **fields))
    assert statement.concepts == {meant}
    assert statement.confirmed


@pytest.mark.parametrize(
    "fields",
    [
        {"valueCodeableConcept": concept(LOINC, "LA4489-6", "Unknown")},
        {"valueCodeableConcept": concept(SNOMED, "261665006")},
        {"valueString": "Not sure"},
        {"valueString": "Pregnant or lactating: see note"},
        {},
    ],
)
def test_any_other_answer_to_the_pregnancy_status_is_none(fields: dict[str, Any]) -> None:
    statement = only(bare(code=concept(LOINC, "82810-3"), **fields))
    assert statement.concepts == {"pregnancy-status-question"}
    assert not statement.confirmed


def test_a_code_of_pregnant_and_words_against_it_are_told_both() -> None:
    answered = concept(SNOMED, "77386006", "Not pregnant")
    assert only(bare(code=concept(LOINC, "82810-3"), valueCodeableConcept=answered)).concepts == {
        "pregnancy-current",
        "not-pregnant",
    }


def test_a_coded_diagnosis_may_be_the_answer_to_any_question() -> None:
    asked = bare(code={"text": "Discharge diagnosis"}, valueCodeableConcept=concept(ICD, "E10.641"))
    assert "severe-hypoglycemia" in only(asked).concepts


@pytest.mark.parametrize(
    ("fields", "share", "shown"),
    [
        ({"code": {"text": "Donor chimerism"}, "valueQuantity": {"value": 85, "unit": "%"}}, "85", "85 %"),
        ({"code": concept(LOINC, "104480-9"), "valueQuantity": {"value": 12, "unit": "%"}}, "88", "recipient 12 %"),
        ({"code": {"text": "Host chimerism"}, "valueString": "12 %"}, "88", "recipient 12 %"),
        ({"code": {"text": "Chimerism"}, "valueString": "85 % donor"}, "85", "85 % donor"),
        ({"code": {"text": "Donor chimerism"}, "valueString": "mixed"}, None, "mixed"),
    ],
)
def test_chimerism_is_the_share_of_the_donor(fields: dict[str, Any], share: str | None, shown: str) -> None:
    statement = only(bare(**fields))
    assert statement.concepts == {"chimerism-donor"}
    assert statement.quantity == (Quantity(Decimal(share), "%") if share else None)
    assert statement.evidence.value == shown


def test_no_donor_cells_at_all_is_a_result() -> None:
    none = only(bare(code={"text": "Donor chimerism"}, valueQuantity={"value": 0, "unit": "%"}))
    assert none.quantity == Quantity(Decimal(0), "%")


def test_the_grade_of_graft_versus_host_disease_may_be_a_result() -> None:
    code = {"text": "GVHD", "coding": [{"system": ICD, "code": "D89.810"}]}
    assert only(bare(code=code, valueString="Grade III")).grade == 3
    assert only(bare(code=code, valueInteger=2)).grade == 2
    assert observations.read(bare(code=code, valueString="Grade 0")) is None
    graded = only(bare(code=code, valueString="Grade III"))
    assert graded.confirmed


@pytest.mark.parametrize(
    ("name", "fields", "grade"),
    [
        ("Acute GVHD grade", {"valueString": "III"}, 3),
        ("aGVHD grade (overall)", {"valueCodeableConcept": {"text": "Grade II"}}, 2),
        ("Grade of acute GVHD", {"valueInteger": 4}, 4),
        ("Acute graft-versus-host disease grade", {"valueString": "pending"}, None),
        ("Acute GVHD grade", {}, None),
    ],
)
def test_a_recorded_grade_of_acute_disease_is_the_disease_with_its_grade(
    name: str, fields: dict[str, Any], grade: int | None
) -> None:
    statement = only(bare(code={"text": name}, **fields))
    assert statement.concepts == {"gvhd-acute", "gvhd-grade"}
    assert statement.grade == grade
    assert statement.confirmed == (grade is not None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Acute GVHD grade", "0"),
        ("Acute GVHD grade", "No acute GVHD"),
        ("Acute GVHD grade, skin", "III"),
        ("Maximum acute GVHD grade", "III"),
        ("Chronic GVHD", "III"),
    ],
)
def test_no_disease_the_stage_of_an_organ_and_the_worst_grade_ever_are_no_grade(name: str, value: str) -> None:
    assert observations.read(bare(code={"text": name}, valueString=value)) is None


def test_the_parts_of_a_panel_are_read_and_the_panel_itself_is_not() -> None:
    part = {"code": concept(LOINC, "4548-4"), "valueQuantity": {"value": 7.5, "unit": "%"}}
    statement = only(bare(component=[part, {"code": {"text": "other"}}]))
    assert statement.quantity == Quantity(Decimal("7.5"), "%")
    assert observations.read(bare(hasMember=[{"reference": "Observation/o2"}])) is None
    both = observations.read(observation(component=part))
    assert both is not None
    assert len(both.statements) == 2


@pytest.mark.parametrize(
    ("fields", "when"),
    [
        ({"effectiveDateTime": "2026-09"}, "2026-09"),
        ({"effectivePeriod": {"start": "2026-09-01"}}, "2026-09-01"),
        ({"effectiveInstant": "2026-09-02T10:00:00Z"}, "2026-09-02"),
        ({"issued": "2026-09-03T10:00:00Z"}, "2026-09-03"),
        ({}, None),
    ],
)
def test_a_result_is_dated_by_its_effective_time_else_by_its_issue(fields: dict[str, Any], when: str | None) -> None:
    assert only(without(observation(), "effectiveDateTime") | fields).when == date_range(when)


@pytest.mark.parametrize(
    ("fields", "unreadable", "quality"),
    [
        ({"code": 5}, UNREAD_CODE, None),
        ({"modifierExtension": MODIFIER}, MODIFIED, None),
        ({"component": [{"code": concept(LOINC, "4548-4"), "modifierExtension": MODIFIER}]}, MODIFIED, None),
        ({"status": "bogus"}, None, UNKNOWN_STATUS),
        ({"effectiveDateTime": "soon"}, None, UNREAD_DATE),
        ({"bodySite": 5}, None, "Observation.bodySite has the wrong type"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], unreadable: str | None, quality: str | None) -> None:
    reading = observations.read(observation(**fields))
    assert reading is not None
    assert (reading.unreadable and reading.unreadable.problem) == unreadable
    assert (reading.quality and reading.quality.problem) == quality


def test_another_result_is_nothing() -> None:
    assert observations.read(observation(code=concept(LOINC, "718-7"))) is None


@given(
    damaged(
        [
            observation(),
            observation(component=[{"code": concept(LOINC, "4548-4"), "valueQuantity": {"value": 7, "unit": "%"}}]),
            observation(code={"text": "Recipient chimerism"}),
            bare(code=concept(LOINC, "72166-2"), valueCodeableConcept=SMOKER),
            bare(code=concept(ICD, "D89.810"), valueInteger=3),
            bare(code=concept(LOINC, "2106-3"), valueString="positive", interpretation=[concept("i", "POS")]),
        ]
    )
)
def test_a_damaged_observation_never_raises(resource: dict[str, Any]) -> None:
    observations.read(resource)
