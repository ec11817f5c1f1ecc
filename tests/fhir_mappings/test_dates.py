from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given

from fhir_mappings import dates
from fhir_mappings.dates import UNDATED, Moment, begin, date_range, end, evidence_date, instant, moment
from fhir_mappings.facts import DateRange

from .examples import json_values


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("2024-12-31T23:59:59.999-11:00", date(2024, 12, 31), date(2024, 12, 31)),
        ("2024-01-01T00:30:00+14:00", date(2024, 1, 1), date(2024, 1, 1)),
        ("2024-01-01T10:00:00", date(2024, 1, 1), date(2024, 1, 1)),
        ("2024-01-01T10:00Z", date(2024, 1, 1), date(2024, 1, 1)),
        (" 2024-01-01 ", date(2024, 1, 1), date(2024, 1, 1)),
        ("9999-12-31", date(9999, 12, 31), date(9999, 12, 31)),
    ],
)
def test_a_partial_date_is_its_first_and_last_day_and_the_local_day_counts(text: str, first: date, last: date) -> None:
    assert date_range(text) == DateRange(first, last)
    assert evidence_date(text) == text.strip()[:10]


@pytest.mark.parametrize(
    "text",
    ["", "24", "2024-1", "2024-13", "2024-00", "2023-02-29", "2024-01-00", "0000", "2024-01-01Tnoon", "01/02/2024",
     "٢٠٢٤", "yesterday", 2024, None, True, ["2024"]],
)  # fmt: skip
def test_what_is_no_calendar_date_is_none(text: object) -> None:
    assert date_range(text) is None
    assert evidence_date(text) is None


def test_the_first_field_that_is_there_decides_even_when_it_cannot_be_read() -> None:
    assert moment(None, "2024", "2025") == Moment(date_range("2024"), "2024")
    assert moment("soon", "2025") == Moment(unread=True)
    assert moment(None, {}, {"start": None}) == UNDATED


@pytest.mark.parametrize(
    ("field", "day"),
    [
        ({"start": "2024-03-01", "end": "2024-04-01"}, "2024-03-01"),
        ({"end": "2024-04-01"}, "2024-04-01"),
        ({"event": ["2024-05-01", "2024-06-01"]}, "2024-05-01"),
        ({"event": "2024-05-01"}, "2024-05-01"),
        ({"repeat": {"boundsPeriod": {"start": "2024-07-01"}}}, "2024-07-01"),
    ],
)
def test_a_period_or_timing_counts_by_its_start(field: object, day: str) -> None:
    assert moment(field) == Moment(date_range(day), day)


@pytest.mark.parametrize("field", [{"repeat": 5}, {"repeat": {"boundsPeriod": []}}, {"event": []}])
def test_a_timing_without_a_day_is_undated(field: object) -> None:
    assert moment(field) == UNDATED


def test_the_end_of_a_period_is_never_its_start() -> None:
    assert end({"start": "2024-03-01"}) == UNDATED
    assert end({"end": "2024-03-01"}).when == date_range("2024-03-01")
    assert end(None, "2024-03-02").text == "2024-03-02"


def test_a_period_begins_with_its_start_alone() -> None:
    assert begin({"end": "2024-04-01"}) == UNDATED
    assert begin({"end": "2024-04-01"}, "2024-03-02").text == "2024-03-02"
    assert begin({"start": "2024-03-01", "end": "2024-04-01"}).text == "2024-03-01"
    assert begin({"event": ["2024-05-01"]}).text == "2024-05-01"


def test_a_range_cannot_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        DateRange(date(2026, 1, 2), date(2026, 1, 1))


@given(json_values)
def test_any_json_has_a_moment_and_an_end(value: object) -> None:
    assert isinstance(moment(value), Moment)
    assert isinstance(end(value), Moment)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-02T09:30:00-05:00", datetime(2026, 11, 2, 14, 30, tzinfo=UTC)),
        ("2026-11-02T09:30:00.5Z", datetime(2026, 11, 2, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-02", None),
        ("2026-11-02T09:30:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        (20261102, None),
    ],
)
def test_a_moment_has_a_time_and_a_zone(text: object, expected: datetime | None) -> None:
    assert instant(text) == expected


def test_no_text_is_kept_that_is_no_date() -> None:
    kept = dates._days.cache_info().currsize  # noqa: SLF001
    for text in ("Jane Roe", "2024-13", "2024-02-30", "2024-02-30T10:00:00Z"):
        assert date_range(text) is None
    assert dates._days.cache_info().currsize == kept  # noqa: SLF001
