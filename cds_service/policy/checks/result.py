"""Checks on results with a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import ClassVar

from cds_service.policy.checks.check import Check, Range, named, option, sentence
from cds_service.policy.checks.recorded import dates
from cds_service.policy.finding import Finding, fails, holds, nothing, unclear
from cds_service.policy.windows import in_words, window_start
from fhir_mappings.facts import DateRange, Facts, Records, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestResult(Check):
    """The latest result lies in a range. Outside it the check is false, or left open where ``false_when`` is narrower.

    Results whose dates leave open which is the latest must agree.
    With ``goal`` the patient's own target, when one is recorded, takes the place of the range's lower bound.
    """

    key: ClassVar[str] = "latest_result"
    value_set: tuple[str, ...] = option("value sets", "the test", looked_in=("observations",))
    true_when: Range = option("range", "the values for which the check is true")
    false_when: tuple[Range, ...] = option(
        "range", "the values for which it is false (default: all others)", default=()
    )
    unit: str = option("choice", "the unit that its number must have", default="%", choices=("%",))
    goal: tuple[str, ...] = option(
        "value sets", "goals whose target replaces at_least", default=(), looked_in=("goals",)
    )
    within_months: int | None = option("count", "how old the result may be, in months", default=None)
    within_days: int | None = option(
        "count", "how old the result may be, in days", default=None, not_beside="within_months"
    )

    def evaluate(self, facts: Facts) -> Finding:
        results = [s for s in facts.of(*self.value_set) if s.kind == "observation" and s.confirmed]
        dated = [s for s in results if s.when and s.when.first <= facts.as_of]
        if not dated:
            return self._without_dated(facts, results)
        newest = _newest([s.when for s in dated if s.when], facts.as_of)
        latest = [s for s in dated if s.when and s.when.last >= newest]
        start = window_start(facts.as_of, self.within_months, self.within_days)
        day = dates(latest)
        if newest < start:
            return unclear(f"{self._latest()} ({day}): older than asked for.", latest)
        if any(s.quantity is None or s.quantity.unit != self.unit for s in latest):
            return unclear(f"{self._latest()} ({day}): no number with a usable unit.", latest)
        return self._decide(latest, facts, day)

    def describe(self) -> str:
        target = f" (or the patient's own target, {named(self.goal)})" if self.goal else ""
        window = in_words(self.within_months, self.within_days)
        words = f"the latest result of {named(self.value_set)} {window} is {self.true_when.in_words()}{target}"
        return words.replace("  ", " ") + self._otherwise()

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"observations", "goals"} if self.goal else {"observations"})

    def _otherwise(self) -> str:
        false = " or ".join(each.in_words() for each in self.false_when)
        return f" (against it: {false}; any other value leaves it open)" if false else ""

    def _without_dated(self, facts: Facts, results: list[Statement]) -> Finding:
        seen = results or [s for s in facts.of(*self.value_set) if s.kind == "observation"]
        if seen:
            return unclear(f"Recorded, but undated or not final: {named(self.value_set)}.", seen)
        return nothing(f"No result found: {named(self.value_set)}.")

    def _decide(self, latest: list[Statement], facts: Facts, day: str) -> Finding:
        target = self._target(facts)
        wanted = Range(at_least=target.quantity.value) if target and target.quantity else self.true_when
        shown = [*latest, target] if target else latest
        values = [s.quantity.value for s in latest if s.quantity]
        text = f"{self._latest()}: {' and '.join(dict.fromkeys(_number(v) for v in values))} {self.unit} on {day}"
        if all(v in wanted for v in values):
            return holds(f"{text}: {wanted.in_words()}.", shown)
        false = [v not in wanted if target or not self.false_when else self._false(v) for v in values]
        if all(false):
            return fails(f"{text}, not {wanted.in_words()}.", shown)
        if len(set(values)) > 1:
            return unclear(f"{text}: results that may each be the latest disagree.", shown, conflict=True)
        return unclear(f"{text}: neither {wanted.in_words()} nor clearly outside.", shown)

    def _latest(self) -> str:
        return f"{sentence(named(self.value_set))}, latest result"

    def _false(self, value: Decimal) -> bool:
        return any(value in each for each in self.false_when)

    def _target(self, facts: Facts) -> Statement | None:
        goals = [
            g
            for g in facts.of(*self.goal)
            if g.phase == "current" and g.confirmed
            if g.quantity and g.quantity.unit == self.unit and not (g.when and g.when.first > facts.as_of)
        ]
        return (
            max(goals, key=lambda g: (g.evidence.date or "", g.evidence.reference), default=None) if self.goal else None
        )


def _newest(ranges: Sequence[DateRange], as_of: date) -> date:
    """Return the day on or after which the latest result certainly lies."""
    past = [when.first for when in ranges if when.last <= as_of]
    return max(past or [when.first for when in ranges])


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}" if value == value.to_integral() else f"{value:f}"
