from __future__ import annotations

import pytest

from cds_service.policy.document import Joined, Letter, Section
from cds_service.policy.questions import asked, is_of, questionnaire_id
from tests.cds_service.policy.documents import criterion, policy

ID = "P1-donislecel"


def test_a_question_of_several_criteria_is_asked_once_in_the_order_of_the_criteria() -> None:
    document = policy(*(criterion(name, question=q) for name, q in zip("ABCD", ("q", "r", None, "q"), strict=True)))
    found = asked(document, "donislecel")
    assert [(a.question.id, [c.id for c in a.criteria]) for a in found] == [("q", ["A", "D"]), ("r", ["B"])]


def test_only_the_criteria_of_the_therapy_ask() -> None:
    sections = (
        Section(frozenset({"donislecel"}), Letter("A")),
        Section(frozenset({"axi-cel"}), Joined("all", (Letter("B"),))),
    )
    document = policy(criterion("A", question="q"), criterion("B", question="r"), sections=sections)
    assert [a.question.id for a in asked(document, "axi-cel")] == ["r"]
    assert asked(document, "tisa-cel") == ()


def test_a_policy_read_anew_asks_its_own_questions() -> None:
    for question in ("q", "r"):
        assert [a.question.id for a in asked(policy(criterion(question=question)), "donislecel")] == [question]


def test_an_id_has_what_fhir_allows() -> None:
    assert questionnaire_id("P 1/x", "onasemnogene_iv") == "P-1-x-onasemnogene-iv"
    assert len(questionnaire_id("P" * 70, "x")) == 64


@pytest.mark.parametrize(
    ("canonical", "counts"),
    [
        (None, True),
        (f"https://cds.example.org/fhir/Questionnaire/{ID}", True),
        (f"https://cds.example.org/fhir/Questionnaire/{ID}|2025-10-01.abc", True),
        (f"https://cds.example.org/fhir/Questionnaire/{ID}|1#x", True),
        (f"Questionnaire/{ID}", True),
        (f"https://cds.example.org/fhir/Questionnaire/{ID}-2", False),
        (f"https://cds.example.org/fhir/Questionnaire/x{ID}", False),
        ("https://cds.example.org/fhir/Questionnaire/P1-axi-cel|1", False),
        (f"https://cds.example.org/{ID}", False),
        ("urn:uuid:3f0e", False),
        ("|", False),
    ],
)
def test_answers_are_taken_for_the_questionnaire_that_they_name(canonical: str | None, counts: bool) -> None:
    assert is_of(canonical, policy(criterion("A")), "donislecel") == counts
