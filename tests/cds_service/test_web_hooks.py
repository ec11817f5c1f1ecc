import datetime
import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask, abort
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service import create_app, prefetch, review
from cds_service.errors import NothingToGoOn, Unavailable
from cds_service.hook_request import HookRequest
from cds_service.settings import Settings
from fhir_mappings import orders
from tests.cds_service.crd.asking import CASGEVY, sample
from tests.cds_service.crd.asking import orders as orders_of
from tests.cds_service.examples import PATIENT, assessing, bundle, context, hook_body, resource
from tests.cds_service.test_named_orders import named
from tests.conftest import NO_LIBRARY
from tests.waiting import PATIENCE

SERVICE = "/cds-services/coverage-criteria"
ORIGIN = "https://ehr.example.org"


def post(client: FlaskClient, body: bytes, content_type: str | None = "application/json") -> TestResponse:
    return client.post(SERVICE, data=body, content_type=content_type)


def issue(response: TestResponse, status: int) -> dict[str, Any]:
    """Return the one issue of an error, having checked that it is a whole OperationOutcome."""
    assert response.status_code == status
    assert response.content_type == "application/json"
    body = response.get_json()
    assert body["resourceType"] == "OperationOutcome"
    [found] = body["issue"]
    assert found["severity"] == "error"
    assert re.fullmatch(r"[a-z-]+", found["code"])
    assert re.fullmatch(r"[A-Z].*[^.]\.", found["diagnostics"])
    assert isinstance(found, dict)
    return found


class Review:
    """Stands in for the review: keeps what it was asked, gives the answer or raises the error it was made with."""

    def __init__(self, outcome: object = None) -> None:
        self.outcome = outcome if outcome is not None else {"cards": []}
        self.asked: list[tuple[HookRequest, dict[str, Any]]] = []

    def __call__(self, request: HookRequest, services: object, **rest: Any) -> object:
        self.asked.append((request, rest))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def reviewed(edge: Flask, monkeypatch: pytest.MonkeyPatch) -> Review:
    stand_in = Review()
    monkeypatch.setattr(review, "answer", stand_in)
    return stand_in


def no_member_is_empty(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(map(no_member_is_empty, value.values()))
    if isinstance(value, list):
        return bool(value) and all(map(no_member_is_empty, value))
    return value not in (None, "")


def test_discovery_lists_one_service_for_each_hook(client: FlaskClient) -> None:
    response = client.get("/cds-services")

    services = response.get_json()["services"]
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert [(s["hook"], s["id"]) for s in services] == [
        ("order-sign", "coverage-criteria"),
        ("order-select", "coverage-criteria"),
        ("order-dispatch", "coverage-criteria"),
        ("appointment-book", "coverage-criteria"),
    ]
    assert all(s["title"] and s["description"] and s["usageRequirements"] for s in services)
    assert all(s["prefetch"].items() >= prefetch.TEMPLATES.items() for s in services)
    assert all(s["extension"]["davinci-crd.version"] == ["2.0", "2.1", "2.2"] for s in services)
    assert all(s["extension"]["davinci-crd.configuration-options"] for s in services)
    assert no_member_is_empty(services)
    assert response.data == json.dumps(response.get_json(), separators=(",", ":"), ensure_ascii=False).encode()


def test_a_deployment_may_ask_for_patient_and_coverage_only(edge_settings: Settings) -> None:
    settings = edge_settings.model_copy(update={"prefetch": "minimal"})

    services = create_app(settings, NO_LIBRARY).test_client().get("/cds-services").get_json()["services"]

    assert [list(service["prefetch"]) for service in services] == [
        ["patient", "coverage"],
        ["patient", "coverage"],
        ["patient", "coverage", *prefetch.ORDER_KEYS.values()],
        ["patient", "coverage", *prefetch.ORDER_KEYS.values()],
    ]


def test_a_hook_that_only_names_orders_asks_for_orders_of_every_type_that_a_policy_can_be_about(
    client: FlaskClient,
) -> None:
    for service in client.get("/cds-services").get_json()["services"][2:]:
        asked = {query.partition("?")[0] for query in service["prefetch"].values()}
        assert asked >= orders.KINDS


def test_prefetch_uses_only_tokens_that_every_client_knows(client: FlaskClient) -> None:
    for service in client.get("/cds-services").get_json()["services"]:
        tokens = re.findall(r"\{\{(.*?)\}\}", " ".join(service["prefetch"].values()))
        assert set(tokens) == {"context.patientId"}


@pytest.mark.parametrize("hook", ["order-sign", "order-select"])
def test_a_call_is_answered_by_the_review(client: FlaskClient, reviewed: Review, hook: str) -> None:
    reviewed.outcome = {"cards": [{"summary": "\u00e9"}]}

    response = post(client, json.dumps(hook_body(hook=hook, prefetch={"patient": PATIENT})).encode())

    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.data == '{"cards":[{"summary":"\u00e9"}]}'.encode()
    [(asked, rest)] = reviewed.asked
    assert asked.hook == hook
    assert asked.prefetch == {"patient": PATIENT}
    assert rest["base_url"] == "http://localhost"
    today = datetime.datetime.now(datetime.UTC).astimezone().date()
    assert today - datetime.timedelta(1) <= rest["today"] <= today


@pytest.mark.parametrize(
    ("body", "status", "expression"),
    [
        (b'{"hook": "order-sign"', 400, None),
        (b"[]", 400, None),
        (b'"order-sign"', 400, None),
        (b"null", 400, None),
        (b"", 400, None),
        (json.dumps(hook_body(hook="patient-view")).encode(), 400, "hook"),
        (json.dumps(hook_body(context=None)).encode(), 400, "context"),
        (json.dumps(hook_body(context=context(draftOrders=None))).encode(), 400, "context.draftOrders"),
        (json.dumps(hook_body(context=context(patientId=["canary"]))).encode(), 400, "context.patientId"),
        (json.dumps(hook_body(context=context(patientId="canary canary"))).encode(), 422, "context.patientId"),
        (json.dumps(hook_body(canary=float("nan"))).encode(), 400, None),
        (rb'{"hook": "\ud800"}', 400, None),
        (b'{"hook": "\xed\xa0\x80"}', 400, None),
        (json.dumps(hook_body()).encode("utf-16"), 400, None),
        (b'{"hook": "canary", "hook": "canary"}', 400, None),
        (b"[" * 70 + b"]" * 70, 400, None),
        (b" " * 100_001, 413, None),
        (
            json.dumps(
                hook_body(context=context(draftOrders=bundle(resource("ServiceRequest", "s1", "canary"))))
            ).encode(),
            400,
            "context.draftOrders",
        ),
    ],
)
def test_a_bad_body_is_answered_with_what_is_wrong_and_where(
    client: FlaskClient, body: bytes, status: int, expression: str | None
) -> None:
    response = post(client, body)

    found = issue(response, status)
    assert found.get("expression") == ([expression] if expression else None)
    assert b"canary" not in response.data


@pytest.mark.parametrize(
    "values",
    [None, {}, {"patient": None}, {"patient": {"resourceType": "OperationOutcome"}}, {"conditions": None, "x": [1]}],
)
def test_any_prefetch_reaches_the_review(client: FlaskClient, reviewed: Review, values: object) -> None:
    response = post(client, json.dumps(hook_body() | {"prefetch": values}).encode())

    assert response.status_code == 200
    assert len(reviewed.asked) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/fhir+json",
        "application/json, application/json",
        None,
    ],
)
def test_json_under_its_names_is_read(client: FlaskClient, content_type: str | None) -> None:
    assert post(client, json.dumps(hook_body()).encode(), content_type).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json, text/plain", "json", ";"],
)
def test_another_media_type_is_refused(client: FlaskClient, content_type: str) -> None:
    response = post(client, json.dumps(hook_body()).encode(), content_type)

    if content_type == ";":  # says nothing, like an absent one
        assert response.status_code == 200
    else:
        assert "application/json was expected" in issue(response, 415)["diagnostics"]


def test_two_content_types_do_not_confuse_a_real_server(served: str) -> None:
    body = json.dumps(hook_body()).encode()
    head = (
        f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n\r\n"
    )
    parts = urlsplit(served)

    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + body)
        answer = connection.makefile("rb").read()

    assert answer.split()[1] in {b"200", b"415"}


def test_a_body_over_the_limit_is_answered_while_the_client_still_sends(served: str) -> None:
    response = requests.post(served + SERVICE, data=b"x" * 5_000_000, timeout=PATIENCE)

    assert response.status_code == 413
    assert response.json()["issue"][0]["code"] == "too-long"


def test_a_body_without_a_length_is_read_to_the_limit_too(served: str) -> None:
    whole = json.dumps(hook_body()).encode()
    headers = {"Content-Type": "application/json"}

    small = requests.post(served + SERVICE, data=iter([whole[:50], whole[50:]]), headers=headers, timeout=PATIENCE)
    large = requests.post(served + SERVICE, data=iter([b"x" * 90_000] * 300), headers=headers, timeout=PATIENCE)

    assert (small.status_code, small.json()) == (200, {"cards": []})
    assert large.status_code == 413


def test_a_body_that_breaks_off_is_a_bad_request(served: str) -> None:
    parts = urlsplit(served)

    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall(f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()

    assert answer.split()[1] == b"400"
    assert b"OperationOutcome" in answer


@pytest.mark.parametrize("hook", ["order-dispatch", "appointment-book"])
def test_a_hook_that_only_names_orders_is_answered_over_http(hook: str, tmp_path: Path) -> None:
    app = create_app(Settings.load(data_dir=tmp_path))

    response = app.test_client().post(SERVICE, json=named(hook=hook))

    assert response.status_code == 200
    assert len(assessing(response.get_json())) == len(response.get_json()["systemActions"]) == 1


def test_numbers_of_an_order_leave_as_they_came(tmp_path: Path) -> None:
    body = json.dumps(sample(CASGEVY))
    order = json.dumps(orders_of(sample(CASGEVY))[0])
    text = body.replace(order, order[:-1] + ', "extension": [{"url": "x", "valueDecimal": 1.00}]}')

    response = post(create_app(Settings.load(data_dir=tmp_path)).test_client(), text.encode())

    assert b'"valueDecimal":1.00' in response.data


def test_a_version_of_the_guide_that_is_not_spoken_is_an_error(tmp_path: Path) -> None:
    body = {**hook_body(), "extension": {"davinci-crd.requestedVersion": "9.9"}}

    response = create_app(Settings.load(data_dir=tmp_path)).test_client().post(SERVICE, json=body)

    assert issue(response, 422)["expression"] == ["extension.davinci-crd.requestedVersion"]


@pytest.mark.parametrize("path", ["/cds-services/other", "/cds-services/other/feedback", "/cds-services/canary%00"])
def test_an_unknown_service_is_not_found(client: FlaskClient, path: str) -> None:
    response = client.post(path, json=hook_body())

    assert "coverage-criteria is the one" in issue(response, 404)["diagnostics"]
    assert b"canary" not in response.data


def test_an_unknown_address_is_not_found(client: FlaskClient) -> None:
    assert "GET /cds-services" in issue(client.get("/fhir/nothing"), 404)["diagnostics"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SERVICE, "POST"),
        ("PUT", SERVICE, "POST"),
        ("POST", "/cds-services", "GET"),
        ("GET", SERVICE + "/feedback", "POST"),
    ],
)
def test_a_wrong_method_names_the_right_ones(client: FlaskClient, method: str, path: str, allowed: str) -> None:
    response = client.open(path, method=method)

    assert issue(response, 405)["code"] == "not-supported"
    assert allowed in response.headers["Allow"]


def test_nothing_to_go_on_is_a_failed_precondition(client: FlaskClient, reviewed: Review) -> None:
    reviewed.outcome = NothingToGoOn("Nothing is known about the patient.", "prefetch")

    found = issue(post(client, json.dumps(hook_body()).encode()), 412)

    assert found["expression"] == ["prefetch"]


def test_what_may_succeed_later_says_when(client: FlaskClient, reviewed: Review) -> None:
    reviewed.outcome = Unavailable("The service is busy.")

    response = post(client, json.dumps(hook_body()).encode())

    assert issue(response, 503)["code"] == "transient"
    assert response.headers["Retry-After"] == "5"


def test_a_fault_of_ours_tells_nothing_but_its_class_and_that_to_the_log_only(
    client: FlaskClient, reviewed: Review, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed.outcome = LookupError("canary")

    response = post(client, json.dumps(hook_body(context=context(userId="canary"))).encode())

    assert issue(response, 500)["code"] == "exception"
    assert b"LookupError" not in response.data
    unexpected, answered = map(json.loads, capsys.readouterr().err.splitlines())
    assert (unexpected["event"], unexpected["raised"]) == ("unexpected", "LookupError")
    assert re.fullmatch(r"cds_service\.web\.hooks:\d+", unexpected["at"][-1])
    assert (answered["event"], answered["status"], answered["level"]) == ("request", 500, "error")
    assert "canary" not in response.text + str(unexpected) + str(answered)


def test_an_answer_that_cannot_be_written_is_a_fault_of_ours(client: FlaskClient, reviewed: Review) -> None:
    reviewed.outcome = {"cards": [object()]}

    assert issue(post(client, json.dumps(hook_body()).encode()), 500)["code"] == "exception"


def test_an_unauthorized_answer_is_empty(edge: Flask) -> None:
    edge.add_url_rule("/locked", view_func=lambda: abort(401, "the reason"))

    response = edge.test_client().get("/locked")

    assert (response.status_code, response.data) == (401, b"")


def test_other_http_errors_are_operation_outcomes_too(edge: Flask) -> None:
    edge.add_url_rule("/teapot", view_func=lambda: abort(418, "the reason"))

    assert "status 418" in issue(edge.test_client().get("/teapot"), 418)["diagnostics"]


@pytest.mark.parametrize("path", ["/cds-services", SERVICE, SERVICE + "/feedback"])
def test_a_preflight_is_answered_without_a_token(client: FlaskClient, path: str) -> None:
    method = "GET" if path == "/cds-services" else "POST"
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }

    response = client.options(path, headers=asks)

    assert response.status_code in {200, 204}
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert method in response.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(response.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_errors_can_be_read_across_origins_too(client: FlaskClient) -> None:
    response = client.post(SERVICE, data=b"{", headers={"Origin": ORIGIN})

    assert response.status_code == 400
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_what_a_cache_may_keep_says_who_may_read_it_whoever_asked(client: FlaskClient) -> None:
    assert client.get("/cds-services").headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Origin" not in client.post(SERVICE, data=b"{").headers


def test_an_origin_that_is_not_configured_gets_no_permission(client: FlaskClient) -> None:
    response = client.get("/cds-services", headers={"Origin": "https://other.example.org"})

    assert "Access-Control-Allow-Origin" not in response.headers


def test_by_default_every_origin_may_call(tmp_path: Path) -> None:
    app = create_app(Settings.load(data_dir=tmp_path), NO_LIBRARY)

    response = app.test_client().get("/cds-services", headers={"Origin": "https://any.example.org"})

    assert response.headers["Access-Control-Allow-Origin"] in {"*", "https://any.example.org"}


def test_a_slash_too_many_at_the_end_is_forgiven(client: FlaskClient) -> None:
    assert client.get("/cds-services/").status_code == 200
    assert client.post(SERVICE + "/", json=hook_body()).status_code == 200
