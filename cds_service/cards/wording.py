"""Every sentence of a card that is not a policy's own: summary, headings, notices. Plain words, no text of the EHR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cds_service.policy.document import Assessment, CriterionResult
from cds_service.policy.evaluate import RECORD_NAMES
from cds_service.policy.outcome import Outcome
from fhir_mappings.chart import ALWAYS_NEEDED, NOT_SENT
from fhir_mappings.facts import Facts, Records

SUMMARY_LIMIT = 139
"""CDS Hooks: a summary has fewer than 140 characters."""

HEADINGS = {
    Outcome.NOT_MET: "Not met",
    Outcome.UNDOCUMENTED: "Not documented",
    Outcome.MET: "Met",
}
ADVICE = "This compares the chart with the policy. It is advice; the payer decides."
_ARTICLES = frozenset({"The", "An", "A"})
DECEASED = "The patient is recorded as deceased."


def summary(therapy: str, payer: str, policy: str, assessment: Assessment) -> str:
    """Return one sentence: the therapy, whose policy, and what is missing, as far as it fits."""
    not_met = [r.label for r in assessment.results if r.outcome is Outcome.NOT_MET]
    missing = [r.label for r in assessment.results if r.outcome is Outcome.UNDOCUMENTED]
    lead = f"{therapy}, {payer} {policy}: "
    if not not_met and not missing:
        attested = sum(r.attested for r in assessment.results)
        how = f", {attested} of them by attestation" if attested else " by the chart"
        return _cut(f"{lead}all {len(assessment.results)} criteria are met{how}")
    if assessment.outcome is Outcome.MET:
        return _cut(f"{lead}met; one alternative is not documented")
    return _fit(lead, [("not met: ", not_met), ("not documented: ", missing)])


def elsewhere_summary(therapy: str, document: str) -> str:
    """Return the summary of a card that only points to another document."""
    first, _, rest = document.partition(" ")
    named = f"{first.lower()} {rest}" if first in _ARTICLES else document  # some are named by words, most by an id
    return _cut(f"{therapy}: criteria not checked here; see {named}")


def unchecked_summary(therapy: str, payer: str, policy: str) -> str:
    """Return the summary of a card for a policy that could not be evaluated."""
    return _cut(f"{therapy}, {payer} {policy}: could not be checked; check the criteria by hand")


def _fit(lead: str, parts: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return the lead and as many names of each part as fit, the rest of them counted."""
    shown = [len(names) for _, names in parts]
    while True:
        text = lead + "; ".join(_part(word, names, n) for (word, names), n in zip(parts, shown, strict=True) if names)
        if len(text) <= SUMMARY_LIMIT or max(shown) == 0:
            return _cut(text)
        shown[_longest_from_the_end(shown)] -= 1


def _longest_from_the_end(shown: Sequence[int]) -> int:
    return max(range(len(shown)), key=lambda i: (shown[i], i))


def _part(word: str, names: Sequence[str], shown: int) -> str:
    rest = len(names) - shown
    if shown == 0:
        return f"{word}{rest} {'criterion' if rest == 1 else 'criteria'}"
    return word + ", ".join(names[:shown]) + (f", {rest} more" if rest else "")


def _cut(text: str) -> str:
    return text if len(text) <= SUMMARY_LIMIT else text[: SUMMARY_LIMIT - 1].rstrip() + "…"


def fact_notices(facts: Facts, results: Iterable[CriterionResult], needed: frozenset[Records]) -> list[str]:
    """Return what the reader must know about the chart itself: what was not supplied, and what could not be read."""
    found = [DECEASED] if facts.deceased else []
    found += missing_notices(facts.missing, needed)
    if any(r.assumed for r in results):
        found.append("Criteria marked as assumed rest on records that were supplied and show nothing against them.")
    return found


def missing_notices(missing: Mapping[Records, str], needed: frozenset[Records] = frozenset()) -> list[str]:
    """Return what could not be had of the records that an order needs (patient and coverage always), by the reason."""
    names: dict[str, list[str]] = {}
    for record, reason in missing.items():
        if record in needed or record in ALWAYS_NEEDED:
            names.setdefault(reason, []).append(RECORD_NAMES[record])
    leads = {reason: "Not sent" if reason == NOT_SENT else f"Not available, {reason}" for reason in names}
    return [f"{leads[why]}: {', '.join(of_it)}. What they would show is not known." for why, of_it in names.items()]
