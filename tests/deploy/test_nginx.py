"""The shipped proxy in front of a real service: what an EHR, a slow client and a stranger meet."""

from __future__ import annotations

import json
import re
import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import crossplane
import pytest

from cds_service import create_app
from cds_service.cards.assessment import assessment_of
from cds_service.server import KEEP_ALIVE
from cds_service.settings import Settings
from tests.cds_service.security.signing import claims, jwks, signed
from tests.deploy.proxy import CONFIGURATION, NAME, PUBLIC, Answer, Proxy, in_front_of, needs_nginx
from tests.serving import ROOT, run, serving
from tests.waiting import PATIENCE, until

SERVICE = "/cds-services/coverage-criteria"
DECISIONS = ("/decisions", "/decisions/<record_id>", "/decisions/sign-in", "/decisions/feedback")
INSIDE_ONLY = {"/readyz", "/metrics", *DECISIONS}
"""What the service answers and the proxy hides; any other route of the service is meant to be seen."""
SLOW = 300
HEALTHY = 3.0
"""Seconds: a service whose threads wait for slow bodies does not answer before it gives those up, after ten."""
SAMPLE = "sample_bundles/lantidra-one-hypoglycemia-event-only.json"


@pytest.fixture(scope="module")
def order() -> bytes:
    return run(f"coverage-cds request {SAMPLE}", ROOT).stdout.encode()


@pytest.fixture(scope="module")
def service_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "service.log"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, service_log: Path) -> Iterator[str]:
    """``host:port`` of a service that knows one client and its own public URL."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "keys.json").write_bytes(jwks())
    listed = {"clients": [{"name": "EHR", "issuer": "https://ehr.example.org", "keys": "keys.json"}]}
    (folder / "clients.yaml").write_text(json.dumps(listed), encoding="utf-8")
    settings = {"COVERAGE_CDS_CLIENTS": str(folder / "clients.yaml"), "COVERAGE_CDS_BASE_URL": PUBLIC}
    with service_log.open("w") as log, serving(folder, stderr=log, settings=settings) as (url, _):
        yield urlsplit(url).netloc


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, service: str) -> Iterator[Proxy]:
    with in_front_of(service, tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, service: str) -> Iterator[Proxy]:
    """The proxy with the times of its limits cut to a second."""
    shorter = {r"client_(header|body)_timeout 10s": r"client_\1_timeout 1s"}
    with in_front_of(service, tmp_path_factory.mktemp("hasty"), shorter) as running:
        yield running


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, service: str) -> Iterator[Proxy]:
    """The proxy with three connections for each address, which it lets wait for longer than the test takes."""
    fewer = {r"client_(header|body)_timeout 10s": rf"client_\1_timeout {PATIENCE:.0f}s", "callers 512": "callers 3"}
    with in_front_of(service, tmp_path_factory.mktemp("narrow"), fewer) as running:
        yield running


def token(path: str = SERVICE, base: str = PUBLIC) -> str:
    return f"Bearer {signed(claims(time.time(), f'{base}{path}'))}"


def sent(proxy: Proxy, body: bytes, **headers: str) -> Answer:
    said = {"Content_Type": "application/json", "Authorization": token(), **headers}
    return proxy.ask("POST", SERVICE, body, **said)


def answered_by_proxy(answer: Answer) -> bool:
    return b"There is nothing at this URL." in answer.body


def slow_body(length: int = 100_000) -> bytes:
    return (
        f"POST {SERVICE} HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: {token()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{"
    ).encode()


def still_waits(connection: ssl.SSLSocket) -> bool:
    """Whether nothing was answered on a connection, and nobody has closed it."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except ssl.SSLWantReadError:
        return True
    return False


def ends(connection: ssl.SSLSocket, said: bytes, within: float = PATIENCE) -> bool:
    """Whether a connection ends without an answer after something was said, or was before. Raises TimeoutError."""
    connection.settimeout(within)
    try:
        connection.sendall(said)
        return connection.recv(1000) == b""
    except (ConnectionError, ssl.SSLError):
        return True


def begun(proxy: Proxy) -> ssl.SSLSocket:
    """Return a connection to a proxy that gives up soon: also on one that was too slow in saying hello."""
    connections: list[ssl.SSLSocket] = []

    def connects() -> bool:
        with suppress(ConnectionError, ssl.SSLError):
            connections.append(proxy.connect())
        return bool(connections)

    until(connects)
    return connections[0]


def orders_logged(service_log: Path) -> int:
    """Return how many orders the service has logged; it does so before it answers."""
    logged = map(json.loads, service_log.read_text(encoding="utf-8").splitlines())
    return sum(line["event"] == "request" and line["method"] == "POST" for line in logged)


def healthy(proxy: Proxy) -> float:
    """Return the median of the seconds that the health check takes; it always has to answer."""
    took = []
    with proxy.http() as client:
        for _ in range(20):
            began = time.perf_counter()
            assert client.ask("GET", "/healthz").status == 200
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def test_the_configuration_is_one_that_nginx_knows() -> None:
    parsed = crossplane.parse(str(CONFIGURATION), strict=True)

    assert (parsed["status"], parsed["errors"]) == ("ok", [])


def test_it_lets_go_of_an_idle_connection_before_the_service_does() -> None:
    stated = re.search(r"upstream service \{.*?keepalive_timeout (\d+)s;", CONFIGURATION.read_text(), re.DOTALL)

    assert stated
    assert int(stated[1]) < KEEP_ALIVE


def test_it_takes_bodies_as_large_as_the_service_does() -> None:
    stated = re.search(r"client_max_body_size (\d+)m;", CONFIGURATION.read_text())

    assert stated
    assert int(stated[1]) * 1024 * 1024 == Settings.load().max_body


@needs_nginx
class TestRunning:
    def test_an_order_with_a_token_for_the_public_url_gets_its_card(self, proxy: Proxy, order: bytes) -> None:
        answer = sent(proxy, order)
        cards = json.loads(answer.body)["cards"]
        told = [said for card in cards if (said := assessment_of(card))]

        assert answer.status == 200
        assert [one["outcome"] for one in told] == ["undocumented"]
        assert {urlsplit(link["url"]).netloc for card in cards for link in card.get("links", [])} == {NAME}

    def test_a_token_for_the_address_behind_the_proxy_is_refused(
        self, proxy: Proxy, order: bytes, service: str
    ) -> None:
        assert sent(proxy, order, Authorization=token(base=f"http://{service}")).status == 401

    def test_what_a_client_claims_of_the_way_it_came_changes_nothing(self, proxy: Proxy, order: bytes) -> None:
        names = ("Forwarded-Host", "Forwarded-Proto", "Forwarded-Protocol", "Forwarded-Ssl", "Forwarded-Prefix")
        claimed = {f"X_{name.replace('-', '_')}": "evil.example.org" for name in names}
        answer = sent(proxy, order, **claimed, Forwarded="host=evil.example.org", Script_Name="/evil")

        assert answer.status == 200
        assert b"evil" not in answer.body

    def test_discovery_and_health_are_reached_and_health_needs_no_token(self, proxy: Proxy) -> None:
        assert proxy.ask("GET", "/healthz").status == 200
        assert proxy.ask("GET", "/cds-services").status == 401
        assert proxy.ask("GET", "/cds-services", Authorization=token("/cds-services")).status == 200

    def test_every_route_of_the_service_is_seen_but_those_for_its_operators(self, proxy: Proxy, tmp_path: Path) -> None:
        rules = {rule.rule for rule in create_app(Settings.load(data_dir=tmp_path)).url_map.iter_rules()}
        paths = {rule: re.sub(r"<[^>]*>", "x", rule) for rule in rules}
        hidden = {r for r, p in paths.items() if answered_by_proxy(proxy.ask("OPTIONS", p))}

        assert hidden == rules & INSIDE_ONLY

    @pytest.mark.parametrize(
        "path", ["/metrics", "/readyz", "//metrics", "/static/../metrics", "/%6detrics", "/decisions", "/policiesx"]
    )
    def test_what_is_for_operators_is_hidden_in_every_spelling(self, proxy: Proxy, path: str) -> None:
        answer = proxy.ask("GET", path)

        assert answer.status == 404
        assert answered_by_proxy(answer)
        assert json.loads(answer.body)["resourceType"] == "OperationOutcome"
        assert answer.headers["Content-Type"] == "application/json"

    def test_a_body_too_large_is_refused_before_it_is_sent(self, proxy: Proxy, service_log: Path) -> None:
        before = orders_logged(service_log)
        with proxy.connect() as connection:
            connection.sendall(slow_body(length=2 * 1024 * 1024 + 1))
            answer = HTTPResponse(connection)
            answer.begin()
            said = answer.read()

        assert answer.status == 413
        assert json.loads(said)["issue"][0]["code"] == "too-long"
        assert orders_logged(service_log) == before

    def test_a_body_just_as_large_as_allowed_reaches_the_service(self, proxy: Proxy, order: bytes) -> None:
        padded = order.rstrip() + b" " * (2 * 1024 * 1024 - len(order.rstrip()))

        assert sent(proxy, padded).status == 200

    def test_300_slow_bodies_neither_reach_the_service_nor_slow_it(
        self, proxy: Proxy, order: bytes, service_log: Path
    ) -> None:
        before, begins = orders_logged(service_log), slow_body()
        stop = threading.Event()
        with ExitStack() as stack:
            slow: list[ssl.SSLSocket] = []

            def drip() -> None:  # into the first ones before the last ones are there: none may wait for ten seconds
                while not stop.wait(0.2):
                    for connection in slow:
                        connection.sendall(b" ")

            thread = threading.Thread(target=drip)
            thread.start()
            try:
                for _ in range(SLOW):
                    connection = stack.enter_context(proxy.connect())
                    connection.sendall(begins)
                    slow.append(connection)
                medians = [healthy(proxy) for _ in range(5)]
                answers = [sent(proxy, order).status for _ in range(3)]
            finally:
                stop.set()
                thread.join()
            held = [still_waits(connection) for connection in slow]

        assert held == [True] * SLOW
        assert min(medians) < HEALTHY
        assert answers == [200] * 3
        assert orders_logged(service_log) - before == 3

    def test_the_log_names_no_path_address_or_token(self, proxy: Proxy, order: bytes) -> None:
        sent(proxy, order)
        until(lambda: proxy.access_log.read_text().endswith("\n"))
        members = {name for line in proxy.access_log.read_text().splitlines() for name in json.loads(line)}

        assert members == {"time", "method", "status", "seconds", "upstream_seconds", "bytes_in", "bytes_out"}


@needs_nginx
class TestLimits:
    @pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: "])
    def test_headers_that_do_not_come_end_the_connection(self, hasty: Proxy, said: bytes) -> None:
        with begun(hasty) as connection:
            assert ends(connection, said)

    def test_headers_that_drip_end_the_connection_too(self, hasty: Proxy) -> None:
        with begun(hasty) as connection:

            def is_over() -> bool:
                try:
                    return ends(connection, b"X", within=0.1)
                except TimeoutError:
                    return False

            until(is_over)

    def test_a_body_that_does_not_come_ends_the_connection(self, hasty: Proxy) -> None:
        with begun(hasty) as connection:
            assert ends(connection, slow_body())

    def test_an_address_has_so_many_connections_and_is_told_so(self, narrow: Proxy) -> None:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(narrow.connect()).sendall(slow_body())
            answers: list[Answer] = []

            def is_full() -> bool:  # another process of nginx may still have to look at the three
                answers.append(narrow.ask("GET", "/policies"))
                return answers[-1].status == 429

            until(is_full)
            health = narrow.ask("GET", "/healthz")

        assert answers[-1].headers["Retry-After"] == "5"
        assert health.status == 200


@needs_nginx
def test_without_the_service_the_answer_is_503_with_a_time_to_come_again(tmp_path: Path) -> None:
    with in_front_of("127.0.0.1:1", tmp_path) as proxy:
        answer = sent(proxy, b"{}")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert json.loads(answer.body)["issue"][0]["code"] == "transient"
