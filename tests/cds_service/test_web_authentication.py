"""Authentication over real sockets, as an EHR and a stranger meet it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from flask import Flask

from cds_service import create_app
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.web import authentication
from tests.cds_service.examples import hook_body
from tests.cds_service.security.bad_tokens import bad_tokens
from tests.cds_service.security.signing import claims, jwks, signed
from tests.conftest import NO_LIBRARY
from tests.serving import on_a_socket, serving
from tests.under_load import workers
from tests.waiting import PATIENCE, until

SERVICE = "/cds-services/coverage-criteria"
ORIGIN = "https://pages.ehr.example.org"
CLIENTS = """\
clients:
  - name: Example EHR
    issuer: https://ehr.example.org
    keys: keys.json
    jku: https://ehr.example.org/jwks.json
    fhir_servers: https://fhir.example.org/r4
    cors_origins: https://pages.ehr.example.org
  - name: Other
    issuer: https://other-ehr.example.org
    keys: other.json
"""
NAMES = [name for name, _ in bad_tokens(0, "http://127.0.0.1/cds-services/coverage-criteria")]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def send(url: str, token: str | None = None, body: object = None, **headers: str) -> Answer:
    """Send a request exactly as it is, whatever is in its token; a body makes it a POST."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.putrequest("GET" if body is None else "POST", parts.path, skip_host="Host" in headers)
        if token is not None:
            connection.putheader("Authorization", f"Bearer {token}".encode("latin-1"))
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(data or None)
        response = connection.getresponse()
        dropped = {"Date", "Server", "Connection"}
        return Answer(response.status, {n: v for n, v in response.getheaders() if n not in dropped}, response.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "keys.json").write_bytes(jwks())
    (folder / "other.json").write_bytes(jwks("other"))
    (folder / "clients.yaml").write_text(CLIENTS, encoding="utf-8")
    return folder / "clients.yaml"


Made = Callable[..., Flask]


@pytest.fixture
def make(clients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    def made(**settings: Any) -> Flask:
        monkeypatch.setattr("cds_service.review.answer", asked_for)
        return create_app(Settings.load(data_dir=tmp_path / "data", clients=clients, **settings), NO_LIBRARY)

    return made


ASKED: list[dict[str, Any]] = []


def asked_for(*_: object, **said: Any) -> dict[str, Any]:
    ASKED.append({**said, "began_with": said["due"].left()})
    return {"cards": []}


@pytest.fixture
def service(make: Made) -> Iterator[str]:
    with on_a_socket(make()) as url:
        yield url


@pytest.fixture(scope="module")
def shared(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One service for all bad tokens."""
    settings = Settings.load(data_dir=tmp_path_factory.mktemp("data"), clients=clients)
    with on_a_socket(create_app(settings, NO_LIBRARY)) as url:
        yield url


def good(url: str, **changed: Any) -> str:
    return signed(claims(time.time(), url, **changed))


def is_the_401(answer: Answer) -> bool:
    # what pages may call the service is nothing that a stranger learns from a bad token
    told = {name: value for name, value in answer.headers.items() if name != "Access-Control-Allow-Origin"}
    return (answer.status, told, answer.body) == (401, {"WWW-Authenticate": "Bearer", "Content-Length": "0"}, b"")


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_every_bad_token_gets_the_same_401_with_nothing_in_it(
    number: int, shared: str, capfd: pytest.CaptureFixture[str]
) -> None:
    url = f"{shared}{SERVICE}"
    name, token = list(bad_tokens(time.time(), url))[number]
    answer = send(url, token, hook_body())

    assert is_the_401(answer), name
    logged = capfd.readouterr().err
    assert '"refused":"' in logged
    assert token is None or len(token) < 8 or token not in logged


@pytest.mark.parametrize("header", ["", "Bearer", "Basic dXNlcjpwYXNz", "Bearer  ", "Token x.y.z", "bearer\tx.y.z"])
def test_another_authorization_header_gets_it_too(shared: str, header: str) -> None:
    assert is_the_401(send(f"{shared}{SERVICE}", body=hook_body(), Authorization=header))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/cds-services", None),
        ("/cds-services/", None),
        (SERVICE, hook_body()),
        (
            f"{SERVICE}/feedback",
            {"feedback": [{"card": "c", "outcome": "accepted", "outcomeTimestamp": "2026-11-20T09:30:00Z"}]},
        ),
    ],
)
class TestEndpoints:
    def test_a_good_token_opens_it_once(self, service: str, path: str, body: object) -> None:
        token = good(f"{service}{path}")

        assert send(f"{service}{path}", token, body).status == 200
        assert is_the_401(send(f"{service}{path}", token, body))

    def test_no_token_or_one_for_another_address_does_not(self, service: str, path: str, body: object) -> None:
        assert is_the_401(send(f"{service}{path}", None, body))
        assert is_the_401(send(f"{service}{path}", good(f"{service}/cds-services/other"), body))

    def test_the_scheme_is_read_in_any_case(self, service: str, path: str, body: object) -> None:
        header = f"bEARER {good(f'{service}{path}')}"

        assert send(f"{service}{path}", None, body, Authorization=header).status == 200


def test_a_token_for_the_service_opens_its_feedback_and_one_for_feedback_nothing_else(service: str) -> None:
    body = {"feedback": [{"card": "c", "outcome": "accepted", "outcomeTimestamp": "2026-11-20T09:30:00Z"}]}
    feedback = f"{service}{SERVICE}/feedback"

    assert send(feedback, good(f"{service}{SERVICE}"), body).status == 200
    assert is_the_401(send(feedback, good(f"{service}/cds-services"), body))
    assert is_the_401(send(f"{service}{SERVICE}", good(feedback), hook_body()))


def test_the_body_of_a_stranger_is_not_read(service: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(service).netloc, timeout=PATIENCE)
    connection.putrequest("POST", SERVICE)
    connection.putheader("Content-Length", "1000000000")
    connection.endheaders(b"{")  # and nothing more: whoever reads on waits
    status = connection.getresponse().status
    connection.close()

    assert status == 401


def test_a_service_that_is_not_there_is_told_to_clients_only(service: str) -> None:
    url = f"{service}/cds-services/other"

    assert is_the_401(send(url, None, {}))
    assert send(url, good(url), {}).status == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/"])
def test_what_tells_nothing_of_patients_needs_no_token(service: str, path: str) -> None:
    assert send(f"{service}{path}").status in {200, 500}  # the start page of an empty library fails


class TestWhatATokenMustName:
    def test_behind_a_proxy_it_is_the_public_url(self, make: Made) -> None:
        public = "https://cds.example.org/payer"
        with on_a_socket(make(base_url=f"{public}/")) as url:
            assert send(f"{url}{SERVICE}", good(f"{public}{SERVICE}"), hook_body()).status == 200
            assert send(f"{url}{SERVICE}", good(f"{public}{SERVICE}/"), hook_body()).status == 200
            assert is_the_401(send(f"{url}{SERVICE}", good(f"{url}{SERVICE}"), hook_body()))

    @pytest.mark.parametrize(
        "host", ["other.example.org", "127.0.0.1.example.org", "localhost.example.org:80", "[", "[::1", "[x]:1", ""]
    )
    def test_it_is_never_a_host_that_the_request_claims(self, service: str, host: str) -> None:
        token = good(f"http://{host}{SERVICE}")

        assert send(f"{service}{SERVICE}", token, hook_body(), Host=host).status in {400, 401}

    @pytest.mark.parametrize("host", ["localhost", "[::1]", "127.0.0.1", "localhost:8000", "[::1]:8000"])
    def test_without_a_public_url_every_name_of_loopback_counts(self, service: str, host: str) -> None:
        token = good(f"http://{host}{SERVICE}")

        assert send(f"{service}{SERVICE}", token, hook_body(), Host=host).status == 200


class TestWhatAClientMayHave:
    def test_its_fhir_servers_are_those_that_may_be_read_for_it(self, service: str) -> None:
        url = f"{service}{SERVICE}"
        send(url, good(url), hook_body())

        assert ASKED[-1]["fhir_servers"] == ("https://fhir.example.org/r4",)

    def test_for_one_without_any_none_may_be_read_not_even_on_loopback(self, service: str) -> None:
        url = f"{service}{SERVICE}"
        send(url, signed(claims(time.time(), url, iss="https://other-ehr.example.org"), owner="other"), hook_body())

        assert ASKED[-1]["fhir_servers"] == ("",)

    def test_its_pages_may_call_and_preflight_needs_no_token(self, service: str) -> None:
        for path in ("/cds-services", SERVICE, f"{SERVICE}/feedback"):
            for origin in (ORIGIN, "https://evil.example.org"):
                connection = http.client.HTTPConnection(urlsplit(service).netloc, timeout=PATIENCE)
                asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
                connection.request("OPTIONS", path, headers={"Origin": origin, **asked})
                response = connection.getresponse()
                response.read()
                connection.close()
                assert response.status in {200, 204}
                assert response.getheader("Access-Control-Allow-Origin") in {None, ORIGIN}
                assert origin != ORIGIN or response.getheader("Access-Control-Allow-Origin") == ORIGIN

    def test_its_pages_see_that_a_token_is_refused(self, service: str) -> None:
        refused = send(f"{service}{SERVICE}", None, hook_body(), Origin=ORIGIN)

        assert is_the_401(refused)
        assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN


class TestWithoutClients:
    def test_no_token_is_needed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cds_service.review.answer", asked_for)
        with on_a_socket(create_app(Settings.load(data_dir=tmp_path), NO_LIBRARY)) as url:
            assert send(f"{url}{SERVICE}", None, hook_body()).status == 200
            assert ASKED[-1]["fhir_servers"] is None


def test_keys_of_a_url_are_fetched_when_they_are_needed(
    clients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cds_service.security.test_keys import jwks_server

    with jwks_server(200, jwks()) as (keys, asked):
        file = tmp_path / "clients.yaml"
        file.write_text(f"clients: [{{name: E, issuer: https://ehr.example.org, keys: '{keys}'}}]", encoding="utf-8")
        app = create_app(Settings.load(data_dir=tmp_path, clients=file), NO_LIBRARY)
        with on_a_socket(app) as url:
            assert send(f"{url}/cds-services", good(f"{url}/cds-services")).status == 200
            assert send(f"{url}/cds-services", good(f"{url}/cds-services")).status == 200
            assert len(asked) == 1


def test_the_time_that_keys_take_is_part_of_the_time_for_the_answer(
    clients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = 0.3

    def fetch(_: str) -> bytes:
        time.sleep(slow)
        return jwks()

    monkeypatch.setattr("cds_service.review.answer", asked_for)
    monkeypatch.setattr(authentication, "fetching", lambda _: fetch)
    file = tmp_path / "clients.yaml"
    file.write_text("clients: [{name: E, issuer: https://ehr.example.org, keys: 'https://ehr.example.org/k'}]", "utf-8")
    settings = Settings.load(data_dir=tmp_path, clients=file)

    with on_a_socket(create_app(settings, NO_LIBRARY)) as url:
        assert send(f"{url}{SERVICE}", good(f"{url}{SERVICE}"), hook_body()).status == 200

    assert ASKED[-1]["began_with"] <= settings.answer_deadline - slow


def test_keys_that_one_worker_has_fetched_count_for_all_during_an_outage_and_for_one_that_begins_then(
    tmp_path: Path,
) -> None:
    from tests.cds_service.security.test_keys import jwks_server

    with ExitStack() as stack:
        with jwks_server(200, jwks()) as (keys, asked):
            file = tmp_path / "clients.yaml"
            file.write_text(f"clients: [{{name: E, issuer: https://ehr.example.org, keys: '{keys}'}}]", "utf-8")
            settings = {"COVERAGE_CDS_CLIENTS": str(file)}
            url, process = stack.enter_context(serving(tmp_path, "--workers", "4", settings=settings))
            assert send(f"{url}/cds-services", good(f"{url}/cds-services")).status == 200
            assert len(asked) == 1
        # from here on nobody answers at the URL of the keys
        before = workers(process.pid)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(workers(process.pid)) == 4 and before[0] not in workers(process.pid))
        statuses = [send(f"{url}/cds-services", good(f"{url}/cds-services")).status for _ in range(60)]

    assert statuses == [200] * 60


def test_a_folder_that_cannot_remember_tokens_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / authentication.TOKEN_IDS).mkdir()

    with pytest.raises(SettingsError, match="used tokens cannot be remembered there"):
        authentication.verifier((), Settings.load(data_dir=tmp_path))


def test_a_shared_database_that_is_not_there_does_not_stop_the_start_nor_let_a_token_pass_twice(tmp_path: Path) -> None:
    nowhere = Settings.load(data_dir=tmp_path, database_url="postgresql://nobody:x@127.0.0.1:9/none")

    replays = authentication.replays_of(nowhere)

    assert [replays.accept("issuer", "1", time.time() + 300) for _ in range(3)] == [True, False, False]


def test_workers_of_the_command_share_what_was_used(
    clients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, "--workers", "2", settings={"COVERAGE_CDS_CLIENTS": str(clients)}) as (url, _):
        token = good(f"{url}/cds-services")
        statuses = [send(f"{url}/cds-services", token).status for _ in range(20)]
        huge = list(bad_tokens(time.time(), url))
        bad = {name: send(f"{url}/cds-services", token) for name, token in huge}

    assert statuses == [200] + [401] * 19
    assert {(a.status, a.body, a.headers.get("WWW-Authenticate")) for a in bad.values()} == {(401, b"", "Bearer")}


def test_of_copies_at_once_workers_of_the_command_accept_one(clients: Path, tmp_path: Path) -> None:
    copies, rounds = 16, 10
    with serving(tmp_path, "--workers", "2", settings={"COVERAGE_CDS_CLIENTS": str(clients)}) as (url, _):
        start = threading.Barrier(copies)

        def copy(token: str) -> int:
            start.wait(PATIENCE)
            return send(f"{url}/cds-services", token).status

        with ThreadPoolExecutor(copies) as pool:
            tokens = [good(f"{url}/cds-services") for _ in range(rounds)]
            found = [Counter(pool.map(copy, [token] * copies)) for token in tokens]

    assert found == [{200: 1, 401: copies - 1}] * rounds
