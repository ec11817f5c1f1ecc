"""Each sample bundle gets the cards that its name promises."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service import hook_request, review
from cds_service.bundle_request import request_from
from cds_service.settings import Settings

HERE = Path(__file__).parents[1]
SAMPLES = HERE.parent / "sample_bundles"
PROMISES = yaml.safe_load((HERE / "sample_promises.yaml").read_text(encoding="utf-8"))
ARRIVAL = datetime.date(2026, 11, 20)
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"


@pytest.fixture(scope="module")
def services() -> review.Services:
    return review.Services.load(Settings.load(centres=SAMPLES / "treatment_centres.csv"))


def document(bundle: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{bundle}.json").read_text(encoding="utf-8"))
    return found


def cards(bundle: str, services: review.Services) -> list[dict[str, Any]]:
    request = hook_request.read(request_from(document(bundle), "sample"), ("order-sign",))
    found: list[dict[str, Any]] = review.answer(request, services, today=ARRIVAL)["cards"]
    return found


def assessments(bundle: str, services: review.Services) -> list[dict[str, Any]]:
    held = [
        card["extension"] for card in cards(bundle, services) if "coverage-cds.assessment" in card.get("extension", {})
    ]
    return [extension["coverage-cds.assessment"] for extension in held]


def promised_outcome(promise: dict[str, Any], letter: str) -> str:
    for outcome in ("not-met", "undocumented"):
        if letter in promise.get(outcome, ()):
            return outcome
    return "met"


@pytest.mark.parametrize("bundle", PROMISES["bundles"])
def test_a_sample_gets_the_cards_that_its_name_promises(bundle: str, services: review.Services) -> None:
    found = assessments(bundle, services)
    promises = PROMISES["bundles"][bundle]
    assert len(found) == len(promises)
    for assessment, promise in zip(found, promises, strict=True):
        assert {k: assessment[k] for k in ("order", "therapy", "basis")} == {
            k: promise[k] for k in ("order", "therapy", "basis")
        }
        assert missing_from(assessment.get("notices", []), promise.get("notices", [])) == []
        if "elsewhere" in promise:
            assert assessment["elsewhere"]["document"] == promise["elsewhere"]
            assert "outcome" not in assessment
            assert "criteria" not in assessment
        else:
            check_judged(assessment, promise)


def missing_from(notices: list[str], promised: list[str]) -> list[str]:
    said = "\n".join(notices).casefold()
    return [phrase for phrase in promised if phrase.casefold() not in said]


def check_judged(assessment: dict[str, Any], promise: dict[str, Any]) -> None:
    assert assessment["policy"]["id"] == promise["policy"]
    letters = PROMISES["criteria"][promise["policy"]][promise["therapy"]]
    outcomes = {criterion["id"]: criterion["outcome"] for criterion in assessment["criteria"]}
    assert list(outcomes) == letters
    assert outcomes == {letter: promised_outcome(promise, letter) for letter in letters}
    assert assessment["outcome"] == promise["outcome"]
    conflicts = {criterion["id"] for criterion in assessment["criteria"] if criterion.get("conflict")}
    assert conflicts == set(promise.get("conflict", ()))


@pytest.mark.parametrize("bundle", PROMISES["bundles"])
def test_a_sample_gets_the_codes_offered_that_its_name_promises(bundle: str, services: review.Services) -> None:
    offered = [
        action["resource"]
        for card in cards(bundle, services)
        for suggestion in card.get("suggestions", ())
        for action in suggestion["actions"]
        if action["type"] == "update"
    ]
    promises = [promise for promise in PROMISES["bundles"][bundle] if "suggests" in promise]
    assert offered == [with_code(bundle, promise["order"], promise["suggests"]) for promise in promises]


def with_code(bundle: str, order: str, code: str) -> dict[str, Any]:
    """Return a medication order of the bundle with that code as its only one, everything else as it stands."""
    resources = [entry["resource"] for entry in document(bundle)["entry"]]
    found: dict[str, Any] = next(r for r in resources if f"{r['resourceType']}/{r['id']}" == order)
    found["medicationCodeableConcept"]["coding"] = [{"system": HCPCS, "code": code}]
    return found


@pytest.mark.parametrize("bundle", PROMISES["bundles"])
def test_a_gap_says_what_would_settle_it_and_a_met_criterion_does_not(bundle: str, services: review.Services) -> None:
    for assessment in assessments(bundle, services):
        for criterion in assessment.get("criteria", ()):
            assert ("settledBy" in criterion) == (criterion["outcome"] != "met")
            assert criterion["reason"]
