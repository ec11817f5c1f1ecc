from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import medications
from fhir_mappings.dates import date_range
from fhir_mappings.facts import DateRange, Evidence, Statement
from fhir_mappings.resources import MODIFIED, UNKNOWN_STATUS, UNREAD_CODE, UNREAD_DATE, Reading

from .examples import (
    MODIFIER,
    damaged,
    medication_administration,
    medication_dispense,
    medication_request,
    medication_statement,
    without,
)

MEDICATION = {
    "resourceType": "Medication",
    "id": "x",
    "code": {"text": "Compound 7"},
    "ingredient": [{"itemCodeableConcept": {"text": "Tacrolimus"}}, {"itemReference": {"display": "Starch"}}],
}


def counted(reading: Reading | None) -> tuple[str, bool] | None:
    return None if reading is None else (reading.statements[0].phase, reading.statements[0].confirmed)


def only(resource: dict[str, Any]) -> Statement:
    reading = medications.read(resource, {})
    assert reading is not None
    (statement,) = reading.statements
    return statement


def test_a_medication_order_becomes_a_statement_with_its_evidence() -> None:
    statement = only(medication_request())
    assert statement.kind == "medication"
    assert "immunosuppressant-maintenance" in statement.concepts
    assert statement.evidence == Evidence("MedicationRequest/m1", "Tacrolimus 1 mg capsule", date="2026-06-01")
    assert (statement.phase, statement.when, statement.until) == ("current", date_range("2026-06-01"), None)


@pytest.mark.parametrize(
    ("make", "status", "counts"),
    [
        (medication_request, "active", ("current", True)),
        (medication_request, "draft", ("planned", True)),
        (medication_request, "on-hold", ("past", False)),
        (medication_request, "completed", ("past", True)),
        (medication_request, "stopped", ("past", False)),
        (medication_request, "unknown", ("current", False)),
        (medication_request, "bogus", ("current", False)),
        (medication_request, "cancelled", None),
        (medication_request, "entered-in-error", None),
        (medication_statement, "active", ("current", True)),
        (medication_statement, "intended", ("planned", True)),
        (medication_statement, "on-hold", ("past", True)),
        (medication_statement, "completed", ("past", True)),
        (medication_statement, "stopped", ("past", True)),
        (medication_statement, "unknown", ("current", False)),
        (medication_statement, "not-taken", None),
        (medication_statement, "entered-in-error", None),
        (medication_dispense, "in-progress", ("current", True)),
        (medication_dispense, "preparation", ("planned", True)),
        (medication_dispense, "completed", ("past", True)),
        (medication_dispense, "on-hold", ("past", True)),
        (medication_dispense, "stopped", ("past", True)),
        (medication_dispense, "unknown", ("current", False)),
        (medication_dispense, "cancelled", None),
        (medication_dispense, "declined", None),
        (medication_dispense, "entered-in-error", None),
        (medication_administration, "completed", ("done", True)),
        (medication_administration, "in-progress", ("done", True)),
        (medication_administration, "stopped", ("done", False)),
        (medication_administration, "on-hold", ("done", False)),
        (medication_administration, "unknown", ("done", False)),
        (medication_administration, "not-done", None),
        (medication_administration, "entered-in-error", None),
    ],
)
def test_each_status_counts_as_decided(
    make: Callable[..., dict[str, Any]], status: str, counts: tuple[str, bool] | None
) -> None:
    assert counted(medications.read(make(status=status), {})) == counts


@pytest.mark.parametrize("intent", ["plan", "proposal"])
def test_a_plan_is_planned_and_a_prohibition_is_nothing(intent: str) -> None:
    assert counted(medications.read(medication_request(intent=intent), {})) == ("planned", True)
    assert medications.read(medication_request(doNotPerform=True), {}) is None


def test_a_dose_given_is_an_administration_of_its_therapy() -> None:
    statement = only(medication_administration())
    assert statement.kind == "administration"
    assert {"donislecel-product", "therapy:donislecel"} <= statement.concepts


@pytest.mark.parametrize(
    ("resource", "when", "until"),
    [
        (medication_statement(), "2026-06-01", "2026-09-01"),
        (medication_request(dispenseRequest={"validityPeriod": {"end": "2026-12"}}), "2026-06-01", "2026-12"),
        (
            medication_request(
                dosageInstruction=[5, {"timing": {"repeat": {"boundsPeriod": {"end": "2026-07-01"}}}}, {"timing": 5}]
            ),
            "2026-06-01",
            "2026-07-01",
        ),
        (medication_dispense(), "2026-06-01", "2026-07-01"),
        (medication_dispense(daysSupply={"value": 0}), "2026-06-01", None),
        (medication_dispense(daysSupply={"value": 9000}), "2026-06-01", None),
        (medication_dispense(whenHandedOver="9999-12-31"), "9999-12-31", None),
        (without(medication_dispense(), "whenHandedOver"), None, None),
    ],
)
def test_start_and_end_are_those_of_the_period_the_order_the_dosage_or_the_supply(
    resource: dict[str, Any], when: str | None, until: str | None
) -> None:
    statement = only(resource)
    assert (statement.when, statement.until) == (date_range(when), date_range(until))


def test_a_supply_handed_over_in_a_month_lasts_from_its_first_to_its_last_day() -> None:
    until = only(medication_dispense(whenHandedOver="2026-06")).until
    assert until == DateRange(date(2026, 7, 1), date(2026, 7, 30))


@pytest.mark.parametrize("reference", [{"reference": "#x"}, {"reference": "Medication/x"}, "Medication/x"])
def test_a_medication_that_is_referred_to_is_read_with_its_ingredients(reference: Any) -> None:
    resource = without(medication_request(), "medicationCodeableConcept") | {"medicationReference": reference}
    reading = medications.read(resource | {"contained": [MEDICATION]}, {"Medication/x": MEDICATION})
    assert reading is not None
    assert "immunosuppressant-maintenance" in reading.statements[0].concepts
    assert reading.statements[0].evidence.display == "Compound 7"


def test_a_medication_that_was_not_sent_makes_the_order_unreadable_unless_it_is_named() -> None:
    resource = without(medication_request(), "medicationCodeableConcept")
    unnamed = medications.read(resource | {"medicationReference": {"reference": "Medication/x"}}, {})
    assert unnamed is not None
    assert unnamed.unreadable is not None
    assert unnamed.unreadable.problem == "the Medication that it refers to was not sent"
    cancelled = resource | {"medicationReference": {"reference": "Medication/x"}, "status": "cancelled"}
    assert medications.read(cancelled, {}) is None
    aspirin = {"reference": "Medication/x", "display": "Aspirin"}
    assert medications.read(resource | {"medicationReference": aspirin}, {}) is None
    tacrolimus = {"reference": "Medication/x", "display": "Tacrolimus 1 mg"}
    assert counted(medications.read(resource | {"medicationReference": tacrolimus}, {})) == ("current", True)


@pytest.mark.parametrize(
    ("fields", "unreadable", "quality"),
    [
        ({"medicationCodeableConcept": 5}, UNREAD_CODE, None),
        ({"modifierExtension": MODIFIER}, MODIFIED, None),
        ({"status": "bogus"}, None, UNKNOWN_STATUS),
        ({"authoredOn": "soon"}, None, UNREAD_DATE),
        ({"dispenseRequest": {"validityPeriod": {"end": 5}}}, None, UNREAD_DATE),
        ({"category": {"text": "community"}}, None, "MedicationRequest.category has the wrong type"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], unreadable: str | None, quality: str | None) -> None:
    reading = medications.read(medication_request(**fields), {})
    assert reading is not None
    assert (reading.unreadable and reading.unreadable.problem) == unreadable
    assert (reading.quality and reading.quality.problem) == quality


TACROLIMUS = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "42316"}]}


@pytest.mark.parametrize(
    ("text", "dosage"),
    [
        ("tacrolimus 0.1 % topical ointment", {}),
        ("tacrolimus 0.1 % oint", {}),
        ("cyclosporine 0.05 % drops in a dropperette", {}),
        ("tacrolimus", {"route": {"coding": [{"system": "http://snomed.info/sct", "code": "6064005"}]}}),
        ("tacrolimus", {"route": {"text": "Topical"}}),
        ("tacrolimus", {"text": "Apply to the affected area twice a day"}),
        ("cyclosporine", {"text": "1 drop in each eye"}),
    ],
)
@pytest.mark.parametrize("coded", [True, False])
def test_an_immunosuppressant_on_skin_or_eye_does_not_count(text: str, dosage: dict[str, Any], coded: bool) -> None:
    concept = {"text": text} | (TACROLIMUS if coded else {})
    resource = medication_request(medicationCodeableConcept=concept, dosageInstruction=[dosage])
    assert medications.read(resource, {}) is None
    given = medication_administration(medicationCodeableConcept=concept, dosage=dosage)
    assert medications.read(given, {}) is None


@pytest.mark.parametrize(
    ("text", "dosage"),
    [
        ("cyclosporine 25 mg soft gel capsule", {"text": "1 capsule by mouth twice a day"}),
        ("tacrolimus 1 mg capsule", {"route": {"text": "Oral"}}),
        ("tacrolimus", {"route": {"text": "Oral"}, "text": "1 mg twice a day; apply sunscreen lotion"}),
        ("tacrolimus", {"text": "Take by mouth. Use sunscreen cream daily"}),
        ("tacrolimus", {"text": "Swallow whole; may cause blurred vision in both eyes"}),
        ("tacrolimus", {"text": "1 mg twice a day. If a dose drops out, call"}),
    ],
)
def test_an_immunosuppressant_by_mouth_counts(text: str, dosage: dict[str, Any]) -> None:
    resource = medication_request(medicationCodeableConcept={"text": text} | TACROLIMUS, dosageInstruction=[dosage])
    assert "immunosuppressant-maintenance" in only(resource).concepts


def test_another_drug_is_nothing() -> None:
    assert medications.read(medication_request(medicationCodeableConcept={"text": "Aspirin"}), {}) is None


@given(
    damaged(
        [
            medication_request(dispenseRequest={"validityPeriod": {"end": "2026"}}),
            medication_request(dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": {"end": "2026"}}}}]),
            medication_statement(),
            medication_dispense(),
            medication_administration(),
        ]
    ),
    damaged([MEDICATION]),
)
def test_a_damaged_medication_resource_never_raises(resource: dict[str, Any], medication: dict[str, Any]) -> None:
    medications.read(resource, {})
    referring = {"medicationReference": {"reference": "Medication/x"}}
    medications.read(resource | referring, {"Medication/x": medication})
