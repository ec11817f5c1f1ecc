"""What every shipped policy keeps: letters as in the contract, assumptions that reach the card, our own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.policy.checks.check import Check
from cds_service.policy.document import PolicyDocument, letters
from cds_service.policy.evaluate import evaluate
from tests.cds_service.policy.cases import library
from tests.cds_service.policy.charts import chart, ordered

DOCUMENTS = library().documents
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.id)

LETTERS = {
    ("CP.MP.250", "donislecel"): "I.A I.B I.C.1 I.C.2 I.C.3 I.C.4 I.D I.E I.F",
    ("CP.MP.250", "islet-allogeneic"): "I.A I.B I.C.1 I.C.2 I.C.3 I.C.4 I.D I.E I.F",
    ("THP-ISLET", "donislecel"): (
        "ALLO.1 ALLO.2.1 ALLO.2.2 ALLO.2.3 ALLO.2.4 ALLO.2.5 ALLO.3 ALLO.4 ALLO.5 ALLO.6 EX.1 EX.2 EX.3 EX.4"
    ),
    ("THP-ISLET", "islet-autologous"): "AUTO.1 AUTO.2 AUTO.3 EX.1 EX.2 EX.3 EX.4",
    ("THP-ISLET", "islet-excluded"): "EX.1 EX.2 EX.3",
    ("WNC.CP.299", "donislecel"): "I.A I.B.1 I.B.2 I.B.3 I.B.4 I.C III.D III.E III.F",
    ("WNC.CP.299", "exagamglogene"): "I.A I.B.1 I.B.2 I.B.3 I.B.4 I.C III.D III.E III.F",
    ("CP.MP.101", "donor-lymphocyte-infusion"): "I I.A I.B I.C.1 I.C.2 I.C.3 I.C.4 II.B II.C II.D",
}


def document(name: str) -> PolicyDocument:
    [found] = [d for d in DOCUMENTS if d.id == name]
    return found


@pytest.mark.parametrize(("policy", "therapy"), LETTERS)
def test_a_card_holds_the_letters_of_the_contract_in_the_order_of_the_policy(policy: str, therapy: str) -> None:
    found = document(policy).applicable(therapy)
    assert [c.id for c in found] == LETTERS[policy, therapy].split()


def test_the_questions_about_the_order_itself_are_told_from_those_about_the_patient() -> None:
    about_order = {d.id: [q.id for q in d.questions.values() if q.about == "order"] for d in DOCUMENTS}
    assert about_order == {
        "CP.MP.101": [
            "follows-allogeneic-transplant",
            "relapse-purpose",
            "mixed-chimerism-with-relapse-concern",
            "not-manipulated",
        ],
        "CP.MP.250": ["concomitant-immunosuppression", "infusion-count"],
        "MA-IMMUNO": [],
        "THP-ISLET": [
            "concomitant-immunosuppression",
            "infusion-count",
            "first-infusion-or-repeat-in-time",
            "total-pancreatectomy",
            "clinical-reason",
        ],
        "WNC.CP.299": [
            "labelled-dosage",
            "marketed-form",
            "qualified-treatment-centre",
            "no-earlier-therapy",
            "transport-purpose",
        ],
    }


def test_first_days_are_those_of_the_contract() -> None:
    assert {d.id: str(d.effective_from) for d in DOCUMENTS} == {
        "CP.MP.101": "2023-02-01",
        "CP.MP.250": "2025-10-01",
        "MA-IMMUNO": "2025-07-01",
        "THP-ISLET": "2026-01-24",
        "WNC.CP.299": "2025-01-01",
    }


@each_document
def test_a_file_is_named_by_its_policy_and_first_day(document: PolicyDocument) -> None:
    assert Path(document.file).stem == f"{document.id}_{document.effective_from}"


@each_document
def test_labels_can_follow_not_met(document: PolicyDocument) -> None:
    """A card that says "not met: no contraindication" has to be read twice."""
    assert [c.label for c in document.criteria.values() if c.label.split()[0] in {"no", "not", "never"}] == []


@each_document
def test_every_letter_is_judged_or_says_why_not(document: PolicyDocument) -> None:
    judged = {letter for section in document.sections for letter in letters(section.requires)}
    assert judged == set(document.criteria)
    assert not judged & set(document.not_evaluated)
    assert all(document.not_evaluated.values())


@each_document
def test_every_assumption_reaches_the_card_of_its_letters(document: PolicyDocument) -> None:
    for therapy in [min(section.therapies) for section in document.sections]:
        for result in evaluate(document, chart(order=ordered(therapy))).results:
            criterion = document.criteria[result.id]
            assert [document.assumptions[name].text for name in criterion.assumes] == list(result.assumptions)


@each_document
def test_every_letter_that_a_clinician_can_settle_has_a_question(document: PolicyDocument) -> None:
    without = [c for c in document.criteria.values() if c.question is None]
    assert [c.id for c in without if not c.records <= {"patient"}] == [], "only the order and the birth date need none"


@each_document
def test_questions_have_ids_that_can_be_link_ids(document: PolicyDocument) -> None:
    assert [name for name in document.questions if not name.replace("-", "").isalnum()] == []


@each_document
def test_an_empty_chart_is_judged_without_error_and_meets_no_requirement(document: PolicyDocument) -> None:
    for section in document.sections:
        for therapy in sorted(section.therapies)[:3]:
            facts = chart(order=ordered(therapy), born=None, supplied=[])
            outcomes = {r.id: r.outcome.value for r in evaluate(document, facts).results}
            required = {c.id for c in document.applicable(therapy) if c.met_when and not c.from_label}
            assert {outcomes[name] for name in required} <= {"undocumented"}


@each_document
def test_labels_are_short_enough_for_a_summary(document: PolicyDocument) -> None:
    assert [c.id for c in document.criteria.values() if not 1 <= len(c.label.split()) <= 5] == []


def checks(check: Check) -> Iterator[Check]:
    yield check
    for child in check.children():
        yield from checks(child)


@each_document
def test_every_check_can_be_told_in_words(document: PolicyDocument) -> None:
    for criterion in document.criteria.values():
        for check in criterion.checks():
            assert all(one.describe() for one in checks(check))


@each_document
def test_an_exclusion_names_the_records_in_which_it_would_show(document: PolicyDocument) -> None:
    for criterion in document.criteria.values():
        looked = frozenset(r for check in criterion.checks() for r in check.records)
        if criterion.met_when is None and criterion.from_label is None:
            assert bool(criterion.silence) == bool(looked), criterion.id
