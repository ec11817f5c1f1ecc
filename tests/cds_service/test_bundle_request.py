"""What a sample Bundle becomes; what a fired request brings of its prefetch, and to which FHIR server it leads."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from cds_service import hook_request, review
from cds_service.bundle_request import bringing, request_from
from cds_service.settings import Settings
from tests.cds_service.examples import assessing
from tests.faults import library
from tests.serving import ROOT

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


def referring_by_urn(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return a Bundle in which everything but the patient is referred to by the URN of its entry, and by that alone."""
    text = json.dumps(bundle, sort_keys=True)
    for number, entry in enumerate(bundle["entry"]):
        kind, name, url = entry["resource"]["resourceType"], entry["resource"]["id"], entry["fullUrl"]
        if kind != "Patient":
            urn = f'"urn:uuid:00000000-0000-4000-8000-{number:012}"'
            text = text.replace(f'"{kind}/{name}"', urn).replace(f'"{url}"', urn)
    without_display = re.sub(r'"display": "[^"]*", ("reference": "urn:)', r"\1", text)
    return cast("dict[str, Any]", json.loads(without_display))


@pytest.mark.parametrize(
    "name",
    [
        "lantidra-everything-documented",
        "casgevy-sickle-cell-ready",
        "casgevy-facility-not-listed",
        "dli-ready",
        "dual-eligible-two-coverages",
        "til-by-s2107-medicare-advantage",
    ],
)
def test_a_bundle_whose_references_are_urns_of_its_entries_says_the_same(tmp_path: Path, name: str) -> None:
    bundle = json.loads((ROOT / f"sample_bundles/{name}.json").read_text(encoding="utf-8"))
    services = review.Services(Settings.load(data_dir=tmp_path), library())
    said = []
    for one in (bundle, referring_by_urn(bundle)):
        asked = hook_request.read(request_from(one, "1f2c4f0e-6f0b-4d52-9f0c-0b7a20000001"), ("order-sign",))
        found = assessing(review.answer(asked, services, today=datetime.date(2026, 11, 20)))
        judged = [card["extension"]["coverage-cds.assessment"] for card in found]
        said.append(
            [
                ([(c["id"], c["outcome"]) for c in one.get("criteria", ())], one["basis"], one["notices"])
                for one in judged
            ]
        )

    assert said[0] == said[1]


def test_a_request_brings_the_urns_of_entries_and_no_other_full_urls() -> None:
    bundle = json.loads((ROOT / "sample_bundles/lantidra-everything-documented.json").read_text(encoding="utf-8"))

    assert "fullUrl" not in json.dumps(request_from(bundle, "x"))
    assert json.dumps(request_from(referring_by_urn(bundle), "x")).count('"fullUrl": "urn:') == len(bundle["entry"]) - 1


@pytest.mark.parametrize(
    "entry", ["hello", 7, None, {"resource": "x"}, {"resource": {"id": "n"}}, {"fullUrl": "urn:x"}]
)
def test_an_entry_of_a_bundle_that_cannot_be_read_is_named_on_the_card_by_its_place(
    tmp_path: Path, entry: object
) -> None:
    bundle = json.loads((ROOT / "sample_bundles/lantidra-everything-documented.json").read_text(encoding="utf-8"))
    bundle["entry"].insert(3, entry)

    asked = hook_request.read(request_from(bundle, "1f2c4f0e-6f0b-4d52-9f0c-0b7a20000001"), ("order-sign",))
    (card,) = review.answer(
        asked, review.Services(Settings.load(data_dir=tmp_path), library()), today=datetime.date(2026, 11, 20)
    )["cards"]

    assert "Bundle.entry[3]" in card["detail"]
