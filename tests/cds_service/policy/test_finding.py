"""Findings: evidence in order, and what a fold keeps of its parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

from cds_service.policy.finding import (
    Finding,
    fails,
    first_documented,
    fold_all,
    fold_any,
    holds,
    in_order,
    negated,
    nothing,
    unclear,
)
from cds_service.policy.outcome import Outcome, all_of, any_of, opposite
from fhir_mappings.facts import Evidence
from tests.cds_service.policy.charts import references, said

TRUE = holds("It is so.", [said("a", "2026-01-01", name="Condition/true")])
FALSE = fails("It is not so.", [said("a", "2026-02-01", name="Condition/false")])
OPEN = unclear("It is open.", [said("a", "2026-03-01", name="Condition/open")])
SILENT = nothing("Nothing found.")
CONFLICT = unclear("Both.", [said("a", "2026-04-01", name="Condition/both")], conflict=True)
KINDS = (TRUE, FALSE, OPEN, SILENT, CONFLICT)

folds = pytest.mark.parametrize(("fold", "of"), [(fold_all, all_of), (fold_any, any_of)])
Fold = Callable[[Sequence[Finding]], Finding]
Of = Callable[[Sequence[Outcome]], Outcome]


def test_evidence_comes_newest_first_then_by_reference_each_once_undated_last() -> None:
    older, newer = Evidence("B", date="2025-01-01"), Evidence("C", date="2026-01-01")
    undated, same_day = Evidence("A"), Evidence("A", date="2025-01-01")
    assert in_order([older, undated, newer, same_day, older]) == (newer, same_day, older, undated)


def test_a_finding_names_the_value_sets_that_rest_on_unverified_codes() -> None:
    found = holds("", [said("a", unverified=frozenset({"a"})), said("b", unverified=frozenset({"b"}))])
    assert found.unverified == {"a", "b"}


def test_only_silence_is_silent_and_only_a_conflict_is_a_conflict() -> None:
    assert [f.silent for f in KINDS] == [False, False, False, True, False]
    assert [f.conflict for f in KINDS] == [False, False, False, False, True]
    assert [f.outcome.value for f in KINDS] == ["met", "not-met", "undocumented", "undocumented", "undocumented"]


@pytest.mark.parametrize("finding", KINDS)
def test_negating_turns_the_outcome_and_keeps_the_rest(finding: Finding) -> None:
    turned = negated(finding)
    assert turned.outcome is opposite(finding.outcome)
    assert negated(turned) == finding


@folds
@pytest.mark.parametrize("findings", list(itertools.product(KINDS, repeat=2)))
def test_a_fold_has_the_outcome_of_the_logic(fold: Fold, of: Of, findings: tuple[Finding, ...]) -> None:
    assert fold(findings).outcome is of([f.outcome for f in findings])


@folds
@pytest.mark.parametrize("findings", list(itertools.product(KINDS, repeat=2)))
def test_a_fold_is_silent_only_when_all_that_leaves_it_open_is_silent(
    fold: Fold, of: Of, findings: tuple[Finding, ...]
) -> None:
    folded = fold(findings)
    open_parts = [f for f in findings if f.outcome is Outcome.UNDOCUMENTED]
    is_open = folded.outcome is Outcome.UNDOCUMENTED
    assert folded.silent == (is_open and all(f.silent for f in open_parts))
    assert folded.conflict == (is_open and any(f.conflict for f in open_parts))


def test_a_decided_fold_shows_what_decided_it() -> None:
    folded = fold_all([TRUE, FALSE, OPEN])
    assert (folded.reason, references(folded.evidence)) == ("It is not so.", ["Condition/false"])
    folded = fold_any([TRUE, FALSE, OPEN])
    assert (folded.reason, references(folded.evidence)) == ("It is so.", ["Condition/true"])


def test_an_open_fold_shows_all_evidence_and_says_what_leaves_it_open() -> None:
    folded = fold_all([TRUE, OPEN, SILENT])
    assert folded.reason == "It is open."
    assert references(folded.evidence) == ["Condition/open", "Condition/true"]


def test_a_silent_fold_says_once_what_was_not_found() -> None:
    assert fold_all([SILENT, SILENT, nothing("Nor that.")]).reason == "Nothing found. Nor that."


def test_a_fold_keeps_the_unverified_value_sets_of_what_it_shows() -> None:
    weak = holds("", [said("a", unverified=frozenset({"a"}))])
    assert fold_any([weak, FALSE]).unverified == {"a"}
    assert fold_all([weak, FALSE]).unverified == frozenset()


def test_the_first_finding_that_decides_is_taken() -> None:
    assert first_documented([SILENT, OPEN, FALSE, TRUE]) == FALSE
    assert first_documented([TRUE, FALSE]) == TRUE


def test_when_none_decides_all_that_is_known_is_kept() -> None:
    folded = first_documented([SILENT, OPEN, CONFLICT])
    assert folded.outcome is Outcome.UNDOCUMENTED
    assert (folded.silent, folded.conflict) == (False, True)
    assert references(folded.evidence) == ["Condition/both", "Condition/open"]
    assert first_documented([SILENT, SILENT]).silent
