"""The playground when there is nothing to show, too much, or something is wrong: it says what, where, what helps."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import accessible
from tests.browser.bench import GAP, Bench, sample
from tests.browser.watching import Watch
from tests.cds_service.security import signing
from tests.serving import project_folder, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

SERVICE = "/cds-services/coverage-criteria"
SETTLED = 500
"""Milliseconds in which what came too late would be shown."""
HEBREW = "\u05d4\u05d9\u05e4\u05d5\u05d2\u05dc\u05d9\u05e7\u05de\u05d9\u05d4 \u05d7\u05de\u05d5\u05e8\u05d4"


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def test_firing_nothing_says_what_to_do(page: Page) -> None:
    Bench(page).open()

    page.get_by_role("button", name="Fire order-sign").click()

    expect(page.locator("#state")).to_have_text("There is nothing to send yet: pick a sample, or paste a Bundle.")
    expect(page.locator("#result")).to_contain_text("Nothing has been fired yet.")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n  "a": "Bundle"\n  "b": []\n}', 'Line 3, column 3: a comma or } is expected, "\\"" stands here.'),
        ('{\n  "a": 1,\n}', "Line 2, column 9: nothing follows this comma; take it out."),
        ('{"a": \u201cb\u201d}', 'Line 1, column 7: use straight quotes (").'),
        ('{"a": 01}', 'Line 1, column 7: a value is expected, "0" stands here.'),
        ('{"a": "b', "Line 1, column 7: this text has no closing quote."),
        ('{"a": 1, "a": 2}', 'Line 1, column 10: "a" stands twice in one object.'),
        ("{ ", "Line 1, column 3: a text in quotes is expected, the text ends here."),
    ],
)  # fmt: skip
def test_what_is_not_json_is_told_in_its_place(watch: Watch, text: str, problem: str) -> None:
    bench = Bench(watch.page).open()

    bench.write(text)
    expect(watch.page.locator("#problem")).to_have_text(problem)
    expect(watch.page.locator(".cm-lint-marker-error")).to_have_count(1)
    watch.page.locator("#problem button").click()
    expect(bench.content).to_be_focused()
    accessible(watch.page)
    bench.fire()

    expect(bench.result).to_contain_text("The service cannot read this request (400)")
    expect(bench.result).to_contain_text(re.compile(r"line \d+, column \d+|same name"))
    watch.expect("status of 400")


def test_json_that_can_be_read_again_has_no_problem(page: Page) -> None:
    bench = Bench(page).open()
    bench.write("{ ")
    expect(page.locator("#problem")).not_to_be_empty()

    bench.write('{"a": [1, -2.5e3, true, null, "\\u00e9\\n"], "b": {}}')

    expect(page.locator("#problem")).to_be_empty()


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ({"resourceType": "Patient", "id": "a"}, 400, "neither a FHIR Bundle"),
        ({"resourceType": "Bundle", "type": "collection"}, 422, "no order with status draft"),
        ({"hook": "patient-view", "hookInstance": "x", "context": {}}, 400, "The hook of this request"),
    ],
)
def test_what_is_no_request_is_told_with_what_would_be(
    watch: Watch, document: dict[str, Any], status: int, said: str
) -> None:
    bench = Bench(watch.page).open()

    bench.fire(document)

    expect(bench.result.get_by_role("alert")).to_contain_text(f"({status})")
    expect(bench.result).to_contain_text(said)
    accessible(watch.page)
    watch.expect(f"status of {status}")


def test_nothing_to_go_on_is_told_with_the_request_at_hand(watch: Watch) -> None:
    bench = Bench(watch.page).open(GAP)
    watch.page.get_by_role("tab", name="Request").click()
    request = json.loads(watch.page.locator("[role=tabpanel]:visible pre").inner_text())

    bench.fire({**request, "prefetch": {}})

    expect(bench.result.get_by_role("alert")).to_contain_text("Nothing to go on (412)")
    expect(bench.result).to_contain_text("Put at least the Patient in.")
    watch.page.get_by_role("tab", name="Response").click()
    expect(watch.page.locator("[role=tabpanel]:visible")).to_contain_text("OperationOutcome")
    watch.expect("status of 412")


def test_an_answer_is_never_shown_beside_another_document_than_it_was_given_to(page: Page) -> None:
    held: list[Route] = []
    page.route(f"**{SERVICE}", lambda route: route.continue_() if held else held.append(route))
    bench = Bench(page).open()
    page.locator(f'#groups a[data-sample="{GAP}"]').click()
    expect(page.locator("#state")).to_have_text("Fired …")

    page.locator("#samples > summary").click()
    page.locator('#groups a[data-sample="casgevy-sickle-cell-ready"]').click()

    expect(bench.cards.first).to_contain_text("Casgevy")
    held[0].continue_()
    page.wait_for_timeout(SETTLED)
    expect(bench.content).to_contain_text("casgevy")
    expect(bench.cards.first).to_contain_text("Casgevy")
    expect(bench.cards.filter(has_text="Lantidra")).to_have_count(0)
    expect(page.locator("#state")).to_be_empty()


def test_of_two_samples_the_one_picked_last_is_loaded_however_long_the_other_takes(page: Page) -> None:
    held: list[Route] = []
    page.route(f"**/{GAP}.json", lambda route: held.append(route))
    bench = Bench(page).open()
    page.locator(f'#groups a[data-sample="{GAP}"]').click()
    page.locator('#groups a[data-sample="casgevy-sickle-cell-ready"]').click()
    expect(bench.cards.first).to_contain_text("Casgevy")

    held[0].continue_()
    page.wait_for_timeout(SETTLED)

    expect(page.locator("#chosen")).to_have_text("· casgevy-sickle-cell-ready")
    expect(bench.cards.first).to_contain_text("Casgevy")


def test_no_card_is_explained_order_by_order(page: Page) -> None:
    bench = Bench(page).open("order-that-concerns-no-policy")

    expect(bench.result).to_contain_text("No card. The EHR shows nothing, and the clinician signs as usual.")
    expect(bench.result).to_contain_text("it is for no therapy that this library knows")
    accessible(page)


def test_an_unknown_payer_is_named_as_one(page: Page) -> None:
    bundle = sample(GAP)
    for coverage in resources(bundle, "Coverage"):
        coverage["payor"] = [{"display": "Example Mutual of Nowhere"}]
    for organization in resources(bundle, "Organization"):
        organization["name"] = "Example Mutual of Nowhere"
    bench = Bench(page).open()

    bench.fire(bundle)

    expect(bench.cards.first).to_contain_text("criteria not checked here")
    expect(page.locator(".steps")).to_contain_text("names a payer that this library does not know")
    expect(page.locator(".case > summary")).to_contain_text("governed elsewhere")
    accessible(page)


def test_fifty_orders_are_a_list_that_unfolds(page: Page) -> None:
    bundle = sample(GAP)
    (order,) = [r for r in resources(bundle, "MedicationRequest") if r["id"] == "lantidra-order"]
    for number in range(2, 51):
        another = copy.deepcopy(order) | {"id": f"lantidra-order-{number}"}
        bundle["entry"].append({"resource": another})
    bench = Bench(page).open()

    bench.fire(bundle)

    assessed = page.locator(".case > summary", has_text="CP.MP.250")
    expect(assessed).to_have_count(50)
    expect(page.locator(".overview")).to_contain_text(re.compile(r"\d+ cards"))
    expect(page.locator(".case[open]")).to_have_count(1)
    assessed.last.click()
    expect(page.locator(".case", has=page.get_by_text("MedicationRequest/lantidra-order-50 ·"))).to_have_attribute(
        "open", ""
    )
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_long_text_without_spaces_stays_in_its_place(page: Page) -> None:
    bundle = sample(GAP)
    for condition in resources(bundle, "Condition"):
        condition["code"]["text"] = "x" * 3000
    bench = Bench(page).open()

    bench.fire(bundle)

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_name_from_right_to_left_is_read_so_and_turns_nothing_else(page: Page) -> None:
    bundle = sample(GAP)
    for condition in resources(bundle, "Condition"):
        if condition["id"] == "severe-hypoglycemia-1":
            condition["code"]["text"] = HEBREW
            for coding in condition["code"]["coding"]:
                coding["display"] = HEBREW
    bench = Bench(page).open()

    bench.fire(bundle)

    name = bench.criterion("I.C.2").locator("bdi", has_text=HEBREW)
    expect(name).to_have_css("direction", "rtl")
    expect(bench.criterion("I.C.2").locator(".evidence li").first).to_have_css("direction", "ltr")


def test_markup_in_a_chart_is_text(page: Page) -> None:
    bundle = sample(GAP)
    for condition in resources(bundle, "Condition"):
        condition["code"]["text"] = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](https://evil.example/x)"
        condition["code"]["coding"] = [dict(c, display="<b>bold</b>") for c in condition["code"]["coding"]]
    bench = Bench(page).open()

    bench.fire(bundle)

    expect(page.locator("#result img, #result b, #result a[href^=javascript]")).to_have_count(0)
    expect(bench.result).to_contain_text("<img src=x onerror=alert(1)>")


@pytest.mark.parametrize(
    ("status", "title"), [(500, "The service failed (500)"), (503, "The service cannot answer now (503)")]
)
def test_a_failure_of_the_service_is_told(watch: Watch, status: int, title: str) -> None:
    bench = Bench(watch.page).open()
    issue = {"severity": "error", "code": "exception", "diagnostics": "Told by the service itself."}

    def failing(route: Route) -> None:
        route.fulfill(status=status, json={"resourceType": "OperationOutcome", "issue": [issue]})

    watch.page.route(f"**{SERVICE}", failing)
    bench.fire(sample(GAP))

    expect(bench.result.get_by_role("alert")).to_contain_text(title)
    expect(bench.result).to_contain_text("Told by the service itself.")
    watch.expect(f"status of {status}")


def test_a_service_that_is_gone_is_told_and_what_is_written_stays(watch: Watch) -> None:
    bench = Bench(watch.page).open(GAP)
    watch.page.context.set_offline(True)

    bench.fire()

    expect(bench.result.get_by_role("alert")).to_contain_text("The service did not answer")
    expect(bench.content).to_contain_text('"resourceType": "Bundle"')
    watch.page.context.set_offline(False)
    bench.fire()
    expect(bench.cards.first).to_contain_text("repeated severe hypoglycemia")
    watch.expect("request failed")
    watch.expect("ERR_INTERNET_DISCONNECTED")


def test_a_sample_that_is_not_there_leads_to_those_that_are(watch: Watch) -> None:
    watch.page.goto("/?sample=none")

    expect(watch.page.get_by_role("alert")).to_contain_text("There is no sample of the name in this link.")
    expect(watch.page.locator("#groups li")).to_have_count(37)
    watch.expect("status of 404")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = project_folder(tmp_path_factory.mktemp("guarded"))
    (folder / "jwks.json").write_bytes(signing.jwks())
    clients = f"clients: [{{name: Example EHR, issuer: '{signing.ISSUER}', keys: jwks.json}}]"
    (folder / "clients.yaml").write_text(clients, encoding="utf-8")
    settings = {"COVERAGE_CDS_CLIENTS": str(Path(folder / "clients.yaml"))}
    with serving(folder, settings=settings) as (url, _):
        yield url


class TestWithClients:
    """A service that answers only the clients it is configured for."""

    @pytest.fixture
    def origin(self, guarded: str) -> str:
        return guarded

    def test_a_call_without_a_token_is_refused_and_says_why(self, watch: Watch) -> None:
        bench = Bench(watch.page).open()
        watch.page.locator(f'#groups a[data-sample="{GAP}"]').click()
        expect(bench.content).to_contain_text(GAP)
        expect(watch.page.locator("#result")).to_contain_text("Nothing has been fired yet.")

        bench.fire()

        expect(bench.result.get_by_role("alert")).to_contain_text("The service wants a token (401)")
        accessible(watch.page)
        watch.expect("status of 401")

    def test_a_token_is_used_once_and_forgotten(self, page: Page, guarded: str) -> None:
        bench = Bench(page).open()
        token = signing.signed(signing.claims(time.time(), f"{guarded}{SERVICE}"))

        page.get_by_label("Token of a configured client").fill(token)
        bench.fire(sample(GAP))

        expect(bench.cards.first).to_contain_text("repeated severe hypoglycemia")
        expect(page.get_by_label("Token of a configured client")).to_have_value("")
