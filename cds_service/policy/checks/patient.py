"""Checks on the patient: age and sex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cds_service.policy.checks.check import Check, option
from cds_service.policy.finding import Finding, negated, nothing
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import age_in_months, day_in_words
from fhir_mappings.facts import Facts, Records


def _old_enough(facts: Facts, months: int, needed: str) -> Finding:
    """Return whether the patient has completed so many months of life; a partial birth date decides when it can."""
    if facts.birth is None:
        return nothing("No usable birth date is recorded.")
    evidence = (facts.patient,) if facts.patient else ()
    born = day_in_words(facts.birth)
    if facts.birth.first > facts.as_of:
        reason = f"The recorded birth date ({born}) lies after the service date ({facts.as_of})."
        return Finding(Outcome.UNDOCUMENTED, reason, evidence)
    youngest, oldest = age_in_months(facts.birth.last, facts.as_of), age_in_months(facts.birth.first, facts.as_of)
    if youngest < months <= oldest:
        reason = f"Born {born}: {_age(youngest)} or {_age(oldest)} old on {facts.as_of}; the limit is {needed}."
        return Finding(Outcome.UNDOCUMENTED, reason, evidence)
    outcome = Outcome.MET if youngest >= months else Outcome.NOT_MET
    return Finding(outcome, f"Born {born}: {_age(oldest)} old on {facts.as_of}.", evidence)


def _age(months: int) -> str:
    return f"{months // 12} years" if months >= 24 else f"{max(months, 0)} months"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeAtLeast(Check):
    """The patient has completed this many years on the service date. A partial birth date decides only when it must."""

    key: ClassVar[str] = "age_at_least"
    scalar: ClassVar[str | None] = "years"
    years: int = option("count", "completed years")

    def evaluate(self, facts: Facts) -> Finding:
        return _old_enough(facts, 12 * self.years, f"{self.years} years")

    def describe(self) -> str:
        return f"the patient is at least {self.years} years old on the service date"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"patient"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeAtLeastMonths(Check):
    """The patient has completed this many months on the service date."""

    key: ClassVar[str] = "age_at_least_months"
    scalar: ClassVar[str | None] = "months"
    months: int = option("count", "completed months")

    def evaluate(self, facts: Facts) -> Finding:
        return _old_enough(facts, self.months, f"{self.months} months")

    def describe(self) -> str:
        return f"the patient is at least {self.months} months old on the service date"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"patient"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeUnder(Check):
    """The patient has not yet completed this many years on the service date."""

    key: ClassVar[str] = "age_under"
    scalar: ClassVar[str | None] = "years"
    years: int = option("count", "the birthday that must lie ahead")

    def evaluate(self, facts: Facts) -> Finding:
        return negated(_old_enough(facts, 12 * self.years, f"{self.years} years"))

    def describe(self) -> str:
        return f"the patient is under {self.years} years old on the service date"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"patient"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sex(Check):
    """The patient's administrative gender, which stands for the sex of a label, is this one; unknown: open."""

    key: ClassVar[str] = "sex"
    scalar: ClassVar[str | None] = "sex"
    sex: str = option("choice", "male or female", choices=("female", "male"))

    def evaluate(self, facts: Facts) -> Finding:
        if facts.female is None:
            return nothing("No gender is recorded.")
        evidence = (facts.patient,) if facts.patient else ()
        recorded = "female" if facts.female else "male"
        outcome = Outcome.MET if recorded == self.sex else Outcome.NOT_MET
        return Finding(outcome, f"Recorded gender: {recorded}.", evidence)

    def describe(self) -> str:
        return f"the patient is {self.sex}"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"patient"})
