"""Against an independent FHIR server: however the chart comes, sent, sent in part or fetched, it is judged alike."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cds_service import fhir_client, hook_request, prefetch, review
from cds_service.bundle_request import request_from
from cds_service.settings import Settings
from tests import medplum as medplum_server
from tests.cds_service.ehr import Ehr, silent, status
from tests.cds_service.examples import PATIENT, bundle, resource
from tests.medplum import Medplum
from tests.waiting import ends_by, unhurried

SAMPLES = sorted((Path(__file__).parents[2] / "sample_bundles").glob("*.json"))
ARRIVAL = datetime.date(2026, 11, 20)


@pytest.fixture(scope="module")
def services() -> review.Services:
    return review.Services.load(unhurried(Settings.load(centres=SAMPLES[0].parent / "treatment_centres.csv")))


def sample(name: str) -> dict[str, Any]:
    path = next(path for path in SAMPLES if path.stem == name)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def resources(held: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in held["entry"]]


def assessed(body: dict[str, Any], services: review.Services) -> list[dict[str, Any]]:
    answer = review.answer(hook_request.read(body, ("order-sign",)), services, today=ARRIVAL)
    found = [
        card["extension"]["coverage-cds.assessment"]
        for card in answer["cards"]
        if "coverage-cds.assessment" in card.get("extension", {})
    ]
    return [{**assessment, "decisionId": ""} for assessment in found]


def queries(body: Mapping[str, Any]) -> dict[str, str]:
    patient = quote(body["context"]["patientId"], safe="")
    return {key: query.replace("{{context.patientId}}", patient) for key, query in prefetch.TEMPLATES.items()}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_judged_alike_from_full_minimal_and_no_prefetch(
    path: Path, medplum: Medplum, services: review.Services
) -> None:
    held = sample(path.stem)
    base = medplum.holds(path.stem, resources(held))
    body = {**request_from(held, "sample"), "fhirServer": base}
    full = {key: medplum.gives(path.stem, query) for key, query in queries(body).items()}
    minimal = {key: full[key] for key in prefetch.templates("minimal")}

    from_full, from_minimal, from_none = (
        assessed({**body, "prefetch": sent}, services) for sent in (full, minimal, {})
    )

    assert from_full == from_minimal == from_none
    assert [a["order"] for a in from_full] == [a["order"] for a in assessed(request_from(held, "sample"), services)]


def test_what_the_samples_show_is_read_from_the_server(medplum: Medplum, services: review.Services) -> None:
    held = sample("lantidra-everything-documented")
    base = medplum.holds("read", resources(held))

    [found] = assessed({**request_from(held, "sample"), "fhirServer": base, "prefetch": {}}, services)

    assert found["outcome"] == "met"
    assert found["policy"]["payer"] == "Centene"
    evidence = {item["reference"] for criterion in found["criteria"] for item in criterion.get("evidence", ())}
    assert {"Condition/type-1-diabetes", "Observation/hba1c-latest"} <= evidence


def test_a_server_that_holds_more_than_it_gives_is_not_taken_for_the_whole(
    medplum: Medplum, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This server cuts a search at _count and offers no next page: only its total says that there is more.
    monkeypatch.setattr(fhir_client, "PAGE_SIZE", 2)
    base = medplum.holds("cut", [resource("Condition", f"c{number}") for number in range(3)])

    fetched = fhir_client.FhirReader(base).many(["Condition?patient=p1"])["Condition?patient=p1"]

    assert len(fetched.resources) == 2
    assert fetched.problem == "the FHIR server has more records of it than it gave"


def test_the_servers_packages_are_pinned_by_content_and_name_no_registry() -> None:
    locked = json.loads((medplum_server.FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]

    assert {name: package for name, package in locked.items() if name and "integrity" not in package} == {}
    assert [name for name, package in locked.items() if "resolved" in package] == []


def test_another_patients_records_on_the_same_server_are_not_fetched(medplum: Medplum) -> None:
    ours, others = resource("Condition", "c1"), resource("Condition", "c2", "p2")
    base = medplum.holds("two-patients", [PATIENT, ours, {**PATIENT, "id": "p2"}, others])

    [found] = fhir_client.FhirReader(base).search("Condition?patient=p1")

    assert found["id"] == "c1"


def test_an_answer_is_given_in_time_and_says_what_did_not_come(ehr: Ehr, services: review.Services) -> None:
    hurried = replace(services, settings=services.settings.model_copy(update={"answer_deadline": 1.0}))
    body = {**request_from(sample("lantidra-everything-documented"), "sample"), "fhirServer": ehr.base}
    body["prefetch"] = {key: body["prefetch"][key] for key in prefetch.templates("minimal")}
    for query in queries(body).values():
        ehr.does(query, silent(ehr))
    cards: list[Any] = []

    assert ends_by(1.0, lambda: cards.append(assessed(body, hurried)))

    [found] = cards[-1]
    by_letter = {criterion["id"]: criterion["outcome"] for criterion in found["criteria"]}
    assert (by_letter["I.A"], by_letter["I.B"], by_letter["I.C.2"]) == ("met", "undocumented", "undocumented")
    assert any("did not answer in time" in notice for notice in found["notices"])


def test_requests_share_connections(services: review.Services) -> None:
    body = request_from(sample("lantidra-everything-documented"), "sample")
    with Ehr(keep_alive=True).running() as ehr:
        for query in queries(body).values():
            ehr.has(query, bundle())
        for _ in range(3):
            assessed({**body, "prefetch": {}, "fhirServer": ehr.base}, services)

        assert ehr.connections <= fhir_client.MAX_AT_ONCE < len(ehr.asked)


def test_what_could_not_be_fetched_leaves_only_its_own_criteria_undocumented(
    ehr: Ehr, services: review.Services
) -> None:
    held = sample("lantidra-everything-documented")
    body = {**request_from(held, "sample"), "fhirServer": ehr.base}
    for key, query in queries(body).items():
        ehr.has(query, body["prefetch"].get(key) or {"resourceType": "Bundle", "type": "searchset"})
    ehr.does(queries(body)["observations"], status(500))

    [found] = assessed({**body, "prefetch": {}}, services)

    undocumented = [criterion for criterion in found["criteria"] if criterion["outcome"] == "undocumented"]
    assert undocumented
    assert all("could not be retrieved" in criterion["reason"] for criterion in undocumented)
    assert {"I.A", "I.B", "I.C.2"} <= {c["id"] for c in found["criteria"] if c["outcome"] == "met"}
    assert any("could not be retrieved" in notice for notice in found["notices"])
