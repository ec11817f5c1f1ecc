"""Checks on what the patient takes or will take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from cds_service.policy.checks.check import Check, named, option, sentence
from cds_service.policy.checks.recorded import dates
from cds_service.policy.finding import Finding, holds, nothing, unclear
from fhir_mappings.facts import Facts, Records, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Medication(Check):
    """A drug of the value set is taken now; with ``active-or-planned`` a draft or a plan is enough."""

    key: ClassVar[str] = "medication"
    value_set: tuple[str, ...] = option("value sets", "the drugs", looked_in=("medication-requests",))
    counting: Literal["active", "active-or-planned"] = option(
        "choice", "whether a draft or a plan is enough", default="active", choices=("active", "active-or-planned")
    )

    def evaluate(self, facts: Facts) -> Finding:
        found = [s for s in facts.of(*self.value_set) if s.kind == "medication"]
        if not found:
            return nothing(f"No order or record found: {named(self.value_set)}.")
        counted = [s for s in found if self._counts(s, facts)]
        if counted:
            phases = " and ".join(sorted({"active" if s.phase == "current" else "planned" for s in counted}))
            return holds(f"{sentence(named(self.value_set))}: {phases} ({dates(counted)}).", counted)
        wanted = "active" if self.counting == "active" else "active or planned"
        return unclear(f"{sentence(named(self.value_set))}: recorded ({dates(found)}), but not as {wanted}.", found)

    def describe(self) -> str:
        return f"{named(self.value_set)} is {self.counting.replace('-', ' ')}"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"medication-requests"})

    def _counts(self, statement: Statement, facts: Facts) -> bool:
        if not statement.confirmed or (statement.until and statement.until.last < facts.as_of):
            return False
        if statement.phase == "planned":
            return self.counting == "active-or-planned"
        return statement.phase == "current"
