"""Days and windows: every look-back counts from the service date, both ends included."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import date

from fhir_mappings.facts import DateRange

EVER = date.min


def months_before(day: date, months: int) -> date:
    """Return the same day of the month that many months earlier, or that month's last day; never before EVER."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    if year < EVER.year:
        return EVER
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def window_start(day: date, months: int | None, days: int | None) -> date:
    """Return the first day of a look-back of the given length, or the beginning of time without one."""
    if months is not None:
        return months_before(day, months)
    if days is not None:
        return days_from(day, -days)
    return EVER


def days_from(day: date, days: int) -> date:
    """Return the day that many days later (earlier when negative), as far as the calendar goes."""
    return date.fromordinal(min(max(day.toordinal() + days, EVER.toordinal()), date.max.toordinal()))


def in_words(months: int | None, days: int | None) -> str:
    """Return the window as a phrase, for a reason or a description; empty without a window."""
    if months is not None:
        return f"in the {months} months before the service date"
    if days is not None:
        return f"in the {days} days before the service date"
    return ""


def distinct_days(ranges: Iterable[DateRange], apart: int = 0) -> int:
    """Return how many of the events certainly are distinct: the most ranges of which no two can be the same event.

    ``apart`` is the number of days up to which two dates still count as one event.
    """
    count, last = 0, None
    for when in sorted(ranges, key=lambda r: (r.last, r.first)):
        if last is None or (when.first - last).days > apart:
            count, last = count + 1, when.last
    return count


def age_on(birth: date, day: date) -> int:
    """Return the age in completed years; a birthday on 29 February is reached on 1 March of other years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def age_in_months(birth: date, day: date) -> int:
    """Return the age in completed months; negative before birth."""
    return (day.year - birth.year) * 12 + day.month - birth.month - (day.day < birth.day)


def day_in_words(when: DateRange | None) -> str:
    """Return a date range as people write it: a day, a month, a year or two days."""
    if when is None:
        return "undated"
    if when.first == when.last:
        return when.first.isoformat()
    if (when.first.month, when.first.day, when.last.month, when.last.day) == (1, 1, 12, 31):
        same_year = when.first.year == when.last.year
        return str(when.first.year) if same_year else f"{when.first.year} to {when.last.year}"
    month = (when.first.year, when.first.month)
    if when.first.day == 1 and month == (when.last.year, when.last.month) and _ends_month(when.last):
        return when.first.isoformat()[:7]
    return f"{when.first.isoformat()} to {when.last.isoformat()}"


def _ends_month(day: date) -> bool:
    return day.day == calendar.monthrange(day.year, day.month)[1]
