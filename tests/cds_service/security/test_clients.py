from pathlib import Path

import pytest

from cds_service.policy.errors import PolicyError
from cds_service.security.clients import (
    Client,
    SmartApp,
    cors_origins,
    launched_from,
    load_clients,
    smart_origins,
    summary,
)
from tests import markdown
from tests.cds_service.security.signing import jwks

WHOLE = """\
clients:
  - name: Example EHR
    issuer: https://ehr.example.org
    keys: keys.json
    jku: https://ehr.example.org/jwks.json
    tenants: [north, south]
    fhir_servers:
      - https://fhir.example.org/r4
      - http://127.0.0.1:8080/fhir
    cors_origins: [https://ehr.example.org, "http://localhost:3000"]
    max_token_seconds: 86400
    algorithms: [ES384, RS384]
  - name: Another
    issuer: urn:another
    keys: https://another.example.org/jwks
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "keys.json").write_bytes(jwks())
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    return tmp_path / "clients.yaml"


def load(file: Path, text: str) -> tuple[Client, ...]:
    file.write_text(text, encoding="utf-8")
    return load_clients(file)


def test_a_whole_file_is_read(file: Path) -> None:
    first, second = load(file, WHOLE)

    assert first == Client(
        "Example EHR",
        "https://ehr.example.org",
        file.parent / "keys.json",
        jku=frozenset({"https://ehr.example.org/jwks.json"}),
        tenants=frozenset({"north", "south"}),
        fhir_servers=("https://fhir.example.org/r4", "http://127.0.0.1:8080/fhir"),
        cors_origins=("https://ehr.example.org", "http://localhost:3000"),
        max_life=86_400,
        algorithms=frozenset({"ES384", "RS384"}),
    )
    assert second == Client("Another", "urn:another", "https://another.example.org/jwks")
    assert second.max_life == 300
    assert second.algorithms == {"RS256", "RS384", "ES256", "ES384"}


def test_the_form_may_be_registered_as_a_smart_app(file: Path) -> None:
    app = "    smart_app: {client_id: form, scope: launch, origins: ['https://auth.example.org']}\n"
    first, second = load(file, WHOLE.replace("    cors_origins", f"{app}    cors_origins"))
    assert first.smart_app == SmartApp("form", "launch", ("https://auth.example.org",))
    assert second.smart_app is None
    assert launched_from((first, second), "https://fhir.example.org/r4/") is first
    assert launched_from((first, second), "https://fhir.example.org/r4/more") is None
    assert launched_from((first, second), "") is None
    assert smart_origins((first, second)) == (
        "http://127.0.0.1:8080",
        "https://auth.example.org",
        "https://fhir.example.org",
    )
    assert smart_origins((second,)) == ()


def test_a_smart_app_needs_a_server_to_be_launched_from(file: Path) -> None:
    with pytest.raises(PolicyError, match="the client has no FHIR server to launch from"):
        load(file, f"{WHOLE}    smart_app: {{client_id: form}}\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clients:", "client:", ":1: `client` is not known here. Did you mean `clients`?"),
        ("issuer: https://ehr.example.org\n", "issuers: x\n", ":3: `issuers` is not known here. Did you mean `issuer`"),
        ("    keys: keys.json\n", "", ":2: `keys` is missing."),
        ("keys: keys.json", "keys: none.json", ":4: the file "),
        ("keys: keys.json", "keys: empty.json", ":4: the file "),
        ("keys: keys.json", "keys: http://ehr.example.org/jwks", "read by others on its way"),
        ("keys: keys.json", "keys: https://user@ehr.example.org/jwks", "is not a URL"),
        ("https://ehr.example.org/jwks.json", "https://ehr.example.org/../x", ":5: "),
        ("https://ehr.example.org/jwks.json", "https://ehr.example.org:99999/x", ":5: "),
        ("[north, south]", "[]", ":6: the list is empty."),
        ("[north, south]", "{a: b}", ":6: found a mapping"),
        ("https://fhir.example.org/r4", "http://fhir.example.org/r4", ":8: "),
        ("https://fhir.example.org/r4", "https://fhir.example.org/r4?x=1", ":8: "),
        ('"http://localhost:3000"', '"*"', "`*` is not an origin"),
        ('"http://localhost:3000"', "https://ehr.example.org/path", "is not an origin"),
        ('"http://localhost:3000"', "https://ehr.example.org:70000", "is not an origin"),
        ("86400", "86401", ":11: `86401` seconds are too long"),
        ("86400", "0", ":11: found `0`"),
        ("86400", "long", ":11: found `long`"),
        ("ES384, RS384", "HS256", ":12: `HS256` is not a known algorithm."),
        ("name: Another", "name: Example EHR", ":13: another client has this name (line 2)"),
        ("urn:another", "https://ehr.example.org", ":14: another client has this issuer (line 3)"),
        ("urn:another", "another", ":14: `another` is not an issuer"),
        ("urn:another", "urn:" + "x" * 300, "is not an issuer"),
        ("issuer: urn:another", "issuer: urn:another\n    issuer: urn:x", ":15: `issuer` is given twice"),
        ("clients:", "clients: [", "this is not YAML"),
    ],
)
def test_a_mistake_is_an_error_with_file_and_line(file: Path, old: str, new: str, message: str) -> None:
    assert old in WHOLE

    with pytest.raises(PolicyError) as caught:
        load(file, WHOLE.replace(old, new, 1))

    assert str(caught.value).startswith(f"{file}:")
    assert message in str(caught.value)


def test_the_example_of_the_readme_is_right(file: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    [example] = [block for block in markdown.blocks(readme, "yaml") if block.startswith("clients:")]

    assert [client.name for client in load(file, example)] == ["Example EHR"]


def test_an_empty_file_and_one_without_clients_are_errors(file: Path) -> None:
    with pytest.raises(PolicyError, match=r":1: the file is empty. Begin with `clients:`"):
        load(file, " \n")
    with pytest.raises(PolicyError, match="the list is empty"):
        load(file, "clients: []\n")
    with pytest.raises(PolicyError, match="it cannot be read"):
        load_clients(file.with_name("none.yaml"))


def test_a_client_is_summed_up_in_one_line(file: Path) -> None:
    first, second = load(file, WHOLE)

    assert summary(first) == (
        "Example EHR: https://ehr.example.org, keys P-256 (P-256), P-384 (P-384), RSA (RSA), tokens of 86400 s at most"
    )
    assert summary(second) == (
        "Another: urn:another, keys of https://another.example.org/jwks, fetched when they are needed, "
        "tokens of 300 s at most"
    )


def test_pages_of_the_clients_may_call_and_of_nobody_else(file: Path) -> None:
    clients = load(file, WHOLE)

    assert cors_origins(clients, ["*"]) == ("http://localhost:3000", "https://ehr.example.org")
    assert cors_origins((), ["*", "https://more.example.org"]) == ("https://more.example.org",)
