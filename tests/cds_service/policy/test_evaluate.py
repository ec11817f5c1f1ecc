"""Silence, judgement, attestation, missing records and the logic over the letters."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from cds_service.policy.checks.combine import All
from cds_service.policy.checks.medication import Medication
from cds_service.policy.checks.order import OrderReason
from cds_service.policy.checks.recorded import Diagnosis, Recorded
from cds_service.policy.checks.status import Attested
from cds_service.policy.document import Conflict, CriterionResult, Joined, Letter, Line, Notice, Question
from cds_service.policy.evaluate import RECORD_NAMES, Silence, evaluate
from fhir_mappings.facts import Attestation, Facts
from tests.cds_service.policy.charts import ALL_RECORDS, answered, chart, ordered, references, said
from tests.cds_service.policy.documents import criterion, policy

ILL = Recorded(value_set=("illness",), kind="current")
CAUTION = Recorded(value_set=("caution",), kind="current")
REQUIRES = criterion(met_when=ILL)
EXCLUDES = criterion(excluded_when=ILL, silence=("conditions", "procedures"))
EXCLUDES_OR_REVIEWS = criterion(excluded_when=ILL, review_when=CAUTION, silence=("conditions",))
REVIEWS = criterion(review_when=CAUTION, silence=("conditions",))


def judged(rule: object, facts: Facts, silence: Silence = "standard") -> CriterionResult:
    return evaluate(policy(rule), facts, silence=silence).results[0]  # type: ignore[arg-type]


def outcome(rule: object, facts: Facts, silence: Silence = "standard") -> tuple[str, bool]:
    found = judged(rule, facts, silence)
    return found.outcome.value, found.assumed


MET, NOT_MET, OPEN, ASSUMED = ("met", False), ("not-met", False), ("undocumented", False), ("met", True)


class TestSilence:
    def test_a_criterion_that_requires_something_is_open_when_nothing_is_found(self) -> None:
        assert outcome(REQUIRES, chart()) == OPEN
        assert outcome(REQUIRES, chart(said("illness"))) == MET

    def test_a_criterion_that_excludes_something_is_met_when_the_records_are_there_and_show_nothing(self) -> None:
        assert outcome(EXCLUDES, chart()) == ASSUMED
        assert outcome(EXCLUDES, chart(said("illness"))) == NOT_MET

    @pytest.mark.parametrize("record", ["conditions", "procedures"])
    def test_it_is_open_when_one_of_the_records_was_not_supplied(self, record: str) -> None:
        assert outcome(EXCLUDES, chart(supplied=ALL_RECORDS - {record})) == OPEN

    def test_a_finding_decides_although_other_records_were_not_supplied(self) -> None:
        assert outcome(EXCLUDES, chart(said("illness"), supplied=["conditions"])) == NOT_MET

    def test_strict_silence_assumes_nothing(self) -> None:
        assert outcome(EXCLUDES, chart(), "strict") == OPEN
        assert outcome(EXCLUDES, chart(said("illness")), "strict") == NOT_MET
        assert outcome(REQUIRES, chart(said("illness")), "strict") == MET

    def test_an_exclusion_that_the_order_alone_decides_needs_no_record(self) -> None:
        rule = criterion(excluded_when=OrderReason(value_set=("lifestyle",)))
        assert outcome(rule, chart(supplied=[])) == ASSUMED
        assert outcome(rule, chart(supplied=[]), "strict") == OPEN
        assert outcome(rule, chart(order=ordered(reasons=[["illness"]]))) == MET
        assert outcome(rule, chart(order=ordered(reasons=[["lifestyle"]]))) == NOT_MET
        assert "the order was supplied" in judged(rule, chart()).reason

    def test_an_assumption_from_silence_says_from_which_records(self) -> None:
        reason = judged(EXCLUDES, chart()).reason
        assert "the conditions and the procedures were supplied" in reason
        one_record = criterion(excluded_when=ILL, silence=("patient",))
        assert "the patient record was supplied" in judged(one_record, chart()).reason

    def test_a_finding_that_settles_nothing_is_not_silence(self) -> None:
        assert outcome(EXCLUDES, chart(said("illness", confirmed=False))) == OPEN

    def test_the_reason_names_each_record_that_is_missing_and_why(self) -> None:
        rule = criterion(met_when=All(checks=(ILL, Medication(value_set=("drug",)))))
        missing = {
            "conditions": "was not sent",
            "medication-requests": "could not be retrieved",
            "goals": "was not sent",
        }
        reason = judged(rule, chart(missing=missing)).reason  # type: ignore[arg-type]
        assert "Not available (was not sent): the conditions." in reason
        assert "Not available (could not be retrieved): the medication orders." in reason
        assert "goals" not in reason

    def test_a_missing_record_is_not_named_where_something_was_found(self) -> None:
        reason = judged(
            REQUIRES, chart(said("illness", confirmed=False), missing={"conditions": "was not sent"})
        ).reason
        assert "was not sent" not in reason

    def test_every_kind_of_record_has_a_name_for_the_reader(self) -> None:
        assert set(RECORD_NAMES) == ALL_RECORDS


class TestJudgement:
    def test_a_finding_that_only_a_person_can_judge_leaves_it_open_and_is_named(self) -> None:
        found = judged(REVIEWS, chart(said("caution", "2026-01-01", name="Condition/c1")))
        assert (found.outcome.value, found.assumed) == OPEN
        assert references(found.evidence) == ["Condition/c1"]
        assert "reviewer" in found.reason

    def test_a_finding_that_might_be_one_leaves_it_open_too(self) -> None:
        assert outcome(REVIEWS, chart(said("caution", confirmed=False))) == OPEN

    def test_nothing_to_judge_is_silence(self) -> None:
        assert outcome(REVIEWS, chart()) == ASSUMED
        assert outcome(REVIEWS, chart(), "strict") == OPEN

    def test_what_excludes_comes_before_what_a_person_must_judge(self) -> None:
        assert outcome(EXCLUDES_OR_REVIEWS, chart(said("illness"), said("caution"))) == NOT_MET
        assert outcome(EXCLUDES_OR_REVIEWS, chart(said("caution"))) == OPEN
        assert outcome(EXCLUDES_OR_REVIEWS, chart()) == ASSUMED

    def test_an_exclusion_that_is_false_does_not_hide_what_a_person_must_judge(self) -> None:
        rule = criterion(excluded_when=Diagnosis(value_set=("illness",), other=("health",)), review_when=CAUTION)
        assert outcome(rule, chart(said("health"), said("caution"))) == OPEN
        assert outcome(rule, chart(said("health"))) == MET

    def test_what_a_person_must_judge_rests_on_the_records_although_the_exclusion_is_false(self) -> None:
        healthy = Diagnosis(value_set=("illness",), other=("health",))
        rule = criterion(excluded_when=healthy, review_when=CAUTION, silence=("procedures",))
        assert outcome(rule, chart(said("health"))) == ASSUMED
        assert outcome(rule, chart(said("health"), supplied=["conditions"])) == OPEN
        assert outcome(rule, chart(said("health")), "strict") == OPEN

    def test_a_review_that_finds_the_contrary_settles_nothing_by_itself(self) -> None:
        rule = criterion(review_when=Diagnosis(value_set=("illness",), other=("health",)), silence=("conditions",))
        assert outcome(rule, chart(said("health"))) == ASSUMED


class TestAttestation:
    rule = criterion(met_when=ILL, question="ill")
    exclusion = criterion(excluded_when=ILL, silence=("conditions",), question="well")

    @pytest.mark.parametrize(("answer", "expected"), [(True, MET), (False, NOT_MET)])
    def test_an_answer_settles_what_the_chart_leaves_open(self, answer: bool, expected: tuple[str, bool]) -> None:
        assert outcome(self.rule, chart(answers=[answered("ill", answer)])) == expected

    @pytest.mark.parametrize(("answer", "expected"), [(True, MET), (False, NOT_MET)])
    def test_an_answer_takes_the_place_of_an_assumption(self, answer: bool, expected: tuple[str, bool]) -> None:
        assert outcome(self.exclusion, chart(answers=[answered("well", answer)])) == expected

    def test_where_the_chart_decides_it_is_followed_and_both_are_shown(self) -> None:
        found = judged(self.exclusion, chart(said("illness", name="Condition/c1"), answers=[answered("well", True)]))
        assert found.outcome.value == "not-met"
        assert set(references(found.evidence)) == {"Condition/c1", "QuestionnaireResponse/q1"}
        assert "the chart is followed" in found.reason

    def test_an_answer_that_agrees_with_the_chart_is_shown_too(self) -> None:
        found = judged(self.rule, chart(said("illness", name="Condition/c1"), answers=[answered("ill", True)]))
        assert found.outcome.value == "met"
        assert len(found.evidence) == 2

    @pytest.mark.parametrize(
        ("on", "expected"),
        [
            ("2026-05-02", MET),
            ("2026-05-01", OPEN),
            ("2026-05-01/2026-05-31", OPEN),
            (None, OPEN),
        ],
    )
    def test_an_answer_must_be_dated_and_fresh(self, on: str | None, expected: tuple[str, bool]) -> None:
        assert outcome(self.rule, chart(answers=[answered("ill", True, on)])) == expected

    def test_an_answer_without_a_limit_never_grows_stale(self) -> None:
        document = policy(self.rule, questions={"ill": Question("ill", "Ill?")})
        facts = chart(answers=[answered("ill", True, "1999-01-01")])
        assert evaluate(document, facts).outcome.value == "met"

    def test_the_newest_answer_counts(self) -> None:
        answers = [answered("ill", True, "2026-09-01", "old"), answered("ill", False, "2026-10-01", "new")]
        found = judged(self.rule, chart(answers=answers))
        assert found.outcome.value == "not-met"
        assert references(found.evidence) == ["QuestionnaireResponse/new"]
        assert "2026-10-01" in found.reason

    def test_two_answers_of_one_day_that_disagree_are_a_conflict(self) -> None:
        found = judged(self.rule, chart(answers=disagreeing("ill")))
        assert (found.outcome.value, found.conflict, len(found.evidence)) == ("undocumented", True, 2)

    def test_two_answers_that_disagree_do_not_undo_what_the_chart_decides(self) -> None:
        found = judged(self.rule, chart(said("illness"), answers=disagreeing("ill")))
        assert (found.outcome.value, found.conflict, len(found.evidence)) == ("met", False, 3)

    def test_an_answer_settles_evidence_both_ways(self) -> None:
        rule = criterion(
            met_when=Diagnosis(value_set=("illness",), other=("health",), beside=("health",)), question="ill"
        )
        both = [said("illness"), said("health")]
        assert judged(rule, chart(*both)).conflict
        settled = judged(rule, chart(*both, answers=[answered("ill", True)]))
        assert (settled.outcome.value, settled.conflict) == ("met", False)

    def test_an_answer_to_another_question_is_none(self) -> None:
        assert outcome(self.rule, chart(answers=[answered("other", True)])) == OPEN

    def test_an_answer_settles_what_only_a_person_can(self) -> None:
        rule = criterion(met_when=Attested(), question="ill")
        assert outcome(rule, chart()) == OPEN
        assert outcome(rule, chart(answers=[answered("ill", True)])) == MET

    def test_what_an_answer_settles_is_told_from_what_the_chart_says(self) -> None:
        assert judged(self.rule, chart(answers=[answered("ill", True)])).attested
        assert judged(self.rule, chart(answers=[answered("ill", False)])).attested
        assert not judged(self.rule, chart(answers=disagreeing("ill"))).attested
        assert not judged(self.rule, chart(said("illness"), answers=[answered("ill", True)])).attested
        assert not judged(self.rule, chart(said("illness"))).attested
        assert not judged(self.rule, chart()).attested


def disagreeing(question: str) -> Collection[Attestation]:
    return [answered(question, True, name="yes"), answered(question, False, name="no")]


class TestResult:
    def test_it_carries_what_the_card_shows(self) -> None:
        rule = criterion("I.C", met_when=ILL, question="ill", assumes=("one", "two"))
        found = judged(rule, chart())
        assert (found.id, found.label, found.text) == ("I.C", "label of I.C", "Text of I.C.")
        assert (found.settled_by, found.question) == ("What settles I.C.", "ill")
        assert found.assumptions == ("Reading one.", "Reading two.")

    def test_evidence_by_an_unverified_code_is_an_assumption(self) -> None:
        found = judged(REQUIRES, chart(said("illness", unverified=frozenset({"illness"}))))
        assert len(found.assumptions) == 1
        assert "not verified" in found.assumptions[0]

    def test_a_value_set_that_the_criterion_does_not_read_is_not_named(self) -> None:
        found = judged(REQUIRES, chart(said({"illness", "other"}, unverified=frozenset({"other"}))))
        assert found.assumptions == ()

    def test_a_conflict_is_one_only_while_it_is_open(self) -> None:
        rule = criterion(met_when=Diagnosis(value_set=("illness",), other=("health",), beside=("health",)))
        assert judged(rule, chart(said("illness"), said("health"))).conflict


class TestAssessment:
    A, B = criterion("A", met_when=ILL), criterion("B", met_when=CAUTION)

    def test_the_logic_over_the_letters_gives_the_outcome(self) -> None:
        either = policy(self.A, self.B, requires=Joined("any", (Letter("A"), Letter("B"))))
        both = policy(self.A, self.B)
        assert evaluate(either, chart(said("caution"))).outcome.value == "met"
        assert evaluate(both, chart(said("caution"))).outcome.value == "undocumented"

    def test_every_letter_of_the_section_is_there_in_the_order_of_the_policy(self) -> None:
        document = policy(self.A, self.B, requires=Joined("all", (Letter("B"), Letter("A"))))
        assert [result.id for result in evaluate(document, chart()).results] == ["A", "B"]

    def test_a_therapy_that_the_policy_does_not_judge_is_a_mistake_of_the_caller(self) -> None:
        with pytest.raises(ValueError, match="P1 does not judge axi-cel"):
            evaluate(policy(self.A), chart(order=ordered("axi-cel")))

    def test_conflicts_are_shown_where_they_concern_the_therapy(self) -> None:
        conflicts = (Conflict("always"), Conflict("here", frozenset({"donislecel"})), Conflict("no", frozenset({"x"})))
        assert evaluate(policy(self.A, conflicts=conflicts), chart()).conflicts == ("always", "here")

    @pytest.mark.parametrize(
        ("notice", "shown"),
        [
            (Notice("n"), True),
            (Notice("n", line="medicare"), False),
            (Notice("n", line="medicaid"), True),
            (Notice("n", therapies=frozenset({"donislecel"})), True),
            (Notice("n", therapies=frozenset({"axi-cel"})), False),
            (Notice("n", codes=frozenset({"J3590", "C9399"})), True),
            (Notice("n", codes=frozenset({"S2107"})), False),
            (Notice("n", under_age=21), True),
            (Notice("n", under_age=20), False),
        ],
    )
    def test_notices_are_shown_where_they_belong(self, notice: Notice, shown: bool) -> None:
        facts = chart(order=ordered(codes=["J3590"]), born="2006-01-01")
        line: Line = "medicaid"
        assert (evaluate(policy(self.A, notices=(notice,)), facts, line).notices == ("n",)) == shown

    def test_a_notice_for_the_young_needs_a_birth_date(self) -> None:
        document = policy(self.A, notices=(Notice("n", under_age=21),))
        assert evaluate(document, chart(born=None)).notices == ()
