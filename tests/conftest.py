"""What tests of several parts share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cds_service.ehr import Ehr


@pytest.fixture
def ehr() -> Iterator[Ehr]:
    """A FHIR server on loopback, empty until the test fills it."""
    with Ehr().running() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the defaults, whatever COVERAGE_CDS_ variables the developer has set."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_CDS_")]:
        monkeypatch.delenv(name)
