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
PROMISES = yaml.safe_load((HERE / "sample_promises.yaml").read_text())
ARRIVAL = datetime.date(2026, 11, 20)


@pytest.fixture(scope="module")
def services() -> review.Services:
    return review.Services.load(Settings.load())


def assessments(bundle: str, services: review.Services) -> list[dict[str, Any]]:
    document = json.loads((SAMPLES / f"{bundle}.json").read_text())
    request = hook_request.read(request_from(document, "sample"), ("order-sign",))
    cards = review.answer(request, services, today=ARRIVAL)["cards"]
    return [card["extension"]["coverage-cds.assessment"] for card in cards]


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
        if "elsewhere" in promise:
            assert assessment["elsewhere"]["document"] == promise["elsewhere"]
            assert "outcome" not in assessment
            assert "criteria" not in assessment
            continue
        assert assessment["policy"]["id"] == promise["policy"]
        letters = [criterion["id"] for criterion in assessment["criteria"]]
        assert letters == PROMISES["criteria"][promise["policy"]][promise["therapy"]]
        if promise.get("judged") is not False:
            check_judged(assessment, promise)


def check_judged(assessment: dict[str, Any], promise: dict[str, Any]) -> None:
    outcomes = {criterion["id"]: criterion["outcome"] for criterion in assessment["criteria"]}
    assert outcomes == {letter: promised_outcome(promise, letter) for letter in outcomes}
    assert assessment["outcome"] == promise["outcome"]
    conflicts = {criterion["id"] for criterion in assessment["criteria"] if criterion.get("conflict")}
    assert conflicts == set(promise.get("conflict", ()))


@pytest.mark.parametrize("bundle", PROMISES["bundles"])
def test_a_gap_says_what_would_settle_it_and_a_met_criterion_does_not(bundle: str, services: review.Services) -> None:
    for assessment in assessments(bundle, services):
        for criterion in assessment.get("criteria", ()):
            assert ("settledBy" in criterion) == (criterion["outcome"] != "met")
            assert criterion["reason"]
