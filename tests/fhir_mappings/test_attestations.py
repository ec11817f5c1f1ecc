from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import attestations
from fhir_mappings.attestations import Answers
from fhir_mappings.dates import date_range, instant
from fhir_mappings.facts import Attestation, Evidence, Unreadable
from fhir_mappings.resources import MODIFIED, UNREAD_DATE

from .examples import LOINC, MODIFIER, SNOMED, damaged, response, without


def item(question: str, *answers: Any, **fields: Any) -> dict[str, Any]:
    return {"linkId": question, "answer": list(answers)} | fields


def coding(system: str, code: str) -> dict[str, Any]:
    return {"valueCoding": {"system": system, "code": code}}


def said(resource: dict[str, Any]) -> dict[str, bool]:
    answers = attestations.read(resource)
    return {a.question: a.answer for a in answers.attestations} if answers else {}


def test_a_completed_response_gives_its_answers_with_their_evidence() -> None:
    evidence = Evidence("QuestionnaireResponse/q1", "Failed?", "yes", "2026-11-10")
    when, at = date_range("2026-11-10"), instant(response()["authored"])
    assert at is not None
    assert attestations.read(response()) == Answers((Attestation("other-treatments-failed", True, evidence, when, at),))


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("completed", True),
        ("amended", True),
        ("in-progress", False),
        ("stopped", False),
        ("entered-in-error", False),
        ("bogus", False),
        (None, False),
    ],
)
def test_only_a_completed_or_amended_response_counts(status: str | None, counts: bool) -> None:
    assert (attestations.read(response(status=status)) is not None) == counts


@pytest.mark.parametrize(
    ("answer", "yes"),
    [
        ({"valueBoolean": True}, True),
        ({"valueBoolean": False}, False),
        (coding("http://terminology.hl7.org/CodeSystem/v2-0136", "Y"), True),
        (coding("http://terminology.hl7.org/CodeSystem/v2-0136", "N"), False),
        (coding(SNOMED, "373066001"), True),
        (coding(SNOMED, "373067005"), False),
        (coding(LOINC, "LA33-6"), True),
        (coding(LOINC, "LA32-8"), False),
        ({"valueCoding": {"display": "Yes"}}, True),
        ({"valueString": "no"}, False),
        ({"valueString": "no idea"}, None),
        (coding(LOINC, "LA4489-6"), None),
        ({"valueCoding": [{"code": "Y"}, {"code": "N"}, 5]}, None),
        ({"valueInteger": 1}, None),
        ({}, None),
    ],
)
def test_an_answer_is_yes_or_no_or_none(answer: dict[str, Any], yes: bool | None) -> None:
    assert said(response(item=[item("q", answer)])).get("q") == yes


def test_who_answered_and_which_questionnaire_are_told() -> None:
    url = "https://cds.example.org/fhir/Questionnaire/P-x|1"
    answers = attestations.read(
        response(questionnaire=url, author={"reference": "https://ehr.example/Practitioner/p1"})
    )
    assert answers is not None
    [found] = answers.attestations
    assert (found.questionnaire, found.author) == (url, "Practitioner/p1")
    assert found.evidence.value == "yes, by Practitioner/p1"
    typed = attestations.read(response(author={"type": "Patient", "display": "A name"}))
    assert typed is not None
    assert typed.attestations[0].author == "Patient"


@pytest.mark.parametrize(
    ("author", "contained", "told"),
    [
        ({"reference": "#a"}, [{"resourceType": "Patient", "id": "a"}], "Patient"),
        ({"reference": "#a"}, [{"resourceType": "Practitioner", "id": "a"}], "Practitioner"),
        ({"reference": "#a", "type": "Device"}, [], "Device"),
        ({"reference": "urn:uuid:3f2c1d74-6c1b-4a58-9d4e-0d9c5a3f7b10", "type": "Patient"}, [], "Patient"),
        ({"reference": "#a"}, [], "#a"),
    ],
)
def test_an_author_who_is_contained_is_told_by_the_type(
    author: dict[str, Any], contained: list[dict[str, Any]], told: str
) -> None:
    answers = attestations.read(response(author=author, contained=contained))
    assert answers is not None
    assert answers.attestations[0].author == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"source": {"reference": "Patient/p1"}}, "Patient/p1"),
        ({"source": {"reference": "https://ehr.example/RelatedPerson/r1"}}, "RelatedPerson/r1"),
        ({"source": {"type": "Patient"}}, "Patient"),
        ({"source": {"reference": "Practitioner/d1"}}, "Practitioner/d1"),
        ({"author": {"display": "A name"}, "source": {"reference": "Patient/p1"}}, "Patient/p1"),
        ({"author": {"reference": "Practitioner/d1"}, "source": {"reference": "Patient/p1"}}, "Practitioner/d1"),
        ({"author": {"type": "http://hl7.org/fhir/StructureDefinition/Patient"}}, "Patient"),
        ({"author": {"reference": "#a", "type": "http://hl7.org/fhir/StructureDefinition/Device"}}, "Device"),
        ({"author": {"display": "A name"}}, None),
    ],
)
def test_without_an_author_the_source_tells_who_answered(fields: dict[str, Any], told: str | None) -> None:
    answers = attestations.read(response(**fields))
    assert answers is not None
    assert answers.attestations[0].author == told


def context(**reference: Any) -> dict[str, Any]:
    return {"extension": [{"url": attestations.CONTEXT, "valueReference": reference}]}


@pytest.mark.parametrize(
    ("fields", "orders"),
    [
        ({}, ()),
        ({"basedOn": [{"reference": "ServiceRequest/s1"}]}, ("ServiceRequest/s1",)),
        ({"basedOn": [{"reference": "https://ehr.example/fhir/ServiceRequest/s1"}]}, ("ServiceRequest/s1",)),
        ({"basedOn": [{"reference": "ServiceRequest/s1/_history/2"}]}, ("ServiceRequest/s1",)),
        ({"basedOn": {"reference": "MedicationRequest/m1"}}, ("MedicationRequest/m1",)),
        (context(reference="MedicationRequest/m1"), ("MedicationRequest/m1",)),
        ({"basedOn": [{"reference": "ServiceRequest/s1"}], **context(reference="ServiceRequest/s1")},
         ("ServiceRequest/s1",)),
        ({"basedOn": [{"reference": "CarePlan/c1"}, {"identifier": {"value": "1"}, "type": "CarePlan"}]}, ()),
        (context(reference="Coverage/c1"), ()),
        ({"basedOn": [{"reference": "#c"}], "contained": [{"resourceType": "CarePlan", "id": "c"}]}, ()),
        ({"basedOn": [{"reference": "#s"}], "contained": [{"resourceType": "ServiceRequest", "id": "s"}]}, (None,)),
        ({"basedOn": [{"reference": "urn:uuid:3f2c1d74-6c1b-4a58-9d4e-0d9c5a3f7b10"}]}, (None,)),
        ({"basedOn": [{"identifier": {"value": "1"}}]}, (None,)),
        ({"basedOn": [{"reference": "ServiceRequest/a [b](javascript:c)"}]}, (None,)),
        ({"basedOn": [5]}, (None,)),
        ({"extension": [{"url": "https://x.example/e", "valueReference": {"reference": "ServiceRequest/s1"}}]}, ()),
    ],
)  # fmt: skip
def test_the_orders_for_which_it_was_answered_are_told(fields: dict[str, Any], orders: tuple[str | None, ...]) -> None:
    answers = attestations.read(response(**fields))
    assert answers is not None
    assert answers.attestations[0].orders == orders


@pytest.mark.parametrize(
    ("day", "value", "expected_day", "shown"),
    [
        ({"valueDate": "2026-10-01"}, {"valueQuantity": {"value": 8.4, "unit": "%"}}, "2026-10-01", "yes, 8.4 %"),
        ({"valueDateTime": "2026-10-01T08:00:00Z"}, {"valueDecimal": 8.4}, "2026-10-01", "yes, 8.4"),
        ({"valueDate": "soon"}, {"valueQuantity": "8"}, None, "yes"),
        ({}, {"valueInteger": True}, None, "yes"),
    ],
)
def test_follow_ups_give_the_day_and_the_number(
    day: dict[str, Any], value: dict[str, Any], expected_day: str | None, shown: str
) -> None:
    asked = item("q", {"valueBoolean": True, "item": [item("q.date", day), item("q.value", value)]})
    answers = attestations.read(response(item=[asked]))
    assert answers is not None
    [found] = answers.attestations
    assert found.happened == (date_range(expected_day) if expected_day else None)
    assert found.evidence.value == shown


@pytest.mark.parametrize(
    "day",
    [
        {"valueDate": "01/02/2025"},
        {"valueDate": "2025-13-01"},
        {"valueInstant": "2025-01-02T08:00:00Z"},
        {"valueString": "2025-01-02"},
        {"valueDate": 20250102},
        "2025-01-02",
        {"valueDate": "2025-01-02", "modifierExtension": [{"url": "https://x.example/e", "valueBoolean": True}]},
    ],
)
def test_a_day_that_cannot_be_read_is_marked(day: Any) -> None:
    asked = item("q", {"valueBoolean": True, "item": [item("q.date", day)]})
    answers = attestations.read(response(item=[asked]))
    assert answers is not None
    assert (answers.attestations[0].happened, answers.attestations[0].unread_day) == (None, True)


def test_two_days_in_one_follow_up_are_no_day() -> None:
    asked = item("q", {"valueBoolean": True})
    days = item("q.date", {"valueDate": "2026-10-01"}, {"valueDate": "2026-10-02"})
    answers = attestations.read(response(item=[asked, days]))
    assert answers is not None
    assert (answers.attestations[0].happened, answers.attestations[0].unread_day) == (None, True)


@pytest.mark.parametrize("empty", [item("q.date"), item("q.date", {}), {"linkId": "q.date", "answer": None}])
def test_a_follow_up_without_an_answer_gives_no_day(empty: dict[str, Any]) -> None:
    answers = attestations.read(response(item=[item("q", {"valueBoolean": True}), empty]))
    assert answers is not None
    assert (answers.attestations[0].happened, answers.attestations[0].unread_day) == (None, False)


@pytest.mark.parametrize(
    "modified",
    [
        item("q", {"valueBoolean": True}, modifierExtension=MODIFIER),
        item("q", {"valueBoolean": False, "modifierExtension": MODIFIER}),
        {"linkId": "group", "modifierExtension": MODIFIER, "item": [item("q", {"valueBoolean": True})]},
        item("group", {"modifierExtension": MODIFIER, "item": [item("q", {"valueBoolean": True})]}),
    ],
)
def test_an_item_that_a_modifier_extension_may_turn_around_is_no_answer_and_named(modified: dict[str, Any]) -> None:
    named = Unreadable("QuestionnaireResponse/q1", MODIFIED)
    assert attestations.read(response(item=[modified])) == Answers(unreadable=named)
    beside = attestations.read(response(item=[modified, item("other", {"valueBoolean": True})]))
    assert beside is not None
    assert ([a.question for a in beside.attestations], beside.unreadable) == (["other"], named)
    elsewhere = attestations.read(response(item=[modified, item("other", {"valueBoolean": True})]), {"other"})
    assert elsewhere is not None
    assert elsewhere.unreadable is None


def test_follow_ups_of_a_no_are_left_out() -> None:
    asked = item("q", {"valueBoolean": False, "item": [item("q.date", {"valueDate": "2026-10-01"})]})
    answers = attestations.read(response(item=[asked]))
    assert answers is not None
    assert (answers.attestations[0].happened, answers.attestations[0].evidence.value) == (None, "no")


def test_nested_items_are_read_in_order_and_a_question_answered_both_ways_is_not() -> None:
    yes, no = {"valueBoolean": True}, {"valueBoolean": False}
    inner = item("b", yes | {"item": [item("c", no)]}, item=[item("d", yes)])
    resource = response(item=[{"linkId": "a", "item": [inner]}, item("e", yes, no), item("", yes), item("f", yes)])
    assert said(resource) == {"b": True, "d": True, "c": False, "f": True}
    assert list(said(resource)) == ["b", "d", "c", "f"]


def test_only_the_questions_that_matter_are_taken() -> None:
    assert attestations.read(response(), frozenset({"another"})) is None
    assert attestations.read(response(), frozenset({"other-treatments-failed"})) is not None


def test_what_cannot_be_read_is_named() -> None:
    reference = "QuestionnaireResponse/q1"
    modified = attestations.read(response(modifierExtension=MODIFIER))
    assert modified == Answers(unreadable=Unreadable(reference, MODIFIED))
    undated = attestations.read(response(authored="soon"))
    assert undated is not None
    assert undated.quality == Unreadable(reference, UNREAD_DATE)
    assert undated.attestations[0].when is None
    assert attestations.read(without(response(), "authored")) is not None


def test_nesting_without_end_is_read() -> None:
    nested = item("deep", {"valueBoolean": True})
    for _ in range(3000):
        nested = {"linkId": "x", "item": [nested]}
    assert said(response(item=[nested])) == {"deep": True}


@given(damaged([response(), response(item=[item("a", {"valueCoding": {"code": "Y"}, "item": [item("b")]})])]))
def test_a_damaged_response_never_raises(resource: dict[str, Any]) -> None:
    attestations.read(resource)
