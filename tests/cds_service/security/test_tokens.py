import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.security.clients import Client
from cds_service.security.keys import FileKeys, Key, read_keys
from cds_service.security.replays import MemoryReplays
from cds_service.security.tokens import Refused, Trusted, Verifier
from tests.cds_service.security.bad_tokens import JKU, bad_tokens
from tests.cds_service.security.signing import ISSUER, NOW, URL, claims, header, jwks, key, public, signed

VECTOR = json.loads(Path(__file__).with_name("cdshooks-spec-jwt-vector.json").read_text(encoding="utf-8"))
BAD = dict(bad_tokens(NOW, URL))


class Given:
    """Keys that the test gives."""

    def __init__(self, data: bytes) -> None:
        self.keys = read_keys(data)

    def find(self, kid: str, family: str) -> Key | None:
        return self.keys.get((kid, family))

    def is_ready(self) -> bool:
        return True


def client(**more: Any) -> Client:
    return Client("EHR", ISSUER, Path("unused"), jku=frozenset({JKU}), **more)


def verifier(one: Client | None = None, data: bytes | None = None, now: float = NOW) -> Verifier:
    other = Client("Other", "https://other-ehr.example.org", Path("unused"))
    trusted = [Trusted(one or client(), Given(data or jwks())), Trusted(other, Given(jwks("other")))]
    return Verifier(trusted, MemoryReplays(lambda: now), lambda: now)


def check(token: str, judge: Verifier | None = None, url: str = URL) -> str:
    return (judge or verifier()).verify(token, frozenset({url})).name


def refused(token: str, judge: Verifier | None = None) -> str:
    with pytest.raises(Refused) as caught:
        check(token, judge)
    return caught.value.reason


@pytest.mark.parametrize("alg", ["RS256", "RS384", "ES256", "ES384"])
def test_a_token_of_a_client_is_accepted_with_each_permitted_algorithm(alg: str) -> None:
    assert check(signed(claims(), header(alg))) == "EHR"


@pytest.mark.parametrize("wrong", [name for name, token in BAD.items() if token is not None])
def test_a_bad_token_is_refused_with_a_reason_that_repeats_nothing_of_it(wrong: str) -> None:
    reason = refused(BAD[wrong] or "")

    assert reason
    assert not any(part in reason for part in ("evil", "example.org", "UNION", "eyJ"))


def test_there_are_many_kinds_of_bad_tokens() -> None:
    assert len(BAD) >= 100


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("HS256 with the public key", "the algorithm is not permitted"),
        ("key of another client", "the signature is not right"),
        ("foreign jku", "jku is not one of this client's"),
        ("kid a path", "no key of the client has this kid and suits the algorithm"),
        ("crit", "the header has crit"),
        ("ten years", "the time from iat to exp is not one that this client may have"),
        ("expired", "the token has expired"),
        ("not yet valid", "the token does not count yet"),
        ("iss unknown", "the issuer is not a client"),
        ("payload nests deeply", "a part of the token is not JSON that can be read"),
        ("header a list", "a part of the token is not an object"),
        ("exp beyond all time", "exp is not a time"),
        ("huge", "the token is too long"),
        ("truncated", "the token is not three parts of base64url"),
        ("aud another service", "aud is not the URL called"),
    ],
)
def test_it_is_refused_for_what_is_wrong_with_it(wrong: str, reason: str) -> None:
    assert refused(BAD[wrong] or "") == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": [URL]},
        {"aud": ["https://other.example.org/x", URL]},
        {"aud": f"{URL}/"},
        {"iat": NOW + 55, "exp": NOW + 300},
        {"iat": NOW - 300, "exp": NOW - 55},
        {"iat": NOW - 0.5, "exp": NOW + 200.5},
        {"nbf": NOW},
        {"nbf": NOW + 55},
        {"tenant": "any"},
        {"jti": "x" * 64},
        {"sub": "unknown claims are ignored", "nested": [[{}]]},
    ],
)
def test_claims_that_may_differ(changed: dict[str, Any]) -> None:
    assert check(signed(claims(**changed))) == "EHR"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iat": NOW + 61, "exp": NOW + 300}, "iat is in the future"),
        ({"nbf": NOW + 61}, "the token does not count yet"),
        ({"iat": NOW - 300, "exp": NOW - 60}, "the token has expired"),
    ],
)
def test_clocks_may_differ_by_a_minute_and_no_more(changed: dict[str, Any], reason: str) -> None:
    assert refused(signed(claims(**changed))) == reason


def test_the_jku_of_the_client_is_compared_and_may_be_the_url_of_its_keys() -> None:
    elsewhere = Client("EHR", ISSUER, "https://ehr.example.org/keys.json")

    assert check(signed(claims(), header(jku=JKU))) == "EHR"
    assert check(signed(claims(), header(jku=elsewhere.keys)), verifier(elsewhere)) == "EHR"
    assert refused(signed(claims(), header(jku=JKU)), verifier(elsewhere)) == "jku is not one of this client's"


def test_a_token_counts_once_and_another_of_the_same_client_again() -> None:
    judge, token = verifier(), signed(claims())

    assert check(token, judge) == "EHR"
    assert refused(token, judge) == "the token was used before"
    assert check(signed(claims()), judge) == "EHR"


def test_a_token_that_is_refused_does_not_use_up_its_id() -> None:
    judge, said = verifier(), claims()

    assert refused(signed(said, owner="stranger"), judge) == "the signature is not right"
    assert check(signed(said), judge) == "EHR"


def test_the_same_id_of_two_issuers_is_two() -> None:
    judge = verifier()

    assert check(signed(claims(jti="one")), judge) == "EHR"
    assert check(signed(claims(jti="one", iss="https://other-ehr.example.org"), owner="other"), judge) == "Other"


def test_an_algorithm_that_the_client_does_not_use_is_refused() -> None:
    judge = verifier(client(algorithms=frozenset({"ES384"})))

    assert refused(signed(claims(), header("RS256")), judge) == "the algorithm is not one of this client's"


def test_a_key_that_names_its_algorithm_is_for_no_other() -> None:
    data = json.dumps({"keys": [public("RSA", "RSA", alg="RS384")]}).encode()

    assert check(signed(claims(), header("RS384")), verifier(data=data)) == "EHR"
    assert refused(signed(claims(), header("RS256")), verifier(data=data)) == "the key is for another algorithm"


@pytest.mark.parametrize(("tenant", "is_right"), [("north", True), ("south", False), (None, False), (5, False)])
def test_only_the_tenants_of_a_client_may_call(tenant: object, is_right: bool) -> None:
    judge, token = verifier(client(tenants=frozenset({"north"}))), signed(claims(tenant=tenant))

    assert (check(token, judge) == "EHR") if is_right else "tenant" in refused(token, judge)


def test_which_clients_have_no_keys_yet_can_be_told(tmp_path: Path) -> None:
    judge = Verifier(
        [Trusted(client(), FileKeys(tmp_path / "none.json", "EHR"))], MemoryReplays(lambda: NOW), lambda: NOW
    )

    assert judge.lacking_keys() == ["EHR"]
    assert verifier().lacking_keys() == []


class TestKnownClients:
    @pytest.fixture
    def vector(self) -> Client:
        # its token lives for three and a half years, which no clients file may allow
        return Client(
            "Specification",
            "https://fhir-ehr.example.com/",
            Path("unused"),
            jku=frozenset({"https://fhir-ehr.example.com/jwk_uri"}),
            tenants=frozenset({"2ddd6c3a-8e9a-44c6-a305-52111ad302a2"}),
            max_life=1422568860 - 1311280970,
        )

    def test_the_token_printed_in_the_specification_is_right_at_its_time(self, vector: Client) -> None:
        judge = verifier(vector, json.dumps(VECTOR["jwks"]).encode(), now=1311280970)

        assert check(VECTOR["jwt"], judge, "https://cds.example.org/cds-services/some-service") == "Specification"

    def test_it_has_expired_today(self, vector: Client) -> None:
        judge = verifier(vector, json.dumps(VECTOR["jwks"]).encode())

        with pytest.raises(Refused, match="the token has expired"):
            check(VECTOR["jwt"], judge, "https://cds.example.org/cds-services/some-service")

    @pytest.mark.parametrize("path", ["", "/coverage-criteria", "/coverage-criteria/feedback"])
    def test_as_the_cds_hooks_sandbox_signs(self, path: str) -> None:
        issuer, jku = "https://sandbox.cds-hooks.org", "https://sandbox.cds-hooks.org/.well-known/jwks.json"
        sandbox = Client("Sandbox", issuer, Path("unused"), jku=frozenset({jku}))
        url = f"http://127.0.0.1:8000/cds-services{path}"
        token = signed(claims(url=url, iss=issuer), header("ES384", jku=jku))

        assert check(token, verifier(sandbox), url) == "Sandbox"

    def test_as_the_da_vinci_request_generator_signs(self) -> None:
        issuer, jku = "http://localhost:8080/test-ehr/r4", "http://localhost:3001/public_keys"
        generator = Client("Generator", issuer, Path("unused"), jku=frozenset({jku}), max_life=86_400)
        pem = json.dumps([{"pem": key("RSA").as_pem(private=False).decode(), "id": "generated"}]).encode()
        token = signed(claims(iss=issuer, exp=NOW + 86_400), header("RS256", kid="generated", jku=jku))

        assert check(token, verifier(generator, pem)) == "Generator"
