"""Checks on the ordered product: approval, form, route, course, labelled diagnosis, centre, earlier products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import ClassVar, get_args

from cds_service.policy.checks.check import Check, named, option
from cds_service.policy.checks.doses import (
    at_most,
    certain_doses,
    is_certain,
    is_order,
    may_lie_before,
    without_orders_of_given,
)
from cds_service.policy.checks.recorded import dates
from cds_service.policy.finding import Finding, fails, holds, in_order, nothing, unclear
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import day_in_words, distinct_days
from fhir_mappings.facts import Approval, Evidence, Facts, Records, Route, Statement

ROUTES: tuple[str, ...] = get_args(Route)


def _order(facts: Facts) -> tuple[Evidence, ...]:
    return (Evidence(facts.order.reference, display=facts.order.display),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FdaApproved(Check):
    """The product is in the approval registry, approved on or before the service date. A code alone is no approval."""

    key: ClassVar[str] = "fda_approved"

    def evaluate(self, facts: Facts) -> Finding:
        approval = facts.order.approval
        if approval is None or approval.state == "unidentified":
            return nothing("The order does not say which product it is; an approval cannot be looked up.")
        outcome, reason = self._judge(approval, facts)
        note = approval.note if outcome is not Outcome.MET else None
        return Finding(outcome, " ".join(filter(None, (reason, note, approval.market))), _order(facts))

    def describe(self) -> str:
        return "the FDA approved the ordered product on or before the service date"

    def _judge(self, approval: Approval, facts: Facts) -> tuple[Outcome, str]:
        if approval.state == "not-approved":
            return Outcome.NOT_MET, "The registry lists the product as not approved."
        if approval.state == "undetermined":
            return Outcome.UNDOCUMENTED, "Whether the product is approved could not be determined."
        if approval.on is None:
            return Outcome.UNDOCUMENTED, "The registry holds no approval date: that is not an approval."
        day = day_in_words(approval.on)
        if approval.on.last <= facts.as_of:
            return Outcome.MET, f"Approved {day}."
        if approval.on.first > facts.as_of:
            return Outcome.NOT_MET, f"Approved {day}, after the service date ({facts.as_of})."
        return Outcome.UNDOCUMENTED, f"Approved {day}; whether before the service date ({facts.as_of}) is not known."


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketedProduct(Check):
    """The order names the marketed product: by NDC, by an RxNorm clinical or branded drug, or by its own HCPCS code."""

    key: ClassVar[str] = "marketed_product"

    def evaluate(self, facts: Facts) -> Finding:
        approval, named = facts.order.approval, facts.order.identified
        if approval is not None and approval.state == "unidentified":
            return nothing("The order does not say which product it is.")
        if named == "product":
            return Finding(Outcome.MET, "The order names the marketed product by a code of its own.", _order(facts))
        how = {"ingredient": "an ingredient or brand name", "procedure": "a procedure code", "text": "text only"}[named]
        reason = f"The order names the product by {how}, which does not tell form and strength."
        return Finding(Outcome.UNDOCUMENTED, reason, _order(facts))

    def describe(self) -> str:
        return "the order names the marketed product by a code of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRoute(Check):
    """The order states one of these routes; another route: false; none stated: open."""

    key: ClassVar[str] = "order_route"
    scalar: ClassVar[str | None] = "routes"
    routes: tuple[str, ...] = option("choices", "the routes", choices=ROUTES)

    def evaluate(self, facts: Facts) -> Finding:
        stated = facts.order.routes
        if not stated:
            return nothing("The order does not state a route.")
        words = " and ".join(sorted(stated))
        if len(stated) > 1 and not stated.issubset(self.routes):
            return Finding(Outcome.UNDOCUMENTED, f"The order states several routes: {words}.", _order(facts))
        if stated == {"intravenous"} and stated.isdisjoint(self.routes) and "portal-vein" in self.routes:
            reason = "The order states the route intravenous, not which vein; the portal vein is meant by the label."
            return Finding(Outcome.UNDOCUMENTED, reason, _order(facts))
        if stated.intersection(self.routes):
            return Finding(Outcome.MET, f"The order states the route: {words}.", _order(facts))
        reason = f"The order states the route {words}, not {' or '.join(self.routes)}."
        return Finding(Outcome.NOT_MET, reason, _order(facts))

    def describe(self) -> str:
        return f"the order states the route {' or '.join(self.routes)}"


def _given(statements: Sequence[Statement], facts: Facts) -> list[Statement]:
    """Return the statements that show that a product was given before the service date, or may have been."""
    if not statements:
        return []
    before = [s for s in statements if may_lie_before(s, facts.as_of)]
    done = [s for s in before if s.kind in {"procedure", "administration"} and s.phase == "done"]
    return done + [s for s in before if is_order(s) and s.phase == "past"]


def _is_under_way(statement: Statement, facts: Facts) -> bool:
    """Whether it is called current although it began earlier: an order that was perhaps filled, a drug that is taken.

    Of the ordered product only the latter: another order of it may be a copy of this one.
    """
    began = statement.when is not None and statement.when.last < facts.as_of
    of_this = f"therapy:{facts.order.therapy}" in statement.concepts
    is_taken = statement.evidence.reference.startswith("MedicationStatement/")
    return is_order(statement) and statement.phase == "current" and began and (is_taken or not of_this)


def _sure(given: Sequence[Statement], facts: Facts) -> list[Statement]:
    return [s for s in given if is_certain(s, facts.as_of)]


def _beyond_one_course(given: Sequence[Statement], facts: Facts) -> bool:
    """Whether what certainly was given of the ordered product leaves no room for this dose in the same course.

    Orders alone show that it was given, but neither how often nor when.
    """
    doses = certain_doses(given, facts.as_of)
    return _fill_the_course(_distinct(doses) if doses else min(len(_sure(given, facts)), 1), doses, facts)


def _maybe_beyond_one_course(given: Sequence[Statement], facts: Facts) -> bool:
    """Whether what may have been given of the ordered product leaves no room for this dose in the same course."""
    found = without_orders_of_given(given, facts.as_of)
    return _fill_the_course(at_most(found, _distinct), found, facts)


def _fill_the_course(count: int, dated: Sequence[Statement], facts: Facts) -> bool:
    course = facts.order.course
    if course is None or course.administrations is None or not count:
        return False
    if count >= course.administrations:
        return True
    if course.within_days is None or any(s.when is None for s in dated):
        return False
    start = facts.as_of - timedelta(course.within_days)
    return any(s.when and s.when.last < start for s in dated)


def _distinct(doses: Sequence[Statement]) -> int:
    return distinct_days(s.when for s in doses if s.when) + any(s.when is None for s in doses)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstCourse(Check):
    """No earlier course of the same product is on record; doses of one labelled course are one course.

    Beside a recorded dose the product's completed orders and dispenses are no further ones.
    """

    key: ClassVar[str] = "first_course"

    def evaluate(self, facts: Facts) -> Finding:
        earlier = _given(facts.of(f"therapy:{facts.order.therapy}"), facts)
        sure = _sure(earlier, facts)
        if _beyond_one_course(earlier, facts):
            return fails(f"An earlier course of this product is on record ({dates(sure)}).", sure)
        found = without_orders_of_given(earlier, facts.as_of)
        if _maybe_beyond_one_course(found, facts):
            return unclear(f"An earlier order of this product may have been given ({dates(found)}).", found)
        sure = _sure(found, facts)
        text = f"Earlier doses belong to this course ({dates(sure)})." if sure else "No earlier course is on record."
        return holds(text, sure)

    def describe(self) -> str:
        return "no earlier course of the same product is on record"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"procedures", "medication-administrations", "medication-requests"})


@lru_cache(maxsize=128)  # policies name a few groups of them
def _concepts(therapies: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"therapy:{therapy}" for therapy in therapies)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierTherapy(Check):
    """One of these therapies was given before, other than the doses of the course that is ordered."""

    key: ClassVar[str] = "earlier_therapy"
    therapies: tuple[str, ...] = option("therapies", "the therapies that count")
    excepting: tuple[str, ...] = option("therapies", "therapies among them that do not", default=())

    def evaluate(self, facts: Facts) -> Finding:
        # a chart seldom holds one, and the registry has dozens
        held = facts.of(*_concepts(self.therapies))
        counted = [t for t in self.therapies if t not in self.excepting] if held else []
        sure = [s for therapy in counted for s in self._certain(therapy, facts)]
        if sure:
            return holds(f"An earlier cell or gene therapy is on record ({dates(sure)}).", sure)
        found = [s for therapy in counted for s in self._possible(therapy, facts)]
        if found:
            return unclear(f"An earlier order of such a therapy may have been given ({dates(found)}).", found)
        return nothing("No earlier cell or gene therapy found.")

    def describe(self) -> str:
        return "a cell or gene therapy of the registry was given before, other than doses of this course"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"procedures", "medication-administrations", "medication-requests"})

    @staticmethod
    def _certain(therapy: str, facts: Facts) -> list[Statement]:
        given = _given(facts.of(f"therapy:{therapy}"), facts)
        return _sure(given, facts) if therapy != facts.order.therapy or _beyond_one_course(given, facts) else []

    @staticmethod
    def _possible(therapy: str, facts: Facts) -> list[Statement]:
        held = facts.of(f"therapy:{therapy}")
        given = _given(held, facts) + [s for s in held if _is_under_way(s, facts)]
        if therapy != facts.order.therapy:
            return given
        found = without_orders_of_given(given, facts.as_of)
        open_still = [s for s in found if is_order(s) or not is_certain(s, facts.as_of)]
        return open_still if _maybe_beyond_one_course(found, facts) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierProcedure(Check):
    """An infusion was done before by a procedure code that names no product.

    When a product of ``dose_of`` is ordered, which is given in several doses, it can be a dose of this very course: one
    on the day of a recorded dose is that dose; one while the course can be open is for a reviewer.
    """

    key: ClassVar[str] = "earlier_procedure"
    scalar: ClassVar[str | None] = "value_set"
    value_set: tuple[str, ...] = option("value sets", "the procedures that count", looked_in=("procedures",))
    dose_of: tuple[str, ...] = option("therapies", "therapies that one of them can be a dose of", default=())

    def evaluate(self, facts: Facts) -> Finding:
        doses = _given(facts.of(f"therapy:{facts.order.therapy}"), facts)
        found = _given([s for s in facts.of(*self.value_set) if s.kind == "procedure"], facts)
        others = [s for s in found if not self._is_dose(s, doses, facts)]
        certain = [s for s in others if is_certain(s, facts.as_of)]
        sure = [s for s in certain if not self._may_be_dose(s, doses, facts)]
        if sure:
            return holds(f"Recorded: {named(self.value_set)} ({dates(sure)}).", sure)
        if others:
            reason = f"Recorded: {named(self.value_set)} ({dates(others)}); whether it is a dose of this course is not."
            return unclear(reason, others)
        return nothing(f"Not found: {named(self.value_set)}, other than doses of this course.")

    def describe(self) -> str:
        return f"{named(self.value_set)} was done before, other than as a dose of this course"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"procedures", "medication-administrations", "medication-requests"})

    def _is_dose(self, procedure: Statement, doses: Sequence[Statement], facts: Facts) -> bool:
        days = [d.when for d in doses if d.when]
        when = procedure.when
        if facts.order.therapy not in self.dose_of or when is None or _beyond_one_course(doses, facts):
            return False
        return any(day == when for day in days)

    def _may_be_dose(self, procedure: Statement, doses: Sequence[Statement], facts: Facts) -> bool:
        with_it = [*doses, procedure]
        return facts.order.therapy in self.dose_of and not _beyond_one_course(with_it, facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualifiedCentre(Check):
    """A facility of the order stands in the treatment-centre registry for the product on the service date."""

    key: ClassVar[str] = "qualified_centre"

    def evaluate(self, facts: Facts) -> Finding:
        approval, standing = facts.order.approval, facts.centre
        if approval is not None and approval.state == "unidentified":
            return nothing("The order does not say which product it is; a centre is qualified for one product.")
        if standing is None or standing.state == "unnamed":
            return nothing("The order names no facility with an NPI or CCN.")
        outcome = {"listed": Outcome.MET, "excluded": Outcome.NOT_MET, "not-listed": Outcome.UNDOCUMENTED}
        return Finding(outcome[standing.state], standing.reason, in_order(standing.evidence))

    def describe(self) -> str:
        return "a facility of the order is registered as a treatment centre for the product"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledDiagnosis(Check):
    """The chart holds the label's diagnosis. The order's own reason can contradict it, but not replace it."""

    key: ClassVar[str] = "labelled_diagnosis"
    scalar: ClassVar[str | None] = "value_set"
    value_set: tuple[str, ...] = option("value sets", "the diagnosis of the label", looked_in=("conditions",))

    def evaluate(self, facts: Facts) -> Finding:
        found = [s for s in facts.of(*self.value_set) if s.kind == "condition"]
        current = [s for s in found if s.phase == "current" and s.confirmed]
        others = self._other_reasons(facts)
        names = named(self.value_set)
        if current and others:
            finding = unclear(
                f"Recorded: {names}; the order gives another diagnosis as its reason.", current, conflict=True
            )
            return replace(finding, evidence=in_order([*finding.evidence, *others]))
        if current:
            return holds(f"Recorded: {names} ({dates(current)}).", current)
        if others:
            reason = f"Not recorded: {names}; the order gives another diagnosis as its reason."
            return Finding(Outcome.NOT_MET, reason, in_order(others))
        if found:
            return unclear(f"Recorded, but not confirmed or no longer current: {names}.", found)
        return nothing(f"Not found as a current condition: {names}.")

    def describe(self) -> str:
        return f"{named(self.value_set)} is a current diagnosis"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"conditions"})

    def _other_reasons(self, facts: Facts) -> list[Evidence]:
        """Return the diagnoses that the order gives as its reasons, when none of them is the label's."""
        diagnoses = [r for r in facts.order.reasons if r.diagnosis]
        if any(r.concepts.intersection(self.value_set) for r in facts.order.reasons):
            return []
        return [r.evidence for r in diagnoses]
