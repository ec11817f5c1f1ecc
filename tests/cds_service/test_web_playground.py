"""The playground's own endpoints: the page, the samples, a Bundle made into a request, and the trace of a call."""

from __future__ import annotations

import fnmatch
import html
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app
from cds_service.bundle_request import request_from
from cds_service.samples import load_samples
from cds_service.settings import Settings
from tests import npm
from tests.cds_service.security import signing
from tests.serving import ROOT

if TYPE_CHECKING:
    from flask.testing import FlaskClient

SAMPLES = sorted(path.stem for path in (ROOT / "sample_bundles").glob("*.json"))
INSTANCE = "a1f3c1de-5a55-4a3d-9f56-0c9d7f6f2b11"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = create_app(Settings.load(data_dir=tmp_path_factory.mktemp("data")))
    yield app.test_client()
    app.extensions["recorder"].close()


def bundle(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / f"sample_bundles/{name}.json").read_text(encoding="utf-8"))
    return read


def traced(browser: FlaskClient, name: str) -> dict[str, Any]:
    """Return the trace of a sample, as the playground asks for it."""
    request = browser.post("/playground/request", json=bundle(name)).get_json()
    answer = browser.post("/cds-services/coverage-criteria", json=request).get_json()
    found: dict[str, Any] = answer["extension"]["coverage-cds.trace"]
    return found


def text_of(browser: FlaskClient, path: str = "/", **options: Any) -> str:
    """Return the text of a page as people read it."""
    page = re.sub(r"<[^>]*>", " ", browser.get(path, **options).text)
    return " ".join(html.unescape(page).split())


class TestThePage:
    def test_says_what_it_is_and_what_it_is_not(self, browser: FlaskClient) -> None:
        text = text_of(browser)

        assert "When a clinician signs an order for a cell or gene therapy" in text
        assert "It determines no coverage; the payer does." in text

    def test_says_that_a_call_is_recorded(self, browser: FlaskClient) -> None:
        assert "it is recorded as a decision" in text_of(browser)

    def test_shows_the_discovery_url_as_it_was_called(self, browser: FlaskClient) -> None:
        page = browser.get("/", base_url="http://127.0.0.1:8123")

        assert "http://127.0.0.1:8123/cds-services" in page.text
        assert 'href="/cds-services"' in page.text

    def test_shows_the_public_url_of_the_settings_first(self, tmp_path: Path) -> None:
        settings = Settings.load(data_dir=tmp_path, base_url="https://coverage.example.org/")
        page = create_app(settings).test_client().get("/", base_url="http://10.0.0.1")

        assert "https://coverage.example.org/cds-services" in page.text
        assert "10.0.0.1" not in page.text

    def test_names_a_sample_for_the_terminal_that_is_there(self, browser: FlaskClient) -> None:
        found = re.search(r"coverage-cds fire (\S+) --url", browser.get("/").text)

        assert found
        assert (ROOT / found[1]).is_file()

    def test_offers_every_sample_with_a_sentence_and_its_payer(self, browser: FlaskClient) -> None:
        page, text = browser.get("/").text, text_of(browser)
        samples = [sample for group in load_samples().values() for sample in group]

        assert sorted(sample.name for sample in samples) == SAMPLES
        assert sorted(re.findall(r'<li><a href="/\?sample=([^"]+)"', page)) == SAMPLES
        assert [s.name for s in samples if f"{s.shows} {s.payer} {s.name}" not in text] == []

    def test_says_so_when_a_link_names_a_sample_that_is_not_there(self, browser: FlaskClient) -> None:
        response = browser.get("/?sample=%3Cscript%3Ex")

        assert response.status_code == 404
        assert "There is no sample of the name in this link." in response.text
        assert "<script>x" not in response.text

    def test_asks_for_a_token_only_where_clients_are_configured(self, tmp_path: Path, browser: FlaskClient) -> None:
        (tmp_path / "jwks.json").write_bytes(signing.jwks())
        clients = tmp_path / "clients.yaml"
        clients.write_text(
            f"clients: [{{name: Example EHR, issuer: '{signing.ISSUER}', keys: jwks.json}}]", encoding="utf-8"
        )
        settings = Settings.load(data_dir=tmp_path / "data", clients=clients)

        page = create_app(settings).test_client().get("/").text

        assert "data-needs-token" in page
        assert "answers only the clients it is configured for" in page
        assert "data-needs-token" not in browser.get("/").text


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_served_as_it_is(browser: FlaskClient, name: str) -> None:
    response = browser.get(f"/samples/{name}.json")

    assert response.content_type == "application/json"
    assert response.data == (ROOT / f"sample_bundles/{name}.json").read_bytes()


@pytest.mark.parametrize("name", ["none", "..%2Fpyproject", "README.md", "../payers"])
def test_nothing_but_a_sample_is_served_as_one(browser: FlaskClient, name: str) -> None:
    response = browser.get(f"/samples/{name}.json")

    assert response.status_code == 404
    assert response.get_json()["resourceType"] == "OperationOutcome"


def test_every_file_that_is_data_is_part_of_an_installation() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    needed = [f"samples/{path.name}" for path in (ROOT / "sample_bundles").iterdir()]
    needed += [
        f"web/{folder}/{path.name}"
        for folder in ("static", "templates")
        for path in (ROOT / "cds_service/web" / folder).iterdir()
    ]

    assert [
        name for name in needed if not any(fnmatch.fnmatch(name, pattern) for pattern in listed["cds_service"])
    ] == []
    assert all((ROOT / "cds_service" / name).is_file() for name in needed)


class TestARequest:
    def test_is_made_of_a_bundle_as_the_command_line_makes_it(self, browser: FlaskClient) -> None:
        made = browser.post("/playground/request", json=bundle("dli-ready")).get_json()
        expected = request_from(bundle("dli-ready"), made["hookInstance"])

        assert made == {**expected, "extension": {"coverage-cds.trace": True}}

    def test_that_is_one_already_stays_as_it_is_but_asks_for_the_trace(self, browser: FlaskClient) -> None:
        request = {**request_from(bundle("dli-ready"), INSTANCE), "extension": {"org.example.x": 1}}

        made = browser.post("/playground/request", json=request).get_json()

        assert made == {**request, "extension": {"org.example.x": 1, "coverage-cds.trace": True}}

    @pytest.mark.parametrize(
        ("body", "status", "said"),
        [
            (b'{"resourceType": "Bundle",\n  "entry" [', 400, "line 2, column 11"),
            (b'{"a": 1, "a": 2}', 400, "two members of the same name"),
            (b"", 400, "empty"),
            (b"[]", 400, "not a JSON object"),
            (b'{"resourceType": "Patient"}', 400, "neither a FHIR Bundle"),
            (b'{"resourceType": "Bundle", "entry": []}', 422, "no order with status draft"),
            (b'{"a": "' + b"x" * 2**21 + b'"}', 413, "larger than"),
        ],
    )
    def test_cannot_be_made_of_this(self, browser: FlaskClient, body: bytes, status: int, said: str) -> None:
        response = browser.post("/playground/request", data=body, content_type="application/json")

        assert response.status_code == status
        assert said in response.get_json()["issue"][0]["diagnostics"]


class TestTheTrace:
    def test_comes_only_when_it_is_asked_for(self, browser: FlaskClient) -> None:
        request = request_from(bundle("dli-ready"), INSTANCE)

        for extension in ({}, {"extension": {"coverage-cds.trace": False}}, {"extension": "coverage-cds.trace"}):
            answer = browser.post("/cds-services/coverage-criteria", json={**request, **extension}).get_json()
            assert "coverage-cds.trace" not in answer.get("extension", {})

    def test_times_every_stage_in_the_order_in_which_they_come(self, browser: FlaskClient) -> None:
        stages = traced(browser, "lantidra-pregnant")["stages"]

        assert [stage["stage"] for stage in stages] == [
            "read", "triage", "chart", "facts", "routing", "evaluation", "cards", "record",
        ]  # fmt: skip
        assert all(stage["ms"] >= 0 for stage in stages)

    def test_says_how_an_order_was_recognised(self, browser: FlaskClient) -> None:
        (order,) = traced(browser, "dli-ready")["orders"]

        assert (order["order"], order["therapy"]) == ("ServiceRequest/dli-order", "donor-lymphocyte-infusion")
        assert order["by"] == "the code of a procedure"
        assert order["codes"] == ["cpt 38242"]

    def test_says_why_an_order_has_no_card(self, browser: FlaskClient) -> None:
        trace = traced(browser, "order-that-concerns-no-policy")

        assert trace["routes"] == []
        assert [order["order"] for order in trace["orders"]] == ["MedicationRequest/amoxicillin-order"]
        assert "for no therapy that this library knows" in trace["orders"][0]["because"]

    def test_says_why_this_policy_governs(self, browser: FlaskClient) -> None:
        (route,) = traced(browser, "dli-current-smoker")["routes"]

        assert route["coverages"] == ["Coverage/coverage-1"]
        assert route["why"] == [
            "Coverage/coverage-1 names WellCare of North Carolina, line of business medicaid.",
            "WellCare of North Carolina itself has no policy for this therapy here; Centene, to which it belongs, has.",
            "Centene judges this therapy by CP.MP.101, whose version from 2023-02-01 is in force on 2026-11-02.",
        ]

    def test_says_why_a_document_elsewhere_governs(self, browser: FlaskClient) -> None:
        (route,) = traced(browser, "medicare-member-lantidra")["routes"]

        assert route["why"][0].startswith("Coverage/")
        assert "line of business medicare" in route["why"][0]
        assert len(route["why"]) == 2

    def test_says_that_policies_are_shown_for_reference(self, browser: FlaskClient) -> None:
        routes = traced(browser, "lantidra-no-payer-stated")["routes"]

        assert len(routes) == 3
        assert all("shown for reference" in route["why"][0] for route in routes)

    def test_belongs_to_the_cards_by_their_decision(self, browser: FlaskClient) -> None:
        request = browser.post("/playground/request", json=bundle("dual-eligible-two-coverages")).get_json()
        answer = browser.post("/cds-services/coverage-criteria", json=request).get_json()

        routes = answer["extension"]["coverage-cds.trace"]["routes"]
        assert [route["decisionId"] for route in routes] == [
            card["uuid"] for card in answer["cards"] if "coverage-cds.assessment" in card.get("extension", {})
        ]

    def test_changes_nothing_about_the_cards(self, browser: FlaskClient) -> None:
        plain = request_from(bundle("lantidra-pregnant"), INSTANCE)
        asking = {**plain, "extension": {"coverage-cds.trace": True}}

        def cards(request: dict[str, Any]) -> str:
            answer = browser.post("/cds-services/coverage-criteria", json=request).get_json()["cards"]
            return re.sub(r'"(uuid|decisionId)": "[^"]+"', "", json.dumps(answer))

        assert cards(plain) == cards(asking)


def test_the_bundles_are_what_their_sources_give(tmp_path: Path) -> None:
    sources, static = ROOT / "cds_service/web/editor", ROOT / "cds_service/web/static"
    npm.install(sources)
    done = subprocess.run(
        ["node", "build.mjs", str(tmp_path)], cwd=sources, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir() if file.read_bytes() != (static / file.name).read_bytes()] == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundles.licences.txt", "editor.js", "markdown.js"]
