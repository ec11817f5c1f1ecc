from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import quantities
from fhir_mappings.facts import Quantity
from fhir_mappings.json_fields import one_object

from .examples import json_values


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ({"unit": "%"}, "%"),
        ({"unit": "percent", "code": "%"}, "%"),
        ({"unit": "Percent"}, "%"),
        ({"unit": "% NGSP"}, "%"),
        ({"unit": "mmol/mol"}, "mmol/mol"),
        ({"code": "mmol/mol{Hb}"}, "mmol/mol"),
        ({"unit": "mg/dL"}, "mg/dL"),
        ({"unit": 5}, None),
        ({}, None),
    ],
)
def test_units_have_one_spelling(field: dict[str, Any], unit: str | None) -> None:
    assert quantities.unit_of(field) == unit


@pytest.mark.parametrize(
    "field",
    [
        {"value": 8.1},
        {"unit": "%"},
        {"value": "high", "unit": "%"},
        {"value": 8.1, "unit": "%", "comparator": ">"},
        {"value": 181, "unit": "%"},
        {"value": -1, "unit": "%"},
    ],
)
def test_a_number_without_unit_or_exactness_is_no_quantity(field: dict[str, Any]) -> None:
    assert quantities.quantity(field) is None


def test_a_bound_will_do_where_it_is_asked_for() -> None:
    assert quantities.quantity({"value": 7, "unit": "%", "comparator": "<"}, bound=True) == Quantity(Decimal(7), "%")


@pytest.mark.parametrize(("ifcc", "ngsp"), [("53", "7.0"), ("42", "6.0"), ("64", "8.0"), ("86", "10.0")])
def test_hba1c_in_mmol_per_mol_is_converted_to_percent(ifcc: str, ngsp: str) -> None:
    assert quantities.hba1c(Quantity(Decimal(ifcc), "mmol/mol")) == Quantity(Decimal(ngsp), "%")


def test_hba1c_in_percent_stands_and_in_another_unit_is_unusable() -> None:
    assert quantities.hba1c(Quantity(Decimal("7.25"), "%")) == Quantity(Decimal("7.25"), "%")
    assert quantities.hba1c(Quantity(Decimal(7), "mg/dL")) is None
    assert quantities.hba1c(None) is None


@pytest.mark.parametrize(
    ("words", "value"),
    [("85 %", "85"), ("85%", "85"), ("85.5 percent", "85.5"), ("88 % donor", "88"), ("about 85 %", None),
     ("85", None), ("850 %", None), ("", None)],
)  # fmt: skip
def test_a_text_that_is_a_percentage_is_one(words: str, value: str | None) -> None:
    assert quantities.percent_in(words) == (Quantity(Decimal(value), "%") if value else None)


def test_a_quantity_is_written_as_it_stands() -> None:
    assert quantities.written({"value": 14, "comparator": ">", "unit": "%"}) == "> 14 %"
    assert quantities.written({"value": 64, "code": "mmol/mol"}) == "64 mmol/mol"
    assert quantities.written({"unit": "%"}) is None


@given(json_values, json_values, json_values)
def test_any_json_is_a_quantity_or_none(value: Any, unit: Any, comparator: Any) -> None:
    field = {"value": value, "unit": unit, "code": unit, "comparator": comparator}
    quantities.hba1c(quantities.quantity(field, bound=True))
    quantities.written(field)
    quantities.quantity(one_object(value))
