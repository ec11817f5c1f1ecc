"""A status by its latest statement, and what only a person can settle."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cds_service.policy.checks.status import Attested, StatusNow
from fhir_mappings.facts import Statement
from tests.cds_service.policy.charts import chart, ordered, references, said

SMOKES = StatusNow(value_set=("yes",), opposite=("no",), unknown=("unknown",), within_months=12)
PREGNANT = StatusNow(
    value_set=("yes",),
    opposite=("no",),
    unknown=("unknown",),
    tests=("test",),
    earlier="counts",
    within_days=294,
    onset_within_days=294,
    tests_within_days=30,
)

TRUE, FALSE = ("met", False, False), ("not-met", False, False)
OPEN, SILENT, CONFLICT = ("undocumented", False, False), ("undocumented", True, False), ("undocumented", False, True)


def seen(concept: str, on: str | None = "2026-10-01", **more: object) -> Statement:
    return said(concept, on, kind="observation", **more)  # type: ignore[arg-type]


def decided(check: StatusNow, statements: Sequence[Statement]) -> tuple[str, bool, bool]:
    found = check.evaluate(chart(*statements))
    return found.outcome.value, found.silent, found.conflict


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([seen("yes")], TRUE),
        ([seen("no")], FALSE),
        ([seen("unknown")], OPEN),
        ([seen("yes", "2025-11-01")], OPEN),
        ([seen("yes", "2026-11-03")], SILENT),
        ([seen("yes", None)], OPEN),
        ([seen("yes", None), seen("no")], CONFLICT),
        ([seen("no", None)], FALSE),
        ([seen("unknown", None), seen("no")], OPEN),
        ([seen("yes", confirmed=False)], OPEN),
        ([seen("yes", "2026-05-01"), seen("no")], FALSE),
        ([seen("no", "2026-05-01"), seen("yes")], TRUE),
        ([seen("yes", "2026-05-01"), seen("unknown")], OPEN),
        ([seen("yes", "2026-09-01"), seen("no", confirmed=False)], TRUE),
        ([seen("no", "2026-09-01"), seen("yes", confirmed=False)], OPEN),
        ([seen("yes", "2026-09-01", confirmed=False), seen("no")], FALSE),
        ([seen("no", "2026-09-01"), seen("unknown", confirmed=False)], OPEN),
        ([seen("no", confirmed=False)], OPEN),
        ([seen("no", "2026-09-01"), seen("no", confirmed=False)], FALSE),
        ([seen("yes"), seen("no", "2026-01-01/2026-12-31")], CONFLICT),
        ([seen("yes"), seen("no", "2026-01-01/2026-08-31")], TRUE),
        ([seen("no"), seen("yes", "2026-01-01/2026-10-31")], CONFLICT),
        ([seen("yes"), seen("no")], CONFLICT),
        ([said("yes")], TRUE),
        ([said("yes", confirmed=False)], OPEN),
        ([said("yes", phase="past")], SILENT),
        ([said("no")], FALSE),
        ([said("yes"), said("no")], CONFLICT),
        ([said("yes"), seen("no")], CONFLICT),
        ([said("yes", "2020-01-01"), seen("no")], CONFLICT),
        ([said("yes"), seen("no", "2020-01-01")], TRUE),
        ([said("yes", "2026-09-01"), seen("no", "2026-03-01")], TRUE),
        ([said("yes"), seen("unknown")], TRUE),
        ([said("yes", kind="procedure")], SILENT),
        ([], SILENT),
    ],
)
def test_the_latest_observation_and_the_current_conditions_decide(
    statements: Sequence[Statement], expected: tuple[str, bool, bool]
) -> None:
    assert decided(SMOKES, statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("yes", "2026-05-01")], TRUE),
        ([said("yes", "2026-01-12")], TRUE),
        ([said("yes", "2026-01-11")], OPEN),
        ([said("yes", "2026-01-01"), said("yes", "2026-06-01")], TRUE),
        ([said("yes")], TRUE),
    ],
)
def test_a_condition_may_only_have_begun_so_long_ago(
    statements: Sequence[Statement], expected: tuple[str, bool, bool]
) -> None:
    assert decided(PREGNANT, statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([seen("yes", "2026-05-01"), seen("no")], CONFLICT),
        ([seen("yes", "2026-01-11"), seen("no")], FALSE),
        ([seen("no", "2026-05-01"), seen("yes")], TRUE),
        ([seen("yes", "2026-05-01"), seen("no", "2026-09-01"), seen("yes")], TRUE),
        ([seen("yes", "2026-05-01"), seen("unknown", confirmed=False)], TRUE),
        ([seen("yes", "2026-05-01", confirmed=False), seen("no")], OPEN),
        ([seen("yes", "2025-05-01", confirmed=False), seen("no")], FALSE),
        ([said("yes", "2026-05-01"), seen("no")], CONFLICT),
        ([said("yes", "2025-05-01"), seen("no")], FALSE),
        ([said("yes", "2025-05-01"), seen("no", "2025-04-01")], OPEN),
        ([said("yes", "2026-01-01/2026-12-31")], OPEN),
    ],
)
def test_an_earlier_observation_may_count_until_it_is_too_old(
    statements: Sequence[Statement], expected: tuple[str, bool, bool]
) -> None:
    assert decided(PREGNANT, statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([seen("test", "2026-10-03")], TRUE),
        ([seen("test", "2026-10-02")], SILENT),
        ([seen("test", "2026-10-01/2026-10-31")], OPEN),
        ([seen("test", None)], OPEN),
        ([seen("test", "2026-10-20", confirmed=False)], OPEN),
        ([seen("test", "2026-09-20", confirmed=False)], SILENT),
        ([seen("test", "2026-10-10"), seen("no", "2026-10-30")], CONFLICT),
        ([seen("test", "2026-10-01"), seen("no", "2026-10-30")], FALSE),
        ([seen("no", "2026-10-10"), seen("test", "2026-10-30")], TRUE),
    ],
)
def test_a_positive_test_counts_for_its_own_time(
    statements: Sequence[Statement], expected: tuple[str, bool, bool]
) -> None:
    assert decided(PREGNANT, statements) == expected


def test_the_reason_names_what_was_found() -> None:
    assert "Recorded: test (2026-10-20)." in PREGNANT.evaluate(chart(seen("test", "2026-10-20"))).reason
    assert "not confirmed: no" in PREGNANT.evaluate(chart(seen("no", confirmed=False))).reason


def test_a_conflict_shows_both_sides() -> None:
    found = SMOKES.evaluate(chart(said("yes", name="yes"), seen("no", name="no")))
    assert references(found.evidence) == ["no", "yes"]


def test_it_is_described_and_needs_conditions_and_observations() -> None:
    assert SMOKES.records == {"conditions", "observations"}
    assert "yes holds now" in SMOKES.describe()


class TestAttested:
    check = Attested(citing=("treatment",))

    def test_the_chart_is_cited_and_decides_nothing(self) -> None:
        found = self.check.evaluate(chart(said("treatment", "2024-05-01", kind="procedure", name="p1")))
        assert (found.outcome.value, found.silent) == ("undocumented", False)
        assert references(found.evidence) == ["p1"]
        assert "2024-05-01" in found.reason

    def test_a_plan_is_not_cited(self) -> None:
        assert self.check.evaluate(chart(said("treatment", kind="service-request"))).silent

    def test_what_the_order_says_is_cited_and_decides_nothing(self) -> None:
        found = self.check.evaluate(chart(order=ordered(says=["treatment"])))
        assert (found.outcome.value, found.silent) == ("undocumented", False)
        assert found.reason == "The order says: treatment. Nobody has stated the conclusion."
        assert references(found.evidence) == ["MedicationRequest/order"]

    def test_order_and_chart_are_cited_together(self) -> None:
        found = self.check.evaluate(chart(said("treatment", "2024-05-01"), order=ordered(says=["treatment"])))
        assert found.reason == (
            "On record: treatment (2024-05-01). The order says: treatment. Nobody has stated the conclusion."
        )

    def test_without_anything_to_cite_it_is_silent(self) -> None:
        assert Attested().evaluate(chart(said("treatment"))).silent

    def test_it_is_described_and_needs_answers(self) -> None:
        assert Attested().records == {"questionnaire-responses"}
        assert self.check.records == {"questionnaire-responses", "procedures", "conditions"}
        assert Attested().describe() == "a clinician states it"
