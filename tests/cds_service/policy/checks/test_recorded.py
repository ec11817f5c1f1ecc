"""What the chart records: events, current conditions, history, plans, diagnoses, grades."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cds_service.policy.checks.medication import Medication
from cds_service.policy.checks.recorded import Diagnosis, GradeAtLeast, Recorded, RecordedKind
from cds_service.policy.outcome import Outcome
from fhir_mappings.facts import Phase, Statement
from tests.cds_service.policy.charts import chart, references, said

TWICE = Recorded(value_set=("event",), kind="event", on_dates=2, within_months=12)
CURRENT = Recorded(value_set=("illness",), kind="current")
CURRENT_LATELY = Recorded(
    value_set=("illness",), kind="current", places=("conditions", "observations"), within_months=12
)
EVER = Recorded(value_set=("surgery",), kind="ever")
PLANNED = Recorded(value_set=("surgery",), kind="planned", around_days=30)
SEVERE = Recorded(value_set=("illness",), kind="current", severity="severe")

Statements = Sequence[Statement]


def decided(check: Recorded | Diagnosis | GradeAtLeast, statements: Statements) -> tuple[str, bool, bool]:
    """Return outcome, silent, conflict."""
    found = check.evaluate(chart(*statements))
    return found.outcome.value, found.silent, found.conflict


TRUE, FALSE = ("met", False, False), ("not-met", False, False)
OPEN, SILENT, CONFLICT = ("undocumented", False, False), ("undocumented", True, False), ("undocumented", False, True)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("event", "2026-01-01"), said("event", "2026-02-01")], TRUE),
        ([said("event", "2026-01-01", phase="past"), said("event", "2026-02-01", phase="past")], TRUE),
        ([said("event", "2026-01-01", kind="observation"), said("event", "2026-02-01")], TRUE),
        ([said("event", "2026-01-01"), said("event", "2026-01-01", name="c2")], OPEN),
        ([said("event", "2026-01-01")], OPEN),
        ([said("event"), said("event", name="c2")], OPEN),
        ([said("event", "2025-01-01/2026-01-01"), said("event", "2026-02-01")], OPEN),
        ([said("event", "2026-01-01", confirmed=False), said("event", "2026-02-01")], OPEN),
        ([said("event", "2025-11-01"), said("event", "2024-02-01")], SILENT),
        ([said("event", "2026-11-03")], SILENT),
        ([said("event", "2026-01-01", phase="planned")], SILENT),
        ([said("event", "2026-01-01", kind="procedure")], SILENT),
        ([said("other", "2026-01-01")], SILENT),
        ([], SILENT),
    ],
)
def test_events_count_by_their_date_whatever_their_status(
    statements: Statements, expected: tuple[str, bool, bool]
) -> None:
    assert decided(TWICE, statements) == expected


def test_the_reason_counts_and_dates_the_events() -> None:
    found = TWICE.evaluate(chart(said("event", "2026-01-01"), said("event")))
    assert "1 of 2 dates" in found.reason
    assert "2026-01-01" in found.reason
    assert len(found.evidence) == 2


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("illness", "2010-01-01")], TRUE),
        ([said("illness")], TRUE),
        ([said("illness", "2026-01-01/2026-12-31")], TRUE),
        ([said("illness", "2026-12-01")], OPEN),
        ([said("illness", confirmed=False)], OPEN),
        ([said("illness", phase="past")], SILENT),
        ([said("illness", kind="observation")], SILENT),
    ],
)
def test_a_current_condition_is_active_and_confirmed(statements: Statements, expected: tuple[str, bool, bool]) -> None:
    assert decided(CURRENT, statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("illness", "2026-05-01")], TRUE),
        ([said("illness", "2024-05-01")], OPEN),
        ([said("illness", "2025-01-01/2025-12-31")], OPEN),
        ([said("illness", "2026-05-01", kind="observation")], TRUE),
        ([said("illness", "2024-05-01", kind="observation")], SILENT),
        ([said("illness", kind="observation")], OPEN),
    ],
)
def test_an_active_condition_that_began_before_the_window_is_for_a_person(
    statements: Statements, expected: tuple[str, bool, bool]
) -> None:
    assert decided(CURRENT_LATELY, statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("surgery", "1999-01-01", kind="procedure")], TRUE),
        ([said("surgery", phase="past")], TRUE),
        ([said("surgery", "2026-11-01/2026-11-30", kind="procedure")], TRUE),
        ([said("surgery", "2026-11-03", kind="procedure")], SILENT),
        ([said("surgery", kind="procedure", phase="planned")], SILENT),
        ([said("surgery", kind="service-request")], SILENT),
        ([said("surgery", confirmed=False)], OPEN),
    ],
)
def test_history_counts_at_any_time_up_to_the_service_date(
    statements: Statements, expected: tuple[str, bool, bool]
) -> None:
    assert decided(EVER, statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("surgery", "2026-11-02", kind="service-request")], TRUE),
        ([said("surgery", "2026-12-02", kind="service-request")], TRUE),
        ([said("surgery", "2026-10-03", kind="procedure")], TRUE),
        ([said("surgery", "2026-11-20", kind="procedure", phase="planned")], TRUE),
        ([said("surgery", "2026-12-03", kind="service-request")], SILENT),
        ([said("surgery", "2026-10-02", kind="procedure")], SILENT),
        ([said("surgery", "2026-12-01/2026-12-31", kind="service-request")], OPEN),
        ([said("surgery", kind="service-request")], OPEN),
        ([said("surgery", "2026-11-02", kind="service-request", phase="past")], SILENT),
    ],
)
def test_a_plan_counts_around_the_service_date(statements: Statements, expected: tuple[str, bool, bool]) -> None:
    assert decided(PLANNED, statements) == expected


def test_a_plan_without_a_window_counts_whenever_it_is() -> None:
    check = Recorded(value_set=("surgery",), kind="planned")
    assert decided(check, [said("surgery", kind="service-request")]) == TRUE


@pytest.mark.parametrize("kind", ["event", "current", "ever", "planned"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_no_date_is_too_early_or_too_late_to_be_judged(kind: RecordedKind, day: str) -> None:
    check = Recorded(value_set=("a",), kind=kind, within_months=12, around_days=30)
    facts = chart(said("a", day), said("a", day, kind="procedure"), as_of=TODAY_AT[day])
    assert check.evaluate(facts).outcome is not None


TODAY_AT = {day: chart(born=day).birth.first for day in ("0001-01-01", "9999-12-31")}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([said("illness", severity="severe")], TRUE),
        ([said("illness", severity="mild")], OPEN),
        ([said("illness")], OPEN),
        ([said("illness", phase="past", severity="severe")], SILENT),
    ],
)
def test_the_severity_must_be_stated(statements: Statements, expected: tuple[str, bool, bool]) -> None:
    assert decided(SEVERE, statements) == expected


@pytest.mark.parametrize(
    ("check", "statement", "words"),
    [
        (SEVERE, said("illness", "2020-01-01"), "without the severity severe"),
        (CURRENT, said("illness", "2020-01-01", confirmed=False), "not confirmed"),
        (TWICE, said("event"), "date leaves open"),
        (PLANNED, said("surgery", kind="service-request"), "date leaves open"),
    ],
)
def test_the_reason_says_what_is_lacking(check: Recorded, statement: Statement, words: str) -> None:
    assert words in check.evaluate(chart(statement)).reason


def test_silence_says_where_a_plan_would_have_counted() -> None:
    assert "within 30 days of the service date" in PLANNED.evaluate(chart()).reason


def test_codes_may_be_left_out_of_a_value_set() -> None:
    check = Recorded(value_set=("use",), kind="current", excepting=("treated",))
    assert decided(check, [said({"use", "treated"})]) == SILENT
    assert decided(check, [said({"use", "treated"}), said("use")]) == TRUE


class TestUnless:
    check = Recorded(value_set=("use",), kind="current", unless=Medication(value_set=("treatment",)))

    def test_without_the_exception_it_holds(self) -> None:
        assert decided(self.check, [said("use")]) == TRUE

    @pytest.mark.parametrize("phase", ["current", "past"])
    def test_with_the_exception_a_reviewer_must_judge(self, phase: Phase) -> None:
        assert decided(self.check, [said("use"), said("treatment", kind="medication", phase=phase)]) == OPEN

    def test_both_are_shown_newest_first_with_what_is_unverified(self) -> None:
        use = said("use", "2025-01-01", name="Condition/use")
        treated = said("treatment", "2026-01-01", kind="medication", name="drug", unverified=frozenset({"treatment"}))
        found = self.check.evaluate(chart(use, treated))
        assert references(found.evidence) == ["drug", "Condition/use"]
        assert found.unverified == {"treatment"}

    def test_the_exception_alone_is_silence(self) -> None:
        assert decided(self.check, [said("treatment", kind="medication")]) == SILENT

    def test_its_records_and_value_sets_are_needed_too(self) -> None:
        assert self.check.records == {"conditions", "medication-requests"}
        assert self.check.value_sets() == {"use", "treatment"}


@pytest.mark.parametrize(
    ("kind", "records"),
    [
        ("event", {"conditions", "observations"}),
        ("current", {"conditions"}),
        ("ever", {"conditions", "procedures"}),
        ("planned", {"procedures", "service-requests"}),
    ],
)
def test_each_kind_looks_where_such_things_are_recorded(kind: RecordedKind, records: set[str]) -> None:
    assert Recorded(value_set=("a",), kind=kind).records == records


def test_the_places_can_be_named() -> None:
    assert Recorded(value_set=("a",), kind="ever", places=("observations",)).records == {"observations"}


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (TWICE, ["event", "12 months", "2 or more dates"]),
        (CURRENT, ["illness is current"]),
        (EVER, ["surgery", "at any time"]),
        (PLANNED, ["surgery", "30 days"]),
        (SEVERE, ["severe"]),
        (Recorded(value_set=("a", "b-c"), kind="ever", excepting=("d",)), ["a or b c", "leaving out d"]),
        (TestUnless.check, ["for a reviewer when treatment"]),
    ],
)
def test_a_check_is_described_in_words(check: Recorded, words: list[str]) -> None:
    assert [word for word in words if word not in check.describe()] == []


class TestDiagnosis:
    check = Diagnosis(value_set=("type-1",), other=("type-2", "early"), beside=("type-2",))

    @pytest.mark.parametrize(
        ("statements", "expected"),
        [
            ([said("type-1")], TRUE),
            ([said("type-1"), said("type-2", phase="past")], TRUE),
            ([said("type-1"), said("type-2", confirmed=False)], TRUE),
            ([said("type-1"), said("early")], TRUE),
            ([said("type-1"), said("type-2")], CONFLICT),
            ([said("type-2")], FALSE),
            ([said("early")], FALSE),
            ([said("type-1", phase="past"), said("type-2")], FALSE),
            ([said("type-1", phase="past")], OPEN),
            ([said("type-1", confirmed=False)], OPEN),
            ([said("type-1", kind="observation")], SILENT),
            ([said("type-2", phase="past")], SILENT),
            ([], SILENT),
        ],
    )
    def test_another_type_speaks_against_it_and_both_are_a_conflict(
        self, statements: Statements, expected: tuple[str, bool, bool]
    ) -> None:
        assert decided(self.check, statements) == expected

    def test_a_conflict_shows_both_sides(self) -> None:
        found = self.check.evaluate(chart(said("type-1", name="one"), said("type-2", name="two")))
        assert references(found.evidence) == ["one", "two"]

    def test_one_code_in_both_value_sets_is_the_diagnosis(self) -> None:
        assert decided(self.check, [said({"type-1", "type-2"})]) == TRUE

    @pytest.mark.parametrize(
        ("statement", "words"),
        [(said("type-1", confirmed=False), "not confirmed"), (said("type-1", phase="past"), "no longer current")],
    )
    def test_the_reason_says_why_it_does_not_count(self, statement: Statement, words: str) -> None:
        assert words in self.check.evaluate(chart(statement)).reason

    def test_it_is_described_and_needs_conditions(self) -> None:
        assert self.check.records == {"conditions"}
        assert "type 2 or early" in self.check.describe()
        assert "against" not in Diagnosis(value_set=("type-1",)).describe()


class TestGradeAtLeast:
    check = GradeAtLeast(value_set=("gvhd",), grade=3)

    @pytest.mark.parametrize(
        ("statements", "expected"),
        [
            ([said("gvhd", grade=3)], TRUE),
            ([said("gvhd", grade=4), said("gvhd", grade=1)], TRUE),
            ([said("gvhd", grade=2)], FALSE),
            ([said("gvhd", grade=2), said("gvhd")], OPEN),
            ([said("gvhd")], OPEN),
            ([said("gvhd", grade=4, confirmed=False)], OPEN),
            ([said("gvhd", grade=4, phase="past")], SILENT),
            ([said("gvhd", grade=4, kind="observation")], SILENT),
            ([], SILENT),
        ],
    )
    def test_only_a_stated_grade_decides(self, statements: Statements, expected: tuple[str, bool, bool]) -> None:
        assert decided(self.check, statements) == expected

    def test_the_reason_names_the_grade(self) -> None:
        assert "grade 4" in self.check.evaluate(chart(said("gvhd", grade=4))).reason
        assert "grade 2" in self.check.evaluate(chart(said("gvhd", grade=2))).reason

    def test_it_is_described_and_needs_conditions(self) -> None:
        assert self.check.records == {"conditions"}
        assert "grade 3 or higher" in self.check.describe()


def test_an_unverified_code_is_named() -> None:
    found = CURRENT.evaluate(chart(said("illness", unverified=frozenset({"illness"}))))
    assert found.outcome is Outcome.MET
    assert found.unverified == {"illness"}
