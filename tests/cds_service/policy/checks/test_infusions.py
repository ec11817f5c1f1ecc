"""Earlier infusions: how many, and whether another one may follow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from cds_service.policy.checks.infusions import InfusionsExceed, RepeatOutsideWindow
from fhir_mappings.facts import Records, Statement
from tests.cds_service.policy.charts import ALL_RECORDS, chart, said

COURSE = InfusionsExceed(value_set=("allo",), unstated=("islets",), not_with=("auto",), limit=3, same_within_days=3)
REPEAT = RepeatOutsideWindow(
    value_set=("allo",), unstated=("islets",), not_with=("auto",), insulin=("insulin",), within_days=365, free_days=30
)

_number = itertools.count()


def infusion(on: str | None, concept: str = "allo", **more: object) -> Statement:
    more.setdefault("kind", "procedure")
    return said(concept, on, name=f"infusion-{next(_number)}", **more)  # type: ignore[arg-type]


def insulin(on: str | None, **more: object) -> Statement:
    return said("insulin", on, kind="medication", name=f"insulin-{next(_number)}", **more)  # type: ignore[arg-type]


def order(on: str | None, sort: str = "MedicationRequest", **more: object) -> Statement:
    """Return a completed order of the product."""
    name = f"{sort}/{next(_number)}"
    return said("allo", on, kind="medication", phase="past", name=name, **more)  # type: ignore[arg-type]


def dispense(on: str) -> Statement:
    return order(on, "MedicationDispense")


def exceed(*statements: Statement, supplied: frozenset[Records] = ALL_RECORDS) -> tuple[str, bool]:
    found = COURSE.evaluate(chart(*statements, supplied=supplied))
    return found.outcome.value, found.silent


FEW, MANY, OPEN, SILENT = ("not-met", False), ("met", False), ("undocumented", False), ("undocumented", True)
A, B, C = "2024-01-01", "2025-01-01", "2026-01-01"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], SILENT),
        ([infusion(A)], FEW),
        ([infusion(A), infusion(B)], FEW),
        ([infusion(A), infusion(B), infusion(C)], MANY),
        ([infusion(A), infusion("2024-01-04"), infusion(B)], FEW),
        ([infusion(A), infusion("2024-01-05"), infusion(B)], MANY),
        ([infusion(A), infusion(B), infusion(None)], MANY),
        ([infusion(A, kind="administration"), infusion(B, kind="condition"), infusion(C)], MANY),
        ([infusion(A, kind="medication")], SILENT),
        ([infusion(A, kind="service-request")], SILENT),
        ([infusion(A, phase="planned")], SILENT),
        ([infusion("2026-11-02")], SILENT),
        ([infusion(A, "islets"), infusion(B, "islets"), infusion(C, "islets")], MANY),
        ([infusion(A, "islets"), infusion(A, "auto")], SILENT),
        ([infusion(A, "islets"), infusion("2024-01-02", "auto")], FEW),
        ([infusion(A), infusion(A, "auto")], FEW),
        ([infusion(None, "islets"), infusion(A, "auto")], FEW),
        ([infusion(A), infusion(B), infusion("2025-01-01/2025-12-31")], OPEN),
        ([infusion(A), infusion(B), infusion("2026-11-01/2026-11-30")], OPEN),
        ([infusion(A), infusion(B), infusion("2026-10-01/2026-10-31")], MANY),
        ([infusion(A), infusion(B), infusion(C, confirmed=False)], OPEN),
        ([infusion(A), infusion(B), infusion(None, confirmed=False)], OPEN),
        ([infusion("2024-01-01/2024-12-31"), infusion(B), infusion(C)], OPEN),
        ([infusion("2024-01-01/2024-12-28"), infusion(B), infusion(C)], MANY),
    ],
)
def test_earlier_infusions_and_this_one_are_counted(
    statements: Sequence[Statement], expected: tuple[str, bool]
) -> None:
    assert exceed(*statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([order(A)], FEW),
        ([order(A), order(B)], FEW),
        ([order(A), order(B), order(C)], OPEN),
        ([order(A), order(B), order(None)], OPEN),
        ([order(A), order(B), order(C, confirmed=False)], OPEN),
        ([order(A), order(B), dispense("2024-01-10"), dispense("2025-01-10")], FEW),
        ([order(A), order(B), order(C), infusion(C)], FEW),
        ([order(A), order(B), order(C), infusion(C, confirmed=False)], OPEN),
        ([order("2023-12-01"), infusion(A), order("2024-12-01"), infusion(B)], FEW),
        ([order(A), infusion(A), infusion(B), infusion(C)], MANY),
        ([order("2026-11-02")], SILENT),
    ],
)
def test_completed_orders_may_be_infusions_where_none_is_certain(
    statements: Sequence[Statement], expected: tuple[str, bool]
) -> None:
    assert exceed(*statements) == expected


def test_the_reason_tells_certain_infusions_from_possible_ones() -> None:
    found = COURSE.evaluate(chart(order(A), order(B))).reason
    assert found == "0 to 2 earlier infusions (2025-01-01, 2024-01-01) and this order make 1 to 3 of at most 3."


def test_orders_alone_leave_open_whether_it_is_a_repeat() -> None:
    assert repeat(order(B), insulin("2024-01-01")) == OPEN
    assert repeat(order(B), infusion(B), insulin("2024-01-01")) == IN_TIME


def test_a_code_that_says_both_kinds_does_not_count() -> None:
    both = said({"islets", "auto"}, A, kind="procedure")
    assert exceed(both) == SILENT


def test_too_many_are_too_many_whatever_else_was_not_sent() -> None:
    without = ALL_RECORDS - {"procedures"}
    assert exceed(infusion(A, kind="administration"), supplied=without) == OPEN
    three = [infusion(day, kind="administration") for day in (A, B, C)]
    assert exceed(*three, supplied=without) == MANY


def test_the_reason_counts_and_dates_them() -> None:
    one = COURSE.evaluate(chart(infusion(A))).reason
    two = COURSE.evaluate(chart(infusion(A), infusion(B))).reason
    assert "1 earlier infusion (2024-01-01)" in one
    assert "2 earlier infusions (2025-01-01, 2024-01-01)" in two


def repeat(*statements: Statement) -> tuple[str, bool]:
    found = REPEAT.evaluate(chart(*statements))
    return found.outcome.value, found.silent


IN_TIME, TOO_LATE = FEW, MANY
ENDED = {"phase": "past", "until": "2025-03-01"}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], SILENT),
        ([infusion(None)], OPEN),
        ([infusion("2025-01-01/2025-01-31")], OPEN),
        ([infusion(B)], OPEN),
        ([infusion(B), insulin("2024-01-01")], IN_TIME),
        ([infusion(B), insulin("2025-06-01")], IN_TIME),
        ([infusion(B), insulin("2026-01-01")], IN_TIME),
        ([infusion(B), insulin("2026-01-02")], OPEN),
        ([infusion(B), insulin(None)], OPEN),
        ([infusion(B), insulin("2024-01-01", **ENDED)], OPEN),
        ([infusion(B), insulin("2024-01-01", phase="past")], OPEN),
        ([infusion(B), insulin("2024-01-01", until="2026-01-01")], OPEN),
        ([infusion(B), insulin("2024-01-01", phase="planned")], OPEN),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2026-10-01")], IN_TIME),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-11-02")], IN_TIME),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-11-01")], TOO_LATE),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-03-02")], IN_TIME),
        ([infusion(B), insulin("2023-01-01", phase="past", until="2024-06-01"), insulin("2025-06-01")], IN_TIME),
        ([infusion(B), insulin("2024-01-01", phase="past"), insulin("2025-11-01")], IN_TIME),
        ([infusion(A), infusion(B), insulin("2024-06-01")], IN_TIME),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-11-01"), insulin(None)], IN_TIME),
    ],
)
def test_a_repeat_infusion_is_in_time_while_insulin_is_needed_or_soon_after_it_is_again(
    statements: Sequence[Statement], expected: tuple[str, bool]
) -> None:
    assert repeat(*statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([infusion(B), insulin("2025-06-01", confirmed=False)], OPEN),
        ([infusion(B), insulin("2025-06-01"), insulin("2025-07-01", confirmed=False)], IN_TIME),
        ([infusion(B), insulin("2024-01-01", **ENDED, confirmed=False), insulin("2025-11-01")], TOO_LATE),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-11-01", confirmed=False)], OPEN),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-11-01"), insulin(None, confirmed=False)], OPEN),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-01-01/2025-12-31")], OPEN),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-11-01/2025-11-30")], OPEN),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-10-01/2025-10-31")], TOO_LATE),
        ([infusion(B), insulin("2024-01-01", **ENDED), insulin("2026-03-01/2026-03-31")], IN_TIME),
        (
            [infusion(B), insulin("2024-01-01", phase="past", until="2025-01-01/2025-12-31"), insulin("2025-10-31")],
            OPEN,
        ),
        (
            [infusion(B), insulin("2024-01-01", phase="past", until="2024-01-01/2025-12-31"), insulin("2025-10-31")],
            OPEN,
        ),
        ([infusion(B), insulin("2026-01-01/2026-12-31")], OPEN),
        ([infusion(B), insulin("2025-01-01/2025-12-31")], IN_TIME),
    ],
)
def test_insulin_decides_where_it_is_confirmed_and_both_ends_of_its_dates_agree(
    statements: Sequence[Statement], expected: tuple[str, bool]
) -> None:
    assert repeat(*statements) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], TOO_LATE),
        ([infusion("2025-11-20", confirmed=False)], OPEN),
        ([infusion("2022-11-20", confirmed=False)], TOO_LATE),
        ([infusion(None)], OPEN),
        ([infusion(None, confirmed=False)], OPEN),
        ([infusion("2025-01-01/2025-12-31")], OPEN),
        ([infusion("2022-01-01/2022-12-31")], TOO_LATE),
        ([infusion("2026-11-01/2026-11-30")], OPEN),
        ([infusion("2025-11-20", phase="planned")], TOO_LATE),
    ],
)
def test_an_infusion_that_may_have_been_the_last_leaves_it_open(
    more: list[Statement], expected: tuple[str, bool]
) -> None:
    held = [infusion("2023-01-10"), insulin("2022-01-01", phase="past", until="2023-03-01"), insulin("2024-01-01")]
    assert repeat(*held, *more) == expected


def test_a_restart_in_a_month_is_counted_by_both_of_its_ends() -> None:
    found = REPEAT.evaluate(chart(infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-10-01/2025-10-31")))
    assert "restarted in 2025-10 after the infusion of 2025-01-01, 367 to 397 days" in found.reason


def test_the_reason_names_infusion_and_restart() -> None:
    found = REPEAT.evaluate(chart(infusion(B), insulin("2024-01-01", **ENDED), insulin("2025-11-01")))
    assert "2025-01-01" in found.reason
    assert "2025-11-01" in found.reason
    assert "366 days" in found.reason


@pytest.mark.parametrize("check", [COURSE, REPEAT])
def test_it_needs_what_shows_infusions(check: InfusionsExceed | RepeatOutsideWindow) -> None:
    assert {"procedures", "medication-administrations", "medication-requests"} <= check.records
    assert "infusion" in check.describe()
    assert {"allo", "islets", "auto"} <= check.value_sets()


def test_only_numbers_that_were_given_must_be_explained() -> None:
    assert COURSE.numbers() == {3}
    assert REPEAT.numbers() == {365, 30}
