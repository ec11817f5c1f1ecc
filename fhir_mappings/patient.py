"""Patient -> who the order is for: day of birth, sex, whether deceased. Names and identifiers are never read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fhir_mappings.chart import Resource
from fhir_mappings.dates import evidence_date, moment
from fhir_mappings.facts import DateRange, Evidence, Unreadable
from fhir_mappings.json_fields import is_true, reference_to, token
from fhir_mappings.resources import MODIFIED, is_modified, problem

_OLDEST_YEARS = 130


@dataclass(frozen=True, slots=True)
class Person:
    """What a Patient says, before it is known on which day it is asked."""

    birth: DateRange | None = None
    female: bool | None = None
    """None for a gender that is other, unknown or not stated."""
    died: DateRange | bool = False
    evidence: Evidence | None = None
    unreadable: Unreadable | None = None
    quality: Unreadable | None = None


NOBODY = Person()


def read(resource: Resource) -> Person:
    """Return what a Patient says."""
    reference = reference_to(resource)
    if is_modified(resource):
        return Person(unreadable=Unreadable(reference, MODIFIED))
    born = moment(resource.get("birthDate"))
    died = moment(resource.get("deceasedDateTime"))
    defect = "its birth date could not be read" if born.unread else problem(resource)
    return Person(
        birth=born.when,
        female={"female": True, "male": False}.get(token(resource.get("gender")) or ""),
        died=died.when or died.unread or is_true(resource.get("deceasedBoolean")),
        evidence=Evidence(reference, date=evidence_date(resource.get("birthDate"))),
        quality=Unreadable(reference, defect) if defect else None,
    )


def birth_on(person: Person, day: date) -> tuple[DateRange | None, str | None]:
    """Return the birth as known on a day, and why it is not usable: not born yet, or older than people become."""
    birth = person.birth
    if birth is None:
        return None, None
    if birth.first > day:
        return None, "its birth date lies after the date of the order"
    if day.year - birth.last.year > _OLDEST_YEARS:
        return None, f"its birth date is more than {_OLDEST_YEARS} years before the order"
    return birth, None


def is_deceased(person: Person, day: date) -> bool:
    """Whether the patient is recorded as deceased on a day, or may be by a partial date."""
    return person.died.first <= day if isinstance(person.died, DateRange) else person.died
