"""What is counted, by which labels, and who may read it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app, review
from cds_service.circuit_breaker import Breakers
from cds_service.library import Library
from cds_service.metrics import Metrics
from cds_service.routing import Payers
from cds_service.security.outbound import Origin
from cds_service.settings import Settings
from tests import markdown, prometheus
from tests.cds_service.examples import hook_body
from tests.cds_service.security.bad_tokens import bad_tokens
from tests.cds_service.security.signing import jwks
from tests.conftest import NO_LIBRARY
from tests.faults import SERVICE, library, sample
from tests.serving import ROOT
from tests.waiting import unhurried

if TYPE_CHECKING:
    from flask.testing import FlaskClient

TOKEN = "a secret of the tests that is long enough"  # noqa: S105 - it protects nothing
DOCUMENT = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
FACTS: dict[str, Any] = {"method": "POST", "route": SERVICE, "status": 200, "ms": 1.0}
ORIGIN = Origin("https", "fhir.example.org", 443)
PROXIED = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"]


class NoJournal:
    def journal_depth(self) -> int:
        return 0


@pytest.fixture
def breakers() -> Breakers[Origin]:
    return Breakers(failures=1)


@pytest.fixture
def metrics(breakers: Breakers[Origin]) -> Metrics:
    return Metrics(Library((), Payers(())), ["https://fhir.example.org/r4"], breakers)


def counts(metrics: Metrics) -> dict[str, float]:
    return prometheus.samples(metrics.text("", NoJournal())[0].decode())


def read(client: FlaskClient) -> dict[str, float]:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    return prometheus.samples(response.text)


def test_a_call_is_counted_by_all_that_its_log_line_says(tmp_path: Path) -> None:
    settings = unhurried(Settings.load(data_dir=tmp_path))
    client = create_app(settings, review.Services(settings, library())).test_client()
    before = read(client)

    client.post(SERVICE, json=sample())

    grown = prometheus.changes(before, read(client))
    took = {name for name in grown if name.startswith("answer_seconds")}
    assert 'answer_seconds_count{hook="order-sign"}' in took
    assert {name: by for name, by in grown.items() if name not in took} == {
        'requests{hook="order-sign", method="POST", route="/cds-services/<service>", status="200"}': 1,
        'outcomes{outcome="met", policy="CP.MP.250"}': 1,
        'records{way="database"}': 1,
        'missing_records{records="service-requests"}': 1,
        'missing_records{records="medication-administrations"}': 1,
        'missing_records{records="questionnaire-responses"}': 1,
    }


def test_feedback_and_errors_are_counted_too(client: FlaskClient) -> None:
    client.post(f"{SERVICE}/feedback", json={"feedback": "none"})
    client.post(SERVICE, data=b"{")
    client.get("/Patient/p1")

    told = read(client)
    assert told['errors{error="NotFeedback"}'] == told['errors{error="NotJson"}'] == 1
    assert told['requests{hook="none", method="GET", route="none", status="404"}'] == 1


def test_what_machines_ask_every_few_seconds_is_not_counted(client: FlaskClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200

    assert not [name for name in read(client) if name.startswith("requests{")]


def test_what_is_running_is_told(client: FlaskClient, tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path)
    whole = create_app(settings, review.Services(settings, library())).test_client()

    told = read(whole)
    for document in library().documents:
        first_day = document.effective_from.isoformat()
        name = f'policy="{document.id}", revision="{document.revision}"'
        assert told[f'policy_info{{effective_from="{first_day}", {name}}}'] == 1
    assert [name for name in told if name.startswith("build_info{")]
    assert told["journal_entries"] == told["requests_in_work"] == told["records_waiting"] == told["shed"] == 0


def test_a_prometheus_that_prefers_open_metrics_gets_it(client: FlaskClient) -> None:
    response = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


def test_a_policy_that_fails_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr("cds_service.review.evaluate", fail)
    settings = Settings.load(data_dir=tmp_path)
    client = create_app(settings, review.Services(settings, library())).test_client()

    client.post(SERVICE, json=sample())

    assert read(client)['policy_failures{policy="CP.MP.250"}'] == 1


class TestServers:
    def test_one_that_is_left_alone_is_told_until_it_answers(
        self, metrics: Metrics, breakers: Breakers[Origin]
    ) -> None:
        name = 'fhir_server_left_alone{server="https://fhir.example.org:443"}'
        assert counts(metrics)[name] == 0

        breakers.of(ORIGIN).failed()
        metrics.request({**FACTS, "fetched": {"unreachable": 1}})
        assert counts(metrics)[name] == 1

        breakers.of(ORIGIN).succeeded()
        metrics.request({**FACTS, "fetched": {"200": 1}})
        assert counts(metrics)[name] == 0

    def test_those_that_nobody_registered_share_one_name(self, metrics: Metrics, breakers: Breakers[Origin]) -> None:
        for port in range(8000, 8050):
            breakers.of(Origin("http", "127.0.0.1", port)).failed()
        metrics.request({**FACTS, "fetched": {"unreachable": 50}})

        told = {name: by for name, by in counts(metrics).items() if name.startswith("fhir_server")}
        assert told == {
            'fhir_server_left_alone{server="https://fhir.example.org:443"}': 0,
            'fhir_server_left_alone{server="loopback"}': 1,
        }


def test_refused_tokens_are_counted_by_few_reasons_with_nothing_of_the_token(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(jwks())
    named = "{name: E, issuer: 'https://ehr.example.org', keys: keys.json, jku: 'https://ehr.example.org/jwks.json'}"
    (tmp_path / "clients.yaml").write_text(f"clients:\n  - {named}\n", encoding="utf-8")
    client = create_app(Settings.load(data_dir=tmp_path, clients=tmp_path / "clients.yaml"), NO_LIBRARY).test_client()
    bad = [token for _, token in bad_tokens(time.time(), f"http://localhost{SERVICE}") if (token or "").isascii()]

    for _ in range(2):
        for token in bad:
            headers = {} if token is None else {"Authorization": f"Bearer {token}".replace("\n", " ")}
            assert client.post(SERVICE, json=hook_body(), headers=headers).status_code == 401

    told = {name: by for name, by in read(client).items() if name.startswith("refused_tokens")}
    assert sum(told.values()) == 2 * len(bad)
    assert 10 < len(told) < 60
    assert all("https" not in name and len(name) < 120 for name in told)


class TestWhoMayRead:
    def test_without_a_token_only_this_machine_may(self, client: FlaskClient) -> None:
        assert client.get("/metrics").status_code == 200
        response = client.get("/metrics", environ_base={"REMOTE_ADDR": "10.1.2.3"})
        assert response.status_code == 403
        assert "COVERAGE_CDS_METRICS_TOKEN" in response.get_json()["issue"][0]["diagnostics"]

    @pytest.mark.parametrize("header", PROXIED)
    def test_what_a_proxy_on_this_machine_passes_on_is_not_from_this_machine(
        self, client: FlaskClient, header: str
    ) -> None:
        assert client.get("/metrics", headers={header: "198.51.100.7"}).status_code == 403

    @pytest.mark.parametrize(
        ("shown", "status"),
        [
            (None, 401),
            ("", 401),
            ("Bearer", 401),
            ("Bearer another secret that is long enough too", 401),
            (f"Basic {TOKEN}", 401),
            ("Bearer \u00e9", 401),
            (f"Bearer {TOKEN}", 200),
            (f"bearer  {TOKEN} ", 200),
        ],
    )
    def test_with_one_whoever_shows_it_may(self, tmp_path: Path, shown: str | None, status: int) -> None:
        client = create_app(Settings.load(data_dir=tmp_path, metrics_token=TOKEN), NO_LIBRARY).test_client()
        headers = {} if shown is None else {"Authorization": shown}

        response = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": "10.1.2.3"})

        assert response.status_code == status
        assert TOKEN not in response.text

    def test_a_short_token_is_no_setting(self) -> None:
        with pytest.raises(Exception, match="METRICS_TOKEN"):
            Settings.load(metrics_token="short")  # noqa: S106 - no password


def test_the_document_explains_each_metric_and_no_other(metrics: Metrics) -> None:
    told = [row[0].strip("`") for row in markdown.table(DOCUMENT, "/metrics")]
    text = metrics.text("", NoJournal())[0].decode()
    families = re.findall(r"^# TYPE (\S+) \w+$", text, re.MULTILINE)

    assert sorted(told) == sorted(set(families))
    assert set(re.findall(r"coverage_cds_\w+", DOCUMENT)) <= {*told, "coverage_cds_answer_seconds_bucket"}


def test_an_order_and_a_drug_that_are_only_referred_to_are_records_that_can_be_missing(metrics: Metrics) -> None:
    metrics.request({**FACTS, "drugs_not_read": ["late"], "orders_not_read": ["late", "late"]})

    told = counts(metrics)
    assert told['missing_records{records="drug"}'] == told['missing_records{records="order"}'] == 1
