from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import devices
from fhir_mappings.dates import date_range
from fhir_mappings.resources import Reading

from .examples import HCPCS, concept, damaged, device_request, device_use, without

PUMP = {"resourceType": "Device", "id": "d9", "type": concept(HCPCS, "E0784"), "deviceName": [{"name": "Pump 5"}]}


def counted(reading: Reading | None) -> tuple[str, str, bool] | None:
    if reading is None:
        return None
    (statement,) = reading.statements
    assert statement.concepts == {"insulin-pump"}
    return statement.kind, statement.phase, statement.confirmed


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("active", ("service-request", "current", True)),
        ("draft", ("service-request", "planned", True)),
        ("on-hold", ("service-request", "planned", False)),
        ("completed", ("service-request", "past", True)),
        ("unknown", ("service-request", "planned", False)),
        ("revoked", None),
        ("entered-in-error", None),
    ],
)
def test_each_status_of_a_device_order_counts_as_decided(status: str, counts: tuple[str, str, bool] | None) -> None:
    assert counted(devices.read_request(device_request(status=status), {})) == counts


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("active", ("condition", "current", True)),
        ("intended", ("condition", "planned", True)),
        ("completed", ("condition", "past", True)),
        ("stopped", ("condition", "past", True)),
        ("on-hold", ("condition", "past", True)),
        ("bogus", ("condition", "current", False)),
        ("entered-in-error", None),
    ],
)
def test_each_status_of_a_device_in_use_counts_as_decided(status: str, counts: tuple[str, str, bool] | None) -> None:
    assert counted(devices.read_use(device_use(status=status), {})) == counts


def test_a_device_is_known_by_its_display_or_by_the_device_it_refers_to() -> None:
    use = device_use(device={"reference": "Device/d9"})
    assert devices.read_use(use, {}) is None
    assert counted(devices.read_use(use, {"Device/d9": PUMP})) == ("condition", "current", True)
    assert counted(devices.read_use(device_use(device="insulin pump"), {})) is not None


def test_a_device_order_may_refer_to_its_device_and_an_order_is_dated() -> None:
    order = without(device_request(), "codeCodeableConcept") | {"codeReference": {"reference": "Device/d9"}}
    reading = devices.read_request(order, {"Device/d9": PUMP})
    assert counted(reading) == ("service-request", "current", True)
    assert reading is not None
    assert reading.statements[0].when == date_range("2026-01-05")
    assert reading.statements[0].evidence.display == "Pump 5"


def test_a_device_in_use_is_dated() -> None:
    reading = devices.read_use(device_use(), {})
    assert reading is not None
    assert reading.statements[0].when == date_range("2026-01-05")


@given(damaged([device_request()]), damaged([device_use()]), damaged([PUMP]))
def test_a_damaged_device_never_raises(order: dict[str, Any], use: dict[str, Any], device: dict[str, Any]) -> None:
    devices.read_request(order, {"Device/d9": device})
    devices.read_use(use, {"Device/d9": device})
    devices.read_use(device_use(device={"reference": "Device/d9"}), {"Device/d9": device})
