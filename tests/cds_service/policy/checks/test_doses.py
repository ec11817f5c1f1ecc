"""Doses on record: certain ones, possible ones, and the orders that are theirs."""

from __future__ import annotations

import pytest

from cds_service.policy.checks.doses import at_most, is_certain, without_orders_of_given
from fhir_mappings.facts import Statement
from tests.cds_service.policy.charts import TODAY, said


def dose(on: str | None, **more: object) -> Statement:
    return said("product", on, kind="administration", name=f"MedicationAdministration/{on}", **more)  # type: ignore[arg-type]


def order(on: str | None, sort: str = "MedicationRequest") -> Statement:
    return said("product", on, kind="medication", phase="past", name=f"{sort}/{on}")


@pytest.mark.parametrize(
    ("statement", "certain"),
    [
        (dose("2026-11-01"), True),
        (dose("2026-11-02"), False),
        (dose("2026-10-01/2026-10-31"), True),
        (dose("2026-11-01/2026-11-30"), False),
        (dose(None), True),
        (dose("2026-10-01", confirmed=False), False),
    ],
)
def test_a_certain_dose_is_confirmed_and_before_the_service_date(statement: Statement, certain: bool) -> None:
    assert is_certain(statement, TODAY) is certain


def test_orders_count_only_where_no_dose_is_certain() -> None:
    given, doubtful, ordered = dose("2026-10-01"), dose("2026-10-05", confirmed=False), order("2026-09-01")
    assert without_orders_of_given([given, doubtful, ordered], TODAY) == [given, doubtful]
    assert without_orders_of_given([doubtful, ordered], TODAY) == [doubtful, ordered]


def test_the_most_of_one_sort_are_the_most_doses() -> None:
    orders = [order("2026-09-01"), order("2026-10-01"), order("2026-09-10", "MedicationDispense")]
    assert at_most([dose("2026-10-05", confirmed=False), *orders], len) == 2
    assert at_most([], len) == 0
