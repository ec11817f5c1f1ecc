"""What a person's answers do to a criterion: which of them count, and what they settle. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from cds_service.policy.document import PolicyDocument, Question
from cds_service.policy.finding import Finding, in_order
from cds_service.policy.outcome import Outcome
from cds_service.policy.questions import is_of
from cds_service.policy.windows import EVER, day_in_words, months_before
from fhir_mappings.facts import Attestation, DateRange, Facts

NO_CLINICIANS = frozenset({"Device", "Patient", "RelatedPerson"})
"""Types of author whose answers settle nothing; a response that names nobody is taken as a clinician's."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one question."""

    counted: tuple[Attestation, ...] = ()
    set_aside: tuple[str, ...] = ()
    """Why others do not count, as sentences."""


NO_ANSWERS = Answers()


def answers(name: str, document: PolicyDocument, facts: Facts, since: date | None) -> Answers:
    """Return the answers to a question of the policy; ``since`` is the first day of the label that it is about."""
    if not facts.attestations:
        return NO_ANSWERS
    question, counted, set_aside = document.questions[name], [], []
    for attestation in facts.attestations:
        if attestation.question != name or not is_of(attestation.questionnaire, document, facts.order.therapy):
            continue
        why_not = _why_not(attestation, question, facts, since)
        if why_not is None:
            counted.append(attestation)
        else:
            set_aside.append(why_not)
    return Answers(tuple(counted), tuple(dict.fromkeys(set_aside)))


def _why_not(attestation: Attestation, question: Question, facts: Facts, since: date | None) -> str | None:
    if attestation.when is None:
        stated = attestation.evidence.date
        return f"An answer {f'of {stated}, a day to come,' if stated else 'without a date'} does not count."
    because = _of_another_order(attestation, question, facts.order.reference) or _because(
        attestation, attestation.when, question, facts.as_of, since
    )
    return because and f"An answer of {day_in_words(attestation.when)} does not count: {because}."


def _of_another_order(attestation: Attestation, question: Question, reference: str) -> str | None:
    if question.about != "order" or not attestation.orders or reference in attestation.orders:
        return None
    named = next((order for order in attestation.orders if order), None)
    return f"it was given for another order, {named}" if named else "for which order it was given cannot be told"


def _because(
    attestation: Attestation, when: DateRange, question: Question, as_of: date, since: date | None
) -> str | None:
    if attestation.author is not None and attestation.author.partition("/")[0] in NO_CLINICIANS:
        return "no clinician gave it"
    if when.first < _start(question.within_months, as_of):
        return f"it is older than {question.within_months} months"
    if since is not None and when.first < since:
        return f"it was given before the label of {since}"
    asked, happened = question.date, attestation.happened
    if asked is not None and attestation.unread_day:
        return "the day that it gives cannot be read"
    if asked is not None and happened is not None and not happened.within(_start(asked.within_months, as_of), as_of):
        return f"it gives {day_in_words(happened)} as the day, which is not within the time that counts"
    return None


def _start(months: int | None, as_of: date) -> date:
    return EVER if months is None else months_before(as_of, months)


def settled(finding: Finding, assumed: bool, found: Answers) -> tuple[Finding, bool]:
    """Let an answer settle what the chart leaves open; where the chart decides, it wins and both are shown."""
    if not (found.counted or found.set_aside):
        return finding, assumed
    is_open = finding.outcome is Outcome.UNDOCUMENTED or assumed
    last = _last(found.counted)
    if not last:
        if is_open and found.set_aside:
            finding = finding.saying(" ".join([finding.reason, *found.set_aside]))
        return finding, assumed
    newest = max(map(_day, last))
    latest = [a for a in found.counted if a in last or _day(a) >= newest]
    evidence = in_order([*finding.evidence, *(a.evidence for a in latest)])
    if len({a.answer for a in last}) > 1:
        reason = f"{finding.reason} Two attestations of one day ({newest}) disagree."
        if not is_open:
            return replace(finding, reason=f"{reason} The chart is followed.", evidence=evidence), False
        return Finding(Outcome.UNDOCUMENTED, reason, evidence, conflict=True), False
    found_last = _by(last[0].answer, newest, replace(finding, evidence=evidence), is_open=is_open)
    others = [a for a in latest if a.answer is not last[0].answer]
    if is_open and others:
        of_day = " of that day" if all(_day(a) == newest for a in others) else ""
        found_last = replace(found_last, reason=f"{found_last.reason} An earlier answer{of_day} says otherwise.")
    return found_last, False


def _last(counted: Sequence[Attestation]) -> list[Attestation]:
    """Return the newest answers: by their moments; by its day where an answer does not say at what time it was given.

    Those without a moment stand beside the last of that day, as nobody knows which of them came first.
    """
    latest = max((a.at for a in counted if a.at), default=None)
    timed = [a for a in counted if a.at and a.at == latest]
    untimed = [a for a in counted if a.at is None]
    newest = max(map(_day, [*timed, *untimed]), default=None)
    last = timed if any(_day(a) == newest for a in timed) else []
    return [*last, *(a for a in untimed if _day(a) == newest)]


def _day(attestation: Attestation) -> date:
    return attestation.when.last if attestation.when else date.min


def _by(confirmed: bool, newest: date, finding: Finding, *, is_open: bool) -> Finding:
    answer = Outcome.MET if confirmed else Outcome.NOT_MET
    if is_open:
        said = "confirmed" if confirmed else "denied"
        return replace(finding, outcome=answer, reason=f"Attested on {newest}: {said}.")
    if answer is not finding.outcome:
        reason = f"{finding.reason} An attestation of {newest} says otherwise; the chart is followed."
        return replace(finding, reason=reason)
    return finding
