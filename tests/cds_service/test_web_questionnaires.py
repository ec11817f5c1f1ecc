"""Questionnaires over HTTP: read, search, what a decision left open, and ``$questionnaire-package``."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app
from cds_service.bundle_request import request_from
from cds_service.settings import Settings
from tests import medplum
from tests.calling import SERVICE
from tests.cds_service.security.signing import jwks
from tests.serving import ROOT
from tests.waiting import unhurried

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

LANTIDRA = "/fhir/Questionnaire/CP.MP.250-donislecel"
CASGEVY = "/fhir/Questionnaire/WNC.CP.299-exagamglogene"
PACKAGE = "/fhir/Questionnaire/$questionnaire-package"
INFORMATION = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"
UNKNOWN = "4f6d0e2c-9f0c-4d53-8a7e-1f0a4f0f5d11"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = create_app(unhurried(Settings.load(data_dir=tmp_path_factory.mktemp("data"))))
    yield app.test_client()
    app.extensions["recorder"].close()


def sample(name: str) -> dict[str, Any]:
    text = (ROOT / f"sample_bundles/{name}.json").read_text(encoding="utf-8")
    return request_from(json.loads(text), "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")


def decision(client: FlaskClient, name: str) -> str:
    found: str = client.post(SERVICE, json=sample(name)).get_json()["cards"][0]["uuid"]
    return found


def signed(client: FlaskClient, name: str) -> tuple[dict[str, Any], str]:
    """Return the first order of a sample with its coverage information, and the id of what is asserted there."""
    order: dict[str, Any] = client.post(SERVICE, json=sample(name)).get_json()["systemActions"][0]["resource"]
    [information] = [e for e in order["extension"] if e["url"] == INFORMATION]
    [identity] = [p["valueString"] for p in information["extension"] if p["url"] == "coverage-assertion-id"]
    return order, identity


def letters(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.get_json()
    return [item["prefix"] for item in answer.get_json()["item"]]


def problem(answer: TestResponse, status: int) -> str:
    assert answer.status_code == status
    [issue] = answer.get_json()["issue"]
    diagnostics: str = issue["diagnostics"]
    return diagnostics


class TestRead:
    def test_a_questionnaire_is_fhir_json_of_its_canonical_url(self, client: FlaskClient) -> None:
        answer = client.get(LANTIDRA)
        assert answer.content_type == "application/fhir+json"
        found = answer.get_json()
        assert found["url"] == f"http://localhost{LANTIDRA}"
        assert [item["prefix"] for item in found["item"]][0:2] == ["I.B", "I.C.1"]

    def test_the_setting_is_the_base_of_the_url(self, tmp_path: Path) -> None:
        app = create_app(Settings.load(data_dir=tmp_path, base_url="https://cds.example.org/x/"))
        found = app.test_client().get(LANTIDRA).get_json()
        assert found["url"] == f"https://cds.example.org/x{LANTIDRA}"

    def test_an_earlier_version_is_read_by_its_canonical_url(self, client: FlaskClient) -> None:
        now = client.get(CASGEVY).get_json()
        listed = client.get("/fhir/Questionnaire", query_string={"url": now["url"]}).get_json()
        assert listed["entry"][0]["resource"] == now
        then = "|".join([CASGEVY, now["version"].replace("2026-07-01", "2025-01-01")])
        found = client.get(then).get_json()
        assert found["effectivePeriod"] == {"start": "2025-01-01", "end": "2026-06-30"}
        assert found["version"] != now["version"]

    def test_what_is_not_there_is_not_found(self, client: FlaskClient) -> None:
        assert "no questionnaire of this id" in problem(client.get("/fhir/Questionnaire/none"), 404)
        assert "no questionnaire of this id" in problem(client.get("/fhir/Questionnaire/MA-IMMUNO-donislecel"), 404)
        assert "not held in this version" in problem(client.get(f"{LANTIDRA}|2"), 404)


class TestOfADecision:
    def test_only_what_was_undocumented_is_asked(self, client: FlaskClient) -> None:
        made = decision(client, "lantidra-new-to-the-plan")
        answer = client.get(f"{LANTIDRA}?decision={made}")
        assert letters(answer) == ["I.C.1", "I.C.2", "I.C.3", "I.C.4", "I.D", "I.E"]
        found = answer.get_json()
        again = client.get("/fhir/Questionnaire", query_string={"url": f"{found['url']}|{found['version']}"})
        assert again.get_json()["entry"][0]["resource"] == found
        assert letters(client.get(f"{LANTIDRA}|{found['version']}?decision={made}")) == letters(answer)
        whole = found["version"].partition(".part")[0]
        assert "another version" in problem(client.get(f"{LANTIDRA}|{whole}?decision={made}"), 404)

    def test_the_id_of_a_decision_may_be_written_as_a_urn(self, client: FlaskClient) -> None:
        made = decision(client, "lantidra-one-hypoglycemia-event-only").upper()
        assert letters(client.get(f"{LANTIDRA}?decision=urn:uuid:{made}")) == ["I.C.2"]

    def test_a_decision_that_left_nothing_open_has_no_questionnaire(self, client: FlaskClient) -> None:
        made = decision(client, "lantidra-everything-documented")
        assert "left nothing open" in problem(client.get(f"{LANTIDRA}?decision={made}"), 404)

    def test_a_decision_about_another_therapy_has_another_questionnaire(self, client: FlaskClient) -> None:
        made = decision(client, "lantidra-new-to-the-plan")
        assert "left nothing open" in problem(client.get(f"{CASGEVY}?decision={made}"), 404)

    @pytest.mark.parametrize("unknown", [UNKNOWN, "", "x", "' or 1=1", "\0"])
    def test_an_unknown_decision_is_not_found(self, client: FlaskClient, unknown: str) -> None:
        answer = client.get(LANTIDRA, query_string={"decision": unknown})
        assert "no decision of this id" in problem(answer, 404)

    def test_a_decision_that_another_document_made_is_not_found(self, client: FlaskClient) -> None:
        made = decision(client, "medicare-member-lantidra")
        assert "no decision of this id" in problem(client.get(f"{LANTIDRA}?decision={made}"), 404)

    def test_while_the_journal_is_written_back_it_may_be_asked_for_again(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cds_service.store.recorder.Recorder.journal_depth", lambda _: 1)
        answer = client.get(f"{LANTIDRA}?decision={UNKNOWN}")
        assert "waiting to be written" in problem(answer, 503)
        assert answer.headers["Retry-After"]

    def test_a_store_that_cannot_be_read_is_no_missing_decision(self, tmp_path: Path) -> None:
        app = create_app(Settings.load(data_dir=tmp_path / "data"))
        (tmp_path / "data").write_text("a file where the folder should be")
        assert "cannot be read now" in problem(app.test_client().get(f"{LANTIDRA}?decision={UNKNOWN}"), 503)


class TestSearch:
    def test_all_are_listed_as_valid_fhir(self, client: FlaskClient) -> None:
        found = client.get("/fhir/Questionnaire").get_json()
        assert found["total"] == len(found["entry"]) > 40
        assert medplum.issues([found]) == [[]]

    def test_a_url_and_a_version_find_one(self, client: FlaskClient) -> None:
        now = client.get(CASGEVY).get_json()
        query = {"url": now["url"], "version": now["version"]}
        assert client.get("/fhir/Questionnaire", query_string=query).get_json()["total"] == 1
        query["version"] = "1"
        assert client.get("/fhir/Questionnaire", query_string=query).get_json() == {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": 0,
        }


COVERAGE = {
    "resourceType": "Coverage",
    "status": "active",
    "beneficiary": {"reference": "Patient/p1"},
    "payor": [{"display": "Ambetter"}],
}
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "o1",
    "status": "draft",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-11-02",
    "medicationCodeableConcept": {"text": "Lantidra"},
}


def parameters(*more: dict[str, Any], coverage: Any = COVERAGE) -> dict[str, Any]:
    first = [{"name": "coverage", "resource": coverage}] if coverage else []
    return {"resourceType": "Parameters", "parameter": [*first, *more]}


def order(**changed: Any) -> dict[str, Any]:
    return {"name": "order", "resource": {**ORDER, **changed}}


def packaged(client: FlaskClient, *more: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the questionnaires and the warnings of an answer."""
    answer = client.post(PACKAGE, json=parameters(*more), content_type="application/fhir+json")
    assert answer.status_code == 200, answer.get_json()
    given = answer.get_json()["parameter"]
    bundles = [p["resource"] for p in given if p["name"] == "PackageBundle"]
    assert all(b["type"] == "collection" and len(b["entry"]) == 1 for b in bundles)
    told = [i["diagnostics"] for p in given if p["name"] == "outcome" for i in p["resource"]["issue"]]
    return [b["entry"][0]["resource"] for b in bundles], told


class TestPackage:
    def test_the_answer_is_valid_fhir(self, client: FlaskClient) -> None:
        unknown = {"name": "context", "valueString": UNKNOWN}
        answer = client.post(PACKAGE, json=parameters(order(), unknown)).get_json()
        assert [p["name"] for p in answer["parameter"]] == ["PackageBundle", "outcome"]
        assert medplum.issues([answer]) == [[]]

    def test_with_clients_it_needs_a_token_and_reading_needs_none(self, tmp_path: Path) -> None:
        (tmp_path / "keys.json").write_bytes(jwks())
        clients = tmp_path / "clients.yaml"
        clients.write_text("clients: [{name: EHR, issuer: 'https://ehr.example.org', keys: keys.json}]")
        browser = create_app(Settings.load(data_dir=tmp_path, clients=clients)).test_client()
        assert browser.post(PACKAGE, json=parameters(order())).status_code == 401
        assert browser.get(LANTIDRA).status_code == 200

    def test_an_order_and_its_coverage_lead_to_the_whole_questionnaire(self, client: FlaskClient) -> None:
        [found], told = packaged(client, order())
        assert (found["id"], told) == ("CP.MP.250-donislecel", [])
        assert ".part" not in found["version"]

    def test_the_context_of_a_card_leads_to_what_it_left_open(self, client: FlaskClient) -> None:
        made = decision(client, "lantidra-one-hypoglycemia-event-only")
        [found], _ = packaged(client, order(), {"name": "context", "valueString": made})
        assert [item["prefix"] for item in found["item"]] == ["I.C.2"]

    def test_a_canonical_url_leads_to_that_questionnaire_once(self, client: FlaskClient) -> None:
        url = f"http://localhost{CASGEVY}"
        named = {"name": "questionnaire", "valueCanonical": url}
        found, told = packaged(client, named, named, {"name": "changedsince", "valueInstant": "2026-01-01T00:00:00Z"})
        assert ([q["id"] for q in found], told) == (["WNC.CP.299-exagamglogene"], [])

    def test_each_version_that_is_asked_for_by_name_is_there(self, client: FlaskClient) -> None:
        whole = client.get(LANTIDRA).get_json()
        versions = [whole["version"], f"{whole['version']}.part-4", f"{whole['version']}.part-1"]
        named = [{"name": "questionnaire", "valueCanonical": f"{whole['url']}|{version}"} for version in versions]
        found, told = packaged(client, *named, order())
        assert ([q["version"] for q in found], told) == (versions, [])

    def test_the_assertion_id_of_the_coverage_information_is_a_context_too(self, client: FlaskClient) -> None:
        _, identity = signed(client, "lantidra-one-hypoglycemia-event-only")
        found, told = packaged(client, {"name": "context", "valueString": identity})
        assert ([[item["prefix"] for item in q["item"]] for q in found], told) == ([["I.C.2"]], [])

        _, identity = signed(client, "lantidra-everything-documented")
        assert packaged(client, {"name": "context", "valueString": identity}) == (
            [],
            ["The context is no decision of this service that left a question open."],
        )

    def test_an_order_with_its_coverage_information_leads_to_what_is_open_there(self, client: FlaskClient) -> None:
        body = sample("lantidra-one-hypoglycemia-event-only")
        changed, _ = signed(client, "lantidra-one-hypoglycemia-event-only")
        coverage = [e["resource"] for e in body["prefetch"]["coverage"]["entry"]]
        parameter = [
            {"name": "coverage" if r["resourceType"] == "Coverage" else "referenced", "resource": r} for r in coverage
        ]
        sent = {"resourceType": "Parameters", "parameter": [*parameter, {"name": "order", "resource": changed}]}
        [given] = client.post(PACKAGE, json=sent).get_json()["parameter"]
        assert [item["prefix"] for item in given["resource"]["entry"][0]["resource"]["item"]] == ["I.C.2"]

    @pytest.mark.parametrize(
        "stated", [f"http://localhost{CASGEVY}", f"http://localhost{LANTIDRA}|1", "urn:x", 5, None, ["a"]]
    )
    def test_coverage_information_that_names_no_such_questionnaire_changes_nothing(
        self, client: FlaskClient, stated: object
    ) -> None:
        inner = {"url": "questionnaire", "valueCanonical": stated}
        [found], told = packaged(client, order(extension=[{"url": INFORMATION, "extension": [inner]}, 1]))
        assert (found["id"], told) == ("CP.MP.250-donislecel", [])
        assert ".part" not in found["version"]

    def test_what_cannot_be_found_is_told(self, client: FlaskClient) -> None:
        unknown = {"name": "questionnaire", "valueCanonical": "http://localhost/fhir/Questionnaire/none"}
        nothing = order(medicationCodeableConcept={"text": "Aspirin"})
        found, told = packaged(client, unknown, {"name": "context", "valueString": UNKNOWN}, nothing)
        assert found == []
        assert told == [
            "A questionnaire asked for by its URL is not held here.",
            "The context is no decision of this service that left a question open.",
            "An order is for no therapy that a policy here is about.",
        ]

    def test_an_order_of_a_member_of_another_payer_has_none(self, client: FlaskClient) -> None:
        body = parameters(order(), coverage={**COVERAGE, "payor": [{"display": "Somebody Else Mutual"}]})
        [given] = client.post(PACKAGE, json=body).get_json()["parameter"]
        assert "No policy here has questions" in given["resource"]["issue"][0]["diagnostics"]

    def test_a_drug_may_be_among_what_is_referenced(self, client: FlaskClient) -> None:
        drug = {"resourceType": "Medication", "id": "m1", "code": {"text": "Lantidra"}}
        asked = order(medicationReference={"reference": "Medication/m1"})
        del asked["resource"]["medicationCodeableConcept"]
        [found], _ = packaged(client, asked, {"name": "referenced", "resource": drug})
        assert found["id"] == "CP.MP.250-donislecel"

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ([], "not a FHIR Parameters resource"),
            ({"resourceType": "Bundle"}, "not a FHIR Parameters resource"),
            ({"resourceType": "Parameters"}, "not a list of 1 to 50 parameters"),
            ({"resourceType": "Parameters", "parameter": [1]}, "parameter[0] is not a parameter with a name"),
            (parameters(*[order()] * 50), "not a list of 1 to 50 parameters"),
            (parameters(order(), coverage=None), "coverage is missing"),
            (parameters(), "one is needed"),
            (parameters({"name": "order"}), "parameter[1], order, has no FHIR resource"),
            (parameters(order(), coverage=ORDER), "parameter[0], coverage, is not a Coverage"),
            (parameters({"name": "context", "valueUri": "x"}), "parameter[1], context, has no valueString"),
            (parameters({"name": "patient"}), "has a name that this operation does not have"),
            (parameters(order(subject={"reference": "Patient/p2"})), "not all of one patient"),
        ],
    )
    def test_a_call_that_cannot_be_understood_is_refused(self, client: FlaskClient, body: Any, said: str) -> None:
        assert said in problem(client.post(PACKAGE, json=copy.deepcopy(body)), 400)

    def test_only_json_is_read(self, client: FlaskClient) -> None:
        assert client.post(PACKAGE, data="<Parameters/>", content_type="application/fhir+xml").status_code == 415
