"""The form of a questionnaire as a clinician fills it: by mouse, by keyboard, on a phone; and what comes of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests

from cds_service.bundle_request import request_from
from fhir_mappings.attestations import CONTEXT
from tests.browser.accessibility import accessible
from tests.browser.conftest import DESKTOP, PHONE
from tests.calling import SERVICE
from tests.serving import ROOT
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

ONE_EVENT = "lantidra-one-hypoglycemia-event-only"
NEW = "lantidra-new-to-the-plan"
EVENTS = "repeated-severe-hypoglycemia"
HBA1C = "hba1c-target-not-reached"


def sample(name: str) -> dict[str, Any]:
    text = (ROOT / f"sample_bundles/{name}.json").read_text(encoding="utf-8")
    return request_from(json.loads(text), "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")


def sign(service: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the first card."""
    answer = requests.post(service + SERVICE, json=body, timeout=PATIENCE)
    assert answer.status_code == 200
    card: dict[str, Any] = answer.json()["cards"][0]
    return card


def opened(page: Page, service: str, name: str) -> None:
    """Open the form that the card of a sample links to, as its user would."""
    [url] = [link["url"] for link in sign(service, sample(name))["links"] if "/questionnaires/" in link["url"]]
    page.goto(url)
    page.wait_for_selector("#form[data-ready]")


def made(page: Page) -> dict[str, Any]:
    page.wait_for_selector("#done:not([hidden])")
    found: dict[str, Any] = json.loads(page.locator("#response").inner_text())
    return found


def question(page: Page, letter: str) -> Any:
    return page.get_by_role("group", name=re.compile(rf"^{re.escape(letter)} "))


def test_the_answers_given_on_the_page_settle_the_gap(page: Page, service: str) -> None:
    opened(page, service, ONE_EVENT)
    events = question(page, "I.C.2")
    assert events.get_by_text("The chart:").is_visible()
    assert not events.get_by_label("When was the latest of these events?").is_visible()
    events.get_by_label("Yes").check()
    latest = events.get_by_label("When was the latest of these events?")
    assert re.fullmatch(r"2026-\d\d-\d\d", latest.input_value())
    assert events.get_by_text("from the chart; please check").is_visible()
    latest.fill("2026-10-20")
    assert not events.get_by_text("from the chart; please check").is_visible()
    page.get_by_label("Your name").fill("Dr. Sample")
    page.get_by_role("button", name="Finish").click()

    response = made(page)
    body = sample(ONE_EVENT)
    response["id"] = "from-the-form"
    response["authored"] = "2026-11-02T10:00:00Z"  # the sample's own day, however late the test runs
    body["prefetch"]["questionnaireResponses"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": response}],
    }
    [criterion] = [
        c for c in sign(service, body)["extension"]["coverage-cds.assessment"]["criteria"] if c["id"] == "I.C.2"
    ]
    assert criterion["outcome"] == "met"
    assert "QuestionnaireResponse/from-the-form" in [e["reference"] for e in criterion["evidence"]]
    assert response["author"] == {"type": "Practitioner", "display": "Dr. Sample"}
    assert response["subject"]["reference"].startswith("Patient/")
    order = {"reference": "MedicationRequest/lantidra-order"}
    assert response["extension"] == [{"url": CONTEXT, "valueReference": order}]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_is_accessible_and_fits(page: Page, service: str) -> None:
    opened(page, service, NEW)
    question(page, "I.C.1").get_by_label("Yes").check()
    accessible(page)
    page.get_by_role("button", name="Finish").click()
    page.wait_for_selector("#problem:not([hidden])")
    accessible(page)
    page.get_by_label("Your name").fill("Dr. Sample")
    page.get_by_role("button", name="Finish").click()
    made(page)
    accessible(page)
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width == 0


def test_the_form_is_filled_with_the_keyboard_alone(page: Page, service: str) -> None:
    opened(page, service, ONE_EVENT)
    page.get_by_label("Yes").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    assert question(page, "I.C.2").get_by_label("No", exact=True).is_checked()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "clear"
    page.keyboard.press("Enter")
    assert page.locator("input[type=radio]:checked").count() == 0
    assert page.evaluate("document.activeElement.value") == "N"
    page.keyboard.press("Space")
    for _ in range(12):
        if page.evaluate("document.activeElement.id") == "author":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("Dr. Sample")
    page.keyboard.press("Enter")
    [item] = made(page)["item"]
    assert item["answer"][0]["valueCoding"]["code"] == "N"
    assert "item" not in item["answer"][0]


def test_what_is_missing_is_said_where_a_screen_reader_hears_it(page: Page, service: str) -> None:
    opened(page, service, ONE_EVENT)
    page.get_by_role("button", name="Finish").click()
    alert = page.get_by_role("alert")
    assert alert.inner_text().split("\n\n") == ["No question is answered yet.", "The name of who answers is missing."]
    assert page.evaluate("document.activeElement.id") == "problem"
    assert page.get_by_label("Your name").get_attribute("aria-invalid") == "true"


def test_follow_ups_are_part_of_their_answer_and_an_answer_can_be_changed(page: Page, service: str) -> None:
    opened(page, service, NEW)
    target = question(page, "I.C.1")
    target.get_by_label("Yes").check()
    target.get_by_label("The latest HbA1c").fill("8.4")
    target.get_by_label("When was it measured?").fill("2026-10-01")
    page.get_by_label("Your name").fill("Dr. Sample")
    page.get_by_role("button", name="Finish").click()
    [item] = made(page)["item"]
    value, date = item["answer"][0]["item"]
    unit = {"unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    assert value["answer"] == [{"valueQuantity": {"value": 8.4, **unit}}]
    assert date["answer"] == [{"valueDate": "2026-10-01"}]
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied.").wait_for()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["item"] == [item]
    page.get_by_role("button", name="Change the answers").click()
    target.get_by_label("Unknown").check()
    page.get_by_role("button", name="Finish").click()
    assert made(page)["item"][0]["answer"] == [
        {
            "valueCoding": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
                "code": "UNK",
                "display": "unknown",
            }
        }
    ]


def prefilled(page: Page, service: str, *evidence: dict[str, str]) -> list[str]:
    """Open a form whose chart shows this evidence on the HbA1c; return what the number and its day begin with."""
    told = {"id": "I.C.1", "outcome": "undocumented", "text": "", "reason": "Open.", "question": HBA1C}
    chart = {"criteria": [told | {"evidence": list(evidence)}]}
    page.route("**/chart", lambda route: route.fulfill(json=chart))
    opened(page, service, NEW)
    target = question(page, "I.C.1")
    target.get_by_label("Yes").check()
    fields = [target.get_by_label(label) for label in ("The latest HbA1c", "When was it measured?")]
    marked = target.get_by_text("from the chart; please check").locator("visible=true").count()
    values = [field.input_value() for field in fields]
    assert marked == len([value for value in values if value])
    return values


def test_a_number_and_its_day_are_of_one_record_of_the_chart(page: Page, service: str) -> None:
    goal = {"reference": "Goal/g", "date": "2026-10-30"}
    measured = {"reference": "Observation/a", "date": "2026-08-01", "value": "8.4 %"}
    older = {"reference": "Observation/b", "date": "2026-02-01", "value": "9.1 %"}
    assert prefilled(page, service, goal, measured, older) == ["8.4", "2026-08-01"]
    assert prefilled(page, service, goal, measured | {"date": "2026-08"}, older) == ["8.4", ""]
    assert prefilled(page, service, goal, measured | {"value": "68 mmol/mol"}) == ["", ""]


def test_what_the_chart_settles_is_shown_apart(page: Page, service: str) -> None:
    opened(page, service, ONE_EVENT)
    settled = page.locator("#settled")
    settled.get_by_text("What the chart settles by itself").click()
    assert settled.get_by_text(re.compile(r"^I\.B, met: ")).is_visible()
    assert page.locator("fieldset[data-link]").count() == 1


def test_without_a_decision_every_question_is_asked_and_the_patient_named(page: Page, service: str) -> None:
    page.goto(f"{service}/questionnaires")
    accessible(page)
    page.get_by_role("link", name=re.compile("^Lantidra .* CP.MP.250")).click()
    page.wait_for_selector("#form[data-ready]")
    assert page.locator("fieldset[data-link]").count() == 8
    page.get_by_label("Your name").fill("Dr. Sample")
    page.get_by_label("The patient's FHIR id").fill("p1")
    question(page, "I.B").get_by_label("Yes").check()
    page.get_by_role("button", name="Finish").click()
    assert made(page)["subject"] == {"reference": "Patient/p1"}
