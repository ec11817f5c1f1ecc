"""The pages of the therapies: everything that is known of each, and a search that needs no script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cds_service.web import code_lists, registry
from fhir_mappings import products, therapies
from tests.cds_service.test_web_pages import LIBRARY, client, parsed, words

if TYPE_CHECKING:
    from flask.testing import FlaskClient

EVERY = sorted(therapies.ids())


@pytest.fixture
def browser(tmp_path: Path) -> FlaskClient:
    return client(tmp_path)


def found(browser: FlaskClient, query: str) -> list[str]:
    """Return the ids of the therapies that a search lists."""
    links = [str(a["href"]) for a in parsed(browser.get(f"/therapies?{query}")).all("a")]
    return [link.removeprefix("/therapies/") for link in links if link.startswith("/therapies/")]


def test_every_therapy_is_listed_once(browser: FlaskClient) -> None:
    assert sorted(found(browser, "")) == EVERY
    assert f"{len(EVERY)} of {len(EVERY)} therapies" in words(browser.get("/therapies"))


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("q=casgevy", ["exagamglogene"]),
        ("q=EXA-CEL", ["exagamglogene"]),
        ("q=51167-0290-01", ["exagamglogene"]),
        ("q=51167029001", ["exagamglogene"]),
        ("q=J3392", ["exagamglogene"]),
        ("q=lymphocyte", ["donor-lymphocyte-infusion"]),
        ("q=car-t&state=undetermined", ["undetermined-anitocabtagene"]),
        ("state=not-approved&q=tabelecleucel", ["unapproved-tabelecleucel"]),
        ("policy=CP.MP.250", ["donislecel", "islet-allogeneic"]),
        ("class=tissue&unverified=yes&q=nothing", []),
        ("policy=none", []),
    ],
)
def test_a_search_finds_by_name_code_approval_class_and_policy(
    browser: FlaskClient, query: str, ids: list[str]
) -> None:
    assert found(browser, query) == ids


def test_the_search_for_what_is_not_verified_finds_only_that(browser: FlaskClient) -> None:
    ids = found(browser, "unverified=yes")

    assert 0 < len(ids) < len(EVERY)
    assert all("not verified" in words(browser.get(f"/therapies/{one}")) for one in ids)


def test_what_was_searched_stays_in_the_form(browser: FlaskClient) -> None:
    page = parsed(browser.get("/therapies?q=car%20%22t&state=approved&class=CAR-T&unverified=yes"))
    fields = {field.get("name"): field for field in page.all("input")}

    assert fields["q"]["value"] == 'car "t'
    assert "checked" in fields["unverified"]
    assert len([option for option in page.all("option") if "selected" in option]) == 2


def test_a_search_that_finds_nothing_says_how_to_search(browser: FlaskClient) -> None:
    assert "with or without its dots and hyphens" in words(browser.get("/therapies?q=nothing+of+that+name"))


@pytest.mark.parametrize("therapy", EVERY)
def test_nothing_of_a_therapy_is_left_out(browser: FlaskClient, therapy: str) -> None:
    text = words(browser.get(f"/therapies/{therapy}"))
    product, label = products.product(therapy), LIBRARY.labels.of(therapy)
    told = [therapies.display_name(therapy), therapy]
    for code in therapies.codes_of(therapy):
        told += [code_lists.written(code), code.verified]
    if product:
        told += [product.kind, *product.names, product.approval_note or "", product.discontinued or ""]
    for version in label.versions if label else ():
        told += [version.first_day.isoformat(), version.source, version.boxed_warnings_verified]
        told += [part for section in version.sections.values() for part in (section.text, section.verified)]
        told += [part for warning in version.boxed_warnings for part in (warning.text, warning.verified)]
    told += [document.id for document in LIBRARY.documents if therapy in document.therapies()]

    assert [one for one in told if " ".join(one.split()) not in text] == []


def test_the_time_line_is_in_the_order_of_its_days(browser: FlaskClient) -> None:
    days = [moment.day for moment in registry.detail(LIBRARY, "exagamglogene").moments]
    text = words(browser.get("/therapies/exagamglogene"))

    assert days == sorted(days)
    assert len(days) == 6
    assert "2023-12-08 Approved by the FDA" in text
    assert "2026-07-01 Label changed" in text
    assert "2025-07-01 From here MA-IMMUNO sends it to another document" in text


def test_a_withdrawal_stands_in_the_list_and_on_the_time_line(browser: FlaskClient) -> None:
    assert "withdrawn 2025-02" in words(browser.get("/therapies?q=fidanacogene"))
    assert "2025-02 No longer marketed" in words(browser.get("/therapies/fidanacogene"))


def test_the_sections_that_a_label_changed_are_marked(browser: FlaskClient) -> None:
    detail = registry.detail(LIBRARY, "exagamglogene")

    assert [[shown.section.name for shown in sections if shown.changed] for _, sections in detail.versions] == [
        ["indication"],
        ["indication"],
        [],
    ]


def test_a_name_that_products_share_is_told_with_what_a_card_then_says(browser: FlaskClient) -> None:
    shared = products.registry()[1][0]
    text = words(browser.get(f"/therapies/{shared.products[0]}"))

    assert shared.names[0] in text
    assert " ".join(shared.notice.split()) in text


def test_a_therapy_that_is_not_there_gets_a_page_that_leads_on(browser: FlaskClient) -> None:
    page = browser.get("/therapies/none")

    assert page.status_code == 404
    assert "The registry holds no therapy of that name." in words(page)


@pytest.mark.parametrize(
    ("month", "words_of_it"), [("2026-03-15", "2026-03-15"), ("2026-03", "2026-03"), ("2026", "2026")]
)
def test_a_day_is_said_as_far_as_it_is_known(month: str, words_of_it: str) -> None:
    from fhir_mappings.dates import date_range

    day = date_range(month)

    assert day
    assert registry.day_in_words(day) == words_of_it
