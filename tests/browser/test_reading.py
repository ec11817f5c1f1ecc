"""The pages for reading, in a real browser: policies, cases, differences, therapies and recorded decisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests import second_version
from tests.browser.accessibility import accessible
from tests.browser.bench import GAP, Bench
from tests.browser.conftest import DESKTOP, PHONE
from tests.serving import project_folder, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGES = (
    "/policies",
    "/policies/CP.MP.101",
    "/policies/WNC.CP.299/cases",
    "/policies/CP.MP.250/diff",
    "/therapies",
    "/therapies/exagamglogene",
    "/decisions/feedback",
)
in_both_looks = pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop-light", "phone-dark"]
)


def no_wider_than_the_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@in_both_looks
@pytest.mark.parametrize("path", PAGES)
def test_what_is_read_is_accessible_and_as_wide_as_the_window(page: Page, path: str) -> None:
    page.goto(path)
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")

    accessible(page)
    assert no_wider_than_the_window(page)


def test_a_letter_of_the_tree_leads_to_its_criterion_and_from_there_to_its_codes(page: Page) -> None:
    page.goto("/policies/CP.MP.250")

    page.get_by_role("navigation", name="What is required").get_by_role("link", name="I.C.2").click()
    criterion = page.locator(".criterion:target")
    expect(criterion).to_contain_text("Severe hypoglycemia keeps coming back, now.")
    criterion.get_by_role("link", name="severe-hypoglycemia", exact=True).click()

    expect(page.locator(".valueset:target")).to_contain_text("E10.641")


def test_on_paper_a_policy_is_whole_and_without_what_only_a_screen_needs(page: Page) -> None:
    page.goto("/policies/CP.MP.250")
    codes = page.locator("#set-severe-hypoglycemia .codes").first
    expect(codes).not_to_be_visible()

    page.emulate_media(media="print")

    expect(codes).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages")).not_to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.contents')).position") == "static"


@in_both_looks
def test_a_decision_is_found_and_tells_what_became_of_its_cards(page: Page) -> None:
    card = Bench(page).open(GAP).cards.first
    card.get_by_text("Override this card…").click()
    card.get_by_label("Comment").fill("Approved by telephone")
    card.get_by_role("button", name="Send feedback").click()
    expect(card.get_by_role("status")).to_have_text("Overridden; the service has the reason.")

    page.get_by_role("link", name="The record of this decision").click()
    accessible(page)
    assert no_wider_than_the_window(page)
    page.locator("tbody").get_by_role("link").click()

    expect(page.locator(".timeline")).to_contain_text(
        re.compile("Feedback on card 1: overridden.*Approved by", re.DOTALL)
    )
    expect(page.locator("main")).to_contain_text("the same under CP.MP.250 from 2025-10-01: undocumented.")
    accessible(page)
    assert no_wider_than_the_window(page)


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = project_folder(tmp_path_factory.mktemp("two-versions"))
    policies = second_version.write(folder / "policies", *second_version.CHANGES)
    with serving(folder, settings={"COVERAGE_CDS_POLICIES": str(policies)}) as (url, _):
        yield url


class TestTwoVersions:
    """A library that holds a policy in two versions."""

    @pytest.fixture
    def origin(self, two_versions: str) -> str:
        return two_versions

    @in_both_looks
    def test_are_compared_word_by_word(self, page: Page) -> None:
        page.goto(f"/policies/{second_version.POLICY}?on=2027-02-01")
        page.get_by_role("link", name="Compare").click()

        expect(page.locator("main")).to_contain_text("days before the service date")
        expect(page.locator("ins", has_text="comes after")).to_be_visible()
        accessible(page)
        assert no_wider_than_the_window(page)
