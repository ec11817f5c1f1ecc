"""Age, with whole and partial birth dates, and sex."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.policy.checks.patient import AgeAtLeast, AgeAtLeastMonths, AgeUnder, Sex
from cds_service.policy.outcome import Outcome
from tests.cds_service.policy.charts import TODAY, chart, references

ADULT = AgeAtLeast(years=18)


@pytest.mark.parametrize(
    ("born", "outcome"),
    [
        ("2008-11-02", "met"),
        ("2008-11-03", "not-met"),
        ("2008-01-01/2008-12-31", "undocumented"),
        ("2007-01-01/2007-12-31", "met"),
        ("2009-01-01/2009-12-31", "not-met"),
        ("2026-11-03", "undocumented"),
        (None, "undocumented"),
    ],
)
def test_age_is_judged_on_the_service_date(born: str | None, outcome: str) -> None:
    assert ADULT.evaluate(chart(born=born)).outcome.value == outcome


def test_no_birth_date_is_silence_and_a_partial_one_is_not() -> None:
    assert ADULT.evaluate(chart(born=None)).silent
    assert not ADULT.evaluate(chart(born="2008-01-01/2008-12-31")).silent


def test_the_reason_names_birth_date_and_age() -> None:
    found = ADULT.evaluate(chart(born="1980-05-05"))
    assert "1980-05-05" in found.reason
    assert "46 years" in found.reason
    assert references(found.evidence) == ["Patient/p1"]


@given(st.dates(max_value=TODAY), st.dates(max_value=TODAY))
def test_a_range_of_birth_dates_decides_only_when_both_ends_agree(one: date, other: date) -> None:
    first, last = sorted((one, other))
    ends = {ADULT.evaluate(chart(born=str(day))).outcome for day in (first, last)}
    expected = ends.pop() if len(ends) == 1 else Outcome.UNDOCUMENTED
    assert ADULT.evaluate(chart(born=f"{first}/{last}")).outcome is expected


def test_it_needs_the_patient_and_says_so_in_words() -> None:
    assert ADULT.records == {"patient"}
    assert ADULT.describe() == "the patient is at least 18 years old on the service date"


@pytest.mark.parametrize(
    ("born", "outcome"),
    [("2025-05-02", "met"), ("2025-05-03", "not-met"), ("2025-05-01/2025-05-31", "undocumented")],
)
def test_age_can_be_counted_in_months(born: str, outcome: str) -> None:
    assert AgeAtLeastMonths(months=18).evaluate(chart(born=born)).outcome.value == outcome


@pytest.mark.parametrize(
    ("born", "outcome"), [("2008-11-02", "not-met"), ("2008-11-03", "met"), (None, "undocumented")]
)
def test_under_an_age_is_before_its_birthday(born: str | None, outcome: str) -> None:
    assert AgeUnder(years=18).evaluate(chart(born=born)).outcome.value == outcome


@pytest.mark.parametrize(
    ("female", "outcome"), [(True, ("met", False)), (False, ("not-met", False)), (None, ("undocumented", True))]
)
def test_a_recorded_gender_decides(female: bool | None, outcome: tuple[str, bool]) -> None:
    found = Sex(sex="female").evaluate(replace(chart(), female=female))
    assert (found.outcome.value, found.silent) == outcome


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (AgeAtLeastMonths(months=18), "at least 18 months"),
        (AgeUnder(years=18), "under 18 years"),
        (Sex(sex="male"), "is male"),
    ],
)
def test_each_is_told_in_words_and_needs_the_patient(check: AgeAtLeastMonths | AgeUnder | Sex, words: str) -> None:
    assert words in check.describe()
    assert check.records == {"patient"}


SIX_MONTHS = AgeAtLeastMonths(months=6)
MINOR = AgeUnder(years=18)


@pytest.mark.parametrize(
    ("born", "outcome"),
    [
        ("2026-05-02", "met"),
        ("2026-05-03", "not-met"),
        ("2026-05-01/2026-05-31", "undocumented"),
        ("2026-06-01/2026-06-30", "not-met"),
        ("2026-11-03", "undocumented"),
        (None, "undocumented"),
    ],
)
def test_months_are_completed_months(born: str | None, outcome: str) -> None:
    assert SIX_MONTHS.evaluate(chart(born=born)).outcome.value == outcome


@pytest.mark.parametrize(
    ("born", "as_of", "outcome"),
    [
        ("2024-02-29", "2026-02-28", "not-met"),
        ("2024-02-29", "2026-03-01", "met"),
        ("2025-08-31", "2026-02-28", "not-met"),
        ("2025-08-31", "2026-03-01", "met"),
    ],
)
def test_a_day_that_a_month_does_not_have_is_reached_on_the_first_of_the_next(
    born: str, as_of: str, outcome: str
) -> None:
    check = AgeAtLeastMonths(months=24 if born.startswith("2024") else 6)
    assert check.evaluate(chart(born=born, as_of=date.fromisoformat(as_of))).outcome.value == outcome


@pytest.mark.parametrize(
    ("born", "outcome"),
    [
        ("2008-11-03", "met"),
        ("2008-11-02", "not-met"),
        ("2008-01-01/2008-12-31", "undocumented"),
        ("2026-11-03", "undocumented"),
        (None, "undocumented"),
    ],
)
def test_under_an_age_means_before_that_birthday(born: str | None, outcome: str) -> None:
    assert MINOR.evaluate(chart(born=born)).outcome.value == outcome


@given(st.dates(min_value=date(1900, 1, 1), max_value=TODAY))
def test_the_three_age_checks_agree(born: date) -> None:
    facts = chart(born=str(born))
    grown = ADULT.evaluate(facts).outcome
    assert AgeAtLeastMonths(months=216).evaluate(facts).outcome is grown
    assert (MINOR.evaluate(facts).outcome is Outcome.MET) == (grown is Outcome.NOT_MET)


def test_the_age_of_a_small_child_is_told_in_months() -> None:
    assert "5 months old" in SIX_MONTHS.evaluate(chart(born="2026-05-03")).reason


@pytest.mark.parametrize(("female", "outcome"), [(True, "not-met"), (False, "met"), (None, "undocumented")])
def test_sex_is_the_recorded_gender(female: bool | None, outcome: str) -> None:
    found = Sex(sex="male").evaluate(replace(chart(), female=female))
    assert found.outcome.value == outcome
    assert found.silent == (female is None)
    assert references(found.evidence) == ([] if female is None else ["Patient/p1"])


def test_without_a_patient_resource_there_is_no_evidence_to_show() -> None:
    facts = replace(chart(), patient=None, female=True)
    assert Sex(sex="female").evaluate(facts).evidence == ()
    assert ADULT.evaluate(facts).evidence == ()


def test_each_needs_the_patient_and_says_so_in_words() -> None:
    described = {
        SIX_MONTHS: "the patient is at least 6 months old on the service date",
        MINOR: "the patient is under 18 years old on the service date",
        Sex(sex="female"): "the patient is female",
    }
    for check, words in described.items():
        assert check.records == {"patient"}
        assert check.describe() == words
