"""The pages of the form over HTTP: what they hold, what they may load, and who is told what the chart says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app
from cds_service.bundle_request import request_from
from cds_service.security.clients import load_clients
from cds_service.settings import Settings
from cds_service.web.authentication import Caller
from tests.calling import SERVICE
from tests.cds_service.ehr import Ehr, status
from tests.cds_service.security.signing import jwks
from tests.serving import ROOT
from tests.waiting import unhurried

if TYPE_CHECKING:
    from flask.testing import FlaskClient

FORM = "/questionnaires/CP.MP.250-donislecel"
CHART = f"{FORM}/chart"
UNKNOWN = "4f6d0e2c-9f0c-4d53-8a7e-1f0a4f0f5d11"
SAMPLE = (ROOT / "sample_bundles/lantidra-one-hypoglycemia-event-only.json").read_text(encoding="utf-8")
BODY = request_from(json.loads(SAMPLE), "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")
PATIENT = BODY["context"]["patientId"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = create_app(unhurried(Settings.load(data_dir=tmp_path_factory.mktemp("data"))))
    yield app.test_client()
    app.extensions["recorder"].close()


@pytest.fixture
def decision(client: FlaskClient) -> str:
    found: str = client.post(SERVICE, json=BODY).get_json()["cards"][0]["uuid"]
    return found


def test_the_page_holds_the_questions_and_nothing_of_the_patient(client: FlaskClient, decision: str) -> None:
    page = client.get(f"{FORM}?decision={decision}")
    assert page.status_code == 200
    assert "severe hypoglycemia" in page.text
    assert PATIENT not in page.text
    assert "Condition/" not in page.text
    assert "'unsafe" not in page.headers["Content-Security-Policy"]


def test_what_the_chart_says_is_told_by_the_decision(client: FlaskClient, decision: str) -> None:
    answer = client.post(CHART, json={"decision": decision})
    held = answer.get_json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert held["patient"] == f"Patient/{PATIENT}"
    assert held["order"] == "MedicationRequest/lantidra-order"
    [asked] = [c for c in held["criteria"] if "question" in c]
    assert (asked["id"], asked["outcome"], bool(asked["evidence"])) == ("I.C.2", "undocumented", True)
    assert {c["id"] for c in held["criteria"]} > {"I.A", "I.F"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/questionnaires/none", 404),
        (f"{FORM}|1", 404),
        (f"{FORM}?decision={UNKNOWN}", 404),
        ("/questionnaires/launch", 403),
        ("/questionnaires/launch?iss=https://ehr.example.org", 403),
        ("/questionnaires", 200),
        (FORM, 200),
        ("/questionnaires/launched", 200),
    ],
)
def test_a_page_that_is_not_there_says_so(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.mimetype == "text/html"


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ([], 400), ({"decision": 5}, 400), ({"decision": UNKNOWN}, 404)]
)
def test_a_chart_that_is_not_asked_for_rightly_is_not_told(client: FlaskClient, body: Any, status: int) -> None:
    assert client.post(CHART, json=body).status_code == status


def test_without_stored_facts_the_patient_is_not_named(tmp_path: Path) -> None:
    app = create_app(unhurried(Settings.load(data_dir=tmp_path, store_facts=False)))
    browser = app.test_client()
    made = browser.post(SERVICE, json=BODY).get_json()["cards"][0]["uuid"]
    held = browser.post(CHART, json={"decision": made}).get_json()
    app.extensions["recorder"].close()
    assert "patient" not in held
    assert held["criteria"]


def test_a_card_that_no_key_opens_is_not_told(tmp_path: Path) -> None:
    app = create_app(unhurried(Settings.load(data_dir=tmp_path)))
    browser = app.test_client()
    made = browser.post(SERVICE, json=BODY).get_json()["cards"][0]["uuid"]
    app.extensions["recorder"].close()
    (tmp_path / "record.key").write_text("another secret of forty characters or so")
    assert browser.post(CHART, json={"decision": made}).status_code == 404


class TestWithClients:
    """What the chart says is for who can read that patient at the EHR."""

    @pytest.fixture
    def browser(self, tmp_path: Path, ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
        (tmp_path / "keys.json").write_bytes(jwks())
        clients = tmp_path / "clients.yaml"
        clients.write_text(
            f"clients: [{{name: EHR, issuer: 'https://ehr.example.org', keys: keys.json, fhir_servers: '{ehr.base}', "
            "smart_app: {client_id: form, origins: 'https://auth.example.org'}}]"
        )
        app = create_app(unhurried(Settings.load(data_dir=tmp_path, clients=clients)))
        calls = Caller(load_clients(clients)[0])
        monkeypatch.setattr("cds_service.web.authentication.caller", lambda: calls)
        yield app.test_client()
        app.extensions["recorder"].close()

    @pytest.fixture
    def made(self, tmp_path: Path, browser: FlaskClient) -> str:
        """A decision of the client EHR, made without the trouble of a token."""
        app = create_app(unhurried(Settings.load(data_dir=tmp_path)))
        found: str = app.test_client().post(SERVICE, json=BODY).get_json()["cards"][0]["uuid"]
        app.extensions["recorder"].close()
        return found

    def proof(self, ehr: Ehr, made: str, **changed: Any) -> dict[str, Any]:
        given = {"decision": made, "server": ehr.base, "patient": PATIENT, "token": "t", **changed}
        return {name: value for name, value in given.items() if value is not None}

    def test_the_patient_of_the_launch_is_read_with_its_token(self, browser: FlaskClient, ehr: Ehr, made: str) -> None:
        ehr.has(f"Patient/{PATIENT}", {"resourceType": "Patient", "id": PATIENT})
        answer = browser.post(CHART, json=self.proof(ehr, made))
        assert answer.status_code == 200, answer.get_json()
        assert answer.get_json()["patient"] == f"Patient/{PATIENT}"

    @pytest.mark.parametrize("missing", ["server", "patient", "token"])
    def test_the_decision_alone_is_not_enough(self, browser: FlaskClient, ehr: Ehr, made: str, missing: str) -> None:
        assert browser.post(CHART, json=self.proof(ehr, made, **{missing: None})).status_code == 400

    def test_another_patient_is_not_told(self, browser: FlaskClient, ehr: Ehr, made: str) -> None:
        ehr.has("Patient/other", {"resourceType": "Patient", "id": "other"})
        assert browser.post(CHART, json=self.proof(ehr, made, patient="other")).status_code == 404

    @pytest.mark.parametrize("code", [401, 404, 500])
    def test_a_patient_that_cannot_be_read_is_no_other_patient_and_not_told(
        self, browser: FlaskClient, ehr: Ehr, made: str, code: int
    ) -> None:
        ehr.does(f"Patient/{PATIENT}", status(code))
        answer = browser.post(CHART, json=self.proof(ehr, made))
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert "could not be read at the EHR" in answer.get_json()["issue"][0]["diagnostics"]
        assert "criteria" not in answer.text

    def test_another_patient_than_was_asked_for_is_no_proof(self, browser: FlaskClient, ehr: Ehr, made: str) -> None:
        ehr.has(f"Patient/{PATIENT}", {"resourceType": "Patient", "id": "other"})
        assert browser.post(CHART, json=self.proof(ehr, made)).status_code == 404

    def test_a_server_that_launches_no_form_is_never_called(self, browser: FlaskClient, ehr: Ehr, made: str) -> None:
        answer = browser.post(CHART, json=self.proof(ehr, made, server="http://127.0.0.1:9/fhir"))
        assert answer.status_code == 404
        assert ehr.paths() == []

    def test_the_form_may_speak_to_the_ehr_and_stand_in_its_pages(self, browser: FlaskClient, ehr: Ehr) -> None:
        origin = "/".join(ehr.base.split("/")[:3])
        policy = browser.get(FORM).headers["Content-Security-Policy"]
        assert f"connect-src 'self' {origin} https://auth.example.org;" in policy
        assert policy.endswith(f"frame-ancestors {origin} https://auth.example.org")
        assert "'unsafe" not in policy
        assert browser.get("/policies").headers["Content-Security-Policy"] != policy

    def test_a_launch_names_the_app_that_is_registered(self, browser: FlaskClient, ehr: Ehr) -> None:
        page = browser.get("/questionnaires/launch", query_string={"iss": f"{ehr.base}/", "launch": "x"})
        assert page.status_code == 200
        assert 'data-client="form"' in page.text
