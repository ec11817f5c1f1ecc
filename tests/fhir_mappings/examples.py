"""Small valid FHIR resources that tests vary, and arbitrary JSON to put in their place."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
CPT = "http://www.ama-assn.org/go/cpt"
NDC = "http://hl7.org/fhir/sid/ndc"
SOPT = "https://nahdo.org/sopt"

MODIFIER = [{"url": "http://example.org/not-really", "valueBoolean": True}]
SUBJECT = {"reference": "Patient/p1"}


def concept(system: str, code: str, text: str | None = None) -> Json:
    return {"coding": [{"system": system, "code": code}]} | ({"text": text} if text else {})


def status(code: str) -> Json:
    return {"coding": [{"code": code}]}


def without(resource: Json, *names: str) -> Json:
    return {name: value for name, value in resource.items() if name not in names}


def condition(**fields: Any) -> Json:
    return {
        "resourceType": "Condition",
        "id": "c1",
        "clinicalStatus": status("active"),
        "verificationStatus": status("confirmed"),
        "code": concept(ICD, "E10.9", "Type 1 diabetes"),
        "subject": SUBJECT,
        "onsetDateTime": "1999-05-01",
    } | fields


def procedure(**fields: Any) -> Json:
    return {
        "resourceType": "Procedure",
        "id": "pr1",
        "status": "completed",
        "code": concept(HCPCS, "G0108", "Diabetes education"),
        "subject": SUBJECT,
        "performedDateTime": "2026-03-02",
    } | fields


def service_request(**fields: Any) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": "s1",
        "status": "active",
        "intent": "order",
        "code": concept(CPT, "38242", "Donor lymphocyte infusion"),
        "subject": SUBJECT,
        "authoredOn": "2026-11-01",
    } | fields


def device_request(**fields: Any) -> Json:
    return {
        "resourceType": "DeviceRequest",
        "id": "d1",
        "status": "active",
        "intent": "order",
        "codeCodeableConcept": concept(HCPCS, "E0784", "Insulin pump"),
        "subject": SUBJECT,
        "authoredOn": "2026-01-05",
    } | fields


def device_use(**fields: Any) -> Json:
    return {
        "resourceType": "DeviceUseStatement",
        "id": "u1",
        "status": "active",
        "device": {"display": "Insulin pump"},
        "subject": SUBJECT,
        "timingDateTime": "2026-01-05",
    } | fields


def observation(**fields: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": concept(LOINC, "4548-4", "Hemoglobin A1c"),
        "subject": SUBJECT,
        "effectiveDateTime": "2026-10-01",
        "valueQuantity": {"value": 8.1, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
    } | fields


def medication_request(**fields: Any) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Tacrolimus 1 mg capsule"},
        "subject": SUBJECT,
        "authoredOn": "2026-06-01",
    } | fields


def medication_statement(**fields: Any) -> Json:
    return {
        "resourceType": "MedicationStatement",
        "id": "ms1",
        "status": "active",
        "medicationCodeableConcept": {"text": "Tacrolimus 1 mg capsule"},
        "subject": SUBJECT,
        "effectivePeriod": {"start": "2026-06-01", "end": "2026-09-01"},
    } | fields


def medication_dispense(**fields: Any) -> Json:
    return {
        "resourceType": "MedicationDispense",
        "id": "md1",
        "status": "completed",
        "medicationCodeableConcept": {"text": "Tacrolimus 1 mg capsule"},
        "subject": SUBJECT,
        "whenHandedOver": "2026-06-01",
        "daysSupply": {"value": 30},
    } | fields


def medication_administration(**fields: Any) -> Json:
    return {
        "resourceType": "MedicationAdministration",
        "id": "ma1",
        "status": "completed",
        "medicationCodeableConcept": concept(NDC, "73539-001-01", "Lantidra"),
        "subject": SUBJECT,
        "effectiveDateTime": "2025-02-01",
    } | fields


def lantidra_order(**fields: Any) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": "order-1",
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": concept(NDC, "73539-001-01", "Lantidra"),
        "subject": SUBJECT,
        "authoredOn": "2026-11-20",
        "reasonCode": [concept(ICD, "E10.641")],
    } | fields


def goal(**fields: Any) -> Json:
    return {
        "resourceType": "Goal",
        "id": "g1",
        "lifecycleStatus": "active",
        "description": {"text": "Sugar under control"},
        "subject": SUBJECT,
        "startDate": "2026-01-10",
        "target": [{"measure": concept(LOINC, "4548-4"), "detailQuantity": {"value": 6.5, "unit": "%"}}],
    } | fields


def response(**fields: Any) -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "q1",
        "status": "completed",
        "authored": "2026-11-10T09:00:00Z",
        "item": [{"linkId": "other-treatments-failed", "text": "Failed?", "answer": [{"valueBoolean": True}]}],
    } | fields


def patient(**fields: Any) -> Json:
    return {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1979-03-14"} | fields


def coverage(**fields: Any) -> Json:
    return {
        "resourceType": "Coverage",
        "id": "cov1",
        "status": "active",
        "type": concept(SOPT, "512", "Commercial PPO"),
        "beneficiary": SUBJECT,
        "period": {"start": "2026-01-01", "end": "2026-12-31"},
        "payor": [{"display": "Example Health"}],
        "class": [{"type": status("plan"), "value": "GOLD", "name": "Gold PPO"}],
    } | fields


NPI = "http://hl7.org/fhir/sid/us-npi"
CCN = "http://terminology.hl7.org/NamingSystem/CMSCertificationNumber"


def organization(npi: str | None = "1234567893", **fields: Any) -> Json:
    identifier = [{"system": NPI, "value": npi}] if npi else []
    return {
        "resourceType": "Organization",
        "id": "org1",
        "identifier": identifier,
        "name": "Example Hospital",
    } | fields


def qualification(code: Json, status: str = "active", period: Json | None = None) -> Json:
    """The extension of Plan-Net by which a directory says what a facility is qualified for."""
    parts: list[Json] = [
        {"url": "code", "valueCodeableConcept": code},
        {"url": "status", "valueCode": status},
    ]
    return {
        "url": "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/qualification",
        "extension": parts + ([{"url": "period", "valuePeriod": period}] if period else []),
    }


def chart_resources() -> list[Json]:
    """One valid resource of every type that is read."""
    return [
        condition(),
        condition(id="c2", code=concept(ICD, "D89.810"), stage=[{"summary": {"text": "Grade III"}}]),
        procedure(),
        service_request(),
        device_request(),
        device_use(),
        observation(),
        observation(
            id="o2", component=[{"code": concept(LOINC, "4548-4"), "valueQuantity": {"value": 60, "unit": "%"}}]
        ),
        observation(id="o3", code={"text": "Recipient chimerism"}, valueQuantity={"value": 15, "unit": "%"}),
        medication_request(),
        medication_statement(),
        medication_dispense(),
        medication_administration(),
        goal(),
        response(),
        patient(),
        coverage(),
    ]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["", "2026-02-30", "9999-12-31", "0000", "1e1000000", "#x", "a/", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=6)
            | st.sampled_from(
                ["coding", "code", "system", "display", "text", "reference", "value", "start", "id", "unit"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
"""Any JSON at all, with the names that FHIR uses more often than chance has them."""


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the place of every field and list item inside a JSON value."""
    if isinstance(value, dict):
        return [p for name, inner in value.items() for p in [(*path, name), *paths(inner, (*path, name))]]
    if isinstance(value, list):
        return [p for place, inner in enumerate(value) for p in [(*path, place), *paths(inner, (*path, place))]]
    return []


def replaced(resource: Json, path: tuple[str | int, ...], value: Any) -> Json:
    """Return a copy of a resource with another value at one place."""
    changed: Any = copy.deepcopy(resource)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    result: Json = changed
    return result


@st.composite
def damaged(draw: st.DrawFn, resources: list[Json]) -> Json:
    """One of some resources with arbitrary JSON in place of one or two of its fields (never of its type)."""
    resource = draw(st.sampled_from(resources))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([p for p in paths(resource) if p[0] != "resourceType"]))
        resource = replaced(resource, path, draw(json_values))
    return resource
