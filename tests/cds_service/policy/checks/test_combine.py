"""all, any, none and first_documented over other checks; and what every check tells about itself."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from cds_service.policy.checks import VOCABULARY
from cds_service.policy.checks.check import Check, Range, ValueSetName, named
from cds_service.policy.checks.combine import All, Any, FirstDocumented, NoneOf
from cds_service.policy.checks.order import OrderIs, OrderReason
from cds_service.policy.checks.recorded import Recorded
from cds_service.policy.checks.result import LatestResult
from cds_service.policy.outcome import all_of, any_of, opposite
from tests.cds_service.policy.charts import chart, ordered

TRUE, FALSE, OPEN = OrderIs(value_set=("a",)), OrderIs(value_set=("b",)), Recorded(value_set=("c",), kind="current")
FACTS = chart(order=ordered(concepts=["a"]))
PAIRS = list(itertools.product((TRUE, FALSE, OPEN), repeat=2))


@pytest.mark.parametrize("checks", PAIRS)
def test_the_combinators_follow_the_logic(checks: tuple[Check, ...]) -> None:
    outcomes = [check.evaluate(FACTS).outcome for check in checks]
    assert All(checks=checks).evaluate(FACTS).outcome is all_of(outcomes)
    assert Any(checks=checks).evaluate(FACTS).outcome is any_of(outcomes)
    assert NoneOf(checks=checks).evaluate(FACTS).outcome is opposite(any_of(outcomes))


def test_the_first_check_that_the_chart_decides_is_taken() -> None:
    assert FirstDocumented(checks=(OPEN, FALSE, TRUE)).evaluate(FACTS).outcome.value == "not-met"
    assert FirstDocumented(checks=(OPEN, OPEN)).evaluate(FACTS).silent


@pytest.mark.parametrize(
    ("kind", "words"), [(All, " and "), (Any, " or "), (NoneOf, "not "), (FirstDocumented, "first of ")]
)
def test_a_combination_is_described_by_its_parts(kind: type[All | Any | NoneOf | FirstDocumented], words: str) -> None:
    check = kind(checks=(TRUE, OPEN))
    assert words in check.describe()
    assert TRUE.describe() in check.describe()
    assert OPEN.describe() in check.describe()


@pytest.mark.parametrize("kind", [All, Any, NoneOf, FirstDocumented])
def test_a_combination_needs_and_counts_what_its_parts_do(kind: type[All | Any | NoneOf | FirstDocumented]) -> None:
    inner = Recorded(value_set=("d",), kind="event", on_dates=2, within_months=12)
    check = kind(checks=(TRUE, All(checks=(OPEN, inner))))
    assert check.records == {"conditions", "observations"}
    assert check.numbers() == {2, 12}
    assert check.value_sets() == {"a", "c", "d"}


def test_the_bounds_of_every_range_are_numbers_to_explain() -> None:
    check = LatestResult(
        value_set=("a",), true_when=Range(above=Decimal(1)), false_when=(Range(at_most=Decimal(2)),), within_days=60
    )
    assert check.numbers() == {1, 2, 60}


def test_a_default_is_no_number_to_explain() -> None:
    assert Recorded(value_set=("a",), kind="ever").numbers() == frozenset()


def test_value_sets_are_named_by_their_titles_within_a_sentence() -> None:
    assert named(("type-1", "b")) == "type 1 or b"
    titled = (ValueSetName("x", "Severe illness"), ValueSetName("y", "HbA1c"), ValueSetName("z", "DLI product"))
    assert named(titled) == "severe illness or HbA1c or DLI product"
    assert titled[0] == "x"


def test_a_check_says_what_it_is_by_itself_only_when_it_is_one() -> None:
    with pytest.raises(NotImplementedError):
        Check().evaluate(FACTS)
    with pytest.raises(NotImplementedError):
        Check().describe()


@pytest.mark.parametrize("check", VOCABULARY.values(), ids=VOCABULARY)
def test_each_check_of_the_vocabulary_says_what_it_means(check: type[Check]) -> None:
    assert check.__doc__
    assert VOCABULARY[check.key] is check


def test_reasons_are_stated_or_not() -> None:
    assert OrderReason(value_set=("a",)).evaluate(FACTS).silent
