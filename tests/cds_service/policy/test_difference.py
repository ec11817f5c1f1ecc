"""The difference between two versions of a policy: what it names, and that layout is no difference."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cds_service.policy.difference import Change, Part, difference, marked
from cds_service.policy.document import (
    AskedDate,
    AskedValue,
    Assumption,
    Conflict,
    Elsewhere,
    Joined,
    Letter,
    Lifted,
    Notice,
    PolicyDocument,
    PriorAuthorization,
    ProductCode,
    Question,
    Section,
)
from cds_service.policy.load import load_document
from tests.cds_service.policy.cases import library
from tests.cds_service.policy.documents import KNOWN, MINIMAL, criterion, policy

BOTH = policy(criterion("A"), criterion("B"))
ISLETS = frozenset({"islet-allogeneic"})


def loaded(text: str) -> PolicyDocument:
    return load_document(text, "P1_2025-10-01.yaml", KNOWN)


def changed(*replacements: tuple[str, str]) -> dict[tuple[str, str], dict[str, tuple[str, str]]]:
    """Return what the difference tells when texts of the minimal policy are replaced by others."""
    text = MINIMAL
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return told(difference(loaded(MINIMAL), loaded(text)))


def told(parts: tuple[Part, ...]) -> dict[tuple[str, str], dict[str, tuple[str, str]]]:
    return {(p.group, p.name): {c.what: (c.before, c.after) for c in p.changes} for p in parts}


def only(old: PolicyDocument, new: PolicyDocument) -> Part:
    (part,) = difference(old, new)
    return part


@pytest.mark.parametrize("document", library().documents, ids=lambda d: d.id)
def test_a_policy_is_not_different_from_itself(document: PolicyDocument) -> None:
    assert difference(document, document) == ()


def test_remarks_and_layout_are_no_difference() -> None:
    laid_out = MINIMAL.replace("requires: A", "# only one letter\nrequires:   A")

    assert loaded(laid_out).revision != loaded(MINIMAL).revision
    assert changed(("requires: A", "# only one letter\nrequires:   A")) == {}


def test_the_first_day_the_title_and_the_source_are_of_the_document() -> None:
    found = changed(("2025-10-01", "2026-10-01"), ("A policy", "Another"), ("last revised 07/25", "last revised 07/26"))

    assert found[("Document", "")] == {
        "title": ("A policy", "Another"),
        "source": ("Policy P1, last revised 07/25", "Policy P1, last revised 07/26"),
        "in force from": ("2025-10-01", "2026-10-01"),
    }


def test_other_words_of_a_letter_are_a_change_of_its_text_alone() -> None:
    assert changed(("The member is ill.", "The member is unwell.")) == {
        ("Criteria", "A"): {"text": ("The member is ill.", "The member is unwell.")}
    }


def test_another_value_set_is_named_in_words_and_by_its_id() -> None:
    assert changed(("value_set: illness", "value_set: severe-illness")) == {
        ("Criteria", "A"): {
            "met when": ("illness is current", "severe illness is current"),
            "value sets": ("illness", "severe-illness"),
        }
    }


def test_another_number_is_named_in_the_check_in_the_numbers_and_in_its_assumption() -> None:
    before = MINIMAL.replace("value_set: illness}", "value_set: illness, within_months: 12}") + (
        "    assumes: [window]\nassumptions:\n  window: {text: A year., numbers: [12]}\n"
    )
    after = before.replace("12", "24").replace("A year", "Two years")

    assert told(difference(loaded(before), loaded(after))) == {
        ("Criteria", "A"): {
            "met when": (
                "illness is current, begun or observed in the 12 months before the service date",
                "illness is current, begun or observed in the 24 months before the service date",
            ),
            "numbers": ("12", "24"),
        },
        ("Assumptions", "window"): {"text": ("A year.", "Two years."), "numbers": ("12", "24")},
    }


def test_where_a_check_looks_is_shown_as_it_is_written_since_the_words_do_not_say_it() -> None:
    found = changed(("value_set: illness}", "value_set: illness, places: [observations]}"))

    assert found == {
        ("Criteria", "A"): {
            "met when, as written": (
                "recorded: {value_set: [illness], kind: current}",
                "recorded: {value_set: [illness], kind: current, places: [observations]}",
            )
        }
    }


def test_a_letter_that_comes_or_goes_is_told_with_everything_that_it_says() -> None:
    more = policy(criterion("A"), criterion("B"), criterion("C"))

    added, removed = difference(BOTH, more)[1], difference(more, BOTH)[1]

    assert (added.group, added.name, added.kind) == ("Criteria", "C", "added")
    assert added.changes == (
        Change("label", "", "label of C"),
        Change("text", "", "Text of C."),
        Change("settled by", "", "What settles C."),
    )
    assert (removed.name, removed.kind) == ("C", "removed")
    assert removed.changes[1] == Change("text", "Text of C.", "")


def test_letters_in_another_order_are_shown_in_their_order() -> None:
    assert only(BOTH, replace(BOTH, criteria=dict(reversed(list(BOTH.criteria.items()))))) == Part(
        "Criteria", "", "changed", (Change("order", "A, B", "B, A"),)
    )


def test_the_logic_of_a_section_is_compared_with_the_one_for_the_same_therapies() -> None:
    either = Joined("any", (Letter("A"), Letter("B")))

    assert only(BOTH, policy(criterion("A"), criterion("B"), requires=either)).changes == (
        Change("letters", "A and B", "A or B"),
    )


def test_a_section_for_other_therapies_with_the_same_letters_has_changed() -> None:
    wider = replace(BOTH.sections[0], therapies=BOTH.sections[0].therapies | ISLETS)

    assert only(BOTH, replace(BOTH, sections=(wider,))).changes == (
        Change("therapies", "donislecel", "donislecel, islet-allogeneic"),
    )


def test_a_section_that_comes_or_goes_is_told_whole() -> None:
    second = replace(BOTH, sections=(*BOTH.sections, Section(ISLETS, Letter("A"))))

    added, removed = only(BOTH, second), only(second, BOTH)

    assert (added.group, added.kind, removed.kind) == ("What is required", "added", "removed")
    assert added.changes == (Change("therapies", "", "islet-allogeneic"), Change("letters", "", "A"))


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"not_evaluated": {"C": "Why."}}, Part("Not evaluated", "C", "added", (Change("reason", "", "Why."),))),
        (
            {"questions": {"q": Question("q", "Is it?", 1)}},
            Part(
                "Questions",
                "q",
                "added",
                (Change("text", "", "Is it?"), Change("how old an answer may be", "", "1 months")),
            ),
        ),
        (
            {"questions": {"q": Question("q", "Is it?", about="order")}},
            Part(
                "Questions",
                "q",
                "added",
                (Change("text", "", "Is it?"), Change("what it is about", "", "this order")),
            ),
        ),
        (
            {"questions": {"q": Question("q", "Is it?")}},
            Part("Questions", "q", "added", (Change("text", "", "Is it?"),)),
        ),
        (
            {
                "questions": {
                    "q": Question("q", "Is it?", date=AskedDate("When?", 6), value=AskedValue("How many?", "%"))
                }
            },
            Part(
                "Questions",
                "q",
                "added",
                (
                    Change("text", "", "Is it?"),
                    Change("day asked for", "", "When?"),
                    Change("how old that day may be", "", "6 months"),
                    Change("number asked for", "", "How many? (%)"),
                ),
            ),
        ),
        (
            {"assumptions": {"x": Assumption("x", "Read so.", frozenset({Decimal(3)}))}},
            Part("Assumptions", "x", "added", (Change("text", "", "Read so."), Change("numbers", "", "3"))),
        ),
        (
            {"elsewhere": (Elsewhere("Other", "Because.", "medicare", ISLETS),)},
            Part(
                "What another document decides",
                "",
                "added",
                (Change("text", "", "Other: Because. (only for medicare members; islet-allogeneic)"),),
            ),
        ),
        (
            {"conflicts": (Conflict("It says both."),)},
            Part("Conflicts", "", "added", (Change("text", "", "It says both."),)),
        ),
        (
            {"notices": (Notice("Mind.", codes=frozenset({"J3590"}), under_age=21),)},
            Part("Notices", "", "added", (Change("text", "", "Mind. (orders with J3590) (under 21 years)"),)),
        ),
        (
            {"product_code": ProductCode(frozenset({"J3590", "C9399"}), "Use its own.")},
            Part("Billing code", "", "added", (Change("text", "", "Use its own. (orders with C9399 or J3590)"),)),
        ),
        (
            {"prior_authorization": PriorAuthorization("auth-needed", "Ask first.", ISLETS)},
            Part(
                "Whether the payer is asked first",
                "",
                "added",
                (Change("text", "", "auth-needed: Ask first. (only for islet-allogeneic)"),),
            ),
        ),
        (
            {"lifted": Lifted(21, "No limit.")},
            Part("Limits lifted for the young", "", "added", (Change("text", "", "No limit. (members under 21)"),)),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_other_part_of_a_document_is_compared(more: dict[str, Any], part: Part) -> None:
    assert only(BOTH, replace(BOTH, **more)) == part
    assert only(replace(BOTH, **more), BOTH).kind == "removed"


def test_a_notice_whose_words_changed_is_one_change_and_one_that_is_another_is_two() -> None:
    first = replace(BOTH, notices=(Notice("Prior approval is required before the infusion."),))
    alike = replace(BOTH, notices=(Notice("Prior approval is required before each infusion."),))
    other = replace(BOTH, notices=(Notice("EPSDT applies."),))

    assert only(first, alike).kind == "changed"
    assert [part.kind for part in difference(first, other)] == ["added", "removed"]


def test_rules_of_other_documents_in_another_order_are_shown_since_the_first_that_applies_counts() -> None:
    one, other = Elsewhere("D1", "It says so.", "medicare"), Elsewhere("D2", "It says so too.")
    third = Elsewhere("D3", "And it.", "medicaid")
    in_order = replace(BOTH, elsewhere=(one, other))

    assert only(in_order, replace(BOTH, elsewhere=(other, one))) == Part(
        "What another document decides",
        "",
        "changed",
        (
            Change(
                "order",
                "D1: It says so. (only for medicare members); then D2: It says so too.",
                "D2: It says so too.; then D1: It says so. (only for medicare members)",
            ),
        ),
    )
    assert only(in_order, replace(BOTH, elsewhere=(one, third, other))).kind == "added"


def test_every_part_of_a_document_has_its_place_in_the_difference() -> None:
    others = {"criteria", "sections", "revision", "file"}  # told by their own parts; or no matter of meaning
    filled: dict[str, Any] = {
        "id": "P2",
        "title": "T",
        "payer": "zenith",
        "citation": "C",
        "effective_from": date(2027, 1, 1),
        "lines": frozenset({"medicaid"}),
        "not_evaluated": {"C": "Why."},
        "questions": {"q": Question("q", "Is it?")},
        "assumptions": {"x": Assumption("x", "Read so.")},
        "elsewhere": (Elsewhere("Other", "Because."),),
        "conflicts": (Conflict("Both."),),
        "notices": (Notice("Mind."),),
        "product_code": ProductCode(frozenset(), "Use its own."),
        "prior_authorization": PriorAuthorization("auth-needed", "Ask first."),
        "lifted": Lifted(21, "No limit."),
    }

    assert filled.keys() | others == {f.name for f in fields(PolicyDocument) if f.init}
    assert [name for name, value in filled.items() if not difference(BOTH, replace(BOTH, **{name: value}))] == []


def test_two_texts_are_shown_as_one_with_what_went_and_what_came() -> None:
    assert marked("within 12 months of it", "within 24 months of it now") == [
        ("same", "within"),
        ("gone", "12"),
        ("new", "24"),
        ("same", "months of it"),
        ("new", "now"),
    ]
    assert marked("", "all new") == [("new", "all new")]
    assert marked("all gone", "") == [("gone", "all gone")]
