"""The combinators: all, any, none and first_documented, over other checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cds_service.policy.checks.check import Check, option
from cds_service.policy.finding import Finding, first_documented, fold_all, fold_any, negated
from fhir_mappings.facts import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class All(Check):
    """Every one of the checks is true."""

    key: ClassVar[str] = "all"
    scalar: ClassVar[str | None] = "checks"
    checks: tuple[Check, ...] = option("checks", "the checks that must all be true")

    def evaluate(self, facts: Facts) -> Finding:
        return fold_all([check.evaluate(facts) for check in self.checks])

    def describe(self) -> str:
        return " and ".join(f"({check.describe()})" for check in self.checks)

    def children(self) -> tuple[Check, ...]:
        return self.checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Any(Check):
    """At least one of the checks is true."""

    key: ClassVar[str] = "any"
    scalar: ClassVar[str | None] = "checks"
    checks: tuple[Check, ...] = option("checks", "the checks of which one is enough")

    def evaluate(self, facts: Facts) -> Finding:
        return fold_any([check.evaluate(facts) for check in self.checks])

    def describe(self) -> str:
        return " or ".join(f"({check.describe()})" for check in self.checks)

    def children(self) -> tuple[Check, ...]:
        return self.checks


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneOf(Check):
    """None of the checks is true."""

    key: ClassVar[str] = "none"
    scalar: ClassVar[str | None] = "checks"
    checks: tuple[Check, ...] = option("checks", "the checks that must all be false")

    def evaluate(self, facts: Facts) -> Finding:
        return negated(fold_any([check.evaluate(facts) for check in self.checks]))

    def describe(self) -> str:
        return "not " + " nor ".join(f"({check.describe()})" for check in self.checks)

    def children(self) -> tuple[Check, ...]:
        return self.checks


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDocumented(Check):
    """The first of the checks that the chart decides, in the order written."""

    key: ClassVar[str] = "first_documented"
    scalar: ClassVar[str | None] = "checks"
    checks: tuple[Check, ...] = option("checks", "the checks, the strongest evidence first")

    def evaluate(self, facts: Facts) -> Finding:
        return first_documented([check.evaluate(facts) for check in self.checks])

    def describe(self) -> str:
        return "whichever is documented first of " + ", else ".join(f"({check.describe()})" for check in self.checks)

    def children(self) -> tuple[Check, ...]:
        return self.checks
