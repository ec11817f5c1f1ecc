from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings.answers import answer, has_value

from .examples import LOINC, SNOMED, concept, json_values

YES_OR_NO = "http://terminology.hl7.org/CodeSystem/v2-0136"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "unstated"),
        ({"interpretation": [concept(INTERPRETATION, "N")]}, "unstated"),
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
        ({"valueString": "No episodes"}, "absent"),
        ({"valueString": "Not performed"}, "unclear"),
        ({"valueString": "no data"}, "unclear"),
        ({"valueString": "Pregnant"}, "present"),
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
        ({"valueCodeableConcept": concept(YES_OR_NO, "Y")}, "present"),
        ({"valueCodeableConcept": concept(YES_OR_NO, "N")}, "absent"),
        ({"valueCodeableConcept": {"coding": [{"code": "N"}]}}, "absent"),
        ({"valueCodeableConcept": concept(INTERPRETATION, "N")}, "unclear"),
        ({"valueQuantity": {"value": 3}, "interpretation": [concept(INTERPRETATION, "N", "Normal")]}, "number"),
    ],
)
def test_a_value_says_present_absent_a_number_or_nothing_clear(fields: dict[str, Any], said: str) -> None:
    assert answer(fields) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Negative", "absent"),
        ("not detected", "absent"),
        ("Non-reactive.", "absent"),
        ("POSITIVE", "present"),
        ("Not at goal", "number"),
        ("No change", "number"),
        ("none", "number"),
        ("Positive trend", "number"),
        ("Normal", "number"),
    ],
)
def test_the_text_of_an_interpretation_judges_only_when_it_is_the_whole_judgement(words: str, said: str) -> None:
    assert answer({"valueQuantity": {"value": 3}, "interpretation": [{"text": words}]}) == said


@pytest.mark.parametrize("code", ["N", "NEG", "POS", "Y"])
def test_no_interpretation_undoes_a_number_where_a_number_is_asked_for(code: str) -> None:
    measured = {"valueQuantity": {"value": 5.4, "unit": "%"}, "interpretation": [concept(INTERPRETATION, code)]}
    assert answer(measured, measures=True) == "number"
    assert answer({**measured, "valueQuantity": None, "valueString": "5.4 %"}, measures=True) == "unclear"


def test_a_null_is_no_value() -> None:
    assert not has_value({"valueString": None, "code": "x"})
    assert has_value({"valueString": ""})


VALUES = ["valueQuantity", "valueInteger", "valueBoolean", "valueString", "valueCodeableConcept", "interpretation"]


@given(st.dictionaries(st.sampled_from(VALUES), json_values))
def test_any_json_is_one_of_the_five(fields: dict[str, Any]) -> None:
    assert answer(fields) in ("present", "absent", "number", "unclear", "unstated")
