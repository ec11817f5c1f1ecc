from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import json_fields as fields

from .examples import json_values


def test_a_single_value_stands_for_a_list_of_one() -> None:
    assert list(fields.items({"a": 1})) == [{"a": 1}]
    assert list(fields.items(None)) == []
    assert fields.objects([{"a": 1}, 5, None, "x"]) == [{"a": 1}]
    assert fields.one_object([5, {"a": 1}]) == {"a": 1}
    assert fields.one_object("x") == {}


def test_text_is_stripped_and_cut_and_never_blank() -> None:
    assert fields.text("  a b ") == "a b"
    assert fields.text(" ") is None
    assert fields.text(5) is None
    assert len(fields.text("x" * 5000) or "") == fields.LONGEST
    assert fields.token(" Active ") == "active"


def test_true_written_as_text_is_true() -> None:
    assert fields.is_true(True)
    assert fields.is_true("True")
    assert not fields.is_true(1)
    assert not fields.is_true(None)


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, "7"), (7.1, "7.1"), ("7.10", "7.10"), (-3, "-3"), (1e-7, "1E-7"), ("1e2", "1E+2"), (0, "0")],
)
def test_a_number_is_exactly_the_one_written(value: object, number: str) -> None:
    assert fields.number(value) == Decimal(number)
    assert str(fields.number(value)) == number


@pytest.mark.parametrize(
    "value",
    [True, None, "", "seven", "1e1000000", "9" * 20, "1e50", 10**400, 1e300, float("nan"), float("inf"), [7], "\u0667"],
)
def test_what_is_no_usable_number_is_none(value: object) -> None:
    assert fields.number(value) is None


def test_a_resource_without_an_id_says_so() -> None:
    assert fields.reference_to({"resourceType": "Condition", "id": "c1"}) == "Condition/c1"
    assert fields.reference_to({"resourceType": "Condition", "id": 5}) == "Condition (no id)"
    assert fields.reference_to({"resourceType": []}) == "Resource (no id)"


@pytest.mark.parametrize(
    ("reference", "points_to"),
    [
        ("Medication/m1", "Medication/m1"),
        ("https://ehr.example.org/fhir/Medication/m1", "Medication/m1"),
        ("Medication/m1/_history/3", "Medication/m1"),
        ("#m1", "#m1"),
        ("urn:uuid:5", "urn:uuid:5"),
        (5, None),
        ({"reference": "Medication/m1"}, "Medication/m1"),
        ({}, None),
    ],
)
def test_a_reference_points_to_a_type_and_an_id(reference: object, points_to: str | None) -> None:
    assert fields.target(reference) == points_to


def test_a_reference_resolves_to_a_contained_resource_or_one_of_the_chart() -> None:
    inside, outside = {"id": "m1"}, {"id": "m2"}
    holder = {"contained": [5, inside]}
    assert fields.resolve({"reference": "#m1"}, holder, {}) is inside
    assert fields.resolve({"reference": "#m9"}, holder, {}) is None
    assert fields.resolve("Medication/m2", {}, {"Medication/m2": outside}) is outside
    assert fields.resolve(None, {}, {}) is None


@given(json_values)
def test_any_json_can_be_asked_for_any_kind_of_field(value: Any) -> None:
    for ask in (fields.items, fields.objects, fields.one_object, fields.text, fields.number, fields.target):
        ask(value)
    resource = {"resourceType": value, "id": value, "contained": value}
    fields.reference_to(resource)
    fields.resolve(value, resource, {})
