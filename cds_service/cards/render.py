"""Assessments to CDS Hooks 2.0 cards: summary, detail as lists, links, and the assessment as data. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from cds_service.cards import wording
from cds_service.cards.assessment import ASSESSMENT
from cds_service.cards.plain import code_span, evidence_json, plain, span
from cds_service.policy.document import Assessment, CriterionResult, PolicyDocument
from cds_service.policy.outcome import Outcome
from cds_service.routing import Elsewhere, Selected
from fhir_mappings.facts import Facts, Order, Records, Unreadable

TOPIC_SYSTEM = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
"""The card types of Da Vinci CRD 2.0 and 2.1, when an answer is for no other version."""
TOPICS = {"guideline": "Guideline", "claim": "Claim"}
"""The card types that are used, with their names."""
_ORDER = (Outcome.NOT_MET, Outcome.UNDOCUMENTED, Outcome.MET)
_MOST_NAMED = 5


def no_extension(order: str) -> Mapping[str, Any]:  # noqa: ARG001 - one of several ways to say something of it
    """Return nothing to say about an order."""
    return {}


@dataclass(frozen=True, slots=True)
class Context:
    """What every card of one answer needs: the service's own URL, and where new uuids come from."""

    base_url: str
    new_id: Callable[[], str]
    therapy_name: Callable[[str], str]
    payer_name: Callable[[str], str]
    topic_system: str = TOPIC_SYSTEM
    override_reasons: Sequence[Mapping[str, str]] = ()
    about: Callable[[str], Mapping[str, Any]] = no_extension
    """What a card about one order says of it for programs, as members of its extension; by the order's reference."""
    smart: bool = False
    """Whether the client launches our form as a SMART app."""

    def source(self, label: str, topic: str) -> dict[str, Any]:
        """Return the source of a card: the payer's name as people know it, and the card's type."""
        coding = {"system": self.topic_system, "code": topic, "display": TOPICS[topic]}
        return {"label": label, "url": self.base_url, "topic": coding}


def assessed(selected: Selected, assessment: Assessment, facts: Facts, context: Context) -> dict[str, Any]:
    """Return the card of an order that was held against a policy."""
    document, therapy = selected.document, context.therapy_name(facts.order.therapy)
    issuer = context.payer_name(document.payer)
    notices = [*selected.notices, *assessment.notices, *_chart_notices(facts, assessment.results, document)]
    results = [_Shown(result, [evidence_json(e) for e in result.evidence]) for result in assessment.results]
    detail = [
        _header(facts, therapy, f"{document.id}, {document.title} ({issuer}, from {document.effective_from})"),
        *_criteria_lists(results),
        *_list("Assumptions", (a for r in assessment.results for a in r.assumptions)),
        *_list("The policy disagrees with itself", assessment.conflicts),
        *_list("Notices", notices),
        wording.ADVICE,
    ]
    extension = {
        **_order(facts),
        "policy": _policy(document, issuer),
        "basis": selected.basis,
        "outcome": assessment.outcome.value,
        "criteria": [_criterion(shown) for shown in results],
        "notices": notices,
        "conflicts": list(assessment.conflicts),
    }
    summary = wording.summary(therapy, issuer, document.id, assessment)
    indicator = "info" if assessment.outcome is Outcome.MET else "warning"
    return _card(context, summary, indicator, selected.brand or selected.payer.label, detail, extension, document)


def elsewhere(selection: Elsewhere, facts: Facts, document_notices: Sequence[str], context: Context) -> dict[str, Any]:
    """Return the card of an order that a document governs which the library does not hold."""
    therapy = context.therapy_name(facts.order.therapy)
    missing = wording.missing_notices(facts.missing)
    notices = [*selection.notices, *document_notices, *facts.order.notices, *missing]
    label = selection.brand or (selection.payer.label if selection.payer else "Coverage criteria")
    detail = [
        _header(facts, therapy, selection.document),
        selection.because,
        *_list("Notices", notices),
        wording.ADVICE,
    ]
    extension = {
        **_order(facts),
        "basis": "elsewhere",
        "elsewhere": {"document": selection.document, "because": selection.because},
        "notices": notices,
    }
    summary = wording.elsewhere_summary(therapy, selection.document)
    return _card(context, summary, "info", label, detail, extension, selection.policy)


def unchecked(selected: Selected, facts: Facts, context: Context) -> dict[str, Any]:
    """Return the card of a policy that failed on this order: a failure is visible, never an empty answer."""
    document, therapy = selected.document, context.therapy_name(facts.order.therapy)
    issuer = context.payer_name(document.payer)
    problem = "This service failed while checking the policy. Nothing was decided; check the criteria by hand."
    notices = [*selected.notices, *facts.order.notices, *wording.missing_notices(facts.missing), problem]
    detail = [_header(facts, therapy, f"{document.id}, {document.title}"), *_list("Notices", notices), wording.ADVICE]
    extension = {
        **_order(facts),
        "policy": _policy(document, issuer),
        "basis": selected.basis,
        "outcome": Outcome.UNDOCUMENTED.value,
        "criteria": [
            {"id": c.id, "outcome": "undocumented", "text": c.text, "reason": problem, "settledBy": c.settled_by}
            for c in document.applicable(facts.order.therapy)
        ],
        "notices": notices,
    }
    summary = wording.unchecked_summary(therapy, issuer, document.id)
    return _card(context, summary, "warning", selected.brand or selected.payer.label, detail, extension, document)


def unidentified(
    order: str,
    reason: str,
    today: datetime.date,
    context: Context,
    notices: Sequence[str] = (),
    *,
    drug: bool = True,
) -> dict[str, Any]:
    """Return the card of an order that could not be had, or only its ``drug`` not.

    Nobody is to take silence for "no rules apply".
    """
    what, lead = ("The drug of order", "An order's drug") if drug else ("Order", "An order")
    text = f"{what} {code_span(order)} could not be read: {reason}. Nothing was checked for it."
    summary = f"{lead} could not be read: coverage criteria were not checked"
    return _unjudged(order, summary, text, today, context, notices)


def undecided(
    order: Order, missing: Mapping[Records, str], deciding: frozenset[Records], day: datetime.date, context: Context
) -> dict[str, Any]:
    """Return the card of an order that may concern a policy: what would tell (``deciding``) could not be had."""
    named = f"{code_span(order.display)} ({code_span(order.reference)})"
    text = f"Whether coverage criteria apply to order {named} is not known. Nothing was checked for it."
    summary = "Whether coverage criteria apply to an order is not known: records that would tell could not be had"
    notices = [*order.notices, *wording.missing_notices(missing, deciding)]
    return _unjudged(order.reference, summary, text, day, context, notices)


def _unjudged(
    order: str, summary: str, text: str, day: datetime.date, context: Context, notices: Sequence[str]
) -> dict[str, Any]:
    extension = {"order": plain(order), "asOf": day.isoformat(), "notices": [text, *notices]}
    return _card(context, summary, "info", "Coverage criteria", [text, *_list("Notices", notices)], extension, None)


def _card(
    context: Context,
    summary: str,
    indicator: str,
    label: str,
    detail: Iterable[str],
    extension: dict[str, Any],
    document: PolicyDocument | None,
) -> dict[str, Any]:
    identity = context.new_id()
    card = {
        "uuid": identity,
        "summary": summary,
        "detail": "\n\n".join(part for part in detail if part),
        "indicator": indicator,
        "source": context.source(label, "guideline"),
        **without_empty({"overrideReasons": [dict(reason) for reason in context.override_reasons]}),
        "extension": {
            ASSESSMENT: without_empty({"decisionId": identity, **extension}),
            **context.about(extension["order"]),
        },
    }
    if document is not None:
        url = f"{context.base_url}/policies/{quote(document.id)}?on={extension['asOf']}"
        card["links"] = [{"label": f"{document.id}: the criteria in full", "url": url, "type": "absolute"}]
    return card


def without_empty(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that have a value: CDS Hooks allows no null and no empty list, object or text."""
    return {name: value for name, value in members.items() if value or value == 0}


def _order(facts: Facts) -> dict[str, Any]:
    return {
        "order": plain(facts.order.reference),
        "therapy": facts.order.therapy,
        "asOf": facts.as_of.isoformat(),
    }


def _policy(document: PolicyDocument, payer: str) -> dict[str, str]:
    return {
        "id": document.id,
        "title": document.title,
        "payer": payer,
        "effectiveFrom": document.effective_from.isoformat(),
        "revision": document.revision,
    }


class _Shown(NamedTuple):
    """A result, and its evidence as the assessment carries it."""

    result: CriterionResult
    evidence: list[dict[str, str]]


def _criterion(shown: _Shown) -> dict[str, Any]:
    result = shown.result
    return without_empty(
        {
            "id": result.id,
            "outcome": result.outcome.value,
            "text": result.text,
            "reason": result.reason,
            "settledBy": "" if result.outcome is Outcome.MET else result.settled_by,
            "evidence": shown.evidence,
            "assumed": True if result.assumed else None,
            "conflict": True if result.conflict else None,
            "assumptions": list(result.assumptions),
            "question": result.question,
        }
    )


def _header(facts: Facts, therapy: str, policy: str) -> str:
    order = f"{code_span(facts.order.display)} ({code_span(facts.order.reference)})"
    return f"**{therapy}**: order {order}, service date {facts.as_of}.\n\n**Policy:** {policy}."


def _criteria_lists(results: Sequence[_Shown]) -> list[str]:
    parts = []
    for outcome in _ORDER:
        chosen = [_item(shown) for shown in results if shown.result.outcome is outcome]
        parts += _list(wording.HEADINGS[outcome], chosen)
    return parts


def _item(shown: _Shown) -> str:
    result, evidence = shown
    marks = " (assumed)" if result.assumed else " (conflict)" if result.conflict else ""
    text = f"**{result.id}** {result.text}{marks} {result.reason}"
    if evidence:
        text += f" Evidence: {', '.join([_cited(e) for e in evidence[:_MOST_NAMED]])}"
        more = len(evidence) - _MOST_NAMED
        text += f" and {more} more." if more > 0 else "."
    if result.outcome is not Outcome.MET:
        text += f" **To settle it:** {result.settled_by}"
    return text


def _cited(evidence: Mapping[str, str]) -> str:
    spans = [span(evidence[name]) for name in ("display", "value", "reference") if name in evidence]
    return " ".join([*spans, f"of {span(evidence['date'])}"] if "date" in evidence else spans)


def _list(heading: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {item}" for item in dict.fromkeys(items)]
    return [f"**{heading}**\n\n" + "\n".join(lines)] if lines else []


def _chart_notices(facts: Facts, results: Sequence[CriterionResult], document: PolicyDocument) -> list[str]:
    needed: frozenset[Records] = document.records(facts.order.therapy)
    return [*facts.order.notices, *wording.fact_notices(facts, results, needed), *_read_notices(facts)]


def _read_notices(facts: Facts) -> list[str]:
    found = []
    if facts.unreadable:
        found.append(f"Could not be read: {_named(facts.unreadable)}.")
    if facts.quality:
        found.append(f"Not valid FHIR R4, but read as far as needed: {_named(facts.quality)}.")
    return found


def _named(resources: Sequence[Unreadable]) -> str:
    """Return references (ids of the EHR) and problems (our words) as a phrase for the notices of an assessment."""
    named = [f"{code_span(r.reference)} ({r.problem})" for r in resources[:_MOST_NAMED]]
    more = len(resources) - _MOST_NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
