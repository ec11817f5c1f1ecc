"""Checks on the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cds_service.policy.checks.check import Check, option
from cds_service.policy.finding import Finding, nothing
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import age_on, day_in_words
from fhir_mappings.facts import Facts, Records


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeAtLeast(Check):
    """The patient has completed this many years on the service date. A partial birth date decides only when it must."""

    key: ClassVar[str] = "age_at_least"
    scalar: ClassVar[str | None] = "years"
    years: int = option("count", "completed years")

    def evaluate(self, facts: Facts) -> Finding:
        if facts.birth is None:
            return nothing("No usable birth date is recorded.")
        evidence = (facts.patient,) if facts.patient else ()
        born = day_in_words(facts.birth)
        if facts.birth.first > facts.as_of:
            reason = f"The recorded birth date ({born}) lies after the service date ({facts.as_of})."
            return Finding(Outcome.UNDOCUMENTED, reason, evidence)
        youngest, oldest = age_on(facts.birth.last, facts.as_of), age_on(facts.birth.first, facts.as_of)
        if youngest < self.years <= oldest:
            reason = f"Born {born}: {youngest} or {oldest} years old on {facts.as_of}; {self.years} are needed."
            return Finding(Outcome.UNDOCUMENTED, reason, evidence)
        outcome = Outcome.MET if youngest >= self.years else Outcome.NOT_MET
        return Finding(outcome, f"Born {born}: {oldest} years old on {facts.as_of}.", evidence)

    def describe(self) -> str:
        return f"the patient is at least {self.years} years old on the service date"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"patient"})
