"""Holding a policy against facts: silence, judgement, attestation and the logic over the letters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from cds_service.policy.attested import answers, settled
from cds_service.policy.document import (
    Assessment,
    Criterion,
    CriterionResult,
    Line,
    PolicyDocument,
    outcome_of,
)
from cds_service.policy.finding import Finding, in_order, negated, nothing
from cds_service.policy.label import NO_LABELS, Labels
from cds_service.policy.labelled import boxed_warnings, labelled
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import age_on
from fhir_mappings.facts import Facts, Records

Silence = Literal["standard", "strict"]

RECORD_NAMES: dict[Records, str] = {
    "patient": "the patient record",
    "coverage": "the coverage",
    "conditions": "the conditions",
    "medication-requests": "the medication orders",
    "procedures": "the procedures",
    "observations": "the observations",
    "goals": "the goals",
    "service-requests": "the service orders",
    "medication-administrations": "the medication administrations",
    "questionnaire-responses": "the questionnaire responses",
}


def evaluate(
    document: PolicyDocument,
    facts: Facts,
    line: Line | None = None,
    silence: Silence = "standard",
    labels: Labels = NO_LABELS,
) -> Assessment:
    """Return the assessment of the order in ``facts`` by the document's section for its therapy.

    Raises ValueError when the document has no section for the therapy: routing decides that before.
    """
    section = document.section_for(facts.order.therapy)
    if section is None:
        raise ValueError(f"{document.id} does not judge {facts.order.therapy}")
    applicable = document.applicable(facts.order.therapy)
    results = tuple(judge(criterion, facts, document, silence, labels) for criterion in applicable)
    warnings = boxed_warnings(facts, labels) if any(c.from_label for c in applicable) else ()
    by_letter = {result.id: result.outcome for result in results}
    return Assessment(
        document,
        outcome_of(section.requires, by_letter.__getitem__),
        results,
        (*notices(document, facts, line), *warnings),
        tuple(c.text for c in document.conflicts if c.therapies is None or facts.order.therapy in c.therapies),
    )


def notices(document: PolicyDocument, facts: Facts, line: Line | None) -> tuple[str, ...]:
    """Return the document's notices that belong on this card."""
    codes = frozenset(c.code for c in facts.order.codes)
    age = age_on(facts.birth.last, facts.as_of) if facts.birth else None
    found = tuple(n.text for n in document.notices if n.applies(facts.order.therapy, line, codes, age))
    asked = document.product_code
    return (*found, asked.text) if asked and asked.instead_of & codes else found


def judge(
    criterion: Criterion, facts: Facts, document: PolicyDocument, silence: Silence, labels: Labels = NO_LABELS
) -> CriterionResult:
    """Return what the facts say about one criterion, towards coverage."""
    ready = labelled(criterion, facts, document, labels)
    criterion = ready.criterion
    if ready.finding is not None:
        finding, assumed = ready.finding, False
    elif criterion.met_when is not None:
        finding, assumed = criterion.met_when.evaluate(facts), False
    else:
        finding, assumed = _exclusion(criterion, facts, silence)
    if finding.silent and finding.outcome is Outcome.UNDOCUMENTED:
        finding = finding.saying(_with_missing(finding.reason, criterion, facts))
    was_open = finding.outcome is Outcome.UNDOCUMENTED or assumed
    if criterion.question:
        finding, assumed = settled(finding, assumed, answers(criterion.question, document, facts, ready.first_day))
    return CriterionResult(
        criterion.id,
        criterion.label,
        criterion.text,
        finding.outcome,
        finding.reason,
        criterion.settled_by,
        finding.evidence,
        assumed,
        finding.conflict and finding.outcome is Outcome.UNDOCUMENTED,
        (*ready.assumptions, *_unverified(criterion, finding)),
        criterion.question,
        was_open and not assumed and finding.outcome is not Outcome.UNDOCUMENTED,
    )


def _exclusion(criterion: Criterion, facts: Facts, silence: Silence) -> tuple[Finding, bool]:
    """Return the finding of an excluding criterion, towards coverage, and whether it rests on silence."""
    excluded = criterion.excluded_when.evaluate(facts) if criterion.excluded_when else nothing("")
    if not excluded.silent and excluded.outcome is not Outcome.NOT_MET:
        return negated(excluded), False
    review = criterion.review_when.evaluate(facts) if criterion.review_when else nothing("")
    if not review.silent and review.outcome is not Outcome.NOT_MET:
        named = f"{review.reason} This is for a reviewer: a record alone does not decide it."
        return review.towards(Outcome.UNDOCUMENTED).saying(named), False
    # what a reviewer would be shown is not ruled out by a false exclusion: it rests on the records
    if excluded.outcome is Outcome.NOT_MET and not (criterion.review_when and review.silent and criterion.silence):
        return negated(excluded), False
    reason = " ".join(r for r in (excluded.reason, review.reason) if r)
    evidence = in_order([*excluded.evidence, *review.evidence])
    return _silence(Finding(Outcome.UNDOCUMENTED, reason, evidence, silent=True), criterion, facts, silence)


def _silence(finding: Finding, criterion: Criterion, facts: Facts, silence: Silence) -> tuple[Finding, bool]:
    if not facts.supplied.issuperset(criterion.silence) or silence == "strict":
        return finding, False
    supplied = _listed(criterion.silence) or "the order"
    verb = "was" if criterion.silence in {(), ("patient",), ("coverage",)} else "were"
    reason = f"{finding.reason} Assumed absent: {supplied} {verb} supplied."
    return Finding(Outcome.MET, reason, finding.evidence), True


def _with_missing(reason: str, criterion: Criterion, facts: Facts) -> str:
    if criterion.records.isdisjoint(facts.missing):
        return reason
    lacking: dict[str, list[Records]] = {}
    for record in RECORD_NAMES:
        if record in criterion.records and record in facts.missing:
            lacking.setdefault(facts.missing[record], []).append(record)
    sentences = [f"Not available ({why}): {_listed(records)}." for why, records in lacking.items()]
    return " ".join([reason, *sentences]).strip()


def _unverified(criterion: Criterion, finding: Finding) -> Iterable[str]:
    """Return what a reader must know about the codes that led to the evidence."""
    if not finding.unverified:
        return ()
    return [
        f"Found by a code of the value set {name} that was not verified against a published source."
        for name in sorted(finding.unverified & criterion.value_sets)
    ]


def _listed(records: Sequence[Records]) -> str:
    names = [RECORD_NAMES[record] for record in records]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
