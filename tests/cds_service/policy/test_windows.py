"""Days and windows: month arithmetic, ages and distinct events."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.policy.windows import (
    EVER,
    age_on,
    day_in_words,
    distinct_days,
    in_words,
    months_before,
    window_start,
)
from fhir_mappings.facts import DateRange

days = st.dates()
months = st.integers(1, 1200)
ranges = st.builds(
    lambda first, length: DateRange(first, first + timedelta(length)),
    st.dates(date(2025, 1, 1), date(2025, 2, 1)),
    st.integers(0, 20),
)


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        ("2026-11-02", 6, "2026-05-02"),
        ("2026-11-02", 12, "2025-11-02"),
        ("2026-03-31", 1, "2026-02-28"),
        ("2024-03-31", 1, "2024-02-29"),
        ("2026-01-15", 1, "2025-12-15"),
        ("2024-02-29", 12, "2023-02-28"),
    ],
)
def test_months_are_counted_back_to_the_same_day_or_the_last_of_the_month(day: str, count: int, expected: str) -> None:
    assert months_before(date.fromisoformat(day), count) == date.fromisoformat(expected)


@given(days, months)
def test_months_before_is_never_later_and_at_most_a_month_and_its_days_off(day: date, count: int) -> None:
    start = months_before(day, count)
    assert start < day or start == EVER
    if start != EVER:
        assert (day.year - start.year) * 12 + day.month - start.month == count
        assert start.day <= day.day


@given(days, days, months)
def test_a_later_day_never_has_an_earlier_window(one: date, other: date, count: int) -> None:
    first, last = sorted((one, other))
    assert months_before(first, count) <= months_before(last, count)


@given(days, st.integers(1, 40_000))
def test_a_window_of_days_begins_that_many_days_before_as_far_as_the_calendar_goes(day: date, count: int) -> None:
    start = window_start(day, None, count)
    assert (day - start).days == count or (start == EVER and (day - EVER).days < count)


def test_without_a_window_everything_ever_counts() -> None:
    assert window_start(date(2026, 11, 2), None, None) == EVER


@pytest.mark.parametrize(
    ("months", "days", "expected"),
    [(12, None, "in the 12 months before the service date"), (None, 60, "in the 60 days before"), (None, None, "")],
)
def test_a_window_in_words_says_its_length_and_unit(months: int | None, days: int | None, expected: str) -> None:
    assert expected in in_words(months, days)
    assert bool(in_words(months, days)) == bool(expected)


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        ("2008-11-02", "2026-11-02", 18),
        ("2008-11-03", "2026-11-02", 17),
        ("2008-02-29", "2026-02-28", 17),
        ("2008-02-29", "2026-03-01", 18),
        ("2008-02-29", "2024-02-29", 16),
    ],
)
def test_age_is_counted_in_completed_years(birth: str, day: str, age: int) -> None:
    assert age_on(date.fromisoformat(birth), date.fromisoformat(day)) == age


@given(days, st.integers(0, 130))
def test_a_year_older_on_each_birthday(birth: date, years: int) -> None:
    if birth.year + years < date.max.year and (birth.month, birth.day) != (2, 29):
        birthday = birth.replace(year=birth.year + years)
        assert age_on(birth, birthday) == years
        assert age_on(birth, birthday + timedelta(1)) == years


def test_two_dates_are_two_events() -> None:
    assert distinct_days([DateRange.day(date(2026, 1, 1)), DateRange.day(date(2026, 1, 2))]) == 2


def test_one_date_twice_is_one_event() -> None:
    assert distinct_days([DateRange.day(date(2026, 1, 1))] * 2) == 1


def test_a_month_and_a_day_in_it_may_be_one_event() -> None:
    month = DateRange(date(2026, 1, 1), date(2026, 1, 31))
    assert distinct_days([month, DateRange.day(date(2026, 1, 15))]) == 1


def test_days_no_further_apart_than_asked_are_one_event() -> None:
    start = date(2026, 1, 1)
    assert distinct_days([DateRange.day(start), DateRange.day(start + timedelta(3))], apart=3) == 1
    assert distinct_days([DateRange.day(start), DateRange.day(start + timedelta(4))], apart=3) == 2


def _most_distinct(found: list[DateRange], apart: int) -> int:
    """Return the answer by trying every subset."""
    for size in range(len(found), 0, -1):
        for chosen in itertools.combinations(found, size):
            if all(_distinct(a, b, apart) for a, b in itertools.combinations(chosen, 2)):
                return size
    return 0


def _distinct(one: DateRange, other: DateRange, apart: int) -> bool:
    earlier, later = sorted((one, other))
    return (later.first - earlier.last).days > apart


@given(st.lists(ranges, max_size=6), st.integers(0, 3))
def test_certainly_distinct_events_are_the_most_of_which_no_two_can_be_one(found: list[DateRange], apart: int) -> None:
    assert distinct_days(found, apart) == _most_distinct(found, apart)


@given(st.lists(ranges, max_size=6), ranges)
def test_another_record_never_lowers_the_number_of_events(found: list[DateRange], more: DateRange) -> None:
    assert distinct_days(found) <= distinct_days([*found, more])


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-01-20", "2026-01-20", "2026-01-20"),
        ("2026-01-01", "2026-01-31", "2026-01"),
        ("2024-02-01", "2024-02-29", "2024-02"),
        ("2026-01-01", "2026-12-31", "2026"),
        ("2025-01-01", "2026-12-31", "2025 to 2026"),
        ("2026-01-20", "2026-02-03", "2026-01-20 to 2026-02-03"),
        ("2026-01-01", "2026-02-28", "2026-01-01 to 2026-02-28"),
        ("9999-12-01", "9999-12-31", "9999-12"),
        ("0033-04-01", "0033-04-30", "0033-04"),
    ],
)
def test_a_date_range_is_written_as_people_write_it(first: str, last: str, expected: str) -> None:
    assert day_in_words(DateRange(date.fromisoformat(first), date.fromisoformat(last))) == expected


def test_no_date_is_undated() -> None:
    assert day_in_words(None) == "undated"


@given(days, st.integers(0, 800))
def test_every_date_range_can_be_written(first: date, length: int) -> None:
    last = date.fromordinal(min(first.toordinal() + length, date.max.toordinal()))
    assert day_in_words(DateRange(first, last))
