"""Nothing about a patient is told along other hooks, in the playground, on /decisions or by the commands."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cds_service import create_app
from cds_service.cli import main
from cds_service.settings import Settings
from tests.cds_service.ehr import Ehr
from tests.cds_service.security.signing import jwks
from tests.cds_service.test_named_orders import appointments
from tests.faults import MARK
from tests.test_patient_data import FEEDBACK, HEADERS, JWT, NAME, Overheard, body, feedback, hides, post
from tests.waiting import unhurried, until

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

KEY = "a secret of the tests that is long enough for a key"


@pytest.fixture
def overheard(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Overheard:
    caplog.set_level(logging.DEBUG)
    return Overheard(capfd, caplog)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return unhurried(Settings.load(data_dir=tmp_path / "data", record_keys=KEY, log_level="DEBUG"))


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    app = create_app(settings)
    app.extensions["recorder"].prepare()
    return app.test_client()


@pytest.fixture
def told(client: FlaskClient) -> str:
    """The uuid of a card about the patient, recorded, with feedback in a clinician's own words."""
    card: str = post(client).get_json()["cards"][0]["uuid"]
    assert post(client, FEEDBACK, json=feedback(card=card)).status_code == 200
    until(lambda: not client.application.extensions["recorder"].journal_depth())
    return card


def get(client: FlaskClient, path: str) -> TestResponse:
    return client.get(path, headers=HEADERS)


ASKED = "&".join(f"{name}={MARK}" for name in ("client", "policy", "outcome", "therapy", "id", "since", "patient"))
PAGES: dict[str, tuple[int, Callable[[FlaskClient, str], TestResponse]]] = {
    "the list": (200, lambda c, _: get(c, "/decisions")),
    "the list for programs": (200, lambda c, _: c.get("/decisions", headers=HEADERS | {"Accept": "application/json"})),
    "an id in the address": (200, lambda c, _: get(c, f"/decisions?patient={NAME}")),
    "what became of cards": (200, lambda c, _: get(c, "/decisions/feedback")),
    "a decision that is none": (404, lambda c, _: get(c, f"/decisions/{MARK}")),
    "no code": (401, lambda c, _: c.post("/decisions/sign-in", data={"code": MARK}, headers=HEADERS)),
    "from a proxy": (403, lambda c, _: c.get("/decisions", headers=HEADERS | {"X-Forwarded-For": MARK})),
    "by another name": (403, lambda c, _: c.get("/decisions", headers=HEADERS | {"Host": f"{MARK}.example.org"})),
    "a sample that is none": (404, lambda c, _: get(c, f"/samples/{MARK}.json")),
    "the playground with a sample that is none": (404, lambda c, _: get(c, f"/?sample={MARK}")),
    "no Bundle": (400, lambda c, _: c.post("/playground/request", json={MARK: MARK}, headers=HEADERS)),
    "no JSON": (400, lambda c, _: c.post("/playground/request", data=f'{{"{MARK}', headers=HEADERS)),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_is_for_nobody_in_particular_tells_nothing(
    page: str, client: FlaskClient, told: str, overheard: Overheard
) -> None:
    status, ask = PAGES[page]

    answer = ask(client, told)

    assert answer.status_code == status
    assert hides(answer.text)
    assert hides(str(answer.headers))
    assert hides(overheard.now())
    assert hides(client.get("/metrics").text)


OPENED: dict[str, Callable[[FlaskClient, str], TestResponse]] = {
    "one decision": lambda c, card: get(c, _address(c, card)),
    "a search by the patient's id": lambda c, _: c.post("/decisions", data={"patient": NAME}, headers=HEADERS),
    "a search by anything": lambda c, _: get(c, f"/decisions?{ASKED}"),
    "the playground's request": lambda c, _: c.post("/playground/request", json=body(), headers=HEADERS),
}


@pytest.mark.parametrize("page", OPENED)
def test_what_is_shown_to_who_asked_for_it_is_not_logged(
    page: str, client: FlaskClient, told: str, overheard: Overheard
) -> None:
    answer = OPENED[page](client, told)

    assert not hides(answer.text), "it shows a card, or what was asked for"
    assert hides(str(answer.headers))
    assert hides(overheard.now())
    assert hides(client.get("/metrics").text)


def _address(client: FlaskClient, card: str) -> str:
    found = client.get(f"/decisions?id={card}", headers={"Accept": "application/json"}).get_json()
    return f"/decisions/{found['decisions'][0]['id']}"


def test_an_operator_who_signs_in_and_a_client_who_may_not_leave_no_code_and_no_token_in_the_log(
    tmp_path: Path, settings: Settings, overheard: Overheard, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.json").write_bytes(jwks())
    file = tmp_path / "clients.yaml"
    file.write_text("clients: [{name: E, issuer: https://ehr.example.org, keys: keys.json}]", encoding="utf-8")
    monkeypatch.setenv("COVERAGE_CDS_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("COVERAGE_CDS_RECORD_KEYS", KEY)
    code = CliRunner().invoke(main, ["decisions", "code"], catch_exceptions=False).stdout.strip()
    client = create_app(settings.model_copy(update={"clients": file})).test_client()

    assert client.post("/decisions/sign-in", data={"code": code}).status_code == 303
    session = client.get_cookie("coverage-cds-operator", path="/decisions")
    assert session
    assert client.get("/decisions", headers={"Authorization": f"Bearer {JWT}"}).status_code == 401

    said = overheard.now()
    assert '"route":"/decisions/sign-in"' in said
    assert not any(secret in said for secret in (code, code[20:40], session.value, JWT))


@pytest.mark.parametrize("hook", ["order-select", "order-dispatch", "appointment-book"])
def test_the_other_hooks_tell_the_log_nothing(hook: str, client: FlaskClient, overheard: Overheard, ehr: Ehr) -> None:
    made = body(hook=hook, fhirServer=ehr.base, extension={"coverage-cds.trace": True, MARK: MARK})
    order = made["context"]["draftOrders"]["entry"][0]["resource"]
    reference = f"{order['resourceType']}/{order['id']}"
    named: dict[str, dict[str, Any]] = {
        "order-select": {"draftOrders": made["context"]["draftOrders"], "selections": [reference]},
        "order-dispatch": {"dispatchedOrders": [reference], "performer": f"Organization/{MARK}"},
        "appointment-book": {"appointments": appointments(reference, description=MARK)},
    }
    made["context"] = {"patientId": NAME, "userId": f"Practitioner/{MARK}", **named[hook]}
    ehr.has(reference, order)

    answer = client.post(_service_of(client, hook), json=made, headers=HEADERS)

    assert answer.status_code == 200, answer.text
    [assessed] = [c for c in answer.get_json()["cards"] if "coverage-cds.assessment" in c.get("extension", {})]
    assert MARK in assessed["detail"]
    assert answer.get_json()["systemActions"] or hook == "order-select"
    assert hides(overheard.now())
    assert hides(client.get("/metrics").text)


def _service_of(client: FlaskClient, hook: str) -> str:
    services = client.get("/cds-services").get_json()["services"]
    name: str = next(service["id"] for service in services if service["hook"] == hook)
    return f"/cds-services/{name}"


class TestCommands:
    @pytest.fixture(autouse=True)
    def _same_store(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVERAGE_CDS_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("COVERAGE_CDS_RECORD_KEYS", KEY)

    @pytest.mark.parametrize(
        "command",
        [
            "decisions list",
            "decisions verify",
            "decisions export",
            "decisions export --format auditevent",
            "feedback report",
        ],
    )
    def test_a_command_over_all_records_tells_nothing(self, command: str, told: str) -> None:
        done = CliRunner().invoke(main, command.split(), catch_exceptions=False)

        assert done.exit_code == 0
        assert done.output
        assert hides(done.output)

    def test_replay_tells_outcomes_only_and_show_opens_the_card(self, told: str) -> None:
        replayed = CliRunner().invoke(main, ["decisions", "replay", told], catch_exceptions=False)
        shown = CliRunner().invoke(main, ["decisions", "show", told], catch_exceptions=False)

        assert "the same under" in replayed.output
        assert hides(replayed.output)
        assert MARK in json.dumps(json.loads(shown.output)["cards"])
