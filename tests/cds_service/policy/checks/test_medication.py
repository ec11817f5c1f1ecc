"""Drugs that are taken or will be."""

from __future__ import annotations

import pytest

from cds_service.policy.checks.medication import Medication
from fhir_mappings.facts import Statement
from tests.cds_service.policy.charts import chart, said

TAKEN = Medication(value_set=("drug",))
TAKEN_OR_PLANNED = Medication(value_set=("drug",), counting="active-or-planned")


def drug(**more: object) -> Statement:
    return said("drug", "2026-01-01", kind="medication", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statement", "taken", "or_planned"),
    [
        (drug(), "met", "met"),
        (drug(until="2026-11-02"), "met", "met"),
        (drug(until="2026-11-01"), "undocumented", "undocumented"),
        (drug(until="2026-11-01/2026-11-30"), "met", "met"),
        (drug(phase="planned"), "undocumented", "met"),
        (drug(phase="past"), "undocumented", "undocumented"),
        (drug(confirmed=False), "undocumented", "undocumented"),
        (said("drug", kind="administration"), "undocumented", "undocumented"),
    ],
)
def test_a_drug_counts_while_it_is_taken_or_where_a_plan_is_enough(
    statement: Statement, taken: str, or_planned: str
) -> None:
    assert TAKEN.evaluate(chart(statement)).outcome.value == taken
    assert TAKEN_OR_PLANNED.evaluate(chart(statement)).outcome.value == or_planned


def test_no_record_is_silence_and_an_ended_one_is_not() -> None:
    assert TAKEN.evaluate(chart()).silent
    assert not TAKEN.evaluate(chart(drug(phase="past"))).silent


def test_the_reason_says_active_or_planned() -> None:
    found = TAKEN_OR_PLANNED.evaluate(chart(drug(), drug(phase="planned")))
    assert "active and planned" in found.reason
    assert "not as active or planned" in TAKEN_OR_PLANNED.evaluate(chart(drug(phase="past"))).reason
    assert "not as active." in TAKEN.evaluate(chart(drug(phase="past"))).reason


def test_it_is_described_and_needs_medication_orders() -> None:
    assert TAKEN.records == {"medication-requests"}
    assert "active or planned" in TAKEN_OR_PLANNED.describe()
