"""Which certificates of FHIR servers are trusted: over TLS on real sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cds_service import create_app
from cds_service.deadline import Deadline
from cds_service.errors import SettingsError
from cds_service.fhir_client import FhirReader
from cds_service.fhir_connections import UNREACHABLE, Connections
from cds_service.review import Services
from cds_service.security.keys import UrlKeys, fetching
from cds_service.settings import Settings
from tests import certificates
from tests.cds_service.ehr import Ehr, raw
from tests.cds_service.security.signing import jwks
from tests.waiting import PATIENCE

QUERY = "Condition?patient=p1"
FOUND = raw(b'{"resourceType": "Bundle", "type": "searchset"}')


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an authority, with a certificate for 127.0.0.1."""
    return certificates.make(tmp_path_factory.mktemp("hospital"), "127.0.0.1")


@pytest.fixture
def fhir(hospital: Path) -> Iterator[Ehr]:
    with Ehr(tls=certificates.server_context(hospital)).running() as running:
        running.does(QUERY, FOUND)
        yield running


def problem(fhir: Ehr, connections: Connections) -> str | None:
    with closing(connections):
        return FhirReader(fhir.base, "token", Deadline.after(PATIENCE), connections).many([QUERY])[QUERY].problem


def test_a_server_with_a_certificate_of_the_hospitals_own_authority_is_read(fhir: Ehr, hospital: Path) -> None:
    services = Services.load(Settings.load(fhir_ca=hospital / certificates.AUTHORITY))

    assert problem(fhir, services.connections) is None
    assert len(fhir.asked) == 1


def test_without_the_setting_it_is_not_read_and_sees_no_token(fhir: Ehr) -> None:
    assert problem(fhir, Connections()) == UNREACHABLE
    assert fhir.asked == []


def test_a_certificate_of_another_authority_is_not_trusted(fhir: Ehr, tmp_path: Path) -> None:
    other = certificates.make(tmp_path, "127.0.0.1")

    assert problem(fhir, Connections(ca=other / certificates.AUTHORITY)) == UNREACHABLE
    assert fhir.asked == []


def test_a_certificate_for_another_host_is_not_trusted(tmp_path: Path) -> None:
    elsewhere = certificates.make(tmp_path, "fhir.example.org")
    with Ehr(tls=certificates.server_context(elsewhere)).running() as fhir:
        assert problem(fhir, Connections(ca=elsewhere / certificates.AUTHORITY)) == UNREACHABLE
        assert fhir.asked == []


def test_the_keys_of_clients_come_from_such_a_server_too(fhir: Ehr, hospital: Path) -> None:
    fhir.does("jwks", raw(jwks()))
    with closing(Connections(ca=hospital / certificates.AUTHORITY)) as trusting, closing(Connections()) as others:
        assert UrlKeys(f"{fhir.base}/jwks", "EHR", fetching(trusting)).find("P-384", "P-384") is not None
        assert UrlKeys(f"{fhir.base}/jwks", "EHR", fetching(others)).find("P-384", "P-384") is None


def test_the_public_authorities_stay_trusted(hospital: Path, monkeypatch: pytest.MonkeyPatch, fhir: Ehr) -> None:
    # the fixture's authority plays a public one here, beside another authority of the setting's
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(hospital / certificates.AUTHORITY))
    own = certificates.make(hospital / "own", "127.0.0.1")

    assert problem(fhir, Connections(ca=own / certificates.AUTHORITY)) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)."),
        (b"", "holds no certificates in PEM form."),
        (
            b"-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n",
            "holds no certificates in PEM form.",
        ),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "holds no certificates in PEM form.",
        ),
    ],
    ids=["missing", "empty", "no certificate", "a key"],
)
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingsError, match=re.escape(f"COVERAGE_CDS_FHIR_CA: {path} {message}")):
        create_app(Settings.load(data_dir=tmp_path, fhir_ca=path))
