from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import coverage as reader
from fhir_mappings.facts import Coding, Insurance, Unreadable
from fhir_mappings.resources import MODIFIED

from .examples import MODIFIER, SUBJECT, coverage, damaged, without

ORGANIZATION = {
    "resourceType": "Organization",
    "id": "o1",
    "name": "Example Health Inc.",
    "alias": ["EHI", 5],
    "identifier": [{"system": "urn:oid:2.16.840.1.113883.6.300", "value": "12345"}, {"system": "x"}],
}


def insurance(organizations: dict[str, Any] | None = None, **fields: Any) -> Insurance:
    covered = reader.read(coverage(**fields), organizations or {})
    assert covered is not None
    assert covered.insurance is not None
    return covered.insurance


def test_a_coverage_is_read_as_far_as_routing_needs_it() -> None:
    assert insurance(order=1) == Insurance(
        reference="Coverage/cov1",
        payer_names=("Example Health",),
        types=(Coding("sopt", "512"),),
        plan_names=("Gold PPO", "Commercial PPO"),
        order=1,
        start=date(2026, 1, 1),
        end=date(2026, 12, 31),
    )


@pytest.mark.parametrize(
    ("status", "active"),
    [("active", True), ("cancelled", False), ("draft", False), ("bogus", False), (None, False), (5, False)],
)
def test_only_an_active_coverage_is_active(status: Any, active: bool) -> None:
    assert insurance(status=status).active is active


def test_a_coverage_entered_in_error_is_none() -> None:
    assert reader.read(coverage(status="entered-in-error"), {}) is None


@pytest.mark.parametrize("payor", [{"reference": "#o1"}, {"reference": "Organization/o1"}])
def test_the_payer_is_also_named_by_the_organization_it_refers_to(payor: dict[str, Any]) -> None:
    payor = payor | {"display": "Example", "identifier": {"system": "https://example.org/payer", "value": "E1"}}
    found = insurance({"Organization/o1": ORGANIZATION}, payor=[payor], contained=[ORGANIZATION])
    assert found.payer_names == ("Example", "Example Health Inc.", "EHI")
    naic = Coding("urn:oid:2.16.840.1.113883.6.300", "12345")
    assert found.payer_identifiers == (Coding("https://example.org/payer", "E1"), naic)


@pytest.mark.parametrize("payor", [SUBJECT | {"display": "Jo"}, {"type": "RelatedPerson", "display": "Jo"}, 5])
def test_somebody_who_pays_for_themselves_is_no_payer(payor: Any) -> None:
    assert insurance(payor=[payor]).payer_names == ()


@pytest.mark.parametrize(
    ("payors", "expected"),
    [
        ([SUBJECT], True),
        ([SUBJECT, {"type": "RelatedPerson"}], True),
        ([SUBJECT, {"reference": "Organization/o1"}], False),
        ([{"reference": "Organization/o1"}], False),
        ([], False),
        ([5], False),
    ],
)
def test_only_who_names_none_but_people_pays_alone(payors: list[Any], expected: bool) -> None:
    assert insurance(payor=payors).self_paid is expected


def test_a_class_without_a_name_is_known_by_its_value_and_an_unknown_type_stands_as_it_is() -> None:
    fields: dict[str, Any] = {
        "class": [{"value": "GOLD"}, {}],
        "type": {"coding": [{"code": "hmo"}, {"system": "s", "code": "1"}]},
    }
    found = insurance(**fields)
    assert found.plan_names == ("GOLD",)
    assert found.types == (Coding("", "hmo"), Coding("s", "1"))


@pytest.mark.parametrize(
    ("period", "days"),
    [
        ({"start": "2026-02", "end": "2026-03"}, (date(2026, 2, 1), date(2026, 3, 31))),
        ({"end": "9999-12-31"}, (None, date(9999, 12, 31))),
        ({}, (None, None)),
        (5, (None, None)),
    ],
)
def test_a_partial_period_is_as_long_as_it_may_be(period: Any, days: tuple[date | None, date | None]) -> None:
    found = insurance(period=period)
    assert (found.start, found.end) == days


@pytest.mark.parametrize("order", [True, "1", None, 1.5])
def test_an_order_that_is_no_whole_number_is_none(order: Any) -> None:
    assert insurance(order=order).order is None


def test_what_cannot_be_read_is_named() -> None:
    modified = reader.read(coverage(modifierExtension=MODIFIER), {})
    assert modified == reader.Covered(unreadable=Unreadable("Coverage/cov1", MODIFIED))
    for field, problem in (("period", "its period could not be read"), ("beneficiary", None)):
        odd = reader.read(coverage(**{field: {"start": "soon"}}), {})
        assert odd is not None
        assert odd.quality is not None
        assert problem in (odd.quality.problem, None)
    payerless = reader.read(without(coverage(), "payor"), {})
    assert payerless is not None
    assert payerless.quality == Unreadable("Coverage/cov1", "Coverage.payor is required and missing")


@given(damaged([coverage(), coverage(payor=[{"reference": "Organization/o1"}])]), damaged([ORGANIZATION]))
def test_a_damaged_coverage_never_raises(resource: dict[str, Any], organization: dict[str, Any]) -> None:
    reader.read(resource, {"Organization/o1": organization})
    reader.read(coverage(payor=[{"reference": "Organization/o1"}]), {"Organization/o1": organization})
