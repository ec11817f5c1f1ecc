"""Checks on the order itself: what it is for, what it says and why it was written. The order is always supplied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cds_service.policy.checks.check import Check, named, option
from cds_service.policy.finding import Finding, in_order, nothing
from cds_service.policy.outcome import Outcome
from fhir_mappings.facts import Evidence, Facts, Reason


def _order(facts: Facts) -> tuple[Evidence, ...]:
    return (Evidence(facts.order.reference, display=facts.order.display),)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIs(Check):
    """The order is for something of the value set, by its codes or its name; anything else: false."""

    key: ClassVar[str] = "order_is"
    scalar: ClassVar[str | None] = "value_set"
    value_set: tuple[str, ...] = option("value sets", "what is ordered")

    def evaluate(self, facts: Facts) -> Finding:
        if facts.order.concepts.intersection(self.value_set):
            return Finding(Outcome.MET, f"The order is for: {named(self.value_set)}.", _order(facts))
        return Finding(Outcome.NOT_MET, f"The order is not for: {named(self.value_set)}.")

    def describe(self) -> str:
        return f"the order is for {named(self.value_set)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSays(Check):
    """The order's codes, name, reasons or notes say something of the value set; silence decides nothing."""

    key: ClassVar[str] = "order_says"
    scalar: ClassVar[str | None] = "value_set"
    value_set: tuple[str, ...] = option("value sets", "what the order must say")

    def evaluate(self, facts: Facts) -> Finding:
        if (facts.order.concepts | facts.order.says).intersection(self.value_set):
            return Finding(Outcome.MET, f"The order says: {named(self.value_set)}.", self._cited(facts))
        return nothing(f"The order does not say: {named(self.value_set)}.")

    def describe(self) -> str:
        return f"the order says {named(self.value_set)}"

    def _cited(self, facts: Facts) -> tuple[Evidence, ...]:
        reasons = tuple(r.evidence for r in facts.order.reasons if r.concepts.intersection(self.value_set))
        return reasons or _order(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReason(Check):
    """A stated reason of the order is in the value set; another reason: false; no reason stated: open.

    With ``beside``, a reason that is in it or is a coded diagnosis makes it a conflict when it is stated as well.
    """

    key: ClassVar[str] = "order_reason"
    scalar: ClassVar[str | None] = "value_set"
    value_set: tuple[str, ...] = option("value sets", "the reasons")
    beside: tuple[str, ...] = option("value sets", "what speaks against it when it is stated as well", default=())

    def evaluate(self, facts: Facts) -> Finding:
        reasons = facts.order.reasons
        if not reasons:
            return nothing("The order states no reason.")
        stated = tuple(r.evidence for r in reasons if r.concepts.intersection(self.value_set))
        against = tuple(r.evidence for r in reasons if self._speaks_against(r))
        if stated and against:
            reason = f"The order states both: {named(self.value_set)}, and another reason."
            return Finding(Outcome.UNDOCUMENTED, reason, in_order([*stated, *against]), conflict=True)
        if stated:
            return Finding(Outcome.MET, f"The order's reason: {named(self.value_set)}.", stated)
        others = tuple(r.evidence for r in reasons)
        return Finding(Outcome.NOT_MET, f"The order's reason is not: {named(self.value_set)}.", others)

    def describe(self) -> str:
        text = f"the order's stated reason is {named(self.value_set)}"
        return text + (f" (in conflict with {named(self.beside)} or a coded diagnosis)" if self.beside else "")

    def _speaks_against(self, reason: Reason) -> bool:
        return bool(self.beside) and (reason.diagnosis or not reason.concepts.isdisjoint(self.beside))
