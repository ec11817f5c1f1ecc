"""FHIR dates as day ranges. The local day as written counts: neither time of day nor zone moves it."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_mappings.facts import DateRange
from fhir_mappings.json_fields import items

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_TIME = re.compile(r"[T ]\d{2}:\d{2}[0-9:.,+\-Zz ]{0,40}", re.ASCII)
_LONGEST_DATE = len("2026-12-31")


def date_range(text: object) -> DateRange | None:
    """Return the days that a FHIR date, dateTime or instant may mean; None when it is not a calendar date."""
    if not isinstance(text, str):
        return None
    text = text.strip()
    if len(text) > _LONGEST_DATE and not _TIME.fullmatch(text, _LONGEST_DATE):
        return None
    try:
        return _days(text[:_LONGEST_DATE])
    except ValueError:
        return None


@lru_cache(maxsize=16384)
def _days(text: str) -> DateRange:
    """Return the days of a date as it is written; those of a lifetime are not many.

    Raises ValueError for what is no calendar date, which is not kept.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("no date")
    year, month, day = found.groups()
    if day:
        return DateRange.day(date(int(year), int(month), int(day)))
    if month:
        first = date(int(year), int(month), 1)
        return DateRange(first, first.replace(day=monthrange(first.year, first.month)[1]))
    return DateRange(date(int(year), 1, 1), date(int(year), 12, 31))


def instant(text: object) -> datetime | None:
    """Return the moment of a FHIR dateTime or instant, in UTC; None when it states no time, or none in a zone."""
    try:
        found = datetime.fromisoformat(text.strip()) if isinstance(text, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def evidence_date(text: object) -> str | None:
    """Return a FHIR date as recorded, without its time of day; None when it is not a calendar date."""
    return text.strip()[:10] if isinstance(text, str) and date_range(text) else None


class Moment(NamedTuple):
    """When something happened, as a resource says it."""

    when: DateRange | None = None
    text: str | None = None
    """The date as recorded, without the time of day."""
    unread: bool = False
    """A date stands there but cannot be read."""


UNDATED = Moment()


def moment(*fields: object) -> Moment:
    """Return the first of several date fields that is there: a date, a Period or a Timing (their start).

    A field that is there but unreadable decides too: another field may mean another day.
    """
    for field in fields:
        if field is None:
            continue
        value = _start(field) if isinstance(field, dict) else field
        if value is None:
            continue
        when = date_range(value)
        return Moment(when, str(value).strip()[:10]) if when else Moment(unread=True)
    return UNDATED


def end(*fields: object) -> Moment:
    """Return the first of several date fields that is there, taking the end of a Period."""
    return moment(*[field.get("end") if isinstance(field, dict) else field for field in fields])


def begin(*fields: object) -> Moment:
    """Return the first of several date fields that is there, taking the start of a Period: its end is no start."""
    return moment(*[{**field, "end": None} if isinstance(field, dict) else field for field in fields])


def _start(field: Mapping[str, Any]) -> object:
    """Return the start of a Period or of a Timing."""
    for name in ("start", "end"):
        if field.get(name) is not None:
            return field[name]
    if event := items(field.get("event")):
        return event[0]
    repeat = field.get("repeat")
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    return bounds.get("start") if isinstance(bounds, dict) else None
