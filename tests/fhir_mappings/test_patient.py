from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import patient as reader
from fhir_mappings.dates import date_range
from fhir_mappings.facts import Evidence, Unreadable
from fhir_mappings.resources import MODIFIED

from .examples import MODIFIER, damaged, patient

DAY = date(2026, 11, 20)


def test_a_patient_is_read_without_name_or_identifier() -> None:
    named = patient(name=[{"family": "Doe"}], identifier=[{"value": "MRN-1"}])
    assert reader.read(named) == reader.Person(
        birth=date_range("1979-03-14"), female=True, evidence=Evidence("Patient/p1", date="1979-03-14")
    )


@pytest.mark.parametrize(
    ("gender", "female"),
    [("female", True), ("male", False), ("other", None), ("unknown", None), (5, None), (None, None)],
)
def test_only_female_and_male_say_something_about_sex(gender: Any, female: bool | None) -> None:
    assert reader.read(patient(gender=gender)).female is female


@pytest.mark.parametrize("birth", ["1979", "1979-03", "1979-03-14"])
def test_a_partial_birth_date_is_a_range(birth: str) -> None:
    assert reader.birth_on(reader.read(patient(birthDate=birth)), DAY) == (date_range(birth), None)


@pytest.mark.parametrize("birth", ["14.3.1979", 1979, {}, "1979-13-01"])
def test_a_birth_date_that_cannot_be_read_is_named(birth: Any) -> None:
    person = reader.read(patient(birthDate=birth))
    assert person.birth is None
    if birth:
        assert person.quality == Unreadable("Patient/p1", "its birth date could not be read")


def test_a_birth_in_the_future_or_beyond_every_age_is_no_birth_date() -> None:
    future = reader.birth_on(reader.read(patient(birthDate="2026-11-21")), DAY)
    assert future == (None, "its birth date lies after the date of the order")
    ancient = reader.birth_on(reader.read(patient(birthDate="1850-01-01")), DAY)
    assert ancient == (None, "its birth date is more than 130 years before the order")
    assert reader.birth_on(reader.NOBODY, DAY) == (None, None)
    assert reader.birth_on(reader.read(patient(birthDate="2026-11-20")), DAY)[0] is not None


@pytest.mark.parametrize(
    ("fields", "deceased"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2026-01-02T03:04:05Z"}, True),
        ({"deceasedDateTime": "2026"}, True),
        ({"deceasedDateTime": "2027-01-01"}, False),
        ({"deceasedDateTime": "yes"}, True),
    ],
)
def test_a_patient_is_deceased_when_recorded_so_by_the_day(fields: dict[str, Any], deceased: bool) -> None:
    assert reader.is_deceased(reader.read(patient(**fields)), DAY) is deceased


def test_a_modified_patient_is_unreadable_and_an_invalid_one_is_read_with_a_notice() -> None:
    assert reader.read(patient(modifierExtension=MODIFIER)).unreadable == Unreadable("Patient/p1", MODIFIED)
    invalid = reader.read(patient(maritalStatus=5))
    assert invalid.birth == date_range("1979-03-14")
    assert invalid.quality == Unreadable("Patient/p1", "Patient.maritalStatus has the wrong type")


@given(damaged([patient(deceasedDateTime="2026"), patient(deceasedBoolean=False)]))
def test_a_damaged_patient_never_raises(resource: dict[str, Any]) -> None:
    person = reader.read(resource)
    reader.birth_on(person, DAY)
    reader.is_deceased(person, DAY)
