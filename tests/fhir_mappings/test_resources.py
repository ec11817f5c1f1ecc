from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import resources
from fhir_mappings.facts import Unreadable

from .examples import MODIFIER, chart_resources, condition, damaged, json_values, without


@pytest.mark.parametrize("resource", chart_resources(), ids=lambda r: f"{r['resourceType']}-{r['id']}")
def test_valid_r4_has_no_problem(resource: dict[str, Any]) -> None:
    assert resources.problem(resource) is None


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        (without(condition(), "subject"), "Condition.subject is required and missing"),
        (condition(code=[{"text": "x"}]), "Condition.code has the wrong type"),
        (condition(onsetDateTime="2020-01-01T10:00:00"), "Condition.onsetDateTime is not valid FHIR R4"),
        (condition(JohnDoe="x"), "Condition holds an element that FHIR R4 does not have there"),
        (
            condition(category=[{"coding": [{"JohnDoe": 1}]}]),
            "Condition.category.coding holds an element that FHIR R4 does not have there",
        ),
        (condition(contained=[{"resourceType": "JohnDoe"}]), "could not be checked against FHIR R4"),
        ({"resourceType": "JohnDoe"}, "could not be checked against FHIR R4"),
        ({}, "could not be checked against FHIR R4"),
    ],
)
def test_a_problem_names_the_place_and_never_a_value(resource: dict[str, Any], problem: str) -> None:
    assert resources.problem(resource) == problem


def test_an_extended_primitive_of_an_extension_is_valid_r4_although_the_models_refuse_it() -> None:
    inner = {"url": "u", "valueCode": "x", "_valueCode": {"extension": [{"url": "z", "valueString": "q"}]}}
    assert resources.problem(condition(extension=[inner])) is None
    assert resources.problem(condition(extension=[inner], abc=1)) is not None


def test_nesting_without_end_is_a_problem_and_no_crash() -> None:
    nested: dict[str, Any] = {"url": "u"}
    for _ in range(3000):
        nested = {"url": "u", "extension": [nested]}
    assert resources.problem(condition(extension=[nested])) == "could not be checked against FHIR R4"


def test_what_is_remembered_is_bounded_and_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_MOST_KNOWN", 2)
    monkeypatch.setattr(resources, "_known", {})
    for _ in range(2):
        for name in ("a", "b", "c"):
            assert resources.problem(condition(id=name)) is None
            assert resources.problem(condition(id=name, code=5)) == "Condition.code has the wrong type"
            assert len(resources._known) <= 2  # noqa: SLF001


def test_a_number_that_strict_json_cannot_hold_is_validated_all_the_same() -> None:
    assert resources.problem(condition(code=10**40)) == "Condition.code has the wrong type"


def test_a_modifier_extension_is_any_entry_there() -> None:
    assert resources.is_modified({"modifierExtension": MODIFIER})
    assert resources.is_modified({"modifierExtension": "x"})
    assert not resources.is_modified({"modifierExtension": []})
    assert not resources.is_modified({})


def test_evidence_carries_the_first_defect_else_what_validation_finds() -> None:
    assert resources.evidence(condition(), [], None).quality is None
    assert resources.evidence(condition(), [], None, "a defect").quality == Unreadable("Condition/c1", "a defect")
    invalid = resources.evidence(without(condition(), "subject"), [])
    assert invalid.quality == Unreadable("Condition/c1", "Condition.subject is required and missing")
    assert resources.unreadable(condition(), "why").unreadable == Unreadable("Condition/c1", "why")


@given(damaged(chart_resources()))
def test_validation_never_raises_and_changes_nothing(resource: dict[str, Any]) -> None:
    before = copy.deepcopy(resource)
    resources.problem(resource)
    assert repr(resource) == repr(before)


@given(json_values)
def test_any_object_can_be_validated(value: Any) -> None:
    resources.problem({"resourceType": value, "id": value})
