import base64
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_connections import Connections
from cds_service.security.keys import FRESH, MAX_BYTES, PAUSE, FileKeys, UnusableKeys, UrlKeys, fetching, read_keys
from tests.cds_service.security.signing import jwks, key, public
from tests.waiting import PATIENCE

WEAK = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - what is tested
WEAK_N = base64.urlsafe_b64encode(WEAK.public_numbers().n.to_bytes(128, "big")).rstrip(b"=").decode()
FULL = [public("a", "P-384"), public("b", "RSA"), public("c", "P-256")]


def _pem(public_key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> str:
    return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def places(*entries: Any) -> list[tuple[str, str]]:
    return sorted(read_keys(json.dumps({"keys": [*entries, public("known", "P-256")]}).encode()))[:-1]


class TestReading:
    def test_a_set_of_keys(self) -> None:
        assert places(*FULL) == [("a", "P-384"), ("b", "RSA"), ("c", "P-256")]

    def test_a_list_of_pem_and_id_as_the_request_generator_gives(self) -> None:
        entries = [{"pem": key(f).as_pem(private=False).decode(), "id": f} for f in ("RSA", "P-384")]

        assert sorted(read_keys(json.dumps(entries).encode())) == [("P-384", "P-384"), ("RSA", "RSA")]

    def test_one_id_may_stand_for_an_rsa_and_an_ec_key_and_the_first_of_two_counts(self) -> None:
        twice = [public("a", "RSA"), public("a", "P-384"), public("a", "RSA", "stranger")]
        found = read_keys(json.dumps({"keys": twice}).encode())

        assert sorted(found) == [("a", "P-384"), ("a", "RSA")]
        assert found["a", "RSA"].key.as_dict()["n"] == twice[0]["n"]

    @pytest.mark.parametrize(
        "entry",
        [
            5,
            {},
            {**public("a", "RSA"), "kid": None},
            {**public("a", "RSA"), "kid": ""},
            {**public("a", "RSA"), "kid": 5},
            {**public("a", "RSA"), "use": "enc"},
            {**public("a", "RSA"), "key_ops": ["encrypt"]},
            {**public("a", "RSA"), "key_ops": "verify"},
            {**public("a", "RSA"), "alg": ["RS256"]},
            {**public("a", "RSA"), "n": 5},
            {**public("a", "RSA"), "n": "!!!"},
            {**public("a", "RSA"), "e": ""},
            {**public("a", "P-384"), "x": "AAAA"},
            {**public("a", "P-384"), "crv": "P-521"},
            {**public("a", "P-384"), "crv": "secp256k1"},
            {"kty": "oct", "kid": "a", "k": "c2VjcmV0"},
            {"kty": "OKP", "kid": "a", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty": "RSA", "kid": "a", "n": WEAK_N, "e": "AQAB"},
            {"id": "a", "pem": _pem(WEAK)},
            {"id": "a", "pem": _pem(ed25519.Ed25519PrivateKey.generate().public_key())},
            {"id": "a", "pem": _pem(ec.generate_private_key(ec.SECP521R1()).public_key())},
            {"id": "a", "pem": 5},
            {"id": "a", "pem": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"},
            {"kid": "a", "pem": "x"},
        ],
    )
    def test_a_key_that_must_not_count_is_passed_over(self, entry: object) -> None:
        assert places(entry) == []

    def test_what_should_be_secret_is_not_kept(self) -> None:
        private = {**key("RSA").as_dict(private=True), "kid": "a"}

        assert read_keys(json.dumps({"keys": [private]}).encode())["a", "RSA"].key.is_private is False
        assert places({"id": "a", "pem": key("RSA").as_pem(private=True).decode()}) == []

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "empty"),
            (b"{", "not JSON"),
            (b"5", "neither a JWK Set"),
            (b'{"keys": {}}', "neither a JWK Set"),
            (b'{"keys": []}', "no usable key"),
            (b"[]", "no usable key"),
            (b"[" * 5000, "not JSON"),
            (b" " * (MAX_BYTES + 1), "larger than"),
        ],
    )
    def test_a_text_without_keys_is_unusable(self, data: bytes, why: str) -> None:
        with pytest.raises(UnusableKeys, match=why):
            read_keys(data)


class TestFile:
    def test_it_is_read_again_when_it_changes_and_not_otherwise(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"keys": [public("old", "RSA")]}), encoding="utf-8")
        keys = FileKeys(file, "EHR")
        before = keys.find("old", "RSA")

        assert before is not None
        assert keys.find("old", "RSA") is before
        file.write_text(json.dumps({"keys": [public("newer", "RSA")]}), encoding="utf-8")
        assert keys.find("newer", "RSA") is not None
        assert keys.find("old", "RSA") is None

    @pytest.mark.parametrize("spoil", [os.remove, lambda file: file.write_text("{", encoding="utf-8")])
    def test_while_it_is_not_right_the_keys_that_are_known_count(
        self, tmp_path: Path, spoil: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(jwks())
        keys = FileKeys(file, "EHR")

        assert keys.is_ready()
        spoil(file)
        assert keys.find("RSA", "RSA") is not None
        assert keys.find("RSA", "RSA") is not None
        assert keys.is_ready()
        assert capsys.readouterr().err.count("keys not read") == 1

    def test_without_a_file_there_are_no_keys(self, tmp_path: Path) -> None:
        keys = FileKeys(tmp_path / "none.json", "EHR")

        assert not keys.is_ready()
        assert keys.find("RSA", "RSA") is None


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Source:
    """Stands in for a URL: counts its fetches, gives what it is told to."""

    def __init__(self) -> None:
        self.data: bytes | None = jwks()
        self.fetches = 0

    def __call__(self, url: str) -> bytes:
        self.fetches += 1
        if self.data is None:
            raise CouldNotRetrieve("it did not answer")
        return self.data


class TestUrl:
    @pytest.fixture
    def source(self) -> Source:
        return Source()

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def keys(self, source: Source, clock: Clock) -> UrlKeys:
        return UrlKeys("https://ehr.example.org/jwks", "EHR", source, clock, start=lambda work: work())

    def test_known_keys_are_fetched_once(self, keys: UrlKeys, source: Source) -> None:
        assert [keys.find(f, f) is not None for f in ("RSA", "P-384", "RSA")] == [True, True, True]
        assert source.fetches == 1

    def test_unknown_keys_cause_one_fetch_in_30_seconds(self, keys: UrlKeys, source: Source, clock: Clock) -> None:
        for number in range(50):
            assert keys.find(f"unknown-{number}", "RSA") is None
            clock.time += (PAUSE - 1) / 50
        assert source.fetches == 1
        clock.time += 2
        assert keys.find("unknown", "RSA") is None
        assert source.fetches == 2

    def test_a_key_that_is_new_at_the_client_is_found(self, keys: UrlKeys, source: Source, clock: Clock) -> None:
        keys.find("RSA", "RSA")
        source.data = json.dumps({"keys": [public("RSA", "RSA"), public("new", "RSA")]}).encode()

        assert keys.find("new", "RSA") is None
        clock.time += PAUSE
        assert keys.find("new", "RSA") is not None

    @pytest.mark.parametrize("answer", [None, b"", b'{"keys": []}'])
    def test_an_outage_fails_no_known_key(
        self, keys: UrlKeys, source: Source, clock: Clock, answer: bytes | None
    ) -> None:
        keys.find("RSA", "RSA")
        source.data = answer
        clock.time += 10 * FRESH

        assert keys.find("unknown", "RSA") is None
        assert keys.find("RSA", "RSA") is not None
        assert source.fetches == 2

    def test_a_key_that_was_withdrawn_counts_for_an_hour_at_most(
        self, keys: UrlKeys, source: Source, clock: Clock
    ) -> None:
        keys.find("RSA", "RSA")
        source.data = json.dumps({"keys": [public("new", "RSA")]}).encode()
        clock.time += FRESH + 1

        assert keys.find("RSA", "RSA") is not None  # nobody waits for what is known
        assert keys.find("RSA", "RSA") is None
        assert source.fetches == 2

    def test_it_is_ready_once_there_are_keys(self, keys: UrlKeys, source: Source, clock: Clock) -> None:
        source.data = None

        assert not keys.is_ready()
        source.data = jwks()
        assert not keys.is_ready()
        clock.time += PAUSE
        assert keys.is_ready()
        assert keys.is_ready()
        assert source.fetches == 2

    def test_many_that_ask_at_once_wait_for_one_fetch(self, source: Source) -> None:
        fetching_now, go_on = threading.Event(), threading.Event()

        def slow(url: str) -> bytes:
            fetching_now.set()
            go_on.wait(PATIENCE)
            return source(url)

        keys, found = UrlKeys("https://ehr.example.org/jwks", "EHR", slow), []
        threads = [threading.Thread(target=lambda: found.append(keys.find("RSA", "RSA"))) for _ in range(16)]
        for thread in threads:
            thread.start()
        fetching_now.wait(PATIENCE)
        go_on.set()
        for thread in threads:
            thread.join()

        assert len(found) == 16
        assert None not in found
        assert source.fetches == 1


@contextmanager
def jwks_server(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Run a server that counts its requests."""
    asked: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks", asked
        finally:
            server.shutdown()
            thread.join()


class TestServer:
    @pytest.fixture
    def connections(self) -> Iterator[Connections]:
        found = Connections()
        yield found
        found.close()

    def test_keys_come_over_the_network_in_one_request_without_a_token(self, connections: Connections) -> None:
        with jwks_server(200, jwks()) as (url, asked):
            keys = UrlKeys(url, "EHR", fetching(connections))

            assert keys.find("P-384", "P-384") is not None
            assert [keys.find(f"x{n}", "RSA") for n in range(20)] == [None] * 20
            assert asked == [""]

    @pytest.mark.parametrize(
        ("status", "body"), [(503, b""), (404, b""), (302, b""), (200, b"x"), (200, b" " * (MAX_BYTES + 1))]
    )
    def test_a_server_that_fails_is_asked_once(self, connections: Connections, status: int, body: bytes) -> None:
        with jwks_server(status, body) as (url, asked):
            keys = UrlKeys(url, "EHR", fetching(connections))

            assert [keys.find("P-384", "P-384") for _ in range(20)] == [None] * 20
            assert len(asked) == 1
