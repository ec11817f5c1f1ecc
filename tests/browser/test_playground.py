"""The playground, used as people use it: a sample, its gap, the missing fact, and what changed."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import accessible
from tests.browser.bench import GAP, Bench, sample
from tests.browser.conftest import DESKTOP, PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

SERVICE = "/cds-services/coverage-criteria"
FIRST_PAINT = 100_000
"""Bytes of everything that the page needs before it can be read; the editor comes after."""


def test_a_newcomer_finds_a_gap_fills_it_and_sees_it_settled(page: Page) -> None:
    bench = Bench(page).open()

    page.get_by_role("link", name=re.compile("^One severe event in 12 months")).click()
    bench.answered()
    gap = bench.criterion("I.C.2")
    expect(bench.cards.first).to_contain_text("not documented: repeated severe hypoglycemia")
    expect(gap).to_contain_text("not documented")
    expect(gap).to_contain_text("Recorded on 1 of 2 dates in the 12 months before the service date")
    expect(gap).to_contain_text("To settle it:")

    bench.replace("2024-12-11", "2026-08-02")
    expect(page.locator("#state")).to_have_text("Edited since the last run.")
    bench.fire()

    expect(bench.criterion("I.C.2").locator(".state")).to_have_text(re.compile(r"before: ?not documented\s*met"))
    expect(page.locator(".changes")).to_have_text(
        re.compile(r"Changed since the last run\s*I\.C\.2 not documented → met")
    )
    expect(bench.cards.first).to_contain_text("criteria are met by the chart")


def test_another_reason_for_the_same_outcome_is_marked(page: Page) -> None:
    bench = Bench(page).open(GAP)

    bench.replace("2026-06-30", "2026-07-30")
    bench.fire()

    expect(page.locator(".changes")).to_have_text(
        re.compile(r"Changed since the last run\s*I\.C\.2 not documented as before, for another reason$")
    )
    expect(bench.criterion("I.C.2").get_by_text("Before:")).to_contain_text("2026-06-30")


def test_what_did_not_change_is_not_marked(page: Page) -> None:
    bench = Bench(page).open(GAP)

    bench.fire()

    expect(page.locator(".changes")).to_have_text("Nothing changed since the last run.")
    expect(page.locator(".criterion-row.changed")).to_have_count(0)


def test_another_sample_is_not_compared_with_the_last_one(page: Page) -> None:
    bench = Bench(page).open(GAP)
    page.locator("#samples > summary").click()
    page.get_by_role("link", name=re.compile("^A current pregnancy")).click()

    expect(bench.criterion("I.F")).to_contain_text("not met")
    expect(page.locator(".changes")).to_have_count(0)


def test_evidence_shows_the_very_resource_in_the_editor(page: Page) -> None:
    bench = Bench(page).open(GAP)

    bench.criterion("I.C.2").get_by_role("button", name="Condition/severe-hypoglycemia-1").hover()

    # the editor shows what it marks once it has scrolled there
    expect(page.locator(".cm-evidence", has_text='"id": "severe-hypoglycemia-1"')).to_have_count(1)
    expect(page.locator(".cm-evidence").first).to_be_in_viewport()
    marked = " ".join(page.locator(".cm-evidence").all_inner_texts())
    assert '"id": "severe-hypoglycemia-1"' in marked
    assert '"resourceType": "Condition"' in marked
    assert marked.count('"resourceType"') == 1


def test_the_trace_leads_from_the_order_by_the_coverage_to_the_policy(page: Page) -> None:
    Bench(page).open("dli-current-smoker")
    steps = page.locator(".steps > li")

    expect(steps.nth(0)).to_contain_text("ServiceRequest/dli-order")
    expect(steps.nth(0)).to_contain_text("recognised by the code of a procedure")
    expect(steps.nth(1)).to_contain_text("names WellCare of North Carolina, line of business medicaid")
    expect(steps.nth(1)).to_contain_text("Centene, to which it belongs, has")
    expect(steps.nth(1).get_by_role("link")).to_have_attribute("href", "/policies/CP.MP.101?on=2026-11-02")
    page.locator(".stages > summary").click()
    expect(page.locator(".stages tbody tr")).to_have_count(8)


def test_a_link_to_a_sample_opens_it_and_going_back_leaves_it(page: Page) -> None:
    Bench(page).open()
    page.locator(f'#groups a[data-sample="{GAP}"]').click()
    expect(page).to_have_url(re.compile(rf"/\?sample={GAP}$"))
    Bench(page).answered()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#state")).to_have_text("The link is on the clipboard.")

    page.goto(page.evaluate("navigator.clipboard.readText()"))

    expect(Bench(page).criterion("I.C.2")).to_contain_text("not documented")
    expect(page.locator("#chosen")).to_contain_text(GAP)


def test_cards_on_one_order_stand_together_and_lead_to_their_record(page: Page) -> None:
    bench = Bench(page).open(GAP)

    expect(bench.cards).to_have_count(2)
    expect(page.locator(".case")).to_have_count(1)
    expect(bench.cards.nth(1)).to_contain_text("1 open question can be answered in a form")
    page.get_by_role("link", name="The record of this decision").click()

    expect(page.get_by_role("table")).to_contain_text("Lantidra (donislecel-jujn) CP.MP.250")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_suggestion_stands_with_the_card_on_the_order_that_it_changes(page: Page) -> None:
    bench = Bench(page).open("casgevy-unlisted-code-j3590")

    case = page.locator(".case", has=bench.criterion("I.B.3"))

    expect(case.get_by_role("button", name="Use J3392")).to_be_visible()


def test_samples_are_found_by_any_word_of_theirs(page: Page) -> None:
    Bench(page).open()
    shown = page.locator("#groups li:visible")

    page.get_by_label("Find a sample").fill("pregnan ambetter")
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("A current pregnancy")

    page.get_by_label("Find a sample").fill("no such words")
    expect(shown).to_have_count(0)
    expect(page.locator("#none-found")).to_be_visible()


def test_the_request_and_the_answer_are_one_click_away(page: Page) -> None:
    bench = Bench(page).open(GAP)

    page.get_by_role("tab", name="Request").click()
    request = json.loads(page.locator("[role=tabpanel]:visible pre").inner_text())
    page.get_by_role("tab", name="Response").click()
    answer = json.loads(page.locator("[role=tabpanel]:visible pre").inner_text())

    assert request["hook"] == "order-sign"
    assert answer["cards"][0]["summary"] == bench.cards.locator(".summary").first.text_content()


def test_the_copied_command_makes_the_same_call(page: Page) -> None:
    bench = Bench(page).open(GAP)
    summaries = bench.cards.locator(".summary").all_inner_texts()

    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#state")).to_have_text("The command is on the clipboard.")
    command = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)

    assert [card["summary"] for card in json.loads(done.stdout)["cards"]] == summaries


def test_a_card_can_be_overridden_with_a_reason(page: Page) -> None:
    card = Bench(page).open(GAP).cards.first
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))

    card.get_by_text("Override this card…").click()
    card.get_by_label("Reason").select_option(label="The payer has already authorized it")
    card.get_by_label("Comment").fill("Approved by telephone")
    card.get_by_role("button", name="Send feedback").click()

    expect(card.get_by_role("status")).to_have_text("Overridden; the service has the reason.")
    (answer,) = answers
    sent = json.loads(answer.request.post_data or "")["feedback"][0]
    assert (answer.status, answer.url.endswith(f"{SERVICE}/feedback")) == (200, True)
    assert sent["outcome"] == "overridden"
    assert sent["overrideReason"]["reason"]["code"] == "payer-agreed"
    assert sent["overrideReason"]["userComment"] == "Approved by telephone"


def test_a_suggestion_that_is_accepted_changes_the_order_in_the_editor(page: Page) -> None:
    bench = Bench(page).open("casgevy-unlisted-code-j3590")
    expect(bench.criterion("I.B.3")).to_contain_text("not documented")

    page.get_by_role("button", name="Use J3392").click()
    expect(page.get_by_text("Accepted. The order in the editor is changed")).to_be_visible()
    bench.fire()

    expect(page.locator(".changes")).to_contain_text("I.B.3 not documented → met")
    expect(page.get_by_role("button", name="Use J3392")).to_have_count(0)


def test_a_bundle_of_ones_own_is_taken_as_a_file(page: Page) -> None:
    bench = Bench(page).open()
    body = json.dumps(sample("dli-ready")).encode()

    page.locator("#file").set_input_files({"name": "mine.json", "mimeType": "application/json", "buffer": body})
    expect(page.locator("#state")).to_have_text("mine.json is in the editor. Nothing has been sent.")
    bench.fire()

    expect(bench.cards.first).to_contain_text("criteria are met by the chart")


def test_a_file_can_be_dropped_on_the_editor(page: Page) -> None:
    bench = Bench(page).open()
    page.locator("#editor").evaluate(
        """(editor, text) => {
            const data = new DataTransfer();
            data.items.add(new File([text], "mine.json", { type: "application/json" }));
            const target = editor.shadowRoot.querySelector(".cm-content");
            for (const name of ["dragover", "drop"]) {
                const options = { dataTransfer: data, bubbles: true, cancelable: true, composed: true };
                target.dispatchEvent(new DragEvent(name, options));
            }
        }""",
        json.dumps(sample("dli-ready")),
    )
    expect(page.locator("#state")).to_have_text("mine.json is in the editor. Nothing has been sent.")

    bench.fire()

    expect(bench.cards.first).to_contain_text("criteria are met by the chart")


def test_a_whole_request_can_be_fired_as_it_is(page: Page) -> None:
    bench = Bench(page).open(GAP)
    page.get_by_role("tab", name="Request").click()
    request = json.loads(page.locator("[role=tabpanel]:visible pre").inner_text())

    bench.fire({**request, "hookInstance": "0c0c0c0c-5a55-4a3d-9f56-0c9d7f6f2b11"})

    expect(bench.cards.first).to_contain_text("repeated severe hypoglycemia")
    bench.criterion("I.C.2").get_by_role("button", name="Condition/severe-hypoglycemia-1").hover()
    expect(page.locator(".cm-evidence").first).to_be_in_viewport()


def test_it_can_be_used_with_the_keyboard_alone(page: Page) -> None:
    bench = Bench(page).open()
    key = page.keyboard.press

    def tab_to(selector: str) -> None:
        for _ in range(120):
            key("Tab")
            if page.evaluate(
                """selector => {
                let at = document.activeElement;
                while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
                return at?.matches(selector) ?? false;
            }""",
                selector,
            ):
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    tab_to("#find")
    page.keyboard.type("one severe event")
    tab_to(f"#groups a[data-sample='{GAP}']")
    key("Enter")
    bench.answered()
    tab_to(".cm-content")
    key("Control+f")
    page.keyboard.type("2024-12-11")
    tab_to("input[name=replace]")
    page.keyboard.type("2026-08-02")
    tab_to("button[name=replaceAll]")
    key("Enter")
    key("Escape")
    key("Control+Enter")
    expect(page.locator(".changes")).to_contain_text("I.C.2 not documented → met")
    tab_to("[role=tab]")
    key("ArrowRight")
    expect(page.get_by_role("tab", name="Request")).to_be_focused()
    key("ArrowLeft")
    tab_to(".override summary")
    key("Enter")
    tab_to(".override input")
    page.keyboard.type("Documented on paper")
    key("Enter")
    expect(bench.cards.first.get_by_role("status")).to_have_text("Overridden; the service has the reason.")


@pytest.mark.parametrize("viewport", [PHONE])
def test_on_a_phone_the_answer_comes_to_sight(page: Page) -> None:
    bench = Bench(page).open()
    expect(page.locator("#answered")).not_to_be_in_viewport()

    bench.fire(sample(GAP))

    expect(page.get_by_role("heading", name="What the clinician sees, and why")).to_be_in_viewport()
    expect(bench.cards.first).to_be_in_viewport()


def test_the_editor_lets_the_keyboard_out_again(page: Page) -> None:
    bench = Bench(page).open(GAP)
    bench.content.focus()

    page.keyboard.press("Tab")

    expect(bench.content).not_to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    "name", [GAP, "lantidra-no-payer-stated", "casgevy-unlisted-code-j3590", "medicare-member-lantidra"]
)
def test_what_is_shown_is_accessible_and_as_wide_as_the_window(page: Page, name: str, scheme: str) -> None:
    Bench(page).open(name)
    page.evaluate("for (const folded of document.querySelectorAll('#result details')) folded.open = true")

    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_marking_changes_and_evidence_is_accessible(page: Page) -> None:
    bench = Bench(page).open(GAP)
    bench.replace("2024-12-11", "2026-08-02")
    bench.fire()
    bench.criterion("I.C.2").get_by_role("button", name="Condition/severe-hypoglycemia-1").click()

    accessible(page)


def test_the_first_paint_needs_little(page: Page) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))

    Bench(page).open()

    bodies = {answer.url.rpartition("/")[2]: len(answer.body()) for answer in answers}
    assert "editor.js" in bodies
    assert "markdown.js" not in bodies
    assert sum(size for name, size in bodies.items() if name != "editor.js") < FIRST_PAINT
