from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import descriptions
from fhir_mappings.codes import NOTHING
from fhir_mappings.descriptions import UNDESCRIBED, Description, describe

from .examples import HCPCS, ICD, json_values


def test_a_concept_gives_its_codings_its_text_and_its_displays_each_once() -> None:
    concept = {
        "coding": [{"system": "s", "code": "1", "display": "One"}, {"code": "2", "display": "one thing"}, {"code": 3}],
        "text": "one thing",
    }
    assert describe(concept) == Description((("s", "1"), (None, "2")), ("one thing", "One"))
    assert describe([concept, None, {"text": "two"}]).texts == ("one thing", "two", "One")


@pytest.mark.parametrize(
    ("value", "display"),
    [
        ("Lantidra", "Lantidra"),
        ({"system": "s", "code": "1"}, "1"),
        ({"coding": {"code": "1", "display": "One"}}, "One"),
        ([{"coding": [{"code": "1"}]}], "1"),
        ({"text": "x" * 500}, "x" * 200),
        ({}, None),
    ],
)
def test_shapes_that_are_not_r4_are_read_too(value: Any, display: str | None) -> None:
    assert describe(value).display == display
    assert not describe(value).unread


@pytest.mark.parametrize("value", [5, True, [5], {"coding": [{"code": 5}]}, {"coding": "x"}, {"text": 5}, " "])
def test_something_that_gives_no_code_and_no_text_is_unread(value: Any) -> None:
    assert describe(value).unread


@pytest.mark.parametrize("value", [None, [], {}, [None], {"extension": [{"url": "absent-reason"}]}])
def test_nothing_at_all_is_not_unread(value: Any) -> None:
    assert not describe(value).unread


def test_two_descriptions_add_up() -> None:
    assert describe("a") + describe("b") + describe("a") == Description((), ("a", "b"))
    assert UNDESCRIBED.__add__(5) is NotImplemented


def test_only_concepts_with_short_texts_are_kept_and_not_more_than_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def concept(text: object) -> dict[str, Any]:
        return {"coding": [{"system": ICD, "code": "E10.9"}], "text": text}

    monkeypatch.setattr(descriptions, "_MOST_RECURRING", 2)
    monkeypatch.setattr(descriptions, "_recurring", {})
    for told in ("seen at the clinic " * 30, 5, True, ["x"], {"text": "x"}):
        assert describe(concept(told)).codings == ((ICD, "E10.9"),)
    assert descriptions._recurring == {}  # noqa: SLF001
    for _ in range(2):
        for name in ("a", "b", "c"):
            assert describe(concept(name)) == Description(((ICD, "E10.9"),), (name,))
            assert descriptions.matches(describe(concept(name))).concepts == {"type-1-diabetes"}
            assert len(descriptions._recurring) <= 2  # noqa: SLF001


def test_what_follows_from_a_description_is_asked_once() -> None:
    asked: list[Description] = []
    description = Description(texts=("a",))
    for _ in range(2):
        assert description.once(asked.append) is None
    assert asked == [description]


def test_codes_match_always_and_words_only_in_their_scope() -> None:
    coded = describe({"coding": [{"system": ICD, "code": "E10.9"}]})
    assert descriptions.matches(coded).concepts == {"type-1-diabetes"}
    assert descriptions.matches(describe("insulin pump")) == NOTHING
    assert descriptions.matches(describe("insulin pump"), "procedures").concepts == {"insulin-pump"}


def test_a_known_therapy_is_marked_as_one() -> None:
    described = describe({"coding": [{"system": HCPCS, "code": "J3392"}]})
    assert "therapy:exagamglogene" in descriptions.matches(described, therapy=True).concepts
    assert descriptions.matches(describe("aspirin"), therapy=True) == NOTHING


def test_what_words_alone_tell_of_a_therapy_is_told_apart() -> None:
    def told(concept: dict[str, Any]) -> frozenset[str]:
        return descriptions.matches(describe(concept), "procedures", therapy=True).told

    infusion = {"therapy:islet-allogeneic", "islet-infusion-unstated"}
    assert told({"text": "Islet cell infusion"}) == infusion
    assert told({"coding": [{"system": "urn:local", "code": "1"}], "text": "Islet cell infusion"}) == infusion
    assert told({"coding": [{"system": HCPCS, "code": "S2102"}], "text": "Islet cell infusion"}) == set()
    assert told({"coding": [{"system": HCPCS, "code": "S2102"}], "text": "Lantidra"}) == set()
    assert told({"text": "insulin pump"}) == set()


def test_a_therapy_named_beside_a_code_of_something_else_is_none() -> None:
    imaging = {"coding": [{"system": HCPCS, "code": "76705"}], "text": "Islet cell infusion"}
    assert descriptions.matches(describe(imaging), "procedures", therapy=True).concepts == frozenset()


def test_a_long_text_is_searched_beyond_what_is_shown() -> None:
    described = describe("x" * 300 + " insulin pump")
    assert descriptions.matches(described, "procedures").concepts == {"insulin-pump"}
    assert descriptions.matches(UNDESCRIBED, "procedures") == NOTHING


@given(json_values)
def test_any_json_can_be_described(value: Any) -> None:
    described = describe(value)
    descriptions.matches(described, "medications", therapy=True)
