"""A criterion as the ordered product's label, in the version in force on the service date, words and checks it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cds_service.policy.checks.order import OrderIs
from cds_service.policy.checks.recorded import Recorded
from cds_service.policy.document import CriterionResult, SectionName
from cds_service.policy.evaluate import evaluate
from cds_service.policy.label import NO_LABELS, Labels, load_label
from cds_service.policy.labelled import age_fits
from fhir_mappings.facts import Approval, Facts, Statement
from tests.cds_service.policy.charts import answered, chart, ordered, said
from tests.cds_service.policy.documents import KNOWN, criterion, policy

TEXT = """\
product: donislecel
assumptions:
  teens: {text: Teens begin at 12., numbers: [12]}
  young: {text: The young begin at 2., numbers: [2]}
versions:
  - from: 2024-01-16
    source: US label of January 2024
    indication: &indication
      text: For the illness, from 12 years.
      settled_by: Diagnosis and birth date.
      met_when: {all: [{age_at_least: 12}, {recorded: {kind: current, value_set: illness}}]}
      assumes: [teens]
      verified: "source: a copy of the label"
    dosage: {missing: Nobody saw the label.}
    forms: &forms {text: A suspension., verified: unverified (from memory)}
    contraindications: &contraindications
      text: Not with surgery; care in severe illness.
      excluded_when: {recorded: {kind: ever, value_set: surgery, places: [procedures]}}
      review_when: {recorded: {kind: current, value_set: severe-illness}}
      silence: [procedures]
      verified: "source: a copy of the label"
    boxed_warnings: []
    boxed_warnings_verified: A page.
  - from: 2026-07-01
    source: US label of July 2026
    indication:
      text: For the illness, from 2 years.
      met_when: {all: [{age_at_least: 2}, {recorded: {kind: current, value_set: illness}}]}
      assumes: [young]
      verified: unverified in part
    dosage:
      text: Once.
      met_when: {order_is: surgery}
      verified: "source: a copy of the label"
    forms: {missing: Nobody saw the label.}
    contraindications: {none: None is named., verified: "source: a copy of the label"}
    boxed_warnings:
      - {text: fever, verified: "source: a copy of the label"}
      - {text: chills, verified: unverified (from memory)}
"""
LABELS = Labels({"donislecel": load_label(TEXT, "label.yaml", KNOWN)})
BEFORE, OLD, NEW = date(2024, 1, 15), date(2026, 6, 30), date(2026, 7, 1)
ILL = said("illness", "2023-01-01")


def judged(
    section: SectionName, *statements: Statement, on: date = NEW, labels: Labels = LABELS, **more: Any
) -> CriterionResult:
    """Return the result of a criterion that points to a section."""
    own = {name: more.pop(name) for name in ("met_when", "assumes", "question") if name in more}
    document = policy(criterion(from_label=section, **own))
    return evaluate(document, chart(*statements, as_of=on, **more), labels=labels).results[0]


def brief(found: CriterionResult) -> tuple[str, str]:
    return found.outcome.value, found.reason


class TestVersion:
    def test_the_words_are_those_of_criterion_and_label(self) -> None:
        found = judged("indication", ILL, on=OLD)
        assert found.text == "Text of A. Label from 2024-01-16: For the illness, from 12 years."
        assert found.settled_by == "Diagnosis and birth date."

    def test_a_section_that_does_not_say_what_settles_it_leaves_that_to_the_policy(self) -> None:
        assert judged("indication", ILL).settled_by == "What settles A."

    @pytest.mark.parametrize(("on", "outcome"), [(OLD, "not-met"), (NEW, "met")])
    def test_the_service_date_alone_decides_which_label_counts(self, on: date, outcome: str) -> None:
        assert judged("indication", ILL, on=on, born="2017-01-01").outcome.value == outcome

    def test_before_the_first_label_nothing_is_known(self) -> None:
        assert brief(judged("indication", ILL, on=BEFORE)) == (
            "undocumented",
            "The label on record begins on 2024-01-16, after the service date (2024-01-15).",
        )

    def test_a_product_without_a_label_is_open(self) -> None:
        found = judged("indication", ILL, labels=NO_LABELS)
        assert brief(found) == ("undocumented", "This library holds no label of the ordered product.")
        assert (found.text, found.settled_by) == ("Text of A.", "What settles A.")

    def test_a_product_that_is_not_named_is_asked_for(self) -> None:
        nameless = replace(ordered(), approval=Approval("unidentified"))
        found = judged("indication", ILL, order=nameless, labels=NO_LABELS)
        assert brief(found) == (
            "undocumented",
            "The order does not say which product it is; no label can be looked up.",
        )
        assert found.settled_by == "The product named in the order, by a code of its own or by its name."

    def test_without_a_label_a_check_of_the_policy_still_decides(self) -> None:
        own = Recorded(value_set=("illness",), kind="current")
        assert judged("forms", ILL, met_when=own, labels=NO_LABELS).outcome.value == "met"
        assert judged("forms", ILL, met_when=own, on=BEFORE).outcome.value == "met"

    @pytest.mark.parametrize("section", ["indication", "dosage", "forms", "contraindications"])
    def test_an_answer_settles_what_no_label_can(self, section: SectionName) -> None:
        found = judged(section, labels=NO_LABELS, question="q", answers=[answered("q", True, "2026-06-01")])
        assert found.outcome.value == "met"


class TestSections:
    def test_what_the_label_on_record_does_not_tell_is_open(self) -> None:
        assert brief(judged("dosage", on=OLD)) == (
            "undocumented",
            "The label on record does not tell: Nobody saw the label.",
        )

    def test_a_section_without_a_check_is_met_by_its_words(self) -> None:
        assert brief(judged("contraindications")) == ("met", "None is named.")
        assert not judged("contraindications").assumed

    def test_a_criterion_with_a_check_of_its_own_takes_the_words_from_the_label(self) -> None:
        ordered_so = chart(order=ordered(concepts=["surgery"]), as_of=OLD)
        document = policy(criterion(from_label="forms", met_when=OrderIs(value_set=("surgery",))))
        found = evaluate(document, ordered_so, labels=LABELS).results[0]
        assert found.outcome.value == "met"
        assert found.text == "Text of A. Label from 2024-01-16: A suspension."
        assert judged("forms", on=OLD, met_when=OrderIs(value_set=("surgery",))).outcome.value == "not-met"

    @pytest.mark.parametrize(
        ("statements", "supplied", "expected"),
        [
            ([], ["procedures"], ("met", True)),
            ([], [], ("undocumented", False)),
            ([said("surgery", "2020-01-01", kind="procedure")], ["procedures"], ("not-met", False)),
            ([said("severe-illness")], ["procedures"], ("undocumented", False)),
        ],
    )
    def test_exclusions_reviews_and_silence_are_those_of_the_label(
        self, statements: list[Statement], supplied: list[str], expected: tuple[str, bool]
    ) -> None:
        found = judged("contraindications", *statements, on=OLD, supplied=supplied)
        assert (found.outcome.value, found.assumed) == expected


class TestAssumptions:
    def test_those_of_the_label_stand_beside_those_of_the_policy(self) -> None:
        assert judged("indication", ILL, on=OLD, assumes=("r",)).assumptions == ("Reading r.", "Teens begin at 12.")

    def test_what_nobody_could_verify_says_so(self) -> None:
        in_part = "The indication of the label is unverified in part."
        assert judged("indication", ILL).assumptions == ("The young begin at 2.", in_part)
        assert judged("forms", on=OLD).assumptions == ("The forms of the label is unverified (from memory).",)
        assert judged("dosage").assumptions == ()


class TestBoxedWarnings:
    ABOUT_A_LABEL = criterion(from_label="indication")

    def notices(self, facts: Facts, *, labels: Labels = LABELS, points: bool = True) -> tuple[str, ...]:
        rule = self.ABOUT_A_LABEL if points else criterion(met_when=Recorded(value_set=("illness",), kind="current"))
        return evaluate(policy(rule), facts, labels=labels).notices

    def test_each_is_a_notice(self) -> None:
        assert self.notices(chart(as_of=NEW)) == (
            "boxed warning: fever",
            "boxed warning: chills (from memory, not verified)",
        )

    def test_only_those_in_force_are_shown(self) -> None:
        assert self.notices(chart(as_of=OLD)) == ()
        assert self.notices(chart(as_of=BEFORE)) == ()
        assert self.notices(chart(as_of=NEW), labels=NO_LABELS) == ()

    def test_a_policy_that_does_not_point_to_the_label_shows_none(self) -> None:
        assert self.notices(chart(as_of=NEW), points=False) == ()


def test_a_criterion_that_points_to_no_label_is_judged_as_it_stands() -> None:
    rule = criterion(met_when=Recorded(value_set=("illness",), kind="current"))
    facts = chart(ILL)
    with_labels, without = (evaluate(policy(rule), facts, labels=labels) for labels in (LABELS, NO_LABELS))
    assert replace(with_labels.results[0]) == without.results[0]


class TestAgeFits:
    """Which of two products with one name fits a patient: by the age limits of the label in force."""

    @pytest.mark.parametrize(
        ("on", "born", "fits"),
        [
            (OLD, "2014-06-30", True),
            (OLD, "2014-07-01", False),
            (OLD, "2014-01-01/2014-12-31", True),
            (OLD, None, True),
            (NEW, "2024-07-01", True),
            (NEW, "2024-07-02", False),
            (BEFORE, "2024-01-01", True),
        ],
    )
    def test_only_a_limit_that_is_certainly_missed_speaks_against_it(
        self, on: date, born: str | None, fits: bool
    ) -> None:
        assert age_fits(chart(as_of=on, born=born), LABELS) is fits

    def test_what_has_no_label_fits_everybody(self) -> None:
        assert age_fits(chart(), NO_LABELS)

    @pytest.mark.parametrize(
        ("check", "fits"),
        [
            ("{age_under: 12}", False),
            ("{age_at_least_months: 600}", False),
            ("{all: [{order_is: surgery}, {all: [{age_under: 12}]}]}", False),
            ("{any: [{age_under: 12}, {order_is: surgery}]}", True),
            ("{none: [{age_at_least: 12}]}", True),
            ("{order_is: surgery}", True),
        ],
    )
    def test_a_limit_counts_where_it_holds_whatever_else_is_so(self, check: str, fits: bool) -> None:
        old = "{all: [{age_at_least: 12}, {recorded: {kind: current, value_set: illness}}]}\n      assumes: [teens]"
        numbers = sorted(set(re.findall(r"\b\d+\b", check)))
        printed = f"\n      printed: [{', '.join(numbers)}]" if numbers else ""
        assert old in TEXT
        text = TEXT.replace(old, check + printed).replace("  teens: {text: Teens begin at 12., numbers: [12]}\n", "")
        labels = Labels({"donislecel": load_label(text, "label.yaml", KNOWN)})
        assert age_fits(chart(as_of=OLD), labels) is fits

    def test_a_section_that_is_missing_fits_everybody(self) -> None:
        text = re.sub(r"indication: &indication\n(?: {6}.*\n)+", "indication: {missing: Unseen.}\n", TEXT)
        text = text.replace("  teens: {text: Teens begin at 12., numbers: [12]}\n", "")
        labels = Labels({"donislecel": load_label(text, "label.yaml", KNOWN)})
        assert age_fits(chart(as_of=OLD, born="2026-01-01"), labels)


class TestReadAnew:
    """What is worked out once for a policy and a label is theirs alone, whatever else is called the same."""

    @pytest.mark.parametrize("section", ["indication", None])
    def test_a_policy_read_anew_is_judged_by_its_own_letters(self, section: SectionName | None) -> None:
        checks: dict[str, Any] = {} if section else {"met_when": OrderIs(value_set=("surgery",))}
        first = criterion(from_label=section, assumes=("first",), **checks)
        for letter in (first, replace(first, text="Another text.", assumes=("second",))):
            [found] = evaluate(policy(letter), chart(ILL, as_of=NEW), labels=LABELS).results
            assert found.text.startswith(letter.text)
            assert found.assumptions[0] == f"Reading {letter.assumes[0]}."

    def test_a_label_read_anew_is_judged_by_its_own_words(self) -> None:
        text = TEXT.replace("For the illness, from 2 years.", "Worded anew.")
        document = policy(criterion(from_label="indication"))
        anew = Labels({"donislecel": load_label(text, "label.yaml", KNOWN)})
        words = [evaluate(document, chart(as_of=NEW), labels=each).results[0].text for each in (LABELS, anew)]
        assert words == [
            "Text of A. Label from 2026-07-01: For the illness, from 2 years.",
            "Text of A. Label from 2026-07-01: Worded anew.",
        ]
