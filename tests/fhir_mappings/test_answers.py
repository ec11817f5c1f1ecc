from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings.answers import answer, has_value

from .examples import LOINC, SNOMED, concept, json_values


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "present"),
        ({"valueBoolean": True}, "present"),
        ({"valueBoolean": False}, "absent"),
        ({"valueBoolean": "yes"}, "unclear"),
        ({"valueCodeableConcept": concept(SNOMED, "52101004")}, "present"),
        ({"valueCodeableConcept": concept(LOINC, "LA33-6")}, "present"),
        ({"valueCodeableConcept": concept(LOINC, "LA32-8")}, "absent"),
        ({"valueCodeableConcept": {"text": "Not detected"}}, "absent"),
        ({"valueCodeableConcept": {"coding": [{"code": "POS"}], "text": "none"}}, "unclear"),
        ({"valueString": "Positive (A)"}, "present"),
        ({"valueString": "nonreactive"}, "absent"),
        ({"valueString": "denies"}, "absent"),
        ({"valueString": "normal"}, "unclear"),
        ({"valueString": "notable"}, "unclear"),
        ({"valueRange": {}}, "unclear"),
        ({"interpretation": [{"coding": [{"code": "NEG"}]}]}, "absent"),
        ({"valueQuantity": {"value": 3, "unit": "%"}}, "number"),
        ({"valueQuantity": {"value": 0, "unit": "%"}}, "number"),
        ({"valueQuantity": {"value": 0, "unit": "episodes"}}, "absent"),
        ({"valueQuantity": {"value": 0}}, "absent"),
        ({"valueQuantity": 5}, "number"),
        ({"valueInteger": 0}, "absent"),
        ({"valueInteger": 2}, "number"),
        ({"valueInteger": 2, "interpretation": {"text": "negative"}}, "absent"),
    ],
)
def test_a_value_says_present_absent_a_number_or_nothing_clear(fields: dict[str, Any], said: str) -> None:
    assert answer(fields) == said


def test_a_null_is_no_value() -> None:
    assert not has_value({"valueString": None, "code": "x"})
    assert has_value({"valueString": ""})


VALUES = ["valueQuantity", "valueInteger", "valueBoolean", "valueString", "valueCodeableConcept", "interpretation"]


@given(st.dictionaries(st.sampled_from(VALUES), json_values))
def test_any_json_is_one_of_the_four(fields: dict[str, Any]) -> None:
    assert answer(fields) in ("present", "absent", "number", "unclear")
