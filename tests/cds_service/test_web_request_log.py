import json
import logging
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service import logs
from cds_service.web import request_log
from tests.cds_service.examples import hook_body

SERVICE = "/cds-services/coverage-criteria"
UUID = "6bc883b2-b795-4dcb-b661-34884a31d472"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture, client: FlaskClient) -> None:
    caplog.set_level(logging.DEBUG, "cds_service")


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the one line of the one request; the key that a first start makes is told apart from it."""
    told = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    [found] = [entry for entry in told if entry["event"] != "key made"]
    assert found["event"] == "request"
    assert isinstance(found, dict)
    return found


def test_a_request_has_one_line(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    client.post(SERVICE, json=hook_body(), headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    took = time.perf_counter() - began

    told = line(capsys)
    assert 0 < told.pop("ms") <= took * 1000 + 0.1
    assert told.pop("time")
    assert told == {
        "level": "info",
        "event": "request",
        "request": UUID,
        "trace": TRACE,
        "method": "POST",
        "route": "/cds-services/<service>",
        "status": 200,
        "hook": "order-sign",
        "cards": 0,
        "outcomes": [],
        "recorded": "database",
    }


@pytest.mark.parametrize(
    ("method", "path", "level", "status", "route"),
    [
        ("GET", "/healthz", "debug", 200, "/healthz"),
        ("GET", "/cds-services", "info", 200, "/cds-services"),
        ("OPTIONS", SERVICE, "info", 200, "/cds-services/<service>"),
        ("GET", "/Patient/canary?name=canary", "warning", 404, "none"),
        ("CANARY", SERVICE, "warning", 405, "none"),
        ("POST", "/cds-services/canary", "warning", 404, "/cds-services/<service>"),
    ],
)
def test_a_line_tells_the_route_and_not_the_path(
    client: FlaskClient,
    capsys: pytest.CaptureFixture[str],
    method: str,
    path: str,
    level: str,
    status: int,
    route: str,
) -> None:
    client.open(path, method=method)

    told = line(capsys)
    assert (told["level"], told["status"], told["route"]) == (level, status, route)
    assert told["method"] == (method if method != "CANARY" else "other")
    assert "canary" not in str(told).casefold()


def test_an_error_is_told_by_its_kind(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.post(SERVICE, data=b"{")

    assert line(capsys)["error"] == "NotJson"


def test_a_bad_request_is_found_by_its_instance_too(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.post(SERVICE, json={"hookInstance": UUID, "hook": "canary"})

    told = line(capsys)
    assert told["request"] == UUID
    assert "hook" not in told


def test_a_request_without_a_usable_instance_gets_an_id(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.post(SERVICE, json=hook_body(hookInstance="canary"))

    assert request_log.uuid_in(line(capsys)["request"])


@pytest.mark.parametrize("text", [UUID, UUID.upper(), f"urn:uuid:{UUID}"])
def test_a_uuid_is_taken_in_its_usual_forms(text: str) -> None:
    assert request_log.uuid_in(text) == UUID


def test_a_uuid_may_come_without_hyphens() -> None:
    assert request_log.uuid_in(TRACE) == TRACE


@pytest.mark.parametrize("value", ["", "p1", f"{UUID}\n", f"{UUID} canary", 7, None, [UUID], "1980-02-03"])
def test_anything_else_is_no_uuid(value: object) -> None:
    assert request_log.uuid_in(value) is None


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-later-versions-may-have-more", TRACE),
        (f"00-{TRACE}-00f067aa0ba902b7-01-more", None),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        ("canary", None),
        (None, None),
    ],
)
def test_a_trace_id_comes_from_a_valid_header_only(header: str | None, trace: str | None) -> None:
    assert request_log.trace_in(header) == trace


def test_cards_are_told_by_policy_and_outcome() -> None:
    def card(**held: Any) -> dict[str, Any]:
        return {"extension": {"coverage-cds.assessment": held}}

    logs.begin("r1")
    request_log.answered(
        {"cards": [card(policy={"id": "P1"}, outcome="met"), card(elsewhere={"document": "D"}), {"summary": "s"}]}
    )

    assert logs.noted() == {"cards": 3, "outcomes": ["P1: met", "none: elsewhere"]}
