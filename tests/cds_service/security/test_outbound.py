"""The guard's judgements, one spelling at a time. What a listening socket then sees: ``test_outbound_sockets``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.security import outbound
from cds_service.security.outbound import Origin, Refused

REGISTERED = ("https://ehr.example.org/fhir/",)

LOOPBACK = [
    "http://127.0.0.1:9200/fhir",
    "http://127.8.8.8",
    "http://localhost/fhir/",
    "HTTP://LOCALHOST:80/fhir",
    "https://[::1]:8443",
]
ODD = [
    "http://127.1/fhir",
    "http://127.0.1/fhir",
    "http://2130706433/fhir",
    "http://0x7f.0.0.1/fhir",
    "http://0x7F000001/fhir",
    "http://0177.0.0.1/fhir",
    "http://017700000001/fhir",
    "http://127.0.0.01/fhir",
    "http://127.0.0.1./fhir",
    "http://[::ffff:127.0.0.1]/fhir",
    "http://[::ffff:7f00:1]/fhir",
    "http://[0:0:0:0:0:0:0:1]/fhir",
    "http://[::1%25lo]/fhir",
    "http://[::127.0.0.1]/fhir",
    "http://[::]/fhir",
    "http://[::::]/fhir",
    "http://[12:34]/fhir",
    "http://[::1]x/fhir",
    "http://[127.0.0.1]/fhir",
    "http://::1/fhir",
    "http://localhost./fhir",
    "http://local%68ost/fhir",
    "http://\uff11\uff12\uff17.0.0.1/fhir",
    "http://127\u30020\u30020\u30021/fhir",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/fhir",
    "http://0.0.0.0/fhir",
    "http://0/fhir",
    "http:///fhir",
    "http://",
    "http:/127.0.0.1/fhir",
    "http:127.0.0.1/fhir",
    "//127.0.0.1/fhir",
    "localhost/fhir",
    "file:///etc/passwd",
    "ftp://localhost/fhir",
    "gopher://localhost/fhir",
    "unix://localhost/fhir",
    "http+unix://localhost/fhir",
    "javascript:alert(1)",
    "http://localhost:/fhir",
    "http://localhost:0/fhir",
    "http://localhost:65536/fhir",
    "http://localhost:99999/fhir",
    "http://localhost:+80/fhir",
    "http://localhost:\u0668\u0660/fhir",
    "http://localhost@127.0.0.1/fhir",
    "http://localhost:80@127.0.0.1/fhir",
    "http://@localhost/fhir",
    "http://localhost\\@evil.example.org/fhir",
    "http://evil.example.org\\@localhost/fhir",
    "http://localhost\\.evil.example.org/fhir",
    "http://localhost#@evil.example.org/",
    "http://localhost?@evil.example.org/",
    "http://localhost;evil.example.org/fhir",
    "http://localhost/fhir?x=1",
    "http://localhost/fhir#x",
    "http://localhost/a/../fhir",
    "http://localhost/a/./fhir",
    "http://localhost/fhir/..",
    "http://localhost/a/%2e%2e/fhir",
    "http://localhost/a/.%2E/fhir",
    "http://localhost/%66hir",
    "http://localhost/fhir;x=1",
    "http://local\thost/fhir",
    "http://localhost\n/fhir",
    "http://localhost/fhir\n",
    "http://localhost/fhir\r\nX-Header: 1",
    "\thttp://localhost/fhir",
    " http://localhost/fhir",
    "http://localhost /fhir",
    "http://localhost/fhir\x00",
    "http://" + "a" * 9000 + "/",
]

SERVERS = """
93.184.215.14 2606:2800:21f:cb07:6820:80da:af6b:8b2c 64:ff9b::5db8:d70e
10.1.2.3 172.16.0.9 172.31.255.255 192.168.1.1 100.64.0.1 fd12:3456::1 ::ffff:10.1.2.3
"""
NO_SERVERS = """
127.0.0.1 127.9.9.9 ::1 0.0.0.0 :: ::7f00:1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 2001:0:7f00:1::
169.254.169.254 169.254.170.2 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe fe80::1 fe80::1%1 fec0::1
100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 fd20:ce::254
224.0.0.1 239.1.1.1 ff02::1 255.255.255.255 240.0.0.1 198.18.0.1 192.0.2.1 2001:db8::1 64:ff9b:1::1
"""


@pytest.mark.parametrize("url", LOOPBACK)
def test_while_no_server_is_registered_loopback_may_be_read(url: str) -> None:
    assert outbound.permitted(url, ()).base == url.rstrip("/") + "/"


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/fhir",
        "http://localhost.example.org/",
        "http://a.localhost/",
        "http://10.0.0.1/fhir",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[2001:db8::1]/",
        "http://[::7f00:1]/",
    ],
)
def test_and_nothing_else(url: str) -> None:
    with pytest.raises(Refused, match="not one that this service may read"):
        outbound.permitted(url, ())


@pytest.mark.parametrize("url", ODD)
def test_an_odd_spelling_is_read_by_nobody_and_cannot_be_registered(url: str) -> None:
    for registered in ((), ("http://127.0.0.1/fhir", "http://localhost/fhir"), (url,)):
        with pytest.raises(Refused):
            outbound.permitted(url, registered)

    assert not outbound.can_be_registered(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/fhir",
        "https://ehr.example.org/fhir/",
        "https://EHR.example.org:443/fhir/",
        "https://ehr.example.org/fhir/tenant",
    ],
)
def test_a_registered_server_may_be_read_and_what_lies_under_it(url: str) -> None:
    assert outbound.permitted(url, REGISTERED).origin == Origin("https", "ehr.example.org", 443)


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/fhirother",
        "https://ehr.example.org/",
        "https://ehr.example.org",
        "https://ehr.example.org/FHIR",
        "https://ehr.example.org//fhir",
        "https://ehr.example.org/fhir/../admin",
        "https://ehr.example.org/fhir/%2e%2e/admin",
        "https://ehr.example.org./fhir",
        "http://ehr.example.org/fhir",
        "http://ehr.example.org:443/fhir",
        "https://ehr.example.org:8443/fhir",
        "https://other.example.org/fhir",
        "https://example.org/fhir",
        "https://x.ehr.example.org/fhir",
        "https://ehr.example.org.evil.example.com/fhir",
        "https://ehr.example.org@evil.example.com/fhir",
        "https://evil.example.com\\@ehr.example.org/fhir",
        "https://ehr.example.org\uff0eevil.example.com/fhir",
        "http://127.0.0.1/fhir",
        "http://localhost/fhir",
    ],
)
def test_and_nothing_beside_it_not_even_loopback(url: str) -> None:
    for registered in (REGISTERED, ("https://ehr.example.org/fhir",)):
        with pytest.raises(Refused):
            outbound.permitted(url, registered)


def test_plain_http_is_spoken_where_the_operator_registered_it_and_only_there() -> None:
    registered = ("http://fhir.hospital.example:8080/r4", "https://ehr.example.org")

    assert outbound.permitted("http://fhir.hospital.example:8080/r4", registered).origin.scheme == "http"
    for url in ("https://fhir.hospital.example:8080/r4", "http://ehr.example.org"):
        with pytest.raises(Refused):
            outbound.permitted(url, registered)


def test_a_registration_that_cannot_be_read_permits_nothing_in_its_place() -> None:
    with pytest.raises(Refused):
        outbound.permitted("http://127.0.0.1/fhir", ("127.0.0.1/fhir",))


@pytest.mark.parametrize(
    "url",
    [*LOOPBACK, *REGISTERED, "http://10.0.0.7:8080/fhir", "https://fhir_server/r4", "https://xn--bcher-kva.example/"],
)
def test_plain_urls_can_be_registered(url: str) -> None:
    assert outbound.can_be_registered(url)
    assert outbound.permitted(url, (url,)).base.startswith(url.rstrip("/"))


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("https://ehr.example.org/fhir?page=2", "https://ehr.example.org/fhir?page=2"),
        ("?page=2", "https://ehr.example.org/fhir/Condition?page=2"),
        ("/fhir?page=2", "https://ehr.example.org/fhir?page=2"),
        ("../fhir?page=2", "https://ehr.example.org/fhir?page=2"),
        ("https://ehr.example.org:443/x", "https://ehr.example.org:443/x"),
        ("HTTPS://EHR.EXAMPLE.ORG/x?a=b/../c", "https://EHR.EXAMPLE.ORG/x?a=b/../c"),
        ("/fhir?state=%2e%2e/@x", "https://ehr.example.org/fhir?state=%2e%2e/@x"),
        ("//other.example.org/x", None),
        ("http://ehr.example.org/x", None),
        ("http://ehr.example.org:443/x", None),
        ("https://ehr.example.org:444/x", None),
        ("https://ehr.example.org.other.example.org/x", None),
        ("https://ehr.example.org./x", None),
        ("https://ehr.example.org@other.example.org/x", None),
        ("https://token@ehr.example.org/x", None),
        ("https://other.example.org\\@ehr.example.org/x", None),
        ("\\\\other.example.org/x", None),
        ("/\\other.example.org/x", None),
        ("https:\\\\other.example.org/x", None),
        ("https://ehr.example.org%2eother.example.org/x", None),
        ("https://ehr.example.org/%2e%2e/x", None),
        ("ht\ntps://other.example.org/x", None),
        ("ftp://ehr.example.org/x", None),
        ("file:///etc/passwd", None),
        ("data:application/json,{}", None),
        ("https://ehr.example.org:99999/x", None),
        ("https://ehr.example.org/\x00", None),
        ("https://ehr.example.org/\u00e9", None),
        ("https://ehr.example.org/x#y", None),
        ("https://[broken/x", None),
        ("/" + "x" * 9000, None),
    ],
)
def test_a_link_is_followed_on_its_own_origin_only(link: str, target: str | None) -> None:
    server = outbound.permitted("https://ehr.example.org/fhir", REGISTERED)

    assert server.follow("https://ehr.example.org/fhir/Condition?patient=p1", link) == target


@given(st.text(st.sampled_from("htps:/\\@#?.%2e[]0\t\n;\uff0eaevil.example.org"), max_size=40))
def test_a_link_that_is_followed_begins_with_the_origin_for_every_reader(link: str) -> None:
    server = outbound.permitted("https://ehr.example.org/fhir", REGISTERED)

    target = server.follow("https://ehr.example.org/fhir/Condition", link)

    assert target is None or target.lower().startswith(("https://ehr.example.org/", "https://ehr.example.org?"))


@pytest.mark.parametrize(
    ("url", "fit", "unfit"),
    [
        ("http://127.0.0.1", "127.0.0.1", "127.0.0.2 ::1 10.0.0.1 93.184.215.14"),
        ("http://[::1]", "::1", "127.0.0.1 ::"),
        ("http://10.0.0.7", "10.0.0.7", "10.0.0.8 127.0.0.1"),
        ("http://localhost", "127.0.0.1 127.0.0.2 ::1", "10.0.0.1 0.0.0.0 :: 169.254.169.254 93.184.215.14"),
        ("http://ehr.localhost", "127.0.0.1 ::1", "10.0.0.1"),
        ("https://ehr.example.org", SERVERS, NO_SERVERS),
    ],
)
def test_a_host_may_be_at_some_addresses_and_not_at_others(url: str, fit: str, unfit: str) -> None:
    server = outbound.permitted(url, (url,))

    assert [address for address in fit.split() if not server.may_be_at(address)] == []
    assert [address for address in unfit.split() if server.may_be_at(address)] == []


@pytest.mark.parametrize(
    ("token", "fits"),
    [
        ("eyJhbGciOiJFUzM4NCJ9.e30.c2ln", True),
        ("abc~+/=|:{}", True),
        ("", False),
        ("a b", False),
        ("a\r\nX-Header: b", False),
        ("a\n", False),
        ("a\x00", False),
        ("t\u00f6ken", False),
        ("\u20ac", False),
        ("x" * 16_384, True),
        ("x" * 16_385, False),
    ],
)
def test_a_token_that_is_sent_is_one_word_of_a_header(token: str, fits: bool) -> None:
    assert outbound.can_be_sent(token) is fits
