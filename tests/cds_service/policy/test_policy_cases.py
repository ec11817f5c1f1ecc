"""Every sentence of ``policy_cases`` is true of the shipped policies, and no letter goes without its cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from cds_service.policy.document import CriterionResult
from cds_service.proof import BadCaseError
from tests.cds_service.policy.cases import OUTCOMES, Case, CaseFile, all_cases, assess, case_files, document
from tests.cds_service.policy.chart_lines import concept

COMPLETE = ("CP.MP.101_2023-02-01", "CP.MP.250_2025-10-01", "THP-ISLET_2026-01-24")


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in all_cases()])
def test_case(case: Case, record_property: Callable[[str, object], None]) -> None:
    assessment = assess(case, document(case.document))
    results = {result.id: result for result in assessment.results}
    found = {name: results[name].outcome.value if name != "overall" else None for name in case.expect}
    if "overall" in found:
        found["overall"] = assessment.outcome.value
    assert found == case.expect, {name: results[name].reason for name in case.expect if name in results}
    if case.letter:
        _says(case, results[case.letter])
        record_property("policy letter", (assessment.document.id, case.letter, case.expect[case.letter]))
    told = (*assessment.notices, *assessment.conflicts)
    assert [phrase for phrase in case.given.get("says", []) if not any(phrase in text for text in told)] == []
    assert [phrase for phrase in case.given.get("does_not_say", []) if any(phrase in text for text in told)] == []


def _says(case: Case, result: CriterionResult) -> None:
    assert result.assumed == (case.given.get("assumed") == "true"), result.reason
    assert result.conflict == (case.given.get("conflict") == "true"), result.reason
    assert case.given.get("because", "") in result.reason


def _tried(found: CaseFile) -> Counter[tuple[str, str]]:
    return Counter((case.letter, case.expect[case.letter]) for case in found.cases if case.letter)


@pytest.mark.parametrize("found", [pytest.param(found, id=found.document) for found in case_files()])
def test_every_letter_has_a_case_for_each_outcome_or_a_reason_why_it_cannot_have_one(found: CaseFile) -> None:
    letters = found.only or tuple(document(found.document).criteria)
    tried = _tried(found)
    for letter in letters:
        for outcome in OUTCOMES:
            excused = found.cannot.get(letter, {}).get(outcome)
            assert bool(tried[letter, outcome]) != bool(excused), f"{letter} {outcome}: one case or one reason"


@pytest.mark.parametrize("stem", sorted({found.document for found in case_files()}))
def test_the_files_of_a_policy_leave_no_letter_out_together(stem: str) -> None:
    every = set(document(stem).criteria)
    complete = [set(found.only) or every for found in case_files() if found.document == stem]
    assert set[str]().union(*complete) == every


@pytest.mark.parametrize("stem", COMPLETE)
def test_a_complete_policy_leaves_no_letter_out(stem: str) -> None:
    assert not next(found for found in case_files() if found.document == stem).only


@pytest.mark.parametrize("found", [pytest.param(found, id=found.document) for found in case_files()])
def test_a_reason_is_given_only_for_letters_of_the_policy(found: CaseFile) -> None:
    assert set(found.cannot) <= set(document(found.document).criteria)


def test_no_two_cases_have_the_same_sentence() -> None:
    assert [name for name, count in Counter(case.id for case in all_cases()).items() if count > 1] == []


def test_an_answer_to_a_question_that_the_policy_does_not_ask_proves_nothing() -> None:
    case = all_cases()[0]
    answered = replace(case, given={**case.given, "attested": {"no-such-question": "yes"}})
    with pytest.raises(BadCaseError, match="are no questions of"):
        assess(answered, document(case.document))


@pytest.mark.parametrize("written", ["E10.64l", "3824O", "J359", "73539-001", "e10.9 type 1 diabetes"])
def test_a_misspelt_code_is_not_taken_for_words(written: str) -> None:
    with pytest.raises(BadCaseError, match="begins like a code"):
        concept(written)
