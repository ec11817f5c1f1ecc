"""Age, with whole and partial birth dates."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.policy.checks.patient import AgeAtLeast
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
