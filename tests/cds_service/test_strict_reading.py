"""S9: hostile texts over HTTP, against the shipped policies: the exact status, an OperationOutcome, and soon."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app
from cds_service.settings import Settings
from tests.calling import SERVICE
from tests.cds_service.examples import PATIENT, assessing, bundle, context, hook_body, resource

if TYPE_CHECKING:
    from flask.testing import FlaskClient

TOO_LONG = 5.0
"""Seconds of the processor, whatever else it does; the slowest of these takes a fiftieth of it."""
MEGA = 1024 * 1024
LOINC = "http://loinc.org"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return create_app(Settings.load(data_dir=tmp_path_factory.mktemp("data"))).test_client()


def request(**observation: Any) -> dict[str, Any]:
    """Return a request with a card and an HbA1c of the given value."""
    order = resource("MedicationRequest", "o1", status="draft", medicationCodeableConcept={"text": "Lantidra"})
    hba1c = {"coding": [{"system": LOINC, "code": "4548-4"}]}
    seen = resource("Observation", "hba1c", status="final", code=hba1c, effectiveDateTime="2026-10-01", **observation)
    coverage = resource("Coverage", "v1", status="active", payor=[{"display": "Centene"}])
    return hook_body(
        context=context(draftOrders=bundle(order)),
        prefetch={"patient": PATIENT, "observations": bundle(seen), "coverage": bundle(coverage)},
    )


def with_text(inserted: bytes) -> bytes:
    """Return a sound request with one more member, whose value is the given JSON text."""
    return json.dumps(request()).encode()[:-1] + b', "canary": ' + inserted + b"}"


def valued(number: str) -> bytes:
    """Return a request whose HbA1c has a number as given, digit by digit."""
    return json.dumps(request(valueQuantity={"value": 7654321, "unit": "%"})).replace("7654321", number).encode()


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * levels + b"1" + closing * levels


REFUSED: list[tuple[str, bytes, int]] = [
    ("nothing", b"", 400),
    ("space", b" \r\n\t", 400),
    ("a byte order mark alone", b"\xef\xbb\xbf", 400),
    ("cut short", json.dumps(request()).encode()[:-1], 400),
    ("two texts", json.dumps(request()).encode() * 2, 400),
    ("a comment", b"/* canary */" + json.dumps(request()).encode(), 400),
    ("a comma too many", with_text(b"[1,]"), 400),
    ("a name twice", with_text(b'1, "hook": "order-sign"'), 400),
    ("a name twice, once escaped", with_text(rb'1, "\u0068ook": "order-sign"'), 400),
    ("a name twice, far inside", with_text(b'[{"a": {"b": 1, "c": "canary", "b": 2}}]'), 400),
    ("NaN", with_text(b"NaN"), 400),
    ("Infinity", with_text(b"Infinity"), 400),
    ("-Infinity", with_text(b"-Infinity"), 400),
    ("1e400", with_text(b"1e400"), 400),
    ("-1e400", valued("-1e400"), 400),
    ("1e1000000", valued("1e1000000"), 400),
    ("an integer of 5,000 digits", valued("9" * 5_000), 400),
    ("an integer of a million digits", with_text(b"9" * 1_000_000), 400),
    ("a leading zero", with_text(b"007"), 400),
    ("hexadecimal", with_text(b"0x10"), 400),
    ("a lone high surrogate", with_text(rb'"\ud83d canary"'), 400),
    ("a lone low surrogate", with_text(rb'"canary \ude00"'), 400),
    ("a lone surrogate in a name", with_text(rb'{"\ud83d": "canary"}'), 400),
    ("an encoded surrogate", with_text(b'"\xed\xa0\xbd"'), 400),
    ("a control character", with_text(b'"canary\x01"'), 400),
    ("Latin-1", with_text(b'"canary\xe9"'), 400),
    ("UTF-16 with its mark", json.dumps(request()).encode("utf-16"), 400),
    ("UTF-16 without a mark", json.dumps(request()).encode("utf-16-be"), 400),
    ("UTF-32", json.dumps(request()).encode("utf-32"), 400),
    ("65 levels", nested(65), 400),
    ("64 levels, one too deep for their place", with_text(nested(64)), 400),
    ("500 levels of objects", with_text(nested(500, b'{"a":', b"}")), 400),
    ("a million brackets", b"[" * 1_000_000, 400),
    ("a million brackets, closed", nested(1_000_000), 400),
    ("a million objects, unclosed", b'{"a":' * 300_000, 400),
    ("over 2 MiB", b" " * (2 * MEGA + 1), 413),
    ("over 2 MiB of a sound request", with_text(b'"' + b"x" * 2 * MEGA + b'"'), 413),
]

READ: list[tuple[str, bytes]] = [
    ("a byte order mark", b"\xef\xbb\xbf" + json.dumps(request()).encode()),
    ("63 levels in their place", with_text(nested(63))),
    ("a text of 1.9 MiB", with_text(b'"' + b"x" * (1_900 * 1024) + b'"')),
    ("a name of 1.9 MiB", with_text(b'{"' + b"x" * (1_900 * 1024) + b'": 1}')),
    ("100,000 names", with_text(json.dumps({str(n): n for n in range(100_000)}).encode())),
    ("a surrogate pair", with_text(rb'"\ud83d\ude00"')),
    ("NUL, escaped", with_text(rb'"\u0000"')),
    ("2 to the power of 64", valued("18446744073709551616")),
    ("an integer of 300 digits", valued("9" * 300)),
    ("the largest double", valued("1.7976931348623157e308")),
    ("a number that is nearly nothing", valued("1e-400")),
    ("10,000 decimals", valued("7." + "1" * 10_000)),
    ("a number in a text", valued('"1e1000000"')),
    ("a long number in a text", valued('"' + "9" * 100_000 + '"')),
    ("minus zero", valued("-0.0")),
    ("an empty name", with_text(b'{"": {"": 1}}')),
    ("a name of the language", with_text(b'{"__class__": {"__proto__": []}}')),
]


def post(client: FlaskClient, body: bytes, path: str = SERVICE, **headers: Any) -> tuple[int, Any]:
    started = time.thread_time()
    response = client.post(path, data=body, **{"content_type": "application/json", **headers})
    assert time.thread_time() - started < TOO_LONG
    if response.status_code != 200:
        assert "canary" not in response.text
        assert response.get_json()["resourceType"] == "OperationOutcome"
    return response.status_code, response.get_json()


@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/feedback"])
@pytest.mark.parametrize(("body", "status"), [pytest.param(b, s, id=name) for name, b, s in REFUSED])
def test_a_hostile_text_is_refused(client: FlaskClient, body: bytes, status: int, path: str) -> None:
    assert post(client, body, path)[0] == status


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in READ])
def test_an_unusual_text_is_answered(client: FlaskClient, body: bytes) -> None:
    status, answer = post(client, body)

    assert status == 200
    assert len(assessing(answer)) == 1


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "json"],
)
@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/feedback"])
def test_what_does_not_say_that_it_is_json_is_refused(client: FlaskClient, path: str, content_type: str) -> None:
    assert post(client, json.dumps(request()).encode(), path, content_type=content_type)[0] == 415


def test_a_charset_changes_nothing(client: FlaskClient) -> None:
    sent = "application/json; charset=utf-16"

    assert post(client, json.dumps(request()).encode(), content_type=sent)[0] == 200
    assert post(client, json.dumps(request()).encode("utf-16"), content_type=sent)[0] == 400
