"""What tests of several parts share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import hypothesis
import pytest

from cds_service import create_app, fhir_client
from cds_service.fhir_connections import Connections
from cds_service.library import Library
from cds_service.review import Services
from cds_service.routing import Payers
from cds_service.security import keys
from cds_service.settings import Settings
from cds_service.store import engine
from cds_service.store.writer import Writer
from tests import medplum as medplum_server
from tests import policy_letters
from tests.cds_service.ehr import Ehr
from tests.medplum import Medplum
from tests.serving import on_a_socket
from tests.waiting import PATIENCE, unhurried

# the same examples in every run: tests.fuzz_requests looks for what is new, when nobody waits for a result
hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

NO_LIBRARY = cast("Services", SimpleNamespace(library=Library((), Payers(())), connections=Connections()))
"""Services for tests of the web alone, which never look into the library."""


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the defaults, whatever COVERAGE_CDS_ variables the developer has set."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_CDS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_recorded_after_its_module() -> Iterator[None]:
    """What the threads that record have to say later is not for the tests of another module."""
    started: list[Writer] = []
    start = Writer.start

    def noted(writer: Writer) -> None:
        started.append(writer)
        start(writer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "start", noted)
        yield
    for writer in started:
        writer.close()


@pytest.fixture(scope="session", autouse=True)
def _no_haste() -> Iterator[None]:
    """What gives up after some seconds unless it is told otherwise has time enough on a slow machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "BUSY", PATIENCE)
        patch.setattr(fhir_client, "FETCH_SECONDS", PATIENCE)
        patch.setattr(keys, "FETCH_SECONDS", PATIENCE)
        yield


@pytest.fixture
def ehr() -> Iterator[Ehr]:
    """A FHIR server on loopback, empty until the test fills it."""
    with Ehr().running() as running:
        yield running


@pytest.fixture(scope="session")
def medplum() -> Iterator[Medplum]:
    """An independent FHIR server, up once for all tests; each uses tenants of its own."""
    with medplum_server.running() as running:
        yield running


@pytest.fixture
def edge_settings(tmp_path: Path) -> Settings:
    return unhurried(
        Settings.load(data_dir=tmp_path / "data", max_body=100_000, cors_origins=("https://ehr.example.org",))
    )


@pytest.fixture
def edge(edge_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The web application around a review that answers with no cards, without a library."""

    def no_cards(*_: object, **__: object) -> dict[str, Any]:
        return {"cards": []}

    monkeypatch.setattr("cds_service.review.answer", no_cards)
    app = create_app(edge_settings, NO_LIBRARY)
    yield app
    app.extensions["recorder"].close()


@pytest.fixture
def client(edge: Flask) -> FlaskClient:
    return edge.test_client()


@pytest.fixture
def served(edge: Flask) -> Iterator[str]:
    """The URL of the same application on a socket."""
    with on_a_socket(edge) as url:
        yield url


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which letters of which policies the passed cases cover."""
    found = policy_letters.proven(terminalreporter.getreports("passed"))
    if found:
        terminalreporter.section("policy letters: passed cases by expected outcome")
        for line in policy_letters.table(found):
            terminalreporter.line(line)
