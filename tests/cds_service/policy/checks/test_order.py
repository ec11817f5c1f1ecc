"""What the order is for, says and gives as its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cds_service.policy.checks.check import Check
from cds_service.policy.checks.order import OrderIs, OrderReason, OrderSays
from tests.cds_service.policy.charts import chart, ordered, references


def outcome(check: Check, **order: object) -> tuple[str, bool]:
    found = check.evaluate(chart(order=ordered(**order)))  # type: ignore[arg-type]
    return found.outcome.value, found.silent


def test_what_an_order_is_for_always_decides() -> None:
    check = OrderIs(value_set=("device",))
    assert outcome(check, concepts=["device"]) == ("met", False)
    assert outcome(check, says=["device"]) == ("not-met", False)
    assert outcome(check) == ("not-met", False)


def test_what_an_order_says_decides_only_when_it_says_it() -> None:
    check = OrderSays(value_set=("relapse",))
    assert outcome(check, concepts=["relapse"]) == ("met", False)
    assert outcome(check, says=["relapse"]) == ("met", False)
    assert outcome(check, says=["other"]) == ("undocumented", True)


def test_the_reason_that_says_it_is_cited_else_the_order() -> None:
    check = OrderSays(value_set=("relapse",))
    by_reason = chart(order=ordered(says=["relapse"], reasons=[["other"], ["relapse"]]))
    assert references(check.evaluate(by_reason).evidence) == ["Condition/reason-1"]
    assert references(check.evaluate(chart(order=ordered(says=["relapse"]))).evidence) == ["MedicationRequest/order"]


def test_a_stated_reason_decides_both_ways() -> None:
    check = OrderReason(value_set=("lifestyle",))
    assert outcome(check, reasons=[["other"], ["lifestyle"]]) == ("met", False)
    assert outcome(check, reasons=[["other"]]) == ("not-met", False)
    assert outcome(check) == ("undocumented", True)


def test_a_reason_that_speaks_against_another_one_is_a_conflict() -> None:
    check = OrderReason(value_set=("lifestyle",), beside=("clinical",))
    for reasons in ([["clinical"], ["lifestyle"]], [["clinical", "lifestyle"]]):
        found = check.evaluate(chart(order=ordered(reasons=reasons)))
        assert (found.outcome.value, found.conflict) == ("undocumented", True)
    assert outcome(check, reasons=[["other"], ["lifestyle"]]) == ("met", False)
    assert outcome(check, reasons=[["clinical"]]) == ("not-met", False)
    assert "clinical" in check.describe()


def test_a_coded_diagnosis_speaks_against_it_where_anything_does() -> None:
    order = ordered(reasons=[["lifestyle"]])
    order = replace(order, reasons=(replace(order.reasons[0], diagnosis=True),))
    found = OrderReason(value_set=("lifestyle",), beside=("clinical",)).evaluate(chart(order=order))
    assert (found.outcome.value, found.conflict) == ("undocumented", True)
    assert OrderReason(value_set=("lifestyle",)).evaluate(chart(order=order)).outcome.value == "met"


@pytest.mark.parametrize("kind", [OrderIs, OrderSays, OrderReason])
def test_the_order_is_always_there_so_no_record_is_needed(kind: type[OrderIs | OrderSays | OrderReason]) -> None:
    check = kind(value_set=("some-thing",))
    assert check.records == frozenset()
    assert "some thing" in check.describe()
    assert check.value_sets() == {"some-thing"}
