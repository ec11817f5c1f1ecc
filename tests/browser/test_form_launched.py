"""The form launched by an EHR as a SMART app: from the link of a card to answers saved in the EHR."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import requests

from tests.browser.accessibility import accessible
from tests.browser.smart_ehr import CLIENT_ID, SmartEhr
from tests.browser.test_form import ONE_EVENT, question, sample
from tests.calling import SERVICE
from tests.cds_service.security.signing import ISSUER, claims, jwks, signed
from tests.serving import project_folder, serving
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.watching import Watch

PATIENT = sample(ONE_EVENT)["context"]["patientId"]


@pytest.fixture
def ehr() -> Iterator[SmartEhr]:
    with SmartEhr(PATIENT).running() as running:
        yield running


@pytest.fixture
def service(tmp_path: Path, ehr: SmartEhr) -> Iterator[str]:
    """A service that knows the EHR as a client with our form as its SMART app."""
    (tmp_path / "keys.json").write_bytes(jwks())
    clients = tmp_path / "clients.yaml"
    clients.write_text(
        f"clients: [{{name: EHR, issuer: '{ISSUER}', keys: keys.json, fhir_servers: '{ehr.base}/fhir', "
        f"smart_app: {{client_id: {CLIENT_ID}, origins: ['{ehr.base}']}}}}]",
        encoding="utf-8",
    )
    folder = tmp_path / "project"
    folder.mkdir()
    with serving(project_folder(folder), settings={"COVERAGE_CDS_CLIENTS": str(clients)}) as (url, _):
        yield url


def link(service: str, ehr: SmartEhr) -> dict[str, Any]:
    """Sign the order as the EHR does, and return the one link of the card."""
    url = service + SERVICE
    token = signed(claims(time.time(), url))
    answer = requests.post(url, json=sample(ONE_EVENT), headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)
    assert answer.status_code == 200
    [found] = answer.json()["cards"][0]["links"]
    ehr.app_context = found["appContext"]
    result: dict[str, Any] = found
    return result


def followed(page: Page, watch: Watch, url: str, until: str) -> None:
    """Open a launch and wait for where it leads; the pages on the way are left before their icon is there."""
    page.goto(url)
    page.wait_for_selector(until)
    watch.problems[:] = [p for p in watch.problems if "ERR_ABORTED" not in p]


def launched(page: Page, watch: Watch, service: str, ehr: SmartEhr) -> None:
    """Follow the link of a card as an EHR does."""
    found = link(service, ehr)
    assert found["type"] == "smart"
    watch.expect(f"another origin: {ehr.base}")
    query = urlencode({"iss": f"{ehr.base}/fhir", "launch": "launch-1"})
    followed(page, watch, f"{found['url']}?{query}", "#form[data-ready]")


def test_answers_given_in_the_launched_form_are_saved_in_the_ehr(
    page: Page, watch: Watch, service: str, ehr: SmartEhr
) -> None:
    launched(page, watch, service, ehr)
    assert ehr.refused == []
    assert page.get_by_text("The chart:").is_visible()
    question(page, "I.C.2").get_by_label("Yes").check()
    page.get_by_label("Your name").fill("Dr. Sample")
    accessible(page)
    page.get_by_role("button", name="Save to the EHR").click()
    page.get_by_text("Saved in the EHR as QuestionnaireResponse/saved-1.").wait_for()
    [saved] = ehr.saved
    assert saved["subject"] == {"reference": f"Patient/{PATIENT}"}
    assert saved["status"] == "completed"
    assert saved["extension"][0]["valueReference"] == {"reference": "MedicationRequest/lantidra-order"}
    assert saved["questionnaire"].startswith(f"{service}/fhir/Questionnaire/CP.MP.250-donislecel|")
    assert [item["linkId"] for item in saved["item"]] == ["repeated-severe-hypoglycemia"]
    assert not any(PATIENT in path for path in ehr.paths if not path.startswith("/fhir/Patient/"))


def test_a_session_of_another_patient_sees_nothing_and_saves_nothing(
    page: Page, watch: Watch, service: str, ehr: SmartEhr
) -> None:
    ehr.patient = "somebody-else"
    watch.expect("404")
    launched(page, watch, service, ehr)
    assert page.get_by_text("not about the patient for whom this form was opened").is_visible()
    assert not page.get_by_text("The chart:").is_visible()
    question(page, "I.C.2").get_by_label("Yes").check()
    page.get_by_label("Your name").fill("Dr. Sample")
    page.get_by_role("button", name="Finish").click()
    page.get_by_text("Nothing was sent anywhere.").wait_for()
    assert ehr.saved == []


def not_saved(page: Page, ehr: SmartEhr) -> None:
    """Answer the question, and see that nothing comes of it in the EHR."""
    question(page, "I.C.2").get_by_label("Yes").check()
    page.get_by_label("Your name").fill("Dr. Sample")
    page.get_by_role("button", name="Finish").click()
    page.get_by_text("Nothing was sent anywhere.").wait_for()
    assert ehr.saved == []
    assert "subject" not in json.loads(page.locator("#response").inner_text())


NOT_TOLD = "It cannot be told just now whether these questions are about the patient"
NOT_CHECKED = "It could not be checked whether these questions are about the patient"


@pytest.mark.parametrize("patient", [PATIENT, "somebody-else"])
@pytest.mark.parametrize(
    ("status", "said"), [(400, NOT_CHECKED), (503, NOT_TOLD), (None, NOT_CHECKED)], ids=["refused", "busy", "cut off"]
)
def test_a_session_whose_patient_was_not_proven_saves_nothing(
    page: Page, watch: Watch, service: str, ehr: SmartEhr, *, patient: str, status: int | None, said: str
) -> None:
    ehr.patient = patient
    page.route("**/chart", lambda route: route.fulfill(status=status, body="{}") if status else route.abort())
    watch.expect(f"status of {status}" if status else "ERR_FAILED")
    launched(page, watch, service, ehr)
    assert page.get_by_text(said).is_visible()
    assert not page.get_by_text("Opened from the EHR").is_visible()
    not_saved(page, ehr)


def test_a_patient_whom_the_ehr_does_not_read_is_not_told_to_be_another(
    page: Page, watch: Watch, service: str, ehr: SmartEhr
) -> None:
    ehr.reads_patients = False
    watch.expect("status of 503")
    launched(page, watch, service, ehr)
    assert page.get_by_text(NOT_TOLD).is_visible()
    not_saved(page, ehr)


def test_a_launch_without_a_patient_saves_nothing(page: Page, watch: Watch, service: str, ehr: SmartEhr) -> None:
    ehr.patient = ""
    launched(page, watch, service, ehr)
    assert page.get_by_text("The EHR did not say for which patient this form was opened").is_visible()
    not_saved(page, ehr)


def test_what_the_ehr_does_not_take_is_not_lost(page: Page, watch: Watch, service: str, ehr: SmartEhr) -> None:
    launched(page, watch, service, ehr)
    ehr.takes_answers = False
    watch.expect("403")
    question(page, "I.C.2").get_by_label("Yes").check()
    page.get_by_label("Your name").fill("Dr. Sample")
    page.get_by_role("button", name="Save to the EHR").click()
    page.get_by_text("The EHR did not take the answers.").wait_for()
    assert question(page, "I.C.2").get_by_label("Yes").is_checked()
    accessible(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    kept = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert (kept["subject"], "id" in kept) == ({"reference": f"Patient/{PATIENT}"}, False)
    ehr.takes_answers = True
    page.get_by_role("button", name="Save to the EHR").click()
    page.get_by_text("Saved in the EHR").wait_for()
    assert json.loads(page.locator("#response").inner_text())["id"] == "saved-1"
    assert not page.get_by_role("button", name="Save to the EHR").is_visible()


def test_a_launch_that_says_nothing_of_the_questions_is_explained(
    page: Page, watch: Watch, service: str, ehr: SmartEhr
) -> None:
    watch.expect(f"another origin: {ehr.base}")
    query = urlencode({"iss": f"{ehr.base}/fhir", "launch": "launch-1"})
    said = "text=The EHR did not say which questions are meant."
    followed(page, watch, f"{service}/questionnaires/launch?{query}", said)
    accessible(page)


@pytest.mark.parametrize("kept", [True, False])
def test_a_code_that_comes_with_another_state_is_not_used(
    page: Page, watch: Watch, service: str, ehr: SmartEhr, *, kept: bool
) -> None:
    if kept:  # a session of this browser, which the forged answer must not be taken for
        launched(page, watch, service, ehr)
    asked = ehr.paths.count("/token")
    forged = f"{service}/questionnaires/launched?code=stolen&state=guessed"
    followed(page, watch, forged, "text=The EHR did not let this form in.")
    assert ehr.paths.count("/token") == asked
    assert ehr.saved == []


def test_a_launch_by_a_stranger_leads_nowhere(page: Page, watch: Watch, service: str) -> None:
    watch.expect("403")
    page.goto(f"{service}/questionnaires/launch?iss=http%3A%2F%2F127.0.0.1%3A9%2Ffhir&launch=1")
    assert page.get_by_text("not registered with the EHR").is_visible()


def test_a_link_followed_without_a_launch_shows_no_chart(page: Page, watch: Watch, service: str, ehr: SmartEhr) -> None:
    decision = json.loads(link(service, ehr)["appContext"])["decision"]
    watch.expect("400")
    page.goto(f"{service}/questionnaires/CP.MP.250-donislecel?decision={decision}")
    page.wait_for_selector("#form[data-ready]")
    assert page.get_by_text("What the chart says is not shown here.").is_visible()
    assert page.get_by_role("button", name="Finish").is_visible()
