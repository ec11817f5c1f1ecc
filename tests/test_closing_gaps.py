"""The loop closes: order-sign, gaps, the questionnaire of the decision, its answers, order-sign again, no such gap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse

from cds_service import create_app
from cds_service.bundle_request import request_from
from cds_service.settings import Settings
from tests import medplum
from tests.answering import response
from tests.cds_service.ehr import Ehr
from tests.serving import ROOT, on_a_socket
from tests.waiting import unhurried

SAMPLES = sorted((ROOT / "sample_bundles").glob("*.json"))
SERVICE = "/cds-services/coverage-criteria"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the whole application on a socket."""
    settings = Settings.load(
        data_dir=tmp_path_factory.mktemp("data"), centres=ROOT / "sample_bundles/treatment_centres.csv"
    )
    app = create_app(unhurried(settings))
    with on_a_socket(app) as url:
        yield url
    app.extensions["recorder"].close()


def sign(service: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = requests.post(service + SERVICE, json=body, timeout=60)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["cards"]
    return found


def assessment(card: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = card.get("extension", {}).get("coverage-cds.assessment", {})
    return found


def gaps(card: dict[str, Any]) -> list[str]:
    """Return the letters that are undocumented and that a person can settle."""
    criteria = assessment(card).get("criteria", [])
    return [c["id"] for c in criteria if c["outcome"] == "undocumented" and "question" in c]


def questionnaire_of(card: dict[str, Any], service: str) -> dict[str, Any]:
    """Return the questionnaire that the card's link to the form is about, as FHIR."""
    [link] = [link for link in card["links"] if "/questionnaires/" in link["url"]]
    parts = urlsplit(link["url"])
    name = parts.path.removeprefix("/questionnaires/")
    answer = requests.get(f"{service}/fhir/Questionnaire/{name}?{parts.query}", timeout=60)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def gaps_of(path: Path) -> tuple[dict[str, Any], str]:
    body = request_from(json.loads(path.read_text(encoding="utf-8")), "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")
    return body, body["context"]["patientId"]


@pytest.fixture(scope="module")
def answers_given() -> list[dict[str, Any]]:
    return []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_gap_that_a_person_can_settle_is_settled_by_the_answers(
    path: Path, service: str, answers_given: list[dict[str, Any]]
) -> None:
    body, patient = gaps_of(path)
    before = sign(service, body)
    responses = []
    for number, card in enumerate(before):
        if gaps(card):
            asked = questionnaire_of(card, service)
            responses.append(response(asked, patient, assessment(card)["asOf"], f"answers-{number}"))
    answers_given += responses
    empty = {"resourceType": "Bundle", "type": "searchset"}
    sent = body["prefetch"].setdefault("questionnaireResponses", empty)
    sent["entry"] = [*sent.get("entry", []), *({"resource": r} for r in responses)]
    after = sign(service, body)

    assert [gaps(card) for card in after if gaps(card)] == []
    settled = {(assessment(c)["policy"]["id"], letter) for c in before for letter in gaps(c)}
    for card in after:
        held = assessment(card)
        for criterion in held.get("criteria", []):
            if (held["policy"]["id"], criterion["id"]) in settled:
                assert criterion["outcome"] == "met"
                cited = [e["reference"] for e in criterion["evidence"]]
                assert [r for r in cited if r.startswith("QuestionnaireResponse/answers-")]


@pytest.mark.parametrize("status", ["completed", "amended", "in-progress"])
def test_answers_that_the_ehr_only_holds_are_fetched_and_settle_the_gap(service: str, ehr: Ehr, status: str) -> None:
    body, patient = gaps_of(ROOT / "sample_bundles/lantidra-one-hypoglycemia-event-only.json")
    [before] = [card for card in sign(service, body) if gaps(card)]
    given = response(questionnaire_of(before, service), patient, assessment(before)["asOf"], "held")
    held = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {**given, "status": status}}]}
    ehr.has(f"QuestionnaireResponse?patient={patient}", held)
    body["prefetch"].pop("questionnaireResponses", None)

    cards = sign(service, {**body, "fhirServer": ehr.base})

    assert [gaps(card) for card in cards if gaps(card)] == ([["I.C.2"]] if status == "in-progress" else [])
    cited = [e["reference"] for c in assessment(cards[0])["criteria"] for e in c.get("evidence", [])]
    assert ("QuestionnaireResponse/held" in cited) == (status != "in-progress")


def test_the_answers_of_the_loop_are_valid_and_many(answers_given: list[dict[str, Any]]) -> None:
    if not answers_given:
        pytest.skip("runs after the loops of this module")
    assert len(answers_given) >= 12
    for given in answers_given:
        QuestionnaireResponse.model_validate(given)
    assert medplum.issues(answers_given) == [[]] * len(answers_given)
