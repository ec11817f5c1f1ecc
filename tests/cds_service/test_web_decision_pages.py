"""The pages of recorded decisions: search, one decision from request to feedback, no patient in an address."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app
from cds_service.bundle_request import request_from
from cds_service.library import load_library
from cds_service.review import Services
from cds_service.settings import Settings
from cds_service.store.journal import Journal
from cds_service.store.keys import load_keys
from tests.cds_service.store.entries import card, decided, said, stored
from tests.cds_service.test_web_pages import parsed, words
from tests.serving import ROOT
from tests.waiting import unhurried

if TYPE_CHECKING:
    from flask.testing import FlaskClient

LIBRARY = load_library()
SERVICE = "/cds-services/coverage-criteria"
SAMPLES = ("lantidra-pregnant", "lantidra-everything-documented", "medicare-member-lantidra")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return unhurried(Settings.load(data_dir=tmp_path / "data"))


@pytest.fixture
def browser(settings: Settings) -> FlaskClient:
    app = create_app(settings, Services(settings, LIBRARY))
    app.extensions["recorder"].prepare()
    return app.test_client()


def call(browser: FlaskClient, sample: str) -> dict[str, Any]:
    """Send a sample as an EHR would and return its first card."""
    bundle = json.loads((ROOT / f"sample_bundles/{sample}.json").read_text(encoding="utf-8"))
    answer = browser.post(SERVICE, json=request_from(bundle, "a1f3c1de-5a55-4a3d-9f56-0c9d7f6f2b11"))
    found: dict[str, Any] = answer.get_json()["cards"][0]
    return found


@pytest.fixture
def cards(browser: FlaskClient) -> dict[str, dict[str, Any]]:
    """The first cards of some samples, recorded."""
    return {sample: call(browser, sample) for sample in SAMPLES}


def listed(browser: FlaskClient, query: str = "") -> int:
    return len(browser.get(f"/decisions{query}", headers={"Accept": "application/json"}).get_json()["decisions"])


def page_of(browser: FlaskClient, shown: dict[str, Any]) -> str:
    """Return the address of the decision with a card."""
    found = browser.get(f"/decisions?id={shown['uuid']}", headers={"Accept": "application/json"}).get_json()
    return f"/decisions/{found['decisions'][0]['id']}"


class TestSearch:
    def test_every_call_is_listed_with_what_was_decided(self, browser: FlaskClient, cards: dict[str, Any]) -> None:
        text = words(browser.get("/decisions"))

        assert listed(browser) == len(SAMPLES)
        assert "not met Lantidra (donislecel-jujn) CP.MP.250" in text
        assert "elsewhere Lantidra (donislecel-jujn)" in text

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("?policy=CP.MP.250", 2),
            ("?policy=CP.MP.250&outcome=met", 1),
            ("?therapy=donislecel", 3),
            ("?therapy=axicabtagene", 0),
            ("?since=2020-01-01&until=2020-12-31", 0),
            ("?since=2020-01-01&page=0", 3),
            ("?page=1", 0),
            ("?page=x", 3),
        ],
    )
    def test_it_is_narrowed_by_what_is_known(
        self, browser: FlaskClient, cards: dict[str, Any], query: str, count: int
    ) -> None:
        assert listed(browser, query) == count

    def test_a_date_that_is_none_is_told_and_left_out(self, browser: FlaskClient, cards: dict[str, Any]) -> None:
        page = browser.get("/decisions?since=tomorrow")

        assert page.status_code == 400
        assert "a date is written like 2026-11-20. It is left out." in words(page)

    def test_a_patient_is_found_by_a_posted_id_that_stands_in_no_address(
        self, browser: FlaskClient, cards: dict[str, Any]
    ) -> None:
        patient = _patient("lantidra-pregnant")

        page = browser.post("/decisions", data={"patient": patient})

        assert page.status_code == 200
        assert len(re.findall(r'class="time"', page.text)) == 1
        assert not [a["href"] for a in parsed(page).all("a") if patient in str(a["href"])]

    def test_an_id_in_the_address_is_not_looked_at(self, browser: FlaskClient, cards: dict[str, Any]) -> None:
        page = browser.get(f"/decisions?patient={_patient('lantidra-pregnant')}")

        assert len(re.findall(r'class="time"', page.text)) == len(SAMPLES)
        assert _patient("lantidra-pregnant") not in page.text

    def test_a_search_without_a_patient_has_an_address_to_come_back_to(self, browser: FlaskClient) -> None:
        answer = browser.post("/decisions", data={"policy": "CP.MP.250", "patient": " ", "id": ""})

        assert (answer.status_code, answer.headers["Location"]) == (303, "/decisions?policy=CP.MP.250")

    def test_the_patient_stands_in_no_line_of_the_log(
        self, browser: FlaskClient, cards: dict[str, Any], capfd: pytest.CaptureFixture[str]
    ) -> None:
        browser.post("/decisions", data={"patient": "canary-patient"})

        assert "canary-patient" not in "".join(capfd.readouterr())

    def test_without_records_it_says_so_and_that_nothing_was_found_otherwise(
        self, browser: FlaskClient, settings: Settings
    ) -> None:
        assert "Nothing is recorded yet." in words(browser.get("/decisions"))
        assert "No decision is found by that." in words(browser.get("/decisions?policy=none"))

    def test_pages_are_linked_with_the_search_that_they_belong_to(
        self, browser: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cds_service.store.search.PAGE", 2)
        stored(settings, *(decided(settings, card()) for _ in range(5)))

        links = {str(a["href"]) for a in parsed(browser.get("/decisions?policy=POL&page=1")).all("a")}

        assert {"/decisions?policy=POL&page=0", "/decisions?policy=POL&page=2"} <= links
        posted = browser.post("/decisions", data={"patient": "canary-patient", "page": "1"})
        assert [b["value"] for b in parsed(posted).all("button") if "name" in b] == ["0", "2"]

    def test_what_waits_in_the_journal_is_said_to(self, browser: FlaskClient, settings: Settings) -> None:
        journal = Journal(settings.data_dir, load_keys(settings))
        journal.append(decided(settings, card()))
        journal.close()

        assert "1 entry waits in the journal for the database and is not listed yet." in words(
            browser.get("/decisions")
        )

    def test_a_database_that_is_not_there_is_told(self, settings: Settings) -> None:
        page = create_app(settings, Services(settings, LIBRARY)).test_client().get("/decisions")

        assert page.status_code == 503
        assert "The records cannot be read" in words(page)

    def test_many_cards_that_read_the_same_are_one_line_with_their_number(
        self, browser: FlaskClient, settings: Settings
    ) -> None:
        stored(settings, decided(settings, card(), card(outcome="met"), card(), card()))

        text = words(browser.get("/decisions"))

        assert "3 \u00d7 undocumented a-therapy POL" in text
        assert text.count("a-therapy POL") == 2


class TestOneDecision:
    def test_it_shows_the_card_as_the_ehr_got_it(self, browser: FlaskClient, cards: dict[str, Any]) -> None:
        shown = cards["lantidra-pregnant"]
        text = words(browser.get(page_of(browser, shown)))

        assert shown["summary"] in text
        assert "To settle it:" in text
        assert "**" not in text

    def test_it_shows_when_and_where_it_was_written_and_that_it_is_as_it_was(
        self, browser: FlaskClient, cards: dict[str, Any]
    ) -> None:
        text = words(browser.get(page_of(browser, cards["lantidra-pregnant"])))

        assert re.search(r"Written to the database: chain 1, place \d\. as it was written", text)
        assert "a1f3c1de-5a55-4a3d-9f56-0c9d7f6f2b11" in text

    def test_it_shows_every_feedback_in_its_order(self, browser: FlaskClient, cards: dict[str, Any]) -> None:
        shown = cards["lantidra-pregnant"]
        reason = {"reason": {"code": "c", "system": "s", "display": "Known"}, "userComment": "By <b>phone</b>."}
        for entry in (said(shown["uuid"], "overridden", overrideReason=reason), said(shown["uuid"])):
            assert browser.post(f"{SERVICE}/feedback", json={"feedback": [entry]}).status_code == 200

        page = browser.get(page_of(browser, shown))

        assert "“By &lt;b&gt;phone&lt;/b&gt;.”" in page.text
        assert words(page).index("overridden") < words(page).index("accepted")

    def test_judged_again_by_the_same_library_it_is_the_same(self, browser: FlaskClient, cards: dict[str, Any]) -> None:
        text = words(browser.get(page_of(browser, cards["lantidra-pregnant"])))

        assert "the same under CP.MP.250 from 2025-10-01: not-met." in text

    def test_judged_again_by_a_changed_library_the_difference_is_told(
        self, browser: FlaskClient, cards: dict[str, Any], settings: Settings, tmp_path: Path
    ) -> None:
        folder = tmp_path / "policies"
        folder.mkdir()
        source = ROOT / "cds_service/policies/CP.MP.250_2025-10-01.yaml"
        text = source.read_text(encoding="utf-8").replace("age_at_least: 18", "age_at_least: 80")
        (folder / source.name).write_text(text.replace("printed: [18]", "printed: [80]"), encoding="utf-8")
        changed = create_app(settings, Services(settings, load_library(folder))).test_client()

        page = words(changed.get(page_of(changed, cards["lantidra-everything-documented"])))

        assert "I.A was met, is now not-met." in page
        assert "the outcome was met, is now not-met." in page

    def test_a_card_of_another_document_says_that_there_is_nothing_to_judge(
        self, browser: FlaskClient, cards: dict[str, Any]
    ) -> None:
        text = words(browser.get(page_of(browser, cards["medicare-member-lantidra"])))

        assert "Governed elsewhere" in text
        assert "there is no policy to judge by" in text

    def test_without_its_key_it_says_that_the_card_cannot_be_shown(
        self, browser: FlaskClient, cards: dict[str, Any], settings: Settings
    ) -> None:
        other = Settings.load(data_dir=settings.data_dir, record_keys="another secret of the tests that is long enough")
        page = create_app(other, Services(other, LIBRARY)).test_client()

        text = words(page.get(page_of(page, cards["lantidra-pregnant"])))

        assert "It cannot be decrypted with the keys that are configured." in text
        assert "its key is not configured" in text

    def test_a_decision_in_the_journal_says_where_it_is(self, browser: FlaskClient, settings: Settings) -> None:
        journal = Journal(settings.data_dir, load_keys(settings))
        journal.append(entry := decided(settings, card()))
        journal.close()

        assert "in the journal The database did not take it" in words(browser.get(f"/decisions/{entry.id}"))

    def test_a_request_without_a_card_is_told(self, browser: FlaskClient, settings: Settings) -> None:
        stored(settings, entry := decided(settings))

        assert "No order of the request concerned a policy" in words(browser.get(f"/decisions/{entry.id}"))

    def test_one_that_is_not_there_gets_a_page_that_leads_on(self, browser: FlaskClient) -> None:
        page = browser.get("/decisions/none")

        assert page.status_code == 404
        assert "/decisions" in {a["href"] for a in parsed(page).all("a")}
        told = browser.get("/decisions/none", headers={"Accept": "application/json"})
        assert (told.status_code, told.get_json()["error"]) == (404, "No such decision")

    @pytest.mark.parametrize(
        "detail",
        [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "![x](http://x.example/p.png)",
            "<img src=x onerror=y>",
        ],
    )
    def test_nothing_in_a_card_runs_or_loads(self, browser: FlaskClient, settings: Settings, detail: str) -> None:
        shown = {**card(), "indicator": "info", "source": {"label": "S"}, "detail": detail}
        stored(settings, entry := decided(settings, shown))

        page = parsed(browser.get(f"/decisions/{entry.id}"))

        assert page.all("script") == []
        assert [image["src"] for image in page.all("img")] == ["/static/icon.svg"]
        assert not [a for a in page.all("a") if str(a["href"]).startswith("javascript")]

    def test_programs_get_all_of_it_as_json(self, browser: FlaskClient, cards: dict[str, Any]) -> None:
        shown = cards["lantidra-pregnant"]
        browser.post(f"{SERVICE}/feedback", json={"feedback": [said(shown["uuid"])]})

        body = browser.get(page_of(browser, shown), headers={"Accept": "application/json"}).get_json()

        assert body["writtenTo"] == "database"
        assert body["place"]["intact"] is True
        (found,) = body["cards"]
        assert found["card"] == shown
        assert [one["outcome"] for one in found["feedback"]] == ["accepted"]
        assert found["replay"] == ["the same under CP.MP.250 from 2025-10-01: not-met"]


class TestFeedback:
    def test_what_became_of_the_cards_is_counted_by_policy_and_letter(
        self, browser: FlaskClient, cards: dict[str, Any]
    ) -> None:
        shown = cards["lantidra-pregnant"]
        reason = {"reason": {"code": "known-otherwise", "system": "s"}}
        browser.post(
            f"{SERVICE}/feedback", json={"feedback": [said(shown["uuid"], "overridden", overrideReason=reason)]}
        )

        text = words(browser.get("/decisions/feedback"))

        assert "CP.MP.250 all cards shown 2 accepted 0 overridden 1 known-otherwise 1" in text
        assert "CP.MP.250 I.F shown 1 accepted 0 overridden 1 known-otherwise 1" in text

    def test_before_the_first_card_it_says_so(self, browser: FlaskClient) -> None:
        assert "No card with a policy is recorded yet." in words(browser.get("/decisions/feedback"))

    def test_feedback_on_cards_that_are_not_known_is_counted_apart(self, browser: FlaskClient) -> None:
        browser.post(f"{SERVICE}/feedback", json={"feedback": [said("e3f0a1de-5a55-4a3d-9f56-0c9d7f6f2b11")]})

        assert "1 entry is on cards that are not recorded here" in words(browser.get("/decisions/feedback"))


def _patient(sample: str) -> str:
    bundle = json.loads((ROOT / f"sample_bundles/{sample}.json").read_text(encoding="utf-8"))
    resources = [entry["resource"] for entry in bundle["entry"]]
    return str(next(r["id"] for r in resources if r["resourceType"] == "Patient"))
