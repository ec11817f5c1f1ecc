"""Checks laid out for readers, and what leads to each outcome: held against what the evaluation does."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from decimal import Decimal

import pytest

from cds_service.library import known_names
from cds_service.policy.build import build_check
from cds_service.policy.checks import VOCABULARY, Check, Range
from cds_service.policy.checks.combine import All, Any, FirstDocumented, NoneOf
from cds_service.policy.checks.infusions import InfusionsExceed, RepeatOutsideWindow
from cds_service.policy.checks.medication import Medication
from cds_service.policy.checks.patient import AgeAtLeast, AgeAtLeastMonths, AgeUnder
from cds_service.policy.checks.recorded import GradeAtLeast, Recorded
from cds_service.policy.checks.result import LatestResult
from cds_service.policy.checks.status import Attested, StatusNow
from cds_service.policy.document import Assumption, Criterion, PolicyDocument, Question
from cds_service.policy.outcome import Outcome
from cds_service.policy.outline import Number, Outline, numbers, outline, record_names, spelled, ways
from cds_service.policy.yaml_nodes import parse
from tests.cds_service.policy.cases import library
from tests.cds_service.policy.documents import criterion

ILL = Recorded(value_set=("illness",), kind="current")
ADULT = AgeAtLeast(years=18)
ASKED = Question("q", "Is it so?", within_months=1)


NUMERIC = {"count", "number", "range"}


def _leaves(found: Outline) -> list[Outline]:
    return [leaf for part in found.parts for leaf in _leaves(part)] if found.parts else [found]


class TestOutline:
    def test_a_check_that_joins_no_others_is_its_words_and_its_value_sets(self) -> None:
        assert outline(ILL) == Outline("illness is current", pieces=(("illness", "illness"), (" is current", "")))
        assert outline(ADULT).pieces == ((ADULT.describe(), ""),)

    def test_the_title_of_every_value_set_is_found_in_the_words_of_the_library_that_name_it(self) -> None:
        checks = [c for d in library().documents for k in d.criteria.values() for c in k.checks()]
        leaves = [leaf for check in checks for leaf in _leaves(outline(check))]

        assert all("".join(text for text, _ in leaf.pieces) == leaf.words for leaf in leaves)
        assert {name for leaf in leaves for _, name in leaf.pieces if name} >= {"severe-hypoglycemia", "gvhd-acute"}

    @pytest.mark.parametrize(
        ("check", "words"),
        [
            (All(checks=(ILL, ADULT)), "all of"),
            (Any(checks=(ILL, ADULT)), "at least one of"),
            (NoneOf(checks=(ILL, ADULT)), "none of"),
            (FirstDocumented(checks=(ILL, ADULT)), "the first of these that the chart decides"),
        ],
    )
    def test_a_check_that_joins_others_is_the_parent_of_their_words(self, check: Check, words: str) -> None:
        assert outline(check) == Outline(words, (outline(ILL), outline(ADULT)))

    def test_every_check_of_the_vocabulary_that_takes_checks_is_laid_out_as_a_tree(self) -> None:
        joining = {check for check in VOCABULARY.values() if check.scalar == "checks"}

        assert joining == {All, Any, NoneOf, FirstDocumented}


PREGNANT = StatusNow(
    value_set=("pregnant",),
    opposite=("not-pregnant",),
    within_months=9,
    within_days=294,
    onset_within_days=270,
    tests_within_days=31,
)
NUMBERED: tuple[Check, ...] = (
    ADULT,
    AgeAtLeastMonths(months=6),
    AgeUnder(years=21),
    Recorded(value_set=("fall",), kind="event", on_dates=2, within_months=12),
    Recorded(value_set=("fall",), kind="current", within_days=30),
    Recorded(value_set=("fall",), kind="planned", around_days=14),
    GradeAtLeast(value_set=("gvhd",), grade=3),
    LatestResult(
        value_set=("test",),
        true_when=Range(above=Decimal(0), below=Decimal(90)),
        false_when=(Range(at_most=Decimal(0)), Range(at_least=Decimal("99.5"))),
        within_months=6,
    ),
    LatestResult(value_set=("test",), true_when=Range(at_most=Decimal(7)), within_days=60),
    replace(PREGNANT, within_days=None),
    replace(PREGNANT, within_months=None),
    InfusionsExceed(value_set=("infusion",), limit=3, same_within_days=2),
    RepeatOutsideWindow(value_set=("infusion",), insulin=("insulin",), within_days=365, free_days=30),
)


def _told_numbers(words: str) -> set[Decimal]:
    return {Decimal(number) for number in re.findall(r"\d+(?:\.\d+)?", words)}


class TestWords:
    @pytest.mark.parametrize("check", NUMBERED, ids=lambda check: check.key)
    def test_every_number_of_a_check_stands_in_its_words(self, check: Check) -> None:
        assert check.numbers() - _told_numbers(check.describe()) == set()

    def test_every_option_with_a_number_was_asked_for_one(self) -> None:
        declared = {(c, f.name) for c in VOCABULARY.values() for f in fields(c) if f.metadata["kind"] in NUMERIC}
        given = {(type(c), f.name) for c in NUMBERED for f in fields(c) if getattr(c, f.name) != f.default}

        assert declared - given == set()

    def test_every_number_of_the_library_stands_in_the_words_of_its_check(self) -> None:
        held = library()
        rules = [c for d in held.documents for c in d.criteria.values()]
        labels = held.labels.by_product.values()
        rules += [s.rule for label in labels for v in label.versions for s in v.sections.values() if s.rule]
        checks = {check for rule in rules for check in rule.checks()}

        assert [check for check in checks if not check.numbers() <= _told_numbers(check.describe())] == []


class TestSpelled:
    @pytest.mark.parametrize(
        ("check", "text"),
        [
            (ADULT, "age_at_least: {years: 18}"),
            (ILL, "recorded: {value_set: [illness], kind: current}"),
            (
                Recorded(value_set=("a", "b"), kind="event", on_dates=2, unless=Medication(value_set=("c",))),
                "recorded: {value_set: [a, b], kind: event, on_dates: 2, unless: {medication: {value_set: [c]}}}",
            ),
            (
                LatestResult(
                    value_set=("a",), true_when=Range(above=Decimal(0)), false_when=(Range(at_most=Decimal(0)),)
                ),
                "latest_result: {value_set: [a], true_when: {above: 0}, false_when: [{at_most: 0}]}",
            ),
            (Any(checks=(ILL,)), "any: {checks: [{recorded: {value_set: [illness], kind: current}}]}"),
        ],
    )
    def test_a_check_is_spelled_as_a_policy_file_writes_it(self, check: Check, text: str) -> None:
        assert spelled(check) == text

    @pytest.mark.parametrize("document", library().documents, ids=lambda d: d.id)
    def test_what_is_spelled_can_be_read_back(self, document: PolicyDocument) -> None:
        known = known_names(library().payers)
        for check in [check for letter in document.criteria.values() for check in letter.checks()]:
            written = parse(f"check: {{{spelled(check)}}}", "x.yaml").fields(("check",))["check"]

            assert build_check(written, known) == check


class TestNumbers:
    def test_each_number_says_whether_the_policy_prints_it_or_which_reading_explains_it(self) -> None:
        window = Recorded(value_set=("illness",), kind="event", within_months=12)
        found = criterion(
            met_when=All(checks=(ADULT, window)), printed=frozenset({Decimal(18)}), assumes=("year", "other")
        )
        assumptions = {
            "year": Assumption("year", "A year.", frozenset({Decimal(12)})),
            "other": Assumption("other", "No number."),
        }

        assert numbers(found, assumptions) == (
            Number(Decimal(12), printed=False, assumption="year"),
            Number(Decimal(18), printed=True, assumption=None),
        )

    def test_every_number_of_the_library_is_printed_or_assumed(self) -> None:
        found = [n for d in library().documents for c in d.criteria.values() for n in numbers(c, d.assumptions)]

        assert found
        assert all(n.printed or n.assumption for n in found)


class TestWays:
    def test_a_requirement_is_met_by_the_chart_and_left_open_by_its_silence(self) -> None:
        found = ways(criterion(met_when=ILL), None)

        assert found[Outcome.MET] == ("The chart shows what is required.",)
        assert found[Outcome.NOT_MET] == ("The chart shows the contrary.",)
        assert found[Outcome.UNDOCUMENTED][0].startswith("The chart says nothing of it")

    def test_an_exclusion_is_met_by_silence_when_the_records_were_supplied(self) -> None:
        found = ways(criterion(excluded_when=ILL, review_when=ILL, silence=("conditions", "procedures")), None)

        assert (
            "Nothing is found, and the conditions and the procedures were supplied: assumed, and marked so."
            in (found[Outcome.MET])
        )
        assert "The chart shows what excludes it." in found[Outcome.NOT_MET]
        assert "The chart shows a finding that only a person can judge." in found[Outcome.UNDOCUMENTED]
        assert (
            "Nothing is found, and the conditions and the procedures were not supplied."
            in (found[Outcome.UNDOCUMENTED])
        )

    def test_without_records_of_its_own_the_order_is_what_was_supplied(self) -> None:
        found = ways(criterion(review_when=ILL), None)

        assert found[Outcome.MET] == ("Nothing is found, and the order was supplied: assumed, and marked so.",)
        assert found[Outcome.NOT_MET] == ()

    def test_a_strict_deployment_assumes_nothing(self) -> None:
        found = ways(criterion(excluded_when=ILL, silence=("conditions",)), None, "strict")

        assert found[Outcome.MET] == ("The chart shows the contrary of what excludes it.",)
        assert any("assumes nothing from silence" in sentence for sentence in found[Outcome.UNDOCUMENTED])

    def test_an_answer_settles_what_the_chart_leaves_open(self) -> None:
        found = ways(criterion(met_when=ILL), ASKED)

        assert found[Outcome.MET][-1] == (
            "A clinician answered the question with yes (not older than 1 month) and the chart does not decide it."
        )
        assert found[Outcome.NOT_MET][-1].startswith("A clinician answered the question with no")

    def test_what_only_a_person_can_state_is_settled_by_the_answer_alone(self) -> None:
        found = ways(criterion(met_when=Attested()), Question("q", "Is it so?"))

        assert found[Outcome.MET] == ("A clinician answered the question with yes.",)
        assert found[Outcome.UNDOCUMENTED] == ("Nobody has stated it; the chart is cited and decides nothing.",)

    def test_an_answer_about_the_order_is_for_this_order(self) -> None:
        found = ways(criterion(met_when=Attested()), Question("q", "Is it so?", about="order"))

        assert found[Outcome.MET] == ("A clinician answered the question for this order with yes.",)

    def test_a_criterion_that_points_to_the_label_says_so(self) -> None:
        found = ways(criterion(from_label="indication"), None)

        assert "label" in found[Outcome.MET][0]
        assert found[Outcome.UNDOCUMENTED][0].startswith("No label of the product is on record")

    @pytest.mark.parametrize(
        "found",
        [c for d in library().documents for c in d.criteria.values() if not c.from_label],
        ids=lambda c: c.id,
    )
    def test_every_criterion_of_the_library_can_be_met_and_left_open(self, found: Criterion) -> None:
        question = ASKED if found.question else None

        assert ways(found, question)[Outcome.MET]
        assert found.id.startswith(("IV", "EX")) or ways(found, question)[Outcome.UNDOCUMENTED]


def test_records_are_listed_as_in_a_sentence() -> None:
    assert record_names(("conditions",)) == "the conditions"
    assert record_names(("conditions", "goals", "procedures")) == "the conditions, the goals and the procedures"
    assert record_names(()) == ""
