import json
from collections.abc import Mapping
from typing import Any

import pytest

from cds_service import fhir_client, hook_request, prefetch
from cds_service.errors import NothingToGoOn, RequestError, WrongPatient
from cds_service.fhir_client import FhirReader, RefusingReader
from cds_service.hook_request import HookRequest
from fhir_mappings.chart import TYPE_OF, Chart
from fhir_mappings.facts import Records
from tests.cds_service.ehr import Ehr, status
from tests.cds_service.examples import PATIENT, bundle, context, failure, hook_body, resource

NEEDS: frozenset[Records] = frozenset({"patient", "coverage", "conditions"})
C1, C2 = resource("Condition", "c1"), resource("Condition", "c2")
COVERAGE = resource("Coverage", "v1")


def asked(values: Mapping[str, Any], **members: Any) -> HookRequest:
    return hook_request.read(hook_body(prefetch=values, **members), {"order-sign"})


def complete(values: Mapping[str, Any], needs: frozenset[Records] = NEEDS, **members: Any) -> Chart:
    return prefetch.complete(asked(values, **members), needs, None)


def next_page(url: str) -> list[dict[str, str]]:
    return [{"relation": "next", "url": url}]


def test_the_templates_use_plain_tokens_and_one_key_for_each_kind_of_record() -> None:
    assert prefetch.TEMPLATES["patient"] == "Patient/{{context.patientId}}"
    assert prefetch.TEMPLATES["coverage"] == "Coverage?patient={{context.patientId}}&status=active"
    assert prefetch.TEMPLATES["medicationRequests"] == "MedicationRequest?patient={{context.patientId}}"
    assert set(prefetch.KEY_OF) == set(TYPE_OF)
    assert list(prefetch.KEY_OF.values()) == list(prefetch.TEMPLATES)


def test_the_minimal_templates_are_those_of_patient_and_coverage() -> None:
    assert prefetch.templates("full") == prefetch.TEMPLATES
    assert prefetch.templates("minimal") == {key: prefetch.TEMPLATES[key] for key in ("patient", "coverage")}


def test_what_was_sent_is_supplied() -> None:
    chart = complete({"patient": PATIENT, "coverage": bundle(COVERAGE), "conditions": bundle(C1, C2)})

    assert chart.patient_id == "p1"
    assert chart.of_type("Patient") == (PATIENT,)
    assert chart.of_type("Condition") == (C1, C2)
    assert chart.supplied == NEEDS
    assert chart.missing == {}
    assert chart.unreadable == ()


@pytest.mark.parametrize("empty", [None, bundle(), {"resourceType": "Bundle"}, bundle(failure("information"))])
def test_a_key_sent_empty_is_supplied(empty: object) -> None:
    chart = complete({"patient": PATIENT, "coverage": None, "conditions": empty})

    assert chart.supplied == NEEDS
    assert chart.of_type("Condition") == ()


def test_a_key_not_sent_is_missing_only_when_it_is_needed() -> None:
    chart = complete({"patient": PATIENT})

    assert chart.supplied == {"patient"}
    assert chart.missing == {"coverage": "was not sent", "conditions": "was not sent"}


@pytest.mark.parametrize(
    "value", [failure(), bundle(failure()), bundle(failure("fatal")), {"resourceType": "OperationOutcome"}]
)
def test_a_failure_that_the_ehr_reports_is_told(value: object) -> None:
    chart = complete({"patient": PATIENT, "coverage": None, "conditions": value})

    assert chart.missing == {"conditions": "the EHR reported an error for it"}


@pytest.mark.parametrize("value", ["123", 5, True, {"id": "c1"}])
def test_a_value_that_is_no_fhir_is_told(value: object) -> None:
    chart = complete({"patient": PATIENT, "coverage": None, "conditions": value})

    assert chart.missing == {"conditions": "was not sent in a form that can be read"}


def test_a_bundle_with_a_failure_beside_data_is_evidence_but_not_the_whole() -> None:
    chart = complete({"patient": PATIENT, "coverage": None, "conditions": bundle(C1, failure())})

    assert chart.of_type("Condition") == (C1,)
    assert chart.missing == {"conditions": "the EHR reported an error for a part of it"}


def test_a_first_page_alone_is_evidence_but_not_the_whole() -> None:
    page = bundle(C1, link=next_page("http://127.0.0.1:1/fhir?page=2"))

    chart = complete({"patient": PATIENT, "coverage": None, "conditions": page})

    assert chart.of_type("Condition") == (C1,)
    assert chart.missing == {"conditions": "was sent only in part"}


INCLUDED = {"resource": {"resourceType": "Practitioner", "id": "d1"}, "search": {"mode": "include"}}
TOLD = {"resource": failure("information"), "search": {"mode": "outcome"}}


@pytest.mark.parametrize(
    ("value", "is_whole"),
    [
        (bundle(C1, C2, total=2), True),
        (bundle(C1, C2, total=3), False),
        (bundle(total=5), False),
        (bundle(total=0), True),
        (bundle(C1, C2, total=1), True),
        ({**bundle(total=1), "entry": [{"resource": C1, "search": {"mode": "match"}}, INCLUDED, TOLD]}, True),
        ({**bundle(total=2), "entry": [{"resource": C1}, INCLUDED, TOLD]}, False),
        (bundle(C1, total=True), True),
        (bundle(C1, total="5"), True),
        (bundle(bundle(C1, C2), total=1), True),
    ],
)
def test_a_bundle_that_counts_more_than_it_holds_is_not_the_whole(value: Any, is_whole: bool) -> None:
    chart = complete({"patient": PATIENT, "coverage": None, "conditions": value})

    assert chart.missing == ({} if is_whole else {"conditions": "was sent only in part"})


def test_a_key_that_holds_only_other_things_was_not_sent() -> None:
    chart = complete({"patient": COVERAGE, "conditions": None})

    assert chart.of_type("Coverage") == (COVERAGE,)
    assert chart.missing["patient"] == "was not sent"


def test_one_unreadable_entry_is_named_and_the_others_stand() -> None:
    entries = [{"resource": C1}, "x", {"resource": {"id": "?"}}, {"resource": C2}, {"fullUrl": "urn:uuid:1"}]

    chart = complete({"patient": PATIENT, "coverage": None, "conditions": {"resourceType": "Bundle", "entry": entries}})

    assert chart.of_type("Condition") == (C1, C2)
    assert [u.reference for u in chart.unreadable] == ["conditions entry 2", "conditions entry 3", "conditions entry 5"]


def test_an_entry_that_is_no_list_and_a_list_that_is_no_bundle_are_read() -> None:
    single = {"resourceType": "Bundle", "entry": {"resource": C1}}

    chart = complete({"patient": [PATIENT], "coverage": None, "conditions": single})

    assert chart.of_type("Condition") == (C1,)
    assert chart.of_type("Patient") == (PATIENT,)


def test_a_bundle_in_a_bundle_is_opened_once() -> None:
    chart = complete({"patient": PATIENT, "coverage": None, "conditions": bundle(bundle(C1, bundle(C2)))})

    assert chart.of_type("Condition") == (C1,)
    assert [u.reference for u in chart.unreadable] == ["conditions entry 1"]


def test_entries_of_no_kind_at_all_are_one_unreadable_entry() -> None:
    chart = complete({"patient": PATIENT, "conditions": {"resourceType": "Bundle", "entry": "x"}})

    assert [u.reference for u in chart.unreadable] == ["conditions entry 1"]


def test_what_comes_twice_counts_once() -> None:
    without_id = {"resourceType": "Condition", "subject": {"reference": "Patient/p1"}}

    chart = complete({"patient": PATIENT, "conditions": bundle(C1, C1, without_id, without_id), "x": bundle(C1)})

    assert chart.of_type("Condition") == (C1, without_id, without_id)


def test_a_draft_order_that_comes_again_is_the_draft_alone() -> None:
    stored = resource("MedicationRequest", "order-1", status="active")

    chart = complete({"patient": PATIENT, "medicationRequests": bundle(stored)})

    assert chart.of_type("MedicationRequest") == ()
    assert [order["status"] for order in chart.draft_orders] == ["draft"]
    assert "medication-requests" in chart.supplied


def test_drugs_and_organizations_among_the_draft_orders_can_be_referred_to() -> None:
    medication = {"resourceType": "Medication", "id": "m1"}
    orders = bundle(resource("MedicationRequest", "order-1"), medication)

    chart = complete({"patient": PATIENT}, context=context(draftOrders=orders))

    assert chart.of_type("Medication") == (medication,)


def test_keys_that_are_not_ours_are_read_by_type() -> None:
    order = resource("MedicationRequest", "order-1")
    values = {
        "medicationRequestBundle": bundle(order, PATIENT, {"resourceType": "Practitioner", "id": "d1"}),
        "coverageBundle": bundle(COVERAGE, {"resourceType": "Organization", "id": "o1"}),
    }

    chart = complete(values)

    assert chart.of_type("Patient") == (PATIENT,)
    assert chart.of_type("Coverage") == (COVERAGE,)
    assert chart.of_type("Organization") == ({"resourceType": "Organization", "id": "o1"},)
    assert chart.supplied == {"patient", "coverage"}
    assert chart.missing == {"conditions": "was not sent"}


def test_a_bundle_of_one_kind_under_a_strange_key_is_taken_for_the_whole() -> None:
    assert complete({"problemList": bundle(C1)}).supplied == {"conditions"}


def test_one_record_alone_under_a_strange_key_is_not_the_whole() -> None:
    chart = complete({"patient": PATIENT, "encounterDiagnosis": C1, "policyHolder": COVERAGE})

    assert chart.of_type("Condition") == (C1,)
    assert chart.supplied == {"patient", "coverage"}
    assert chart.missing == {"conditions": "was sent only in part"}
    assert complete({"patient": PATIENT, "diagnoses": [C1]}).supplied == {"patient", "conditions"}


def test_a_record_beside_others_under_a_strange_key_is_not_the_whole() -> None:
    goal = resource("Goal", "g1")

    chart = complete({"everything": bundle(PATIENT, C1, goal)})

    assert chart.of_type("Condition") == (C1,)
    assert chart.supplied == {"patient"}
    assert chart.missing["conditions"] == chart.missing["goals"] == "was sent only in part"


@pytest.mark.parametrize("mixed_first", [True, False])
def test_a_whole_under_one_strange_key_completes_a_part_under_another(mixed_first: bool) -> None:
    values = {"everything": bundle(PATIENT, C1), "problemList": bundle(C1, C2)}

    chart = complete(values if mixed_first else dict(reversed(values.items())))

    assert chart.supplied == {"patient", "conditions"}


def test_our_own_key_says_more_than_a_strange_one() -> None:
    chart = complete({"conditions": failure(), "problemList": bundle(C1), "patient": PATIENT})

    assert chart.missing["conditions"] == "the EHR reported an error for it"


def test_strange_keys_that_hold_nothing_are_passed_over() -> None:
    chart = complete({"patient": PATIENT, "user": "123", "device": None, "other": failure()})

    assert chart.supplied == {"patient"}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"patient": {"resourceType": "Patient", "id": "p2"}}, "A Patient in patient "),
        ({"patient": bundle({"resourceType": "Patient", "id": "p2"})}, "A Patient in patient entry 1 "),
        ({"conditions": bundle(C1, C2, resource("Condition", "c3", "p2"))}, "A Condition in conditions entry 3 "),
        ({"x": bundle(bundle(resource("Coverage", "c3", "p2")))}, "A Coverage in prefetch entry 1 "),
        ({"x": resource("Goal", "g", "p2/_history/1")}, "A Goal in prefetch "),
        ({"x": {"resourceType": "<b>", "patient": {"reference": "http://x/Patient/p2"}}}, "A resource in prefetch "),
    ],
)
def test_one_resource_of_another_patient_refuses_the_whole_request(values: dict[str, Any], where: str) -> None:
    with pytest.raises(WrongPatient) as caught:
        complete({"patient": PATIENT, **values})

    assert caught.value.message.startswith(where)
    assert "p2" not in caught.value.message


def test_a_urn_is_followed_to_the_patient_of_its_bundle() -> None:
    condition = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "urn:uuid:1"}}
    patient = {"fullUrl": "urn:uuid:1", "resource": PATIENT}
    entries = [
        patient,
        {"resource": condition},
        "x",
        {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient"}},
    ]

    assert complete({"x": {"resourceType": "Bundle", "entry": entries}}).of_type("Condition") == (condition,)

    other = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p2"}}
    with pytest.raises(WrongPatient):
        complete({"x": {"resourceType": "Bundle", "entry": [{"resource": condition}, other]}})


@pytest.mark.parametrize("reference", ["urn:uuid:9", "Group/g1", "#other"])
def test_a_resource_that_may_be_another_patients_is_left_out_and_named(reference: str) -> None:
    condition = {"resourceType": "Condition", "id": "c1", "subject": {"reference": reference}}

    chart = complete({"patient": PATIENT, "conditions": bundle(condition)})

    assert chart.of_type("Condition") == ()
    assert chart.unreadable[0].reference == "conditions entry 1"
    assert chart.unreadable[0].problem == "it does not say clearly that it is about this patient"


def test_a_patient_whose_id_is_no_text_is_left_out_and_named() -> None:
    chart = complete({"patient": {"resourceType": "Patient", "id": ["p1"]}})

    assert chart.of_type("Patient") == ()
    assert chart.unreadable[0].reference == "patient"


def test_with_nothing_sent_there_is_nothing_to_go_on() -> None:
    with pytest.raises(NothingToGoOn) as caught:
        complete({})

    assert caught.value.status == 412
    assert caught.value.message == (
        "Nothing is known about the patient (was not sent); "
        "send the prefetch (patient, coverage, conditions) or a FHIR server that this service may read."
    )


def test_coverages_and_the_order_itself_are_nothing_to_go_on() -> None:
    with pytest.raises(NothingToGoOn):
        complete({"coverage": bundle(COVERAGE), "x": resource("MedicationRequest", "order-1")})


@pytest.mark.parametrize("values", [{"patient": None}, {"goals": bundle()}, {"x": bundle(C1, resource("Goal", "g"))}])
def test_anything_about_the_patient_is_something_to_go_on(values: dict[str, Any]) -> None:
    assert complete(values).patient_id == "p1"


def test_coverages_alone_can_be_asked_for() -> None:
    assert complete({}, frozenset({"coverage"})).missing == {"coverage": "was not sent"}


def test_what_was_not_sent_is_fetched(ehr: Ehr) -> None:
    ehr.has("Patient/p1", PATIENT)
    ehr.has("Coverage?patient=p1&status=active", bundle())
    ehr.has("Condition?patient=p1", bundle(C1))

    chart = prefetch.complete(asked({}), NEEDS, FhirReader(ehr.base))

    assert chart.supplied == NEEDS
    assert chart.missing == {}
    assert chart.of_type("Condition") == (C1,)


@pytest.mark.parametrize(
    "value", [failure(), bundle(C1, failure()), bundle(C1, link=next_page("x")), "unreadable", COVERAGE]
)
def test_what_was_not_sent_whole_is_fetched_and_each_counts_once(ehr: Ehr, value: object) -> None:
    ehr.has("Condition?patient=p1", bundle(C1, C2))

    chart = prefetch.complete(
        asked({"patient": PATIENT, "coverage": None, "conditions": value}), NEEDS, FhirReader(ehr.base)
    )

    assert chart.supplied == NEEDS
    assert chart.of_type("Condition") == (C1, C2)
    assert ehr.paths() == ["Condition?patient=p1"]


def test_what_is_not_needed_is_not_fetched(ehr: Ehr) -> None:
    prefetch.complete(asked({"patient": PATIENT, "goals": failure()}), frozenset({"patient"}), FhirReader(ehr.base))

    assert ehr.asked == []


def test_what_could_not_be_fetched_is_missing_with_the_reason(ehr: Ehr) -> None:
    ehr.has("Patient/p1", PATIENT)
    ehr.does("Coverage?patient=p1&status=active", status(401))
    ehr.does("Condition?patient=p1", status(500))

    chart = prefetch.complete(asked({}), NEEDS, FhirReader(ehr.base))

    assert chart.supplied == {"patient"}
    assert chart.missing == {
        "coverage": "could not be retrieved: the FHIR server did not grant access (401)",
        "conditions": "could not be retrieved: the FHIR server answered with status 500",
    }


def test_a_server_that_may_not_be_read_leaves_nothing_to_go_on() -> None:
    with pytest.raises(NothingToGoOn, match=r"could not be retrieved: no entry"):
        prefetch.complete(asked({}), NEEDS, RefusingReader("no entry"))


def test_a_server_that_answers_for_another_patient_is_refused(ehr: Ehr) -> None:
    ehr.has("Patient/p1", {"resourceType": "Patient", "id": "p2"})

    with pytest.raises(WrongPatient, match="the FHIR server's answer for patient"):
        prefetch.complete(asked({}), NEEDS, FhirReader(ehr.base))


def test_a_patient_id_is_escaped_in_queries(ehr: Ehr) -> None:
    patient = {"resourceType": "Patient", "id": "a+b"}
    ehr.has("Patient/a%2Bb", patient)
    orders = context(patientId="a+b", draftOrders=bundle())

    chart = prefetch.complete(asked({}, context=orders), frozenset({"patient"}), FhirReader(ehr.base))

    assert chart.of_type("Patient") == (patient,)


def test_payers_and_drugs_that_are_only_referred_to_are_fetched(ehr: Ehr) -> None:
    payer = {"resourceType": "Organization", "id": "o1"}
    drug = {"resourceType": "Medication", "id": "m1"}
    ehr.has("Organization/o1", payer)
    ehr.has("Medication/m1", drug)
    payors = [
        {"reference": "Organization/o1"},
        {"reference": "#inside"},
        {"display": "x"},
        5,
        {"reference": "Patient/p1"},
    ]
    request = resource("MedicationRequest", "mr1", medicationReference={"reference": f"{ehr.base}/Medication/m1"})
    values = {
        "patient": PATIENT,
        "coverage": bundle(resource("Coverage", "v1", payor=payors)),
        "medicationRequests": bundle(request, resource("MedicationRequest", "mr2")),
    }
    needs: frozenset[Records] = frozenset({"patient", "coverage", "medication-requests"})

    chart = prefetch.complete(asked(values, fhirServer=ehr.base), needs, FhirReader(ehr.base))

    assert chart.of_type("Organization") == (payer,)
    assert chart.of_type("Medication") == (drug,)
    assert chart.unreadable == ()


def test_a_reference_is_not_fetched_when_its_resource_was_sent(ehr: Ehr) -> None:
    covered = resource("Coverage", "v1", payor=[{"reference": "Organization/o1"}])
    values = {"patient": PATIENT, "coverage": bundle(covered, {"resourceType": "Organization", "id": "o1"})}

    prefetch.complete(asked(values), frozenset({"patient", "coverage"}), FhirReader(ehr.base))

    assert ehr.asked == []


def test_a_reference_that_leads_nowhere_is_named(ehr: Ehr) -> None:
    covered = resource("Coverage", "v1", payor=[{"reference": "Organization/o1"}])

    chart = prefetch.complete(
        asked({"patient": PATIENT, "coverage": bundle(covered)}), frozenset({"coverage"}), FhirReader(ehr.base)
    )

    [unreadable] = chart.unreadable
    assert unreadable.reference == "Organization/o1"
    assert unreadable.problem == "it could not be retrieved: the FHIR server does not have it (404)"


def test_a_reference_that_names_its_payer_is_not_missed(ehr: Ehr) -> None:
    covered = resource("Coverage", "v1", payor=[{"reference": "Organization/o1", "display": "A payer"}])

    chart = prefetch.complete(
        asked({"patient": PATIENT, "coverage": bundle(covered)}), frozenset({"coverage"}), FhirReader(ehr.base)
    )

    assert ehr.paths() == ["Organization/o1"]
    assert chart.unreadable == ()


def test_the_references_looked_up_are_limited(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "MAX_REFERENCES", 2)
    payors = [{"reference": f"Organization/o{n}"} for n in range(3)]
    for n in range(3):
        ehr.has(f"Organization/o{n}", {"resourceType": "Organization", "id": f"o{n}"})
    values = {"patient": PATIENT, "coverage": resource("Coverage", "v1", payor=payors)}

    chart = prefetch.complete(asked(values), frozenset({"coverage"}), FhirReader(ehr.base))

    assert len(chart.of_type("Organization")) == 2
    assert chart.unreadable[0].problem == "only 2 of those referred to were looked up"


def test_the_facilities_of_the_orders_are_fetched_and_what_they_lead_to(ehr: Ehr) -> None:
    role = {"resourceType": "PractitionerRole", "id": "r1", "organization": {"reference": "Organization/o1"}}
    ehr.has("PractitionerRole/r1", role)
    ehr.has("Organization/o1", {"resourceType": "Organization", "id": "o1"})
    ehr.has("Location/l1", {"resourceType": "Location", "id": "l1"})
    to = [{"reference": "PractitionerRole/r1"}, {"reference": "Practitioner/x"}, {"display": "x"}]
    order = resource("ServiceRequest", "s1", performer=to, locationReference=[{"reference": f"{ehr.base}/Location/l1"}])

    chart = fetched_for(ehr, order)

    assert sorted(ehr.paths()) == ["Location/l1", "Organization/o1", "PractitionerRole/r1"]
    assert [len(chart.of_type(kind)) for kind in ("PractitionerRole", "Organization", "Location")] == [1, 1, 1]


def test_the_encounter_is_fetched_when_no_order_names_a_facility(ehr: Ehr) -> None:
    visit = resource("Encounter", "e1", serviceProvider={"reference": "Organization/o1"})
    ehr.has("Encounter/e1", visit)
    ehr.has("Organization/o1", {"resourceType": "Organization", "id": "o1"})

    chart = fetched_for(ehr, resource("ServiceRequest", "s1"), encounterId="e1")

    assert ehr.paths() == ["Encounter/e1", "Organization/o1"]
    assert chart.of_type("Encounter") == (visit,)
    assert chart.encounter_id == "e1"
    ehr.asked.clear()
    performer = [{"reference": "Organization/o1"}]
    fetched_for(ehr, resource("ServiceRequest", "s1", performer=performer), encounterId="e1")
    assert ehr.paths() == ["Organization/o1"]


def test_facilities_that_came_with_the_orders_are_not_fetched(ehr: Ehr) -> None:
    place = {
        "resourceType": "Location",
        "id": "l1",
        "managingOrganization": {"reference": "Organization/o1"},
    }
    order = resource("ServiceRequest", "s1", locationReference=[{"reference": "Location/l1"}])

    chart = fetched_for(ehr, order, place)

    assert chart.of_type("Location") == (place,)
    assert ehr.paths() == ["Organization/o1"]


def test_a_facility_that_cannot_be_had_is_left_to_the_order_to_tell(ehr: Ehr) -> None:
    chart = fetched_for(ehr, resource("ServiceRequest", "s1", performer=[{"reference": "Organization/o1"}]))

    assert ehr.paths() == ["Organization/o1"]
    assert chart.unreadable == ()


def test_an_encounter_of_another_patient_is_refused(ehr: Ehr) -> None:
    ehr.has("Encounter/e1", resource("Encounter", "e1", subject={"reference": "Patient/p2"}))

    with pytest.raises(WrongPatient, match="the FHIR server's answer for a reference"):
        fetched_for(ehr, resource("ServiceRequest", "s1"), encounterId="e1")


def test_facilities_are_looked_up_only_for_a_review_and_only_so_many(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "MAX_REFERENCES", 2)
    order = resource("ServiceRequest", "s1", performer=[{"reference": f"Organization/o{n}"} for n in range(3)])
    values = {"patient": PATIENT, "coverage": None}
    request = asked(values, context=context(draftOrders=bundle(order)), fhirServer=ehr.base)

    prefetch.complete(request, frozenset({"patient", "coverage"}), FhirReader(ehr.base))
    assert ehr.paths() == []
    fetched_for(ehr, order)
    assert len(ehr.paths()) == 2


def fetched_for(ehr: Ehr, *drafts: dict[str, Any], **members: Any) -> Chart:
    values = {"patient": PATIENT, "coverage": None, "conditions": None}
    request = asked(values, context=context(draftOrders=bundle(*drafts), **members), fhirServer=ehr.base)
    return prefetch.complete(request, NEEDS, FhirReader(ehr.base))


def test_nothing_is_fetched_when_everything_was_sent(ehr: Ehr) -> None:
    values = {"patient": PATIENT, "coverage": bundle(), "conditions": None}

    reader = fhir_client.connect(ehr.base, None)

    assert prefetch.complete(asked(values), NEEDS, reader).supplied == NEEDS
    assert ehr.asked == []


@pytest.mark.parametrize(
    "reference",
    ["Medication/m1", "https://ehr.example.org/fhir/Medication/m1", "Medication/m1/_history/3", "urn:uuid:m1"],
)
def test_a_referenced_drug_is_found_anywhere_in_the_prefetch(reference: str) -> None:
    drug = {"resourceType": "Medication", "id": "m1"}
    entries = [5, {"resource": PATIENT}, {"fullUrl": "urn:uuid:m1", "resource": drug}]

    request = asked({"a": None, "b": {"resourceType": "Bundle", "entry": entries}})

    assert prefetch.find(request, reference) == drug
    assert prefetch.find(asked({"drug": drug}), "Medication/m1") == drug
    assert prefetch.find(request, "Medication/m2") is None
    assert prefetch.find(asked({"drug": drug}), "Medication/m2") is None


def entry(urn: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": f"urn:uuid:{urn}", "resource": resource}


def test_what_was_taken_in_is_known_by_the_urn_of_its_entry_too() -> None:
    payer, drug = {"resourceType": "Organization", "id": "o1"}, {"resourceType": "Medication", "id": "m1"}
    unclear = {"resourceType": "Condition", "id": "c9", "subject": {"reference": "Group/g1"}}
    covered = {"resourceType": "Bundle", "entry": [entry("1", payer), entry("2", unclear), {"resource": C1}]}
    inner = {"resourceType": "Bundle", "entry": [entry("4", C2), {"fullUrl": "https://x/Goal/g", "resource": C1}]}
    drafts = {"resourceType": "Bundle", "entry": [entry("3", drug), entry("5", resource("ServiceRequest", "s1"))]}

    chart = complete({"patient": PATIENT, "coverage": covered, "x": bundle(inner)}, context=context(draftOrders=drafts))

    assert chart.by_urn() == {"urn:uuid:1": payer, "urn:uuid:3": drug, "urn:uuid:4": C2}


@pytest.mark.parametrize("junk", [[], {}, 0, True, "\x00", None, [[]], [None], {"resourceType": []}, [{"a": {}}]])
@pytest.mark.parametrize(
    "member", ["id", "subject", "resource", "entry", "link", "issue", "fullUrl", "payor", "reference"]
)
def test_junk_anywhere_in_the_prefetch_is_read_or_named_never_a_crash(junk: object, member: str) -> None:
    covered = resource("Coverage", "v1", payor=[{"reference": "Organization/o1"}])
    values = {
        "patient": {**PATIENT, member: junk},
        "conditions": {**bundle({**C1, member: junk}), member: junk},
        "coverage": {"resourceType": "Bundle", "entry": [{"resource": covered, member: junk}]},
        "goals": {**failure(), member: junk},
        "x": [{**covered, member: junk}, junk],
        "y": junk,
    }
    values = json.loads(json.dumps(values))

    try:
        chart = prefetch.complete(asked(values), NEEDS, RefusingReader("not now"))
    except RequestError as error:
        assert error.status == 400  # noqa: PT017 - an id of junk is another patient's
    else:
        assert chart.patient_id == "p1"
