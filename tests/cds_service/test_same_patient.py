"""S10: every route by which another patient's data could come in, over HTTP, against the shipped policies."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app
from cds_service.same_patient import Person, known_as, patient_of, whose
from cds_service.settings import Settings
from tests.cds_service.ehr import Ehr
from tests.cds_service.examples import PATIENT, assessing, bundle, context, hook_body, resource

if TYPE_CHECKING:
    from flask.testing import FlaskClient

SERVICE = "/cds-services/coverage-criteria"
BASE = "https://ehr.example.org/fhir"
OTHER = "other-7301"
"""The id of another patient: no answer may hold it."""
MRN = "urn:oid:1.2.36.146"
OURS = {**PATIENT, "identifier": [{"system": MRN, "value": "ours-1"}]}
THEIRS = {"system": MRN, "value": f"{OTHER}-mrn"}

Body = dict[str, Any]
Change = Callable[[Body], None]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return create_app(Settings.load(data_dir=tmp_path_factory.mktemp("data"))).test_client()


def lantidra(**members: Any) -> dict[str, Any]:
    drug = {"text": "Lantidra"}
    return resource(
        "MedicationRequest", "o1", status="draft", intent="order", medicationCodeableConcept=drug, **members
    )


def request() -> Body:
    """Return a request whose answer has a card, with a record of every kind that says whose it is."""
    kinds = ("Condition", "Observation", "MedicationRequest", "Procedure", "Goal", "QuestionnaireResponse", "Encounter")
    values: dict[str, Any] = {kind: bundle(resource(kind, f"{kind.lower()}-1")) for kind in kinds}
    values["conditions"] = bundle(*(resource("Condition", f"c{number}") for number in range(1, 11)))
    values["coverage"] = bundle(resource("Coverage", "v1", status="active", payor=[{"display": "Centene"}]))
    return hook_body(
        context=context(draftOrders=bundle(lantidra(), type="collection")),
        prefetch={"patient": copy.deepcopy(OURS), **values},
        fhirServer=BASE,
        fhirAuthorization={"access_token": "t", "token_type": "Bearer", "patient": "p1"},
    )


def ask(client: FlaskClient, body: Body) -> tuple[int, Any, str]:
    response = client.post(SERVICE, json=body)
    return response.status_code, response.get_json(), response.text


def prefetched(name: str, about: object, member: str = "subject", **members: Any) -> Change:
    """Send one more record, which names somebody in some way, in a Bundle of its kind."""
    kind, _, identity = name.partition("/")

    def change(body: Body) -> None:
        record = {"resourceType": kind, "id": identity, member: about, **members}
        body["prefetch"]["more"] = bundle({"resourceType": kind, "id": "first"}, record)

    return change


def drafted(about: object, member: str = "subject", **members: Any) -> Change:
    def change(body: Body) -> None:
        order = lantidra(**members)
        del order["subject"]
        body["context"]["draftOrders"]["entry"].append({"resource": {**order, "id": "o2", member: about}})

    return change


def foreign_among_ten(body: Body) -> None:
    body["prefetch"]["conditions"]["entry"][6]["resource"]["subject"]["reference"] = f"Patient/{OTHER}"


def patient_resource(body: Body) -> None:
    body["prefetch"]["patient"]["id"] = OTHER


def second_patient(body: Body) -> None:
    body["prefetch"]["more"] = bundle({"resourceType": "Patient", "id": OTHER})


def patient_by_full_url(body: Body) -> None:
    entry = {"fullUrl": f"{BASE}/Patient/{OTHER}", "resource": {"resourceType": "Patient", "gender": "male"}}
    body["prefetch"]["more"] = {"resourceType": "Bundle", "entry": [entry]}


def patient_among_the_drafts(body: Body) -> None:
    body["context"]["draftOrders"]["entry"].append({"resource": {"resourceType": "Patient", "id": OTHER}})


def drafts_by_full_url(body: Body) -> None:
    body["context"]["draftOrders"]["entry"] = [
        {"resource": {**lantidra(), "subject": {"reference": "urn:uuid:0c5e"}}},
        {"fullUrl": "urn:uuid:0c5e", "resource": {"resourceType": "Patient", "id": OTHER}},
    ]


def full_url_in_the_bundle(body: Body) -> None:
    patient = {"fullUrl": "urn:uuid:0c5e", "resource": {"resourceType": "Patient", "id": OTHER}}
    body["prefetch"]["more"] = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": {"resourceType": "Goal", "id": "g7", "subject": {"reference": "urn:uuid:0c5e"}}},
            patient,
        ],
    }


def in_a_nested_bundle(body: Body) -> None:
    body["prefetch"]["more"] = bundle(bundle(resource("Condition", "c99", OTHER)))


def patient_sent_last(body: Body) -> None:
    prefetched("Condition/c99", {"identifier": THEIRS})(body)
    body["prefetch"]["patient"] = body["prefetch"].pop("patient")


def patient_last_in_a_bundle(body: Body) -> None:
    del body["prefetch"]["patient"]
    body["prefetch"]["more"] = bundle({"resourceType": "Goal", "id": "g7", "subject": {"identifier": THEIRS}}, OURS)


def as_a_list(body: Body) -> None:
    body["prefetch"]["conditions"] = [resource("Condition", "c1"), resource("Condition", "c99", OTHER)]


def token(patient: str) -> Change:
    def change(body: Body) -> None:
        body["fhirAuthorization"]["patient"] = patient

    return change


def root_patient(body: Body) -> None:
    body["patient"] = OTHER


def contained_record(body: Body) -> None:
    inner = {"resourceType": "Condition", "id": "r", "subject": {"reference": f"Patient/{OTHER}"}}
    drafted({"reference": "Patient/p1"}, contained=[inner])(body)


CONTAINED: dict[str, Any] = {"contained": [{"resourceType": "Patient", "id": "pat", "identifier": [THEIRS]}]}
AT = {"reference": f"Patient/{OTHER}"}

ROUTES: list[tuple[str, Change, str]] = [
    ("Patient.id", patient_resource, "Patient in patient "),
    ("a second Patient", second_patient, "Patient in prefetch entry 1 "),
    ("a Patient without id, by its fullUrl", patient_by_full_url, "Patient in prefetch entry 1 "),
    ("subject, relative", prefetched("Condition/c99", AT), "Condition/c99"),
    ("subject, versioned", prefetched("Condition/c99", {"reference": f"Patient/{OTHER}/_history/4"}), "Condition/c99"),
    ("subject, absolute", prefetched("Condition/c99", {"reference": f"{BASE}/Patient/{OTHER}"}), "Condition/c99"),
    (
        "subject, absolute and versioned",
        prefetched("Condition/c99", {"reference": f"{BASE}/Patient/{OTHER}/_history/1"}),
        "Condition/c99",
    ),
    (
        "subject, our id on another server",
        prefetched("Condition/c99", {"reference": "https://other.example.org/fhir/Patient/p1"}),
        "Condition/c99",
    ),
    (
        "subject, our id on another port",
        prefetched("Condition/c99", {"reference": "https://ehr.example.org:9443/fhir/Patient/p1"}),
        "Condition/c99",
    ),
    ("subject, a bare text", prefetched("Condition/c99", f"Patient/{OTHER}"), "Condition/c99"),
    ("subject, a list", prefetched("Account/c99", [{"reference": "Patient/p1"}, AT]), "Account/c99"),
    ("subject, identifier only", prefetched("Condition/c99", {"identifier": THEIRS}), "Condition/c99"),
    ("subject, identifier only, the Patient sent last", patient_sent_last, "Condition/c99"),
    ("subject, identifier only, the Patient last in the Bundle", patient_last_in_a_bundle, "Goal/g7"),
    (
        "subject, contained Patient",
        prefetched("Condition/c99", {"reference": "#pat"}, **CONTAINED),
        "Condition/c99",
    ),
    ("patient", prefetched("Immunization/i1", AT, "patient"), "Immunization/i1"),
    ("beneficiary", prefetched("Coverage/v9", AT, "beneficiary"), "Coverage/v9"),
    ("for", prefetched("Task/t9", AT, "for"), "Task/t9"),
    ("QuestionnaireResponse.subject", prefetched("QuestionnaireResponse/q9", AT), "QuestionnaireResponse/q9"),
    ("QuestionnaireResponse.source", prefetched("QuestionnaireResponse/q9", AT, "source"), "QuestionnaireResponse/q9"),
    ("MedicationAdministration", prefetched("MedicationAdministration/a9", AT), "MedicationAdministration/a9"),
    ("Encounter", prefetched("Encounter/e9", AT), "Encounter/e9"),
    ("one foreign entry among ten", foreign_among_ten, "Condition/c7"),
    ("a Bundle in a Bundle", in_a_nested_bundle, "Condition/c99"),
    ("a list in place of a Bundle", as_a_list, "Condition/c99"),
    ("a fullUrl of the same Bundle", full_url_in_the_bundle, "Patient in prefetch entry 2 "),
    ("a draft order", drafted(AT), "MedicationRequest/o2"),
    ("a draft order by patient", drafted(AT, "patient"), "MedicationRequest/o2"),
    ("a draft order by identifier", drafted({"identifier": THEIRS}), "MedicationRequest/o2"),
    ("a draft order by a contained Patient", drafted({"reference": "#pat"}, **CONTAINED), "MedicationRequest/o2"),
    ("a record contained in a draft order", contained_record, "MedicationRequest/o2"),
    (
        "a draft order of another server",
        drafted({"reference": "https://other.example.org/fhir/Patient/p1"}),
        "MedicationRequest/o2",
    ),
    ("a Patient among the draft orders", patient_among_the_drafts, "Patient in context.draftOrders entry 2 "),
    ("a fullUrl among the draft orders", drafts_by_full_url, "Patient in context.draftOrders entry 2 "),
    ("fhirAuthorization.patient", token(OTHER), "access token"),
    ("fhirAuthorization.patient, a reference", token(f"{BASE}/Patient/{OTHER}"), "access token"),
    ("patient at the root, as before CDS Hooks 1.0", root_patient, "The member patient"),
]


def test_the_request_that_the_routes_start_from_has_a_card(client: FlaskClient) -> None:
    status, body, _ = ask(client, request())

    assert (status, len(assessing(body))) == (200, 1)


@pytest.mark.parametrize(("change", "named"), [pytest.param(c, n, id=route) for route, c, n in ROUTES])
def test_another_patients_data_is_refused_by_its_name_and_place(
    client: FlaskClient, change: Change, named: str
) -> None:
    body = request()
    change(body)

    status, answer, text = ask(client, body)

    assert status == 400
    assert answer["resourceType"] == "OperationOutcome"
    assert answer["issue"][0]["code"] == "conflict"
    assert named in answer["issue"][0]["diagnostics"]
    assert OTHER not in text
    assert "p1" not in text
    assert "cards" not in answer


@pytest.mark.parametrize("hook", ["order-sign", "order-select"])
def test_an_order_that_was_not_selected_is_checked_too(client: FlaskClient, hook: str) -> None:
    body = request()
    drafted(AT)(body)
    body["hook"], body["context"]["selections"] = hook, ["MedicationRequest/o1"]

    assert ask(client, body)[0] == 400


@pytest.mark.parametrize(
    ("query", "found", "named"),
    [
        ("Patient/p1", {"resourceType": "Patient", "id": OTHER}, "Patient in the FHIR server's answer for patient "),
        ("Condition?patient=p1", bundle(resource("Condition", "c99", OTHER)), "Condition/c99"),
        (
            "Goal?patient=p1",
            bundle({"resourceType": "Goal", "id": "g9", "subject": {"identifier": THEIRS}}),
            "Goal/g9",
        ),
        ("Encounter/e1", resource("Encounter", "e1", OTHER), "Encounter/e1"),
    ],
)
def test_what_is_fetched_is_checked_like_what_is_sent(
    client: FlaskClient, ehr: Ehr, query: str, found: object, named: str
) -> None:
    ehr.has("Patient/p1", OURS)
    ehr.has(query, found)
    body = request() | {"prefetch": {}, "fhirServer": ehr.base}
    body["context"]["encounterId"] = "e1"

    status, answer, text = ask(client, body)

    assert status == 400
    assert named in answer["issue"][0]["diagnostics"]
    assert OTHER not in text


def test_a_drug_reference_is_no_way_to_another_patients_records(client: FlaskClient, ehr: Ehr) -> None:
    ehr.has(f"Patient/{OTHER}", {"resourceType": "Patient", "id": OTHER})
    body = request() | {"fhirServer": ehr.base}
    order = body["context"]["draftOrders"]["entry"][0]["resource"]
    del order["medicationCodeableConcept"]
    order["medicationReference"] = {"reference": f"Patient/{OTHER}"}

    status, answer, text = ask(client, body)

    assert (status, len(assessing(answer))) == (200, 1)
    assert OTHER not in text
    assert ehr.paths() == []


@pytest.mark.parametrize(
    "about",
    [
        {"reference": "#pat"},
        {"reference": "urn:uuid:0c5e"},
        {"reference": OTHER},
        {"reference": f"Group/{OTHER}"},
        {"reference": ["Patient/p1"]},
        {"identifier": {"system": "urn:oid:9.9", "value": OTHER}},
        {"identifier": {"value": OTHER}},
        {"display": OTHER},
        [5],
        7,
    ],
)
def test_what_cannot_be_compared_is_left_out_and_named_on_the_card(client: FlaskClient, about: object) -> None:
    body = request()
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E10.9"}]}
    body["prefetch"]["conditions"] = bundle({"resourceType": "Condition", "id": "c99", "subject": about, "code": code})

    status, answer, text = ask(client, body)

    assert status == 200
    [card] = assessing(answer)
    notices = card["extension"]["coverage-cds.assessment"]["notices"]
    assert any("does not say clearly that it is about this patient" in notice for notice in notices)
    assert "Condition/c99" not in text
    assert OTHER not in text


def test_an_order_that_cannot_be_compared_is_judged_with_a_notice(client: FlaskClient) -> None:
    body = request()
    body["context"]["draftOrders"]["entry"][0]["resource"]["subject"] = {"display": "somebody"}

    [card] = assessing(ask(client, body)[1])

    assert (
        "1 of the resources of context.draftOrders do not say clearly that they are about this patient"
        in card["extension"]["coverage-cds.assessment"]["notices"]
    )


@pytest.mark.parametrize(
    "about",
    [
        None,
        {},
        {"reference": "Patient/p1"},
        {"reference": "p1"},
        {"reference": "urn:uuid:p1"},
        {"reference": f"{BASE}/Patient/p1/_history/3"},
        {"reference": "http://EHR.example.org/another/path/Patient/p1"},
        {"identifier": {"system": MRN, "value": "ours-1"}},
        "Patient/p1",
        [{"reference": "Patient/p1"}],
    ],
)
def test_what_names_our_patient_in_any_way_counts(client: FlaskClient, about: object) -> None:
    body = request()
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E10.9"}]}
    body["prefetch"]["conditions"] = bundle({"resourceType": "Condition", "id": "c99", "subject": about, "code": code})

    status, _, text = ask(client, body)

    assert status == 200
    assert "Condition/c99" in text


@pytest.mark.parametrize(
    "members",
    [
        {"subscriber": AT},
        {"policyHolder": AT},
        {"source": {"reference": "RelatedPerson/mother"}},
        {"source": "https://ehr.example.org"},
        {"recorder": AT, "asserter": AT},
    ],
)
def test_others_who_may_stand_in_a_patients_record_are_no_other_patients(members: dict[str, Any]) -> None:
    assert whose(resource("Coverage", "v1", **members), Person("p1", BASE)) == "ours"


@pytest.mark.parametrize(
    "members",
    [
        *({member: {"reference": f"Patient/{OTHER}"}} for member in ("patient", "beneficiary", "for", "source")),
        {"contained": [{"resourceType": "Observation", "subject": {"reference": f"Patient/{OTHER}"}}]},
        {"resourceType": "Patient", "id": OTHER},
    ],
)
def test_a_subject_that_is_ours_hides_nobody_else(members: dict[str, Any]) -> None:
    record = {"resourceType": "Observation", "id": "r1", "subject": {"reference": "Patient/p1"}}
    assert whose(record, Person("p1")) == "ours"
    assert whose({**record, **members}, Person("p1")) == "another"


@pytest.mark.parametrize(
    ("server", "reference", "ours"),
    [
        (None, "https://any.example.org/Patient/p1", True),
        (BASE, "https://ehr.example.org:443/fhir/Patient/p1", True),
        ("http://localhost:8080/fhir", "http://127.0.0.1:8080/fhir/Patient/p1", True),
        ("http://localhost:8080/fhir", "http://127.0.0.1:8081/fhir/Patient/p1", False),
        (BASE, "http://[bad/Patient/p1", False),
        (BASE, "https://ehr.example.org:99999/Patient/p1", False),
        (BASE, "fhir/Patient/p1", True),
    ],
)
def test_an_id_counts_on_the_host_of_the_requests_server(server: str | None, reference: str, ours: bool) -> None:
    assert Person("p1", server).is_named(reference) is ours


@pytest.mark.parametrize("reference", ["xPatient/p1", "Patient/", "Patient/p1/", "Patient/p1/x", "", "Group/p1"])
def test_what_leads_to_no_patient_names_none(reference: str) -> None:
    assert patient_of(reference) is None
    assert Person("p1").is_named(reference) is None


@pytest.mark.parametrize(
    "held", [None, "x", [None], [{}], [{"system": MRN}], [{"system": 1, "value": "x"}], {"value": 1}]
)
def test_identifiers_without_system_and_value_identify_nobody(held: object) -> None:
    assert known_as({"resourceType": "Patient", "identifier": held}) == frozenset()
