"""The latest result in a range: windows, units, the patient's own target."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from cds_service.policy.checks.check import Range
from cds_service.policy.checks.result import LatestResult
from fhir_mappings.facts import Phase, Statement
from tests.cds_service.policy.charts import chart, references, said

HIGH = LatestResult(value_set=("hba1c",), true_when=Range(at_least=Decimal("7.0")), goal=("target",), within_months=6)
MIXED = LatestResult(
    value_set=("donor",),
    true_when=Range(above=Decimal(0), below=Decimal(90)),
    false_when=(Range(at_most=Decimal(0)), Range(at_least=Decimal(100))),
    within_days=60,
)


def result(percent: str | None, on: str | None = "2026-10-01", *, of: str = "hba1c", **more: object) -> Statement:
    return said(of, on, kind="observation", percent=percent, name=f"{of}-{percent}-{on}", **more)  # type: ignore[arg-type]


def target(percent: str | None, on: str | None = "2026-01-01", *, unit: str = "%", **more: object) -> Statement:
    return said("target", on, kind="goal", percent=percent, unit=unit, name=f"goal-{percent}-{on}", **more)  # type: ignore[arg-type]


def outcome(check: LatestResult, *statements: Statement) -> str:
    return check.evaluate(chart(*statements)).outcome.value


@pytest.mark.parametrize(("percent", "expected"), [("7.0", "met"), ("7", "met"), ("9.9", "met"), ("6.9", "not-met")])
def test_the_bound_itself_is_inside(percent: str, expected: str) -> None:
    assert outcome(HIGH, result(percent)) == expected


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        ("0", "not-met"),
        ("0.1", "met"),
        ("89.9", "met"),
        ("90", "undocumented"),
        ("99.9", "undocumented"),
        ("100", "not-met"),
    ],
)
def test_between_the_ranges_it_stays_open(percent: str, expected: str) -> None:
    assert outcome(MIXED, result(percent, of="donor")) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([result("6.0", "2026-08-01"), result("8.0", "2026-10-01")], "met"),
        ([result("8.0", "2026-08-01"), result("6.0", "2026-10-01")], "not-met"),
        ([result("6.0", "2026-08-01"), result("8.0", None)], "not-met"),
        ([result("8.0", "2026-10-01"), result("6.0", "2026-11-03")], "met"),
        ([result("8.0", "2026-05-02")], "met"),
        ([result("8.0", "2026-05-01")], "undocumented"),
        ([result("8.0", "2026-01-01/2026-12-31")], "undocumented"),
        ([result("8.0", "2026-10-01/2026-10-31")], "met"),
        ([result("8.2", "2026-10-20"), result("6.1", "2026-10-01/2026-10-31")], "undocumented"),
        ([result("6.1", "2026-10-20"), result("8.2", "2026-10-01/2026-10-31")], "undocumented"),
        ([result("8.2", "2026-10-20"), result("8.0", "2026-01-01/2026-12-31")], "met"),
        ([result("8.2", "2026-10-20"), result("6.1", "2026-01-01/2026-12-31")], "undocumented"),
        ([result("8.2", "2026-10-20"), result("6.1", "2026-09-01/2026-09-30")], "met"),
        ([result("8.2", "2026-10-20"), result("6.1", "2026-11-01/2026-11-30")], "undocumented"),
        ([result("8.2", "2026-10-20"), result(None, "2026-10-01/2026-10-31")], "undocumented"),
        ([result("8.0", confirmed=False)], "undocumented"),
        ([result("8.0", "2026-08-01"), result("6.0", "2026-10-01", confirmed=False)], "met"),
        ([result(None)], "undocumented"),
        ([result("8.0", unit="mg/dL")], "undocumented"),
        ([result("8.0", "2026-08-01"), result(None, "2026-10-01")], "undocumented"),
        ([said("hba1c", "2026-10-01")], "undocumented"),
        ([], "undocumented"),
    ],
)
def test_the_latest_final_dated_result_decides(statements: Sequence[Statement], expected: str) -> None:
    assert outcome(HIGH, *statements) == expected


def test_nothing_found_is_silence_and_a_result_that_does_not_count_is_not() -> None:
    assert HIGH.evaluate(chart()).silent
    assert not HIGH.evaluate(chart(result("8.0", None))).silent
    assert not HIGH.evaluate(chart(result("8.0", confirmed=False))).silent


def test_two_results_of_one_day_on_the_same_side_decide() -> None:
    assert outcome(HIGH, result("8.0"), result("9.0")) == "met"
    assert outcome(HIGH, result("6.0"), result("5.0")) == "not-met"


def test_two_results_of_one_day_that_disagree_are_a_conflict() -> None:
    found = HIGH.evaluate(chart(result("8.0"), result("6.0")))
    assert (found.outcome.value, found.conflict, len(found.evidence)) == ("undocumented", True, 2)


def test_results_of_which_either_may_be_the_latest_are_a_conflict_when_they_disagree() -> None:
    found = HIGH.evaluate(chart(result("8.2", "2026-10-20"), result("6.1", "2026-10-01/2026-10-31")))
    assert (found.outcome.value, found.conflict, len(found.evidence)) == ("undocumented", True, 2)
    assert "8.2 and 6.1 % on 2026-10-20, 2026-10: results that may each be the latest disagree" in found.reason


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (target("6.5"), "met"),
        (target("8.0"), "not-met"),
        (target("8.0", None), "not-met"),
        (target("8.0", "2026-11-03"), "met"),
        (target(None), "met"),
        (target("64", unit="mmol/mol"), "met"),
    ],
)
def test_the_patients_own_target_takes_the_place_of_the_bound(goal: Statement, expected: str) -> None:
    assert outcome(HIGH, result("7.5"), goal) == expected


def test_the_latest_target_counts_and_is_shown() -> None:
    found = HIGH.evaluate(chart(result("7.5"), target("8.0", "2025-01-01"), target("7.2", "2026-02-01")))
    assert found.outcome.value == "met"
    assert references(found.evidence) == ["hba1c-7.5-2026-10-01", "goal-7.2-2026-02-01"]


@pytest.mark.parametrize("phase", ["past", "planned"])
def test_a_target_that_is_over_or_only_proposed_does_not_count(phase: Phase) -> None:
    assert outcome(HIGH, result("7.5"), target("8.0", phase=phase)) == "met"


def test_a_target_that_is_not_confirmed_does_not_count() -> None:
    assert outcome(HIGH, result("7.5"), target("8.0", confirmed=False)) == "met"


def test_the_reason_names_number_unit_and_day() -> None:
    assert "8.40 % on 2026-10-01" in HIGH.evaluate(chart(result("8.40"))).reason
    assert "8 % on 2026-10-01" in HIGH.evaluate(chart(result("8.00"))).reason


def test_it_needs_observations_and_goals_where_a_target_counts() -> None:
    assert HIGH.records == {"observations", "goals"}
    assert MIXED.records == {"observations"}


def test_it_is_described_in_words() -> None:
    assert "at least 7.0" in HIGH.describe()
    assert "6 months" in HIGH.describe()
    assert "target" in HIGH.describe()
    assert "above 0 and below 90" in MIXED.describe()
    assert "60 days" in MIXED.describe()


class TestRange:
    def test_each_bound_is_inside_or_outside_as_its_name_says(self) -> None:
        one = Decimal(1)
        assert one in Range(at_least=one)
        assert one in Range(at_most=one)
        assert one not in Range(above=one)
        assert one not in Range(below=one)
        assert one in Range(above=Decimal(0), below=Decimal(2))

    def test_it_knows_its_numbers(self) -> None:
        assert Range(above=Decimal(0), below=Decimal(90)).numbers() == {Decimal(0), Decimal(90)}
