from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import severity
from fhir_mappings.descriptions import UNDESCRIBED, describe

from .examples import SNOMED, concept, json_values


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (concept(SNOMED, "24484000"), "severe"),
        (concept(SNOMED, "6736007"), "moderate"),
        (concept(SNOMED, "255604002"), "mild"),
        ({"text": "Severe"}, "severe"),
        ({"text": "not severe"}, None),
        ({"coding": [{"code": "24484000"}, {"code": "255604002"}]}, None),
        (None, None),
    ],
)
def test_severity_is_read_from_its_code_or_its_one_word(value: Any, named: str | None) -> None:
    assert severity.severity(value) == named


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        ("Grade III", 3),
        ("grade: 4", 4),
        ("GRADE ii", 2),
        ("III", 3),
        ("3", 3),
        ("0", 0),
        ("Gvhd-acute-2", 2),
        ("IBMTR index C", 3),
        ("D", 4),
        ("overall grade 1 of 4", 1),
        ("Grade II-IV", None),
        ("grade 3/4", None),
        ("grade II to IV", None),
        ("skin stage 3", None),
        ("Stage 2 liver", None),
        ("stage 3", None),
        ("gut grade 4", None),
        ("grade", None),
    ],
)
def test_the_overall_grade_is_read_and_an_organ_stage_or_a_range_is_not(said: str, grade: int | None) -> None:
    assert severity.grade([describe(said)], UNDESCRIBED) == grade


def test_in_a_name_the_word_grade_has_to_be_there() -> None:
    assert severity.grade([], describe("Acute GVHD, grade III")) == 3
    assert severity.grade([], describe("III")) is None


def test_a_code_can_be_the_grade_and_two_grades_are_none() -> None:
    assert severity.grade([describe({"coding": [{"code": "Gvhd-acute-4"}]})], UNDESCRIBED) == 4
    assert severity.grade([describe("III"), describe("grade 3")], UNDESCRIBED) == 3
    assert severity.grade([describe("III"), describe("IV")], UNDESCRIBED) is None
    assert severity.grade([], UNDESCRIBED) is None


def test_stages_are_the_summaries() -> None:
    assert severity.stages([{"summary": {"text": "Grade I"}}, 5]) == [describe("Grade I")]


@given(json_values)
def test_any_json_has_a_severity_and_a_grade_or_none(value: Any) -> None:
    severity.severity(value)
    severity.grade([*severity.stages(value), describe(value)], describe(value))
