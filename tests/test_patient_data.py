"""Nothing about a patient, and no token, is told to anybody but the EHR, on any path, with the log at DEBUG."""

from __future__ import annotations

import datetime
import json
import logging
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from cds_service import create_app, hook_request, review
from cds_service.errors import CoverageCdsError
from cds_service.settings import Settings
from tests.cds_service.cards.reading import code_spans, members, outside_code_spans
from tests.cds_service.ehr import Ehr
from tests.cds_service.examples import bundle, resource
from tests.faults import FAULTS, MARK, PATIENT, SERVICE, Fault, observe, sample, works
from tests.serving import BIN, environment, free_port, serving
from tests.waiting import LONG, PATIENCE

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

BORN = "1961-02-13"
NAME = f"{MARK}-patient"
JWT = f"eyJhbGciOiJub25lIn0.{MARK}.{MARK}"
"""Every canary has the mark of ``tests.faults`` in it, but the date of birth."""

PERSON = {
    "resourceType": "Patient",
    "id": NAME,
    "birthDate": BORN,
    "name": [{"family": f"Family{MARK}", "given": [f"Given{MARK}"]}],
    "identifier": [{"type": {"text": "MRN"}, "system": "urn:mrn", "value": f"MRN{MARK}"}],
    "address": [{"line": [f"1 {MARK} Street"], "postalCode": f"{MARK}"}],
    "telecom": [{"system": "phone", "value": f"Phone{MARK}"}],
}
AUTHORIZATION = {
    "access_token": f"token-{MARK}",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": MARK,
    "subject": MARK,
}
HEADERS = {
    "Authorization": f"Bearer {JWT}",
    "User-Agent": MARK,
    "Referer": f"https://ehr.example.org/{MARK}",
    "Cookie": f"session={MARK}",
    "traceparent": f"00-{MARK}-{MARK}-01",
    "X-Request-Id": MARK,
}


def hides(text: str) -> bool:
    return MARK not in text.casefold() and BORN not in text


def body(**more: Any) -> dict[str, Any]:
    """Return a whole request about the patient, with a canary in everything that an EHR's user may have written."""
    made = {**sample(NAME), "fhirAuthorization": AUTHORIZATION, MARK: MARK, **more}
    made["prefetch"]["patient"] = PERSON
    made["context"] |= {"userId": f"Practitioner/{MARK}", "encounterId": MARK}
    for entry in [*made["prefetch"]["conditions"]["entry"], *made["context"]["draftOrders"]["entry"]]:
        record = entry["resource"]
        record["note"] = [{"text": f"free text {MARK}"}]
        for name in ("code", "medicationCodeableConcept"):
            if name in record:
                record[name]["text"] = f"{MARK} {record[name]['text']}"
    return made


class Overheard:
    """What is said on stderr, stdout and to any handler of Python's logging."""

    def __init__(self, capture: pytest.CaptureFixture[str], records: pytest.LogCaptureFixture) -> None:
        self._capture, self._records = capture, records

    def now(self) -> str:
        out, err = self._capture.readouterr()
        return out + err + self._records.text


@pytest.fixture
def overheard(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Overheard:
    caplog.set_level(logging.DEBUG)
    return Overheard(capfd, caplog)


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    found = Settings.load(data_dir=tmp_path, log_level="DEBUG", max_body=400_000)
    # what is answered is to be in the database then, however slow this machine's disk is
    return create_app(found.model_copy(update={"commit_wait": PATIENCE})).test_client()


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def post(client: FlaskClient, path: str = SERVICE, **more: Any) -> TestResponse:
    return client.post(path, **({"json": body()} | more if "data" not in more else more), headers=HEADERS)


def feedback(**more: Any) -> dict[str, Any]:
    entry = {
        "card": "4f6d0e2c-9f0c-4d53-8a7e-1f0a4f0f5d11",
        "outcome": "overridden",
        "overrideReason": {"userComment": f"{NAME}, born {BORN}, {MARK}"},
        "outcomeTimestamp": "2026-11-20T09:30:00Z",
    }
    return {"feedback": [entry | more]}


FEEDBACK = f"{SERVICE}/feedback"
FOREIGN = {"observations": bundle(resource("Observation", "o1", f"{MARK}-other", code={"text": MARK}))}
PATHS: dict[str, tuple[int, Callable[[FlaskClient], TestResponse]]] = {
    "cards": (200, post),
    "no card": (200, lambda c: post(c, json=body(context={"patientId": NAME, "draftOrders": bundle()}))),
    "not JSON": (400, lambda c: post(c, data=f'{{"hook": {MARK} {BORN}'.encode(), content_type="application/json")),
    "a key twice": (400, lambda c: post(c, data=f'{{"{MARK}": 1, "{MARK}": 2}}'.encode())),
    "no hook request": (400, lambda c: post(c, json=[MARK])),
    "another hook": (400, lambda c: post(c, json=body(hook=f"hook-{MARK}"))),
    "another type": (
        400,
        lambda c: post(c, json=body() | {"context": {"patientId": {MARK: BORN}, "draftOrders": MARK}}),
    ),
    "an id that is none": (
        422,
        lambda c: post(c, json=body(context={**body()["context"], "patientId": f"{MARK} {BORN}"})),
    ),
    "another patient": (400, lambda c: post(c, json=body() | {"prefetch": FOREIGN})),
    "another patient's token": (
        400,
        lambda c: post(c, json=body(fhirAuthorization={**AUTHORIZATION, "patient": MARK})),
    ),
    "nothing to go on": (412, lambda c: post(c, json=body() | {"prefetch": {MARK: None}})),
    "too large": (413, lambda c: post(c, data=MARK.encode() * 100_000, content_type="application/json")),
    "another media type": (415, lambda c: post(c, data=MARK.encode(), content_type=f"text/{MARK}")),
    "another service": (404, lambda c: post(c, f"/cds-services/{MARK}?patient={NAME}")),
    "another address": (404, lambda c: c.get(f"/Patient/{MARK}?birthdate={BORN}", headers=HEADERS)),
    "another policy": (404, lambda c: c.get(f"/policies/{MARK}?on={BORN}", headers=HEADERS)),
    "another method": (405, lambda c: c.open(f"{SERVICE}?patient={MARK}", method="DELETE", headers=HEADERS)),
    "a method of its own": (405, lambda c: c.open(SERVICE, method=MARK.upper(), headers=HEADERS)),
    "an instance that is no UUID": (200, lambda c: post(c, json=body(hookInstance=f"{MARK}-instance"))),
    "a server that must not be read": (
        200,
        lambda c: post(c, json=body(fhirServer=f"https://{MARK}.example.org/{MARK}")),
    ),
    "records that cannot be read": (
        200,
        lambda c: post(
            c, json=body() | {"prefetch": body()["prefetch"] | {"conditions": bundle(MARK, {"resourceType": MARK})}}
        ),
    ),
    "feedback": (200, lambda c: post(c, FEEDBACK, json=feedback())),
    "feedback that is none": (400, lambda c: post(c, FEEDBACK, json={"feedback": [MARK]})),
    "feedback with another outcome": (400, lambda c: post(c, FEEDBACK, json=feedback(outcome=MARK))),
    "feedback at no time": (400, lambda c: post(c, FEEDBACK, json=feedback(outcomeTimestamp=MARK))),
    "health": (200, lambda c: c.get(f"/healthz?{MARK}", headers=HEADERS)),
    "readiness": (200, lambda c: c.get(f"/readyz?{MARK}", headers=HEADERS)),
    "metrics": (200, lambda c: c.get(f"/metrics?{MARK}", headers=HEADERS | {"Accept": MARK})),
    "metrics from afar": (403, lambda c: c.get("/metrics", headers=HEADERS | {"X-Forwarded-For": MARK})),
    "discovery": (200, lambda c: c.get(f"/cds-services?{MARK}", headers=HEADERS)),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_tells_the_log_and_error_bodies_nothing(path: str, client: FlaskClient, overheard: Overheard) -> None:
    status, send = PATHS[path]

    response = send(client)
    counted = client.get("/metrics").text
    said = overheard.now()

    assert response.status_code == status
    assert hides(said)
    assert hides(counted)
    assert [line["route"] for line in lines(said) if line["event"] == "request"]
    if "cards" not in (response.get_json(silent=True) or {}):
        assert hides(response.text)
        assert hides(str(response.headers))


ALLOWED = re.compile(
    r"\$\.cards\[\d+\]\.(detail"
    r"|extension\.coverage-cds\.assessment\.(order|notices\[\d+\]|criteria\[\d+\]\.evidence\[\d+\]\.(reference|display|value|date))"
    r"|suggestions\[\d+\]\.actions\[\d+\]\.resource\..*)"
    r"|\$\.systemActions\[\d+\]\.resource\..*"
)
DATES = re.compile(
    r"\$\.cards\[\d+\]\.(detail|extension\.coverage-cds\.assessment\.criteria\[\d+\]\.(reason|evidence\[\d+\]\.date))"
)


def test_cards_hold_evidence_and_the_order_and_nothing_else(client: FlaskClient) -> None:
    answer = post(client).get_json()
    found = list(members(answer))
    texts = [(where, value) for where, value in found if isinstance(value, str)]

    assert {where for where, value in texts if MARK in value.casefold()}
    assert [where for where, value in texts if MARK in value.casefold() and not ALLOWED.fullmatch(where)] == []
    assert [where for where, value in texts if BORN in value and not DATES.fullmatch(where)] == []
    assert not any(part in json.dumps(answer) for part in ("Family", "Given", "MRN", "Street", "token-", "Phone", JWT))
    for card in answer["cards"]:
        assert MARK in "".join(code_spans(card["detail"])) or "coverage-cds.assessment" not in card.get("extension", {})
        assert MARK not in outside_code_spans(card["detail"])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_the_fhir_server_tells_nothing(fault: Fault, overheard: Overheard) -> None:
    seen = observe(fault, NAME, fhirAuthorization=AUTHORIZATION)

    assert hides(seen.log)
    assert hides(str(seen.metrics))
    assert hides(overheard.now())
    if seen.status != 200:
        assert hides(json.dumps(seen.body))


@pytest.mark.parametrize(
    "place", ["cds_service.review.evaluate", "cds_service.review.read_chart", "cds_service.prefetch.complete"]
)
def test_a_failure_of_ours_tells_its_class_and_places_only(
    place: str, client: FlaskClient, overheard: Overheard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError(f"{MARK} {BORN}") from ValueError(NAME)

    monkeypatch.setattr(place, fail)

    response = post(client)
    said = overheard.now()

    [failed] = [line for line in lines(said) if line["event"] in {"policy failed", "unexpected"}]
    assert failed["raised"] == "LookupError"
    assert all(re.fullmatch(r"(cds_service|fhir_mappings)[\w.]*:\d+", step) for step in failed["at"])
    assert failed["request"] == body()["hookInstance"]
    assert hides(said)
    assert response.status_code == (200 if failed["event"] == "policy failed" else 500)
    if response.status_code == 500:
        assert hides(response.text)


@contextmanager
def raised(made: dict[str, Any], services: review.Services) -> Iterator[list[str]]:
    """Yield the texts of the exception that a request ends with, its causes among them."""
    texts: list[str] = []
    try:
        review.answer(hook_request.read(made, ("order-sign",)), services, today=datetime.date(2026, 11, 20))
    except CoverageCdsError as error:
        link: BaseException | None = error
        while link is not None:
            texts += [str(link), repr(link.args)]
            link = link.__cause__
    yield texts


@pytest.mark.parametrize(
    "made",
    [
        body(hook=MARK),
        body(context={"patientId": [MARK], "draftOrders": bundle()}),
        body() | {"prefetch": FOREIGN},
        body() | {"prefetch": {}},
        body() | {"prefetch": {"patient": {**PERSON, "id": f"{MARK}-other"}}},
    ],
    ids=["hook", "type", "patient", "nothing", "Patient"],
)
def test_the_texts_of_our_exceptions_tell_nothing(made: dict[str, Any]) -> None:
    with raised(made, review.Services.load(Settings.load())) as texts:
        assert texts
        assert hides("".join(texts))


CARD = "4f6d0e2c-9f0c-4d53-8a7e-1f0a4f0f5d11"
PACKAGE = "/fhir/Questionnaire/$questionnaire-package"


def test_questionnaires_and_forms_are_asked_for_without_a_word_on_the_patient(
    client: FlaskClient, overheard: Overheard
) -> None:
    changed = body()
    changed["prefetch"].pop("conditions")
    cards = post(client, json=changed).get_json()["cards"]
    links = [link["url"] for card in cards for link in card.get("links", ()) if "/questionnaires/" in link["url"]]
    assert links
    assert hides("".join(links))
    parts = urlsplit(links[0])
    name = parts.path.removeprefix("/questionnaires/")
    for path in (f"/fhir/Questionnaire/{name}?{parts.query}", f"{parts.path}?{parts.query}"):
        answer = client.get(path, headers=HEADERS)
        assert answer.status_code == 200
        assert hides(answer.text)
    told = client.post(f"{parts.path}/chart", json={"decision": parts.query.removeprefix("decision=")})
    assert told.status_code == 200
    assert MARK in told.text, "what the chart says is what the browser asks for"
    assert hides(overheard.now())


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (f"/fhir/Questionnaire/{MARK}", None),
        (f"/fhir/Questionnaire/CP.MP.250-donislecel?decision={MARK}", None),
        (f"/fhir/Questionnaire?url={MARK}&version={MARK}", None),
        (f"/questionnaires/{MARK}?decision={MARK}", None),
        (f"/questionnaires/launch?iss=https://{MARK}&launch={MARK}", None),
        ("/questionnaires/CP.MP.250-donislecel/chart", {"decision": CARD, "patient": NAME, "token": MARK}),
        ("/questionnaires/CP.MP.250-donislecel/chart", {"decision": [MARK]}),
        (PACKAGE, {"resourceType": MARK}),
        (PACKAGE, {"resourceType": "Parameters", "parameter": [{"name": MARK, "valueString": MARK}]}),
        (
            PACKAGE,
            {
                "resourceType": "Parameters",
                "parameter": [
                    {"name": "coverage", "resource": resource("Coverage", MARK, NAME, payor=[{"display": MARK}])},
                    {"name": "order", "resource": resource("MedicationRequest", MARK, NAME)},
                    {"name": "context", "valueString": MARK},
                    {"name": "questionnaire", "valueCanonical": MARK},
                ],
            },
        ),
    ],
)
def test_a_question_that_cannot_be_answered_repeats_nothing_of_it(
    path: str, sent: dict[str, Any] | None, client: FlaskClient, overheard: Overheard
) -> None:
    answer = client.get(path, headers=HEADERS) if sent is None else client.post(path, json=sent, headers=HEADERS)
    assert answer.status_code < 500
    assert hides(answer.text)
    assert hides(overheard.now())


def test_no_file_shows_what_was_sent_and_the_key_is_for_the_service_alone(client: FlaskClient, tmp_path: Path) -> None:
    post(client)
    post(client, FEEDBACK, json=feedback())

    files = {path.name: path for path in tmp_path.rglob("*") if path.is_file()}
    assert "coverage-cds.sqlite3" in files
    assert [name for name, path in files.items() if MARK.encode() in path.read_bytes()] == []
    assert files["record.key"].stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"BASE_URL": f"{MARK} no url"},
        {"FHIR_SERVERS": f'["https://{MARK}'},
        {"FETCH_DEADLINE": MARK},
        {"LOG_LEVEL": MARK},
        {"SILENCE": MARK, "MAX_BODY": MARK},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_cannot_be_used_are_named_without_their_values(settings: dict[str, str], tmp_path: Path) -> None:
    made = environment() | {f"COVERAGE_CDS_{name}": value for name, value in settings.items()}
    serve = [str(BIN / "coverage-cds"), "serve", f"--port={free_port()}"]

    done = subprocess.run(serve, cwd=tmp_path, env=made, capture_output=True, text=True, timeout=LONG, check=False)

    assert done.returncode == 2
    assert all(f"COVERAGE_CDS_{name}" in done.stderr for name in settings)
    assert hides(done.stdout + done.stderr)


NOT_HTTP = {
    "an odd version": f"GET /{MARK} HTTP/9.{MARK}\r\n\r\n",
    "an odd header": f"POST {SERVICE} HTTP/1.1\r\nAuthorization {MARK}: Bearer {JWT}\r\n\r\n",
    "a folded header": f"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: a\r\n {MARK}\r\n\r\n",
    "an odd method": f"{MARK}\u00e9 / HTTP/1.1\r\n\r\n",
    "an odd length": f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nContent-Length: {MARK}\r\n\r\n",
    "an odd chunk": f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{MARK}\r\n{MARK}",
    "a long line": f"GET /{MARK * 2000} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": f"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: {MARK * 17000}\r\n\r\n",
    "no HTTP": f"{MARK} {BORN}\r\n\r\n",
}


def test_the_server_that_is_shipped_tells_nothing_either(
    tmp_path: Path, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--access-logfile -")
    log = tmp_path / "log"
    with ExitStack() as stack:
        stderr = stack.enter_context(log.open("w"))
        url, _ = stack.enter_context(
            serving(
                tmp_path,
                stderr=stderr,
                settings={
                    "COVERAGE_CDS_LOG_LEVEL": "DEBUG",
                    "COVERAGE_CDS_MAX_BODY": "400000",
                    "COVERAGE_CDS_FETCH_DEADLINE": "10",
                    "COVERAGE_CDS_ANSWER_DEADLINE": "10",
                },
            )
        )
        made = body(fhirServer=ehr.base)
        works(ehr, made, made["prefetch"].pop("conditions"))
        assert requests.post(url + SERVICE, json=made, headers=HEADERS, timeout=PATIENCE).status_code == 200
        assert requests.post(url + SERVICE, data=MARK, headers=HEADERS, timeout=PATIENCE).status_code == 400
        answers = [(name, said(url, text)) for name, text in NOT_HTTP.items()]
        counted = requests.get(url + "/metrics", timeout=PATIENCE).text
    written = log.read_text(encoding="utf-8")

    assert [name for name, answer in answers if not hides(answer)] == []
    assert [name for name, answer in answers if not re.match(r"HTTP/1\.1 4\d\d ", answer)] == []
    assert hides(written)
    assert hides(counted)
    assert 'coverage_cds_errors_total{error="NotJson"}' in counted
    assert all(line.startswith('{"time":') for line in written.splitlines())
    [answered] = [line for line in lines(written) if line.get("fetches")]
    assert answered["request"] == made["hookInstance"]
    assert any(path.startswith("Condition?") for path in ehr.paths())
    assert any(line.get("message", "").startswith("Starting gunicorn") for line in lines(written))


def said(url: str, text: str) -> str:
    """Return what the server answers to some bytes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        with suppress(OSError):  # the server may answer and hang up before it was sent everything
            connection.sendall(text.encode())
            connection.shutdown(socket.SHUT_WR)
        told = bytearray()
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                told += part
        return told.decode()


def test_the_patient_of_these_tests_is_the_one_of_the_sample() -> None:
    assert PATIENT not in json.dumps(body())
    assert json.dumps(body()).count(MARK) > 40
