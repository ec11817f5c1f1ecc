"""What is asserted of an order under one coverage, in the terms of Da Vinci CRD but of none of its versions. Pure.

Conservative: *not covered* is said only where an exclusion of the policy applies or the coverage is not active,
*covered* only where the deployment speaks for the plan; everything else is conditional, with the reason in words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from cds_service.decision import Decision
from cds_service.policy.checks.check import Check
from cds_service.policy.checks.product import QualifiedCentre
from cds_service.policy.document import Assessment, CriterionResult, PolicyDocument, PriorAuthorization
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import age_on
from cds_service.routing import NO_PAYER, Elsewhere, Selected, Selection, are_known
from fhir_mappings import products
from fhir_mappings.chart import NOT_SENT
from fhir_mappings.facts import Coding, Facts

Covered = Literal["covered", "not-covered", "conditional", "indeterminate"]
NOT_ACTIVE = Coding("reason", "no-active-coverage")
TECHNICAL = Coding("reason", "technical")
_FAILED = "This service failed while checking the policy; nothing was decided."
_NOT_RETRIEVED = "A record that decides could not be retrieved from the EHR; the same request may be answered later."
_PAYER_UNKNOWN = "Which payer governs is not known: not every coverage could be had."
_PAYER_DECIDES = "This is advice from the published policy; the payer decides."


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: in words, and by a code of CRD where there is one."""

    text: str
    code: Coding | None = None


@dataclass(frozen=True, slots=True)
class Assertion:
    """What is said of one order under one coverage. ``indeterminate`` is for a technical problem."""

    order: str
    coverage: str
    covered: Covered
    authorization: PriorAuthorization | None
    """What the policy says of asking the payer first; None when it is not known."""
    reasons: tuple[Reason, ...]
    lacks: tuple[Literal["performer", "detail-code"], ...] = ()
    """What the order itself has to say before more can be decided."""
    questionnaire: str | None = None
    """What asks for the clinical documentation that is to be completed; None when none is."""
    billing: tuple[Coding, ...] = ()
    policy_url: str | None = None
    basis: tuple[str, ...] = ()
    """Document, revision and outcomes: what has changed when the same words are said for another reason."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a deployment and a hook settle for every assertion of one answer."""

    base_url: str
    speaks_for: Collection[str] = ()
    """Ids of the payers for which this service speaks."""
    may_ask: bool = True
    """Whether clinical documentation may be asked for: not while an order is still being selected."""


def assertions(decision: Decision, terms: Terms) -> Iterator[Assertion]:
    """Yield what is asserted of a judged order, once for each coverage that its selection is about."""
    for coverage in decision.selection.coverages:
        if coverage.startswith("Coverage/"):  # one without an id cannot be pointed to
            yield _assertion(decision, coverage, terms)


def _assertion(decision: Decision, coverage: str, terms: Terms) -> Assertion:
    selection, facts = decision.selection, decision.facts
    order, billing = facts.order.reference, _billing(facts)
    document = _document(selection)
    url = f"{terms.base_url}/policies/{quote(document.id)}?on={facts.as_of}" if document else None
    all_known = are_known(facts.missing, facts.unreadable)
    if selection.inactive and selection.payer is not None and all_known:
        reason = Reason("No active coverage: it is not active on the service date.", NOT_ACTIVE)
        return Assertion(order, coverage, "not-covered", None, (reason,), basis=_basis(decision))
    if isinstance(selection, Elsewhere):
        reason = Reason(f"{selection.document} governs. {selection.because}")
        return Assertion(order, coverage, "conditional", None, (reason,), (), policy_url=url, basis=_basis(decision))
    if selection.basis == "reference":
        reason = Reason(NO_PAYER if all_known else _PAYER_UNKNOWN)
        return Assertion(order, coverage, "conditional", None, (reason,), basis=_basis(decision))
    authorization = selection.document.authorization_of(facts.order.therapy)
    asked = (Reason(authorization.text),) if authorization else ()
    assessment = decision.assessment
    if assessment is None:
        reasons = (Reason(_FAILED, TECHNICAL), *asked)
        return Assertion(
            order, coverage, "indeterminate", authorization, reasons, policy_url=url, basis=_basis(decision)
        )
    open_results = [r for r in assessment.results if r.outcome is Outcome.UNDOCUMENTED]
    covered = _covered(selection, assessment, facts, open_results, terms)
    said = Reason(_in_words(assessment), TECHNICAL if covered == "indeterminate" else None)
    hint = _hint(covered, selection, assessment)
    reasons = (said, *((Reason(hint),) if hint else ()), *(asked if covered != "not-covered" else ()))
    asks = terms.may_ask and covered == "conditional"
    return Assertion(
        order,
        coverage,
        covered,
        authorization,
        reasons,
        _lacks(selection.document, facts, open_results) if covered == "conditional" else (),
        decision.questionnaire if asks else None,
        billing,
        url,
        _basis(decision),
    )


def _document(selection: Selection) -> PolicyDocument | None:
    return selection.document if isinstance(selection, Selected) else selection.policy


def _basis(decision: Decision) -> tuple[str, ...]:
    selection = decision.selection
    document = _document(selection)
    stated = (document.id, document.revision) if document else ()
    results = decision.assessment.results if decision.assessment else ()
    return (*stated, *(f"{result.id} {result.outcome.value}" for result in results))


def _covered(
    selection: Selected, assessment: Assessment, facts: Facts, open_results: list[CriterionResult], terms: Terms
) -> Covered:
    document = selection.document
    if assessment.outcome is Outcome.NOT_MET:
        return "not-covered" if _is_excluded(assessment) and _is_final(document, facts) else "conditional"
    if assessment.outcome is Outcome.UNDOCUMENTED and _could_not_be_had(document, facts, open_results):
        return "indeterminate"
    speaks = selection.payer.id in terms.speaks_for
    return "covered" if speaks and assessment.outcome is Outcome.MET else "conditional"


def _is_excluded(assessment: Assessment) -> bool:
    criteria = assessment.document.criteria
    return any(r.outcome is Outcome.NOT_MET and criteria[r.id].excludes for r in assessment.results)


def _is_final(document: PolicyDocument, facts: Facts) -> bool:
    """Whether an exclusion of the document holds for this member, or may be lifted for the young."""
    lifted = document.lifted
    if lifted is None:
        return True
    return facts.birth is not None and age_on(facts.birth.last, facts.as_of) >= lifted.under_age


def _could_not_be_had(document: PolicyDocument, facts: Facts, open_results: list[CriterionResult]) -> bool:
    """Whether something is open because of a record that was looked for in vain."""
    failed = {record for record, why in facts.missing.items() if why != NOT_SENT}
    criteria = [document.criteria[result.id] for result in open_results]
    return any(c.records & failed or (c.from_label and failed) for c in criteria)


def _hint(covered: Covered, selection: Selected, assessment: Assessment) -> str | None:
    """Return what else explains the word: why an exclusion is not final, what failed, who decides."""
    if covered == "indeterminate":
        return _NOT_RETRIEVED
    lifted = selection.document.lifted
    if covered == "conditional" and lifted is not None and _is_excluded(assessment):
        return lifted.text
    return None if covered == "covered" else _PAYER_DECIDES


def _in_words(assessment: Assessment) -> str:
    """Return which criteria stand how, in our words, by letter and label."""
    parts: list[str] = []
    for outcome, lead in ((Outcome.NOT_MET, "not met"), (Outcome.UNDOCUMENTED, "not documented")):
        named = [f"{r.id} ({r.label})" for r in assessment.results if r.outcome is outcome]
        parts += [f"{lead}: {', '.join(named)}"] if named else []
    attested = [f"{r.id} ({r.label})" for r in assessment.results if r.attested and r.outcome is Outcome.MET]
    if attested:
        parts = [*(parts or ["all criteria are met"]), f"met by attestation: {', '.join(attested)}"]
    return f"{assessment.document.id}: {'; '.join(parts) or 'all criteria are met by the chart'}."


def _lacks(
    document: PolicyDocument, facts: Facts, open_results: list[CriterionResult]
) -> tuple[Literal["performer", "detail-code"], ...]:
    found: list[Literal["performer", "detail-code"]] = []
    checks = (check for result in open_results for check in document.criteria[result.id].checks())
    if not facts.order.facilities and any(map(_looks_at_the_facility, checks)):
        found.append("performer")
    if facts.order.therapy == products.UNIDENTIFIED:
        found.append("detail-code")
    return tuple(found)


def _looks_at_the_facility(check: Check) -> bool:
    return isinstance(check, QualifiedCentre) or any(map(_looks_at_the_facility, check.children()))


def _billing(facts: Facts) -> tuple[Coding, ...]:
    """Return the code for the claim: the product's own, else those of the order."""
    stated = tuple(dict.fromkeys(c for c in facts.order.codes if c.system in {"hcpcs", "cpt"}))
    product = products.product(facts.order.therapy)
    own = tuple(Coding("hcpcs", code) for code in product.hcpcs) if product else ()
    return tuple(c for c in stated if c in own) or own[:1] or stated
