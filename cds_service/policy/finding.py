"""What one check found: its truth, why, and the evidence; and how the findings of several checks are folded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cds_service.policy.outcome import Outcome, all_of, any_of, opposite
from fhir_mappings.facts import Evidence, Statement

_NONE = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Finding:
    """The truth of a check, with its reason in our words (numbers and dates of the chart, no text of the EHR)."""

    outcome: Outcome
    reason: str
    evidence: tuple[Evidence, ...] = ()
    silent: bool = False
    """Undocumented because nothing at all was found: an exclusion may then be assumed absent (the silence rule)."""
    conflict: bool = False
    """Undocumented because the evidence points both ways."""
    unverified: frozenset[str] = _NONE
    """Value sets through which evidence was found only by a code that is not verified."""

    def towards(self, outcome: Outcome) -> Finding:
        """Return the same finding with another outcome."""
        return Finding(outcome, self.reason, self.evidence, self.silent, self.conflict, self.unverified)

    def saying(self, reason: str) -> Finding:
        """Return the same finding with another reason."""
        return Finding(self.outcome, reason, self.evidence, self.silent, self.conflict, self.unverified)


def holds(reason: str, found: Iterable[Statement] = ()) -> Finding:
    """Return the finding that the check is true, by these statements."""
    return _finding(Outcome.MET, reason, found)


def fails(reason: str, found: Iterable[Statement] = ()) -> Finding:
    """Return the finding that the check is false, by these statements."""
    return _finding(Outcome.NOT_MET, reason, found)


def unclear(reason: str, found: Iterable[Statement] = (), *, conflict: bool = False) -> Finding:
    """Return the finding that something stands in the chart that does not settle the check."""
    return _finding(Outcome.UNDOCUMENTED, reason, found, conflict=conflict)


def nothing(reason: str) -> Finding:
    """Return the finding that the chart is silent."""
    return Finding(Outcome.UNDOCUMENTED, reason, silent=True)


def _finding(outcome: Outcome, reason: str, found: Iterable[Statement], *, conflict: bool = False) -> Finding:
    statements = tuple(found)
    evidence = in_order([s.evidence for s in statements])
    return Finding(outcome, reason, evidence, conflict=conflict, unverified=_together(s.unverified for s in statements))


def _together(unverified: Iterable[frozenset[str]]) -> frozenset[str]:
    named = [names for names in unverified if names]
    return _NONE.union(*named) if named else _NONE


def in_order(evidence: Collection[Evidence]) -> tuple[Evidence, ...]:
    """Return the evidence newest first, then by reference, each once."""
    if len(evidence) < 2:
        return tuple(evidence)
    by_reference = sorted(dict.fromkeys(evidence), key=lambda e: (e.reference, e.display or ""))
    return tuple(sorted(by_reference, key=lambda e: e.date or "", reverse=True))


def negated(finding: Finding) -> Finding:
    """Return the finding for the opposite statement."""
    return finding.towards(opposite(finding.outcome))


def fold_all(findings: Sequence[Finding]) -> Finding:
    """Return the conjunction of the findings; its reason is that of the findings that decide it."""
    return _fold(findings, all_of(f.outcome for f in findings))


def fold_any(findings: Sequence[Finding]) -> Finding:
    """Return the disjunction of the findings; its reason is that of the findings that decide it."""
    return _fold(findings, any_of(f.outcome for f in findings))


def first_documented(findings: Sequence[Finding]) -> Finding:
    """Return the first finding that decides; when none does, what is known about the matter at all."""
    for finding in findings:
        if finding.outcome is not Outcome.UNDOCUMENTED:
            return finding
    return _fold(findings, Outcome.UNDOCUMENTED)


def _fold(findings: Sequence[Finding], outcome: Outcome) -> Finding:
    is_open = outcome is Outcome.UNDOCUMENTED
    deciding = [f for f in findings if f.outcome is outcome]
    spoken = [f for f in deciding if not f.silent]
    shown = findings if is_open else deciding
    return Finding(
        outcome,
        " ".join(dict.fromkeys([f.reason for f in spoken or deciding])),
        in_order([e for f in shown for e in f.evidence]),
        silent=is_open and not spoken,
        conflict=is_open and any(f.conflict for f in deciding),
        unverified=_together(f.unverified for f in shown),
    )
