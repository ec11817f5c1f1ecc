"""The pages: what they show, in which version, and that they load nothing from anywhere else."""

from __future__ import annotations

import html
import itertools
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cds_service import create_app
from cds_service.bundle_request import request_from
from cds_service.library import Library, load_library
from cds_service.review import Services
from cds_service.settings import Settings
from tests.serving import ROOT

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

LIBRARY = load_library()
IDS = sorted({document.id for document in LIBRARY.documents})
EVERY_PAGE = [
    "/",
    "/policies",
    *(f"/policies/{policy}" for policy in IDS),
    "/policies/none",
    "/policies/CP.MP.250?on=x",
    "/policies/CP.MP.101/cases",
    "/policies/WNC.CP.299/cases?letter=I.C",
    "/policies/MA-IMMUNO/cases",
    "/policies/CP.MP.250/cases?letter=none",
    "/policies/CP.MP.250/diff",
    "/policies/CP.MP.250/diff?from=x",
    "/policies/none/diff",
    "/therapies",
    "/therapies?q=nothing+of+that+name",
    "/therapies/none",
    *(f"/therapies/{one}" for one in ("donislecel", "exagamglogene", "unapproved-tabelecleucel", "medical-transport")),
]
VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})


@dataclass
class Page(HTMLParser):
    """A page as its elements: tag and attributes, in order; and whether it is well-formed."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def parsed(response: TestResponse) -> Page:
    page = Page()
    page.feed(response.text)
    page.close()
    assert page.open == []
    return page


def words(response: TestResponse) -> str:
    """Return the text of a page as people read it."""
    plain = re.sub(r"<[^>]*>", " ", re.sub(r"</?a\b[^>]*>", "", response.text))
    return " ".join(html.unescape(plain).split())


def client(tmp_path: Path, library: Library = LIBRARY, base_url: str | None = None) -> FlaskClient:
    settings = Settings.load(data_dir=tmp_path, base_url=base_url)
    return create_app(settings, Services(settings, library)).test_client()


@pytest.fixture
def browser(tmp_path: Path) -> FlaskClient:
    return client(tmp_path)


def two_versions() -> Library:
    first = LIBRARY.versions("CP.MP.250")[0]
    second = replace(first, effective_from=first.effective_from.replace(year=2026), title="The second version")
    return replace(LIBRARY, documents=(first, second))


@pytest.mark.parametrize("path", ["/policies", "/policies/none"])
def test_every_policy_is_listed_with_its_payer_and_first_day(browser: FlaskClient, path: str) -> None:
    text = words(browser.get(path))

    for document in LIBRARY.documents:
        assert document.id in text
        assert LIBRARY.payers.by_id[document.payer].label in text
        assert str(document.effective_from) in text


def test_the_version_of_the_day_is_shown_with_links_to_the_others(tmp_path: Path) -> None:
    browser = client(tmp_path, two_versions())

    before, after = browser.get("/policies/CP.MP.250?on=2026-09-30"), browser.get("/policies/CP.MP.250?on=2026-10-01")

    assert "The second version" not in words(before)
    assert "The second version" in words(after)
    for page in (before, after):
        assert "/policies/CP.MP.250?on=2025-10-01" in page.text
        assert "/policies/CP.MP.250?on=2026-10-01" in page.text
        assert page.text.count('aria-current="true"') == 1


def test_without_a_day_it_is_the_version_of_today(tmp_path: Path) -> None:
    first, second = two_versions().documents
    begun = replace(second, effective_from=first.effective_from.replace(day=2))

    page = client(tmp_path, replace(LIBRARY, documents=(first, begun))).get("/policies/CP.MP.250")

    assert "The second version" in words(page)


def test_before_the_first_day_the_first_version_is_shown_and_says_so(browser: FlaskClient) -> None:
    page = browser.get("/policies/CP.MP.250?on=2020-01-01")

    assert page.status_code == 200
    assert "On 2020-01-01 no version of this policy that the library holds was in force." in words(page)


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        ("/policies/none", 404, "No such policy"),
        ("/policies/CP.MP.250?on=tomorrow", 400, "Not a date"),
        ("/policies/CP.MP.250?on=2026-13-01", 400, "Not a date"),
    ],
)
def test_what_is_not_there_gets_a_page_that_leads_on(browser: FlaskClient, path: str, status: int, title: str) -> None:
    page = browser.get(path)

    assert page.status_code == status
    assert title in words(page)
    assert 'href="/policies/CP.MP.250' in page.text


def test_what_a_reader_writes_into_the_address_is_not_repeated(browser: FlaskClient) -> None:
    assert "script" not in browser.get("/policies/%3Cscript%3E?on=%3Cscript%3E").text
    assert "script" not in browser.get("/policies/CP.MP.250?on=%3Cscript%3E").text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x>'])
def test_a_policy_is_shown_as_text_whatever_it_holds(tmp_path: Path, text: str) -> None:
    document = replace(LIBRARY.versions("CP.MP.250")[0], title=text, citation=text)
    page = client(tmp_path, replace(LIBRARY, documents=(document,))).get("/policies/CP.MP.250")

    assert text not in page.text
    assert html.escape(text).replace("&quot;", "&#34;") in page.text


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_a_page_is_html_that_loads_and_runs_only_what_is_from_here(browser: FlaskClient, path: str) -> None:
    response = browser.get(path)
    policy = response.headers["Content-Security-Policy"]
    page = parsed(response)

    assert response.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert page.all("style") == []
    assert [script for script in page.all("script") if not str(script.get("src")).startswith("/static/")] == []
    assert [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
    ] == []
    assert [link for link in page.all("link") if not str(link["href"]).startswith("/static/")] == []


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_a_page_can_be_read_by_keyboard_and_screen_reader(browser: FlaskClient, path: str) -> None:
    page = parsed(browser.get(path))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]

    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("title")) == len(page.all("main")) == headings.count(1) == 1
    assert page.all("a")[0]["href"] == "#content"
    assert "content" in ids
    assert len(ids) == len(set(ids))
    assert all(below - above <= 1 for above, below in pairwise(headings))
    assert all(cell.get("scope") for cell in page.all("th"))
    assert all(section["aria-labelledby"] in ids for section in page.all("section"))


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_link_of_a_page_leads_to_something(browser: FlaskClient, path: str) -> None:
    browser.application.extensions["recorder"].prepare()  # as a service does when it starts
    targets = {str(a["href"]) for a in parsed(browser.get(path)).all("a")} - {"#content"}

    assert targets
    assert [target for target in sorted(targets) if browser.get(target).status_code != 200] == []


def test_the_style_sheet_serves_light_and_dark_and_asks_for_nothing(browser: FlaskClient) -> None:
    response = browser.get("/static/pages.css", buffered=True)

    assert response.content_type.startswith("text/css")
    assert "prefers-color-scheme: dark" in response.text
    assert "url(" not in response.text
    assert "@import" not in response.text


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *itertools.product(["text", "quiet", "link", "met", "notmet", "open"], ["page", "raised", "sunken"]),
        *(("met", "metfield"), ("notmet", "notmetfield"), ("open", "openfield"), ("onlink", "link")),
    ],
)
def test_the_contrast_of_every_text_is_that_of_wcag_aa(
    browser: FlaskClient, scheme: int, ground: str, ink: str
) -> None:
    css = browser.get("/static/pages.css", buffered=True).text
    colors = re.findall(r"--(\w+): (#[0-9a-f]{6});", css)
    half = len(colors) // 2
    chosen = dict(colors[half * scheme : half * (scheme + 1)])
    dark, light = sorted((_luminance(chosen[ink]), _luminance(chosen[ground])))

    assert len(chosen) == half
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_card_links_to_a_page_that_is_there(browser: FlaskClient) -> None:
    sample = json.loads((ROOT / "sample_bundles/lantidra-pregnant.json").read_text(encoding="utf-8"))
    request = request_from(sample, "a1f3c1de-5a55-4a3d-9f56-0c9d7f6f2b11")
    card = browser.post("/cds-services/coverage-criteria", json=request).get_json()["cards"][0]

    assert browser.get(card["links"][0]["url"]).status_code == 200
