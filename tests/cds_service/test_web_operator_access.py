"""Who may see recorded decisions: nobody through a proxy, by another name or from another machine without a token."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from cds_service import create_app
from cds_service.cli import main
from cds_service.settings import Settings
from tests.cds_service.security.signing import claims, jwks, signed
from tests.cds_service.store.entries import PATIENT, card, decided, stored
from tests.cds_service.test_web_authentication import CLIENTS
from tests.conftest import NO_LIBRARY
from tests.serving import on_a_socket
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

HERE = {"REMOTE_ADDR": "127.0.0.1"}
PATHS = ("/decisions", "/decisions/feedback", "/decisions/9efd3263-3361-4e71-927d-b178114f9e70")
URL = "http://localhost"


def application(folder: Path, **values: object) -> Flask:
    settings = Settings.load(data_dir=folder / "data", **values)
    app = create_app(settings, NO_LIBRARY)
    app.extensions["recorder"].prepare()
    return app


def clients_file(folder: Path) -> Path:
    (folder / "keys.json").write_bytes(jwks())
    (folder / "other.json").write_bytes(jwks("other"))
    path = folder / "clients.yaml"
    path.write_text(CLIENTS, encoding="utf-8")
    return path


@pytest.fixture
def alone(tmp_path: Path) -> FlaskClient:
    """A service without clients."""
    return application(tmp_path).test_client()


@pytest.fixture
def shared(tmp_path: Path) -> FlaskClient:
    """A service with clients, each of which has a record."""
    app = application(tmp_path, clients=clients_file(tmp_path))
    settings = Settings.load(data_dir=tmp_path / "data")
    stored(settings, decided(settings, card(), client="Example EHR"), decided(settings, card(), client="Other"))
    return app.test_client()


def bearer(path: str, **changed: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed(claims(time.time(), f'{URL}{path}', **changed))}"}


class TestWithoutClients:
    @pytest.mark.parametrize("path", PATHS[:2])
    @pytest.mark.parametrize("name", ["localhost", "127.0.0.1:8000", "[::1]:8000", "127.8.9.10"])
    def test_a_browser_on_the_machine_sees_them(self, alone: FlaskClient, path: str, name: str) -> None:
        assert alone.get(path, headers={"Host": name}, environ_overrides=HERE).status_code == 200

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("address", ["10.0.0.7", "203.0.113.9", "fe80::1", "", "::ffff:10.0.0.7"])
    def test_another_machine_does_not(self, alone: FlaskClient, path: str, address: str) -> None:
        answer = alone.get(path, environ_overrides={"REMOTE_ADDR": address})

        assert answer.status_code == 403
        assert "on the service's own machine only" in answer.text

    @pytest.mark.parametrize(
        "header",
        [
            "Forwarded: for=203.0.113.9",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Proto: https",
            "X-FORWARDED-HOST: localhost",
            "X-Forwarded-For:",
            "X-Real-IP: 127.0.0.1",
            "Via: 1.1 proxy",
            "X-Original-URL: /decisions",
            "CF-Connecting-IP: 203.0.113.9",
            "True-Client-IP: 203.0.113.9",
        ],
    )
    def test_what_came_through_a_proxy_on_the_machine_does_not(self, alone: FlaskClient, header: str) -> None:
        name, _, value = header.partition(":")

        assert alone.get("/decisions", headers={name: value.strip()}, environ_overrides=HERE).status_code == 403

    @pytest.mark.parametrize(
        "name", ["coverage.example.org", "localhost.example.org", "127.0.0.1.example.org", "127.0.0.1@x", "0.0.0.1", ""]
    )
    def test_a_page_whose_name_was_made_to_mean_this_machine_does_not(self, alone: FlaskClient, name: str) -> None:
        assert alone.get("/decisions", headers={"Host": name}, environ_overrides=HERE).status_code == 403

    def test_a_simple_proxy_is_known_by_its_old_http(self, alone: FlaskClient) -> None:
        old = {**HERE, "SERVER_PROTOCOL": "HTTP/1.0"}

        assert alone.get("/decisions", environ_overrides=old).status_code == 403

    def test_a_service_with_a_public_name_shows_nothing(self, tmp_path: Path) -> None:
        public = application(tmp_path, base_url="https://coverage.example.org").test_client()

        assert public.get("/decisions", environ_overrides=HERE).status_code == 403

    def test_a_service_whose_name_is_this_machine_does(self, tmp_path: Path) -> None:
        named = application(tmp_path, base_url="http://127.0.0.1:8000").test_client()

        assert named.get("/decisions", environ_overrides=HERE).status_code == 200

    def test_a_token_opens_nothing(self, alone: FlaskClient) -> None:
        there = {"REMOTE_ADDR": "10.0.0.7"}

        assert alone.get("/decisions", headers=bearer("/decisions"), environ_overrides=there).status_code == 403

    def test_nothing_of_them_is_kept_on_the_way(self, alone: FlaskClient) -> None:
        assert alone.get("/decisions", environ_overrides=HERE).headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("path", [*PATHS, "/decisions/sign-in"])
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
    def test_no_page_of_another_origin_may_read_or_send(self, alone: FlaskClient, path: str, method: str) -> None:
        asked = {"Origin": "https://evil.example.org", "Access-Control-Request-Method": "POST"}

        answer = alone.open(path, method=method, headers=asked, environ_overrides=HERE)

        assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118

    def test_no_page_shows_them_in_a_frame(self, alone: FlaskClient) -> None:
        headers = alone.get("/decisions", environ_overrides=HERE).headers

        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"

    def test_they_can_be_switched_off(self, tmp_path: Path) -> None:
        off = application(tmp_path, decision_pages=False).test_client()

        assert off.get("/decisions", environ_overrides=HERE).status_code == 404


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The URL of a service without clients on a socket of every address of this machine."""
    with on_a_socket(application(tmp_path), "0.0.0.0") as url:  # noqa: S104 - that is what is tested
        yield url


def status(url: str, address: str = "127.0.0.1", **headers: str) -> int:
    connection = http.client.HTTPConnection(address, urlsplit(url).port, timeout=PATIENCE)
    try:
        connection.request("GET", "/decisions", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def own_address() -> str | None:
    """Return an address of this machine that is not loopback; None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            any_socket.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        address: str = any_socket.getsockname()[0]
    return None if address.startswith("127.") else address


class TestOnSockets:
    def test_the_machine_itself_is_let_in_and_a_proxy_and_another_name_are_not(self, served: str) -> None:
        assert status(served) == 200
        assert status(served, **{"X-Forwarded-For": "203.0.113.9"}) == 403
        assert status(served, Host="coverage.example.org") == 403

    def test_an_address_that_others_reach_is_not_let_in_even_under_the_name_of_loopback(self, served: str) -> None:
        address = own_address()
        if address is None:
            pytest.skip("this machine has no address but loopback")

        assert status(served, address) == 403
        assert status(served, address, Host="localhost") == 403


class TestWithClients:
    def test_a_client_sees_its_own_records_and_no_others(self, shared: FlaskClient) -> None:
        answer = shared.get("/decisions", headers=bearer("/decisions"), base_url=URL)

        assert answer.status_code == 200
        assert [record["client"] for record in answer.get_json()["decisions"]] == ["Example EHR"]
        asked = shared.get("/decisions?client=Other", headers=bearer("/decisions"), base_url=URL)
        assert [record["client"] for record in asked.get_json()["decisions"]] == ["Example EHR"]

    def test_a_client_reads_a_record_of_its_own_and_none_of_another(self, shared: FlaskClient, tmp_path: Path) -> None:
        settings = Settings.load(data_dir=tmp_path / "data")
        own, other = decided(settings, card(), client="Example EHR"), decided(settings, card(), client="Other")
        stored(settings, own, other)

        for entry, expected in ((own, 200), (other, 404)):
            path = f"/decisions/{entry.id}"
            assert shared.get(path, headers=bearer(path), base_url=URL).status_code == expected

    def test_a_client_finds_its_own_patient_by_posting_the_id(self, shared: FlaskClient) -> None:
        given = {"patient": PATIENT}

        answer = shared.post("/decisions", data=given, headers=bearer("/decisions"), base_url=URL)

        assert [record["client"] for record in answer.get_json()["decisions"]] == ["Example EHR"]
        assert PATIENT not in answer.text

    def test_what_became_of_all_cards_is_for_operators(self, shared: FlaskClient) -> None:
        path = "/decisions/feedback"

        assert shared.get(path, headers=bearer(path), base_url=URL).status_code == 403

    @pytest.mark.parametrize(
        "changed",
        [{"aud": "http://localhost/cds-services/coverage-criteria"}, {"exp": 1}, {"iss": "https://x.example"}],
    )
    def test_a_token_has_to_be_as_good_as_for_the_hooks(self, shared: FlaskClient, changed: dict[str, object]) -> None:
        answer = shared.get("/decisions", headers=bearer("/decisions", **changed), base_url=URL)

        assert (answer.status_code, answer.headers["WWW-Authenticate"], answer.data) == (401, "Bearer", b"")

    def test_a_token_counts_once(self, shared: FlaskClient) -> None:
        token = bearer("/decisions")

        assert shared.get("/decisions", headers=token, base_url=URL).status_code == 200
        assert shared.get("/decisions", headers=token, base_url=URL).status_code == 401

    def test_another_machine_without_a_token_is_told_nothing(self, shared: FlaskClient) -> None:
        answer = shared.get("/decisions", environ_overrides={"REMOTE_ADDR": "10.0.0.7"})

        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.get_json()["resourceType"] == "OperationOutcome"

    @pytest.mark.parametrize("path", PATHS)
    def test_being_on_the_machine_is_not_enough(self, shared: FlaskClient, path: str) -> None:
        answer = shared.get(path, environ_overrides=HERE)

        assert answer.status_code == 401
        assert "coverage-cds decisions code" in answer.text


class TestSigningIn:
    @pytest.fixture
    def code(self, shared: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("COVERAGE_CDS_DATA_DIR", str(tmp_path / "data"))
        done = CliRunner().invoke(main, ["decisions", "code"], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout.strip()

    def sign_in(self, browser: FlaskClient, code: str, **environ: str) -> int:
        given = browser.post("/decisions/sign-in", data={"code": code}, environ_overrides={**HERE, **environ})
        return given.status_code

    def test_with_a_code_of_the_service_an_operator_sees_the_records_of_all(
        self, shared: FlaskClient, code: str
    ) -> None:
        assert self.sign_in(shared, f" {code} ") == 303

        page = shared.get("/decisions", environ_overrides=HERE)

        assert page.status_code == 200
        assert page.text.count("Example EHR") > 1
        assert page.text.count("Other") > 1

    def test_the_session_is_for_this_browser_and_these_pages_alone(self, shared: FlaskClient, code: str) -> None:
        shared.post("/decisions/sign-in", data={"code": code}, environ_overrides=HERE)
        cookie = shared.get_cookie("coverage-cds-operator", path="/decisions")

        assert cookie
        assert cookie.http_only
        assert cookie.same_site == "Strict"
        assert cookie.max_age == 8 * 3600

    def test_a_code_counts_once(self, shared: FlaskClient, code: str) -> None:
        assert self.sign_in(shared, code) == 303
        shared.delete_cookie("coverage-cds-operator", path="/decisions")

        assert self.sign_in(shared, code) == 401

    def test_a_code_counts_once_for_all_workers(self, shared: FlaskClient, tmp_path: Path, code: str) -> None:
        other = application(tmp_path, clients=tmp_path / "clients.yaml").test_client()
        start = threading.Barrier(2)

        def at_once(browser: FlaskClient) -> int:
            start.wait(PATIENCE)
            return self.sign_in(browser, code)

        with ThreadPoolExecutor(2) as pool:
            statuses = sorted(pool.map(at_once, (shared, other)))

        assert statuses == [303, 401]

    def test_a_session_does_not_count_through_a_proxy(self, shared: FlaskClient, code: str) -> None:
        assert self.sign_in(shared, code) == 303

        through = shared.get("/decisions", headers={"X-Forwarded-For": "127.0.0.1"}, environ_overrides=HERE)

        assert through.status_code == 401
        assert "Example EHR" not in through.text

    def test_nobody_signs_in_from_another_machine(self, shared: FlaskClient, code: str) -> None:
        assert self.sign_in(shared, code, REMOTE_ADDR="10.0.0.7") == 401
        assert self.sign_in(shared, code) == 303

    @pytest.mark.parametrize("text", ["", "guess", "00000000.9999999999.AAAAAAAAAAAAAAAA." + "0" * 32])
    def test_what_is_no_code_is_told_so(self, shared: FlaskClient, text: str) -> None:
        page = shared.post("/decisions/sign-in", data={"code": text}, environ_overrides=HERE)

        assert page.status_code == 401
        assert "This is no code" in page.text
        assert "guess" not in page.text

    def test_a_session_is_no_code_and_a_code_no_session(self, shared: FlaskClient, code: str) -> None:
        shared.set_cookie("coverage-cds-operator", code, path="/decisions")

        assert shared.get("/decisions", environ_overrides=HERE).status_code == 401
