from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import goals
from fhir_mappings.dates import date_range
from fhir_mappings.facts import Evidence, Quantity, Statement
from fhir_mappings.resources import MODIFIED, UNKNOWN_STATUS, UNREAD_DATE, Reading

from .examples import LOINC, MODIFIER, concept, damaged, goal, without

HBA1C = concept(LOINC, "4548-4")


def test_an_hba1c_target_becomes_a_statement_with_its_evidence() -> None:
    assert goals.read(goal()) == Reading(
        (
            Statement(
                kind="goal",
                concepts=frozenset({"hba1c-goal"}),
                evidence=Evidence("Goal/g1", "Sugar under control", "6.5 %", "2026-01-10"),
                phase="current",
                when=date_range("2026-01-10"),
                quantity=Quantity(Decimal("6.5"), "%"),
            ),
        )
    )


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("accepted", ("current", True)),
        ("active", ("current", True)),
        ("on-hold", ("current", True)),
        ("proposed", ("planned", True)),
        ("planned", ("planned", True)),
        ("completed", ("past", True)),
        ("bogus", ("current", False)),
        ("cancelled", None),
        ("rejected", None),
        ("entered-in-error", None),
    ],
)
def test_each_status_counts_as_decided(status: str, counts: tuple[str, bool] | None) -> None:
    reading = goals.read(goal(lifecycleStatus=status))
    assert (reading and (reading.statements[0].phase, reading.statements[0].confirmed)) == counts


@pytest.mark.parametrize(
    ("detail", "value"),
    [
        ({"detailQuantity": {"value": 7, "comparator": "<", "unit": "%"}}, "7"),
        ({"detailQuantity": {"value": 53, "unit": "mmol/mol"}}, "7.0"),
        ({"detailRange": {"low": {"value": 6, "unit": "%"}, "high": {"value": 7, "unit": "%"}}}, "7"),
        ({"detailRange": {"low": {"value": 6, "unit": "%"}}}, "6"),
        ({"detailString": "below seven"}, None),
    ],
)
def test_the_target_is_the_upper_value_in_percent(detail: dict[str, Any], value: str | None) -> None:
    reading = goals.read(goal(target=[{"measure": HBA1C} | detail]))
    assert reading is not None
    assert reading.statements[0].quantity == (Quantity(Decimal(value), "%") if value else None)


def test_a_target_without_a_measure_is_what_the_goal_is_about() -> None:
    target = [{"detailQuantity": {"value": 7, "unit": "%"}}]
    assert goals.read(goal(description=HBA1C, target=target)) is not None
    assert goals.read(goal(target=target)) is None
    weight = [{"measure": {"text": "Weight"}, "detailQuantity": {"value": 70, "unit": "kg"}}]
    assert goals.read(goal(description=HBA1C, target=weight)) is None


def test_a_goal_without_a_start_is_dated_by_its_status() -> None:
    reading = goals.read(without(goal(), "startDate") | {"statusDate": "2026-02"})
    assert reading is not None
    assert reading.statements[0].when == date_range("2026-02")


@pytest.mark.parametrize(
    ("fields", "unreadable", "quality"),
    [
        ({"modifierExtension": MODIFIER}, MODIFIED, None),
        ({"lifecycleStatus": "bogus"}, None, UNKNOWN_STATUS),
        ({"startDate": "soon"}, None, UNREAD_DATE),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], unreadable: str | None, quality: str | None) -> None:
    reading = goals.read(goal(**fields))
    assert reading is not None
    assert (reading.unreadable and reading.unreadable.problem) == unreadable
    assert (reading.quality and reading.quality.problem) == quality


@given(damaged([goal(), goal(target=[{"measure": HBA1C, "detailRange": {"high": {"value": 7, "unit": "%"}}}])]))
def test_a_damaged_goal_never_raises(resource: dict[str, Any]) -> None:
    goals.read(resource)
