from urllib.parse import urlsplit

import pytest

from cds_service.security import outbound


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9200/fhir", "http://localhost/fhir/", "https://[::1]:8443", "http://127.8.8.8"],
)
def test_with_no_server_configured_loopback_may_be_read(url: str) -> None:
    assert outbound.may_read(url, ())


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/fhir",
        "http://10.0.0.1/fhir",
        "http://169.254.169.254/latest",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://localhost.example.org/",
        "http://localhost@example.org/",
        "http://example.org\\@localhost/",
        "http://localhost\\@example.org/",
        "http://localhost#@example.org/",
        "http://localhost/fhir?x=1",
        "http://localhost/a/../b",
        "http://localhost/%2e%2e/b",
        "http://localhost:99999999/",
        "http://[::::]/",
        "http://[12:34]/",
        "http://[::1]x/",
        "file:///etc/passwd",
        "ftp://localhost/",
        "http://",
        "http://localhost/\n",
        " http://localhost/",
        "localhost/fhir",
    ],
)
def test_nothing_else_may_be_and_no_spelling_helps(url: str) -> None:
    assert not outbound.may_read(url, ())


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://ehr.example.org/fhir", True),
        ("https://EHR.example.org:443/fhir/", True),
        ("https://ehr.example.org/fhir/tenant", True),
        ("https://ehr.example.org/fhirother", False),
        ("https://ehr.example.org/", False),
        ("http://ehr.example.org/fhir", False),
        ("https://ehr.example.org:8443/fhir", False),
        ("https://other.example.org/fhir", False),
        ("https://ehr.example.org:70000/fhir", False),
        ("http://127.0.0.1/fhir", False),
    ],
)
def test_with_servers_configured_only_those_may_be_read(url: str, allowed: bool) -> None:
    assert outbound.may_read(url, ["https://ehr.example.org/fhir/"]) is allowed


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("https://ehr.example.org/fhir?page=2", "https://ehr.example.org/fhir?page=2"),
        ("?page=2", "https://ehr.example.org/fhir/Condition?page=2"),
        ("/fhir?page=2", "https://ehr.example.org/fhir?page=2"),
        ("https://ehr.example.org:443/x", "https://ehr.example.org:443/x"),
        ("//other.example.org/x", None),
        ("http://ehr.example.org/x", None),
        ("https://ehr.example.org:444/x", None),
        ("https://ehr.example.org@other.example.org/x", None),
        ("https://other.example.org\\@ehr.example.org/x", None),
        ("https://ehr.example.org:99999/x", None),
        ("https://ehr.example.org/\x00", None),
        ("https://ehr.example.org/\u00e9", None),
        ("https://[broken/x", None),
    ],
)
def test_a_link_is_followed_on_its_own_origin_only(link: str, target: str | None) -> None:
    assert outbound.follow("https://ehr.example.org/fhir/Condition?patient=p1", link) == target


def test_a_scheme_without_a_usual_port_has_none() -> None:
    assert outbound.origin(urlsplit("gopher://x")) == ("gopher", "x", None)
