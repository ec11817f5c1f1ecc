"""From a gap to its form: the link on the card, and the Task on a card of its own."""

from __future__ import annotations

import copy
import datetime
import itertools
import json
from typing import Any

import pytest
from fhir.resources.R4B.task import Task

from cds_service.cards.questionnaire import task_offered, with_link
from cds_service.cards.render import Context
from cds_service.policy.document import Question
from cds_service.questionnaires.left_open import LeftOpen
from tests import medplum
from tests.cds_service.cards.reading import empty_members

BASE = "https://cds.example.org"
CANONICAL = f"{BASE}/fhir/Questionnaire/P1-donislecel|1.part-2"
ASKED = LeftOpen(CANONICAL, (Question("q", "Is it so?"), Question("r", "Is it *not*?")))
ORDER: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "o1",
    "subject": {"reference": "Patient/p1", "extension": [{"url": "urn:x", "valueString": "kept"}]},
    "encounter": {"reference": "Encounter/e1"},
    "requester": {"reference": "Practitioner/dr"},
}


def context(*, smart: bool = False) -> Context:
    numbers = itertools.count()
    return Context(BASE, lambda: f"uuid-{next(numbers)}", str.capitalize, str.upper, smart=smart)


def card() -> dict[str, Any]:
    held = {"order": "MedicationRequest/o1", "therapy": "donislecel", "policy": {"id": "P1"}}
    return {
        "uuid": "4f6d0e2c",
        "detail": "The detail.",
        "source": {"label": "Acme"},
        "links": [{"label": "P1: the criteria in full", "url": f"{BASE}/policies/P1", "type": "absolute"}],
        "extension": {"coverage-cds.assessment": held},
    }


def offered(order: dict[str, Any] = ORDER) -> dict[str, Any]:
    return task_offered(card(), order, "p1", ASKED, datetime.date(2026, 11, 20), context())


def task(order: dict[str, Any] = ORDER) -> dict[str, Any]:
    [suggestion] = offered(order)["suggestions"]
    [action] = suggestion["actions"]
    found: dict[str, Any] = action["resource"]
    return found


def test_the_link_to_the_form_stands_beside_the_one_to_the_policy() -> None:
    links = with_link(card(), CANONICAL, 1, context())["links"]
    assert [link["type"] for link in links] == ["absolute", "absolute"]
    assert links[1]["url"] == f"{BASE}/questionnaires/P1-donislecel?decision=4f6d0e2c"
    assert links[1]["label"] == "Answer 1 open question"


def test_a_client_that_launches_smart_apps_gets_only_that_link_and_loses_none() -> None:
    before = card()
    changed = with_link(before, CANONICAL, 2, context(smart=True))
    [link] = changed["links"]
    assert (link["type"], link["url"], link["label"]) == (
        "smart",
        f"{BASE}/questionnaires/launch",
        "Answer 2 open questions",
    )
    assert json.loads(link["appContext"]) == {"questionnaire": CANONICAL, "decision": "4f6d0e2c"}
    assert changed["detail"].endswith(f"[P1: the criteria in full]({BASE}/policies/P1)")
    assert before == card()


def test_the_task_is_on_a_card_without_links_and_with_ids_of_its_own() -> None:
    found = offered()
    assert "links" not in found
    assert empty_members(found) == []
    assert len({found["uuid"], found["suggestions"][0]["uuid"], card()["uuid"]}) == 3
    assert found["summary"] == "Donislecel, P1: 2 open questions can be answered in a form"
    assert found["selectionBehavior"] == "any"
    [action] = found["suggestions"][0]["actions"]
    assert (action["type"], "resourceId" in action, bool(action["description"])) == ("create", False, True)


def test_a_long_name_is_cut_to_a_summary_that_cds_hooks_allows() -> None:
    long = card()
    long["extension"]["coverage-cds.assessment"]["therapy"] = "x" * 200
    found = task_offered(long, ORDER, "p1", ASKED, datetime.date(2026, 11, 20), context())
    assert len(found["summary"]) < 140


def test_the_task_says_for_whom_on_what_and_which_questionnaire() -> None:
    found = task()
    assert found["for"] == ORDER["subject"]
    assert found["basedOn"] == [{"reference": "MedicationRequest/o1"}]
    assert found["owner"] == {"reference": "Practitioner/dr"}
    assert found["requester"] == {"type": "Organization", "display": "Acme"}
    assert found["encounter"] == {"reference": "Encounter/e1"}
    assert found["authoredOn"] == "2026-11-20"
    [given] = found["input"]
    assert (given["type"]["text"], given["valueCanonical"]) == ("questionnaire", CANONICAL)
    assert "focus" not in found


def test_the_task_is_a_valid_copy_that_leaves_the_order_as_it_was() -> None:
    order = copy.deepcopy(ORDER)
    found = task(order)
    found["for"]["reference"] = "Patient/changed"
    assert order == ORDER
    Task.model_validate(task())
    assert medplum.issues([task()]) == [[]]


@pytest.mark.parametrize("subject", [None, {"display": "somebody"}, "Patient/p1", {"reference": " "}])
def test_without_a_reference_in_the_order_the_task_is_for_the_patient_of_the_request(subject: object) -> None:
    found = task({"resourceType": "ServiceRequest", "subject": subject})
    assert found["for"] == {"reference": "Patient/p1"}
    assert {"basedOn", "owner", "encounter"}.isdisjoint(found)


@pytest.mark.parametrize(
    "written", ["#p", "urn:uuid:3f2c1d74-6c1b-4a58-9d4e-0d9c5a3f7b10", "urn:oid:1.2.3", " ", 5, None]
)
def test_what_only_the_order_can_resolve_is_not_pointed_to_from_the_task(written: object) -> None:
    pointer = {"reference": written}
    made = task({**ORDER, "subject": pointer, "encounter": pointer, "requester": {**pointer, "display": "Dr. Sample"}})
    Task.model_validate(made)
    assert made["for"] == {"reference": "Patient/p1"}
    assert made["owner"] == {"display": "Dr. Sample"}
    assert "encounter" not in made


def test_who_ordered_may_be_named_by_an_identifier() -> None:
    requester = {"type": "Practitioner", "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}}
    assert task({**ORDER, "requester": requester})["owner"] == requester
    assert "owner" not in task({**ORDER, "requester": {"type": "Practitioner"}})
