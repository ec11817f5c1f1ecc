from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import orders
from fhir_mappings.dates import date_range
from fhir_mappings.facts import Approval, Coding, Course, Evidence, Order
from fhir_mappings.orders import NeedsMedication

from .examples import (
    CPT,
    HCPCS,
    ICD,
    MODIFIER,
    NDC,
    SNOMED,
    concept,
    condition,
    damaged,
    device_request,
    lantidra_order,
    medication_request,
    observation,
    patient,
    service_request,
    status,
    without,
)

MEDICATION = {"resourceType": "Medication", "id": "x", "code": concept(NDC, "73539-001-01", "Lantidra vial")}
REFERRING = without(lantidra_order(), "medicationCodeableConcept")


def order(resource: dict[str, Any], lookup: dict[str, Any] | None = None) -> Order:
    found = orders.read(resource, lookup or {})
    assert isinstance(found, Order)
    return found


def test_an_order_for_a_known_therapy_is_read() -> None:
    found = order(lantidra_order())
    assert (found.reference, found.therapy, found.display) == ("MedicationRequest/order-1", "donislecel", "Lantidra")
    assert found.identified == "product"
    assert "donislecel-product" in found.concepts
    assert found.codes == (Coding("ndc", "73539000101"),)
    assert found.service_date == date_range("2026-11-20")
    assert found.notices == ()


def test_a_service_order_is_read_and_its_occurrence_is_the_service_date() -> None:
    found = order(service_request(occurrenceDateTime="2026-12-24"))
    assert (found.therapy, found.identified) == ("donor-lymphocyte-infusion", "procedure")
    assert found.service_date == date_range("2026-12-24")


@pytest.mark.parametrize("status", ["cancelled", "stopped", "revoked", "entered-in-error"])
def test_an_order_that_is_over_is_none(status: str) -> None:
    assert orders.read(lantidra_order(status=status), {}) is None


@pytest.mark.parametrize("status", ["draft", "active", "on-hold", "completed", "unknown", "bogus", None, 5])
def test_an_order_in_any_other_status_is_one(status: Any) -> None:
    assert order(lantidra_order(status=status)).therapy == "donislecel"


@pytest.mark.parametrize("prohibition", [True, "true"])
def test_an_order_not_to_do_it_is_none(prohibition: Any) -> None:
    assert orders.read(lantidra_order(doNotPerform=prohibition), {}) is None


@pytest.mark.parametrize(
    "resource",
    [
        medication_request(medicationCodeableConcept={"text": "Naproxen 125 mg"}),
        without(medication_request(), "medicationCodeableConcept"),
        device_request(),
        service_request(code=concept(CPT, "96365")),
        patient(),
        {"resourceType": 5},
    ],
)
def test_an_order_for_no_known_therapy_is_none(resource: dict[str, Any]) -> None:
    assert orders.read(resource, {}) is None


def test_the_medication_that_an_order_refers_to_is_read() -> None:
    referring = REFERRING | {"medicationReference": {"reference": "Medication/x"}}
    assert order(referring, {"Medication/x": MEDICATION}).display == "Lantidra vial"
    contained = REFERRING | {"medicationReference": {"reference": "#x"}, "contained": [MEDICATION]}
    assert order(contained).identified == "product"


def test_an_order_whose_only_description_was_not_sent_needs_its_medication() -> None:
    referring = REFERRING | {"medicationReference": {"reference": "http://ehr.example.org/fhir/Medication/x"}}
    assert orders.read(referring, {}) == NeedsMedication("MedicationRequest/order-1", "Medication/x")
    named = REFERRING | {"medicationReference": {"reference": "Medication/x", "display": "Naproxen"}}
    assert orders.read(named, {}) is None
    brand = REFERRING | {"medicationReference": {"reference": "Medication/x", "display": "Lantidra"}}
    assert order(brand).identified == "text"


def test_reasons_are_read_from_codes_and_references() -> None:
    resource = lantidra_order(
        reasonCode=[concept(ICD, "E10.641"), {}],
        reasonReference=[
            {"reference": "Condition/c9", "display": "Wants to stop insulin"},
            {"reference": "#inside"},
            5,
        ],
        contained=[{"resourceType": "Condition", "id": "inside", "code": concept(ICD, "E10.9")}],
    )
    coded, referred, contained = order(resource).reasons
    assert "severe-hypoglycemia" in coded.concepts
    assert coded.evidence == Evidence("MedicationRequest/order-1", "E10.641")
    assert referred.evidence == Evidence("Condition/c9", "Wants to stop insulin")
    assert referred.concepts == {"lifestyle-reasons"}
    assert contained.evidence.reference == "MedicationRequest/order-1"
    assert contained.concepts == {"type-1-diabetes"}


@pytest.mark.parametrize(
    ("concepts", "is_diagnosis"),
    [
        (concept(ICD, "D57.00"), True),
        (concept(ICD, "c91.00"), True),
        (concept(SNOMED, "46635009"), True),
        (concept(SNOMED, "443487006"), False),  # no value set knows it
        (concept(ICD, "M54.50"), True),  # none does either, but ICD-10-CM itself tells that it is another disease
        (concept(ICD, "C83.3"), False),
        (concept(ICD, "D57"), False),
        (concept(ICD, "Z94.84"), False),
        (concept(ICD, "R10.9"), False),
        (concept(ICD, "Y83.0"), False),
        (concept(HCPCS, "J3392"), False),
        ({"text": "Sickle cell disease"}, False),
        ({"coding": [{"system": ICD, "code": "Z94.84"}, {"system": ICD, "code": "D57.1"}]}, True),
    ],
)
def test_a_coded_diagnosis_is_told_from_symptoms_and_circumstances(
    concepts: dict[str, Any], *, is_diagnosis: bool
) -> None:
    [reason] = order(lantidra_order(reasonCode=[concepts])).reasons
    assert reason.diagnosis is is_diagnosis


@pytest.mark.parametrize(
    ("resource", "is_diagnosis"),
    [
        (condition(), True),
        (condition(verificationStatus=status("refuted")), False),
        (condition(code={"text": "Diabetes"}), False),
        (observation(code=concept(SNOMED, "43396009")), False),
    ],
)
def test_a_reason_inside_the_order_is_a_diagnosis_when_it_is_a_coded_condition(
    resource: dict[str, Any], *, is_diagnosis: bool
) -> None:
    pointing = lantidra_order(
        reasonCode=[], reasonReference=[{"reference": "#c1"}], contained=[resource | {"id": "c1"}]
    )
    [reason] = order(pointing).reasons
    assert reason.diagnosis is is_diagnosis


def test_an_order_says_its_route_course_approval_and_facilities() -> None:
    found = order(
        lantidra_order(dosageInstruction=[{"text": "Portal vein"}], performer={"display": "Example Hospital"})
    )
    assert found.routes == {"portal-vein"}
    assert found.course == Course(3)
    assert found.approval is not None
    assert found.approval.state == "approved"
    assert [f.evidence.display for f in found.facilities] == ["Example Hospital"]


def test_an_order_for_a_procedure_of_a_product_says_the_vein() -> None:
    found = order(service_request(code=concept("http://www.cms.gov/Medicare/Coding/ICD10", "XW133J8")))
    assert found.therapy == "exagamglogene"
    assert found.routes == {"intravenous"}


def test_an_order_that_is_no_product_has_neither_course_nor_approval() -> None:
    found = order(service_request())
    assert (found.course, found.approval, found.routes, found.facilities) == (None, None, frozenset(), ())


def test_an_unlisted_biologic_is_unidentified_unless_it_is_named() -> None:
    assert order(service_request(code=concept(HCPCS, "J3590"))).approval == Approval("unidentified")
    named = order(service_request(code=concept(HCPCS, "J3590", "Lyfgenia"))).approval
    assert named is not None
    assert named.state == "approved"


@pytest.mark.parametrize("name", ["UX111", "vusolimogene oderparepvec", "anito-cel", "DTX401", "deramiocel infusion"])
def test_a_product_of_which_the_approval_is_not_known_is_recognised(name: str) -> None:
    found = order(lantidra_order(medicationCodeableConcept={"text": name}))
    assert found.therapy.startswith("undetermined-")
    assert found.approval is not None
    assert found.approval.state == "undetermined"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reasonCode": [{"text": "Prevention of relapse"}]}, "relapse-purpose"),
        ({"reasonCode": [concept(ICD, "E10.641")]}, "severe-hypoglycemia"),
        ({"note": [{"text": "Goal: prevent relapse"}, {"text": 5}]}, "relapse-purpose"),
        ({"reasonReference": [{"display": "Relapse after transplant"}]}, "relapse-purpose"),
        ({"orderDetail": [{"text": "CD4-selected product"}]}, "ex-vivo-manipulation"),
    ],
)
def test_an_order_says_what_stands_in_its_name_reasons_and_notes(fields: dict[str, Any], said: str) -> None:
    assert said in order(service_request(**fields)).says


def test_a_word_that_one_text_takes_back_still_counts_in_another() -> None:
    fields = {"reasonCode": [{"text": "Relapse"}], "note": [{"text": "No relapse of infection"}]}
    assert "relapse-purpose" in order(service_request(**fields)).says


@pytest.mark.parametrize(
    ("fields", "notice"),
    [
        ({"modifierExtension": MODIFIER}, "The order has a modifier extension that this service does not know."),
        ({"authoredOn": "soon"}, "The order is not valid FHIR R4: its date could not be read."),
        (
            {"category": {"coding": [{"code": "community"}]}},
            "The order is not valid FHIR R4: MedicationRequest.category has the wrong type.",
        ),
    ],
)
def test_an_odd_order_is_still_an_order_with_a_notice(fields: dict[str, Any], notice: str) -> None:
    assert notice in order(lantidra_order(**fields)).notices


def test_an_order_known_by_a_bare_code_shows_the_code() -> None:
    assert order(service_request(code=concept(HCPCS, "J3392"))).display == "J3392"


def test_a_name_that_fits_two_products_says_so() -> None:
    found = order(lantidra_order(medicationCodeableConcept={"text": "onasemnogene abeparvovec"}))
    assert found.therapy == "onasemnogene_iv"
    assert any("Itvisma" in notice for notice in found.notices)


@given(
    damaged(
        [
            lantidra_order(note=[{"text": "x"}], reasonReference=[{"reference": "#a"}], contained=[{"id": "a"}]),
            REFERRING | {"medicationReference": {"reference": "Medication/x"}},
            service_request(orderDetail=[{"text": "x"}]),
            device_request(codeReference={"reference": "#a"}, contained=[{"id": "a"}]),
        ]
    ),
    damaged([MEDICATION]),
)
def test_a_damaged_order_never_raises(resource: dict[str, Any], medication: dict[str, Any]) -> None:
    orders.read(resource, {"Medication/x": medication})
