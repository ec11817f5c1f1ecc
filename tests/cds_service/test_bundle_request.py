"""What a fired request brings of its prefetch, and to which FHIR server it leads."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.bundle_request import bringing

ASKED = {"hook": "order-sign", "prefetch": {"patient": 1, "coverage": 2, "conditions": 3}}


@pytest.mark.parametrize(
    ("sent", "prefetch"),
    [("full", ASKED["prefetch"]), ("minimal", {"patient": 1, "coverage": 2}), ("none", None)],
)
def test_a_request_brings_as_much_of_its_prefetch_as_is_asked(sent: str, prefetch: object) -> None:
    assert bringing(sent, ASKED, None).get("prefetch") == prefetch


@pytest.mark.parametrize("held", [None, {}, {"conditions": 3}])
def test_a_prefetch_with_nothing_in_it_is_left_out(held: dict[str, Any] | None) -> None:
    assert bringing("minimal", {"hook": "order-sign", "prefetch": held}, None) == {"hook": "order-sign"}


def test_a_token_for_one_server_is_not_shown_to_another() -> None:
    request = {"fhirServer": "https://ehr.example.org", "fhirAuthorization": {"access_token": "secret"}}

    assert bringing("none", request, "http://127.0.0.1:8080") == {"fhirServer": "http://127.0.0.1:8080"}
    assert bringing("none", request, None) == request


def test_what_is_no_prefetch_is_sent_as_it_is() -> None:
    assert bringing("minimal", {"prefetch": [1]}, None) == {"prefetch": [1]}
