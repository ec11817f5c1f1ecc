"""Checks whose answer is the latest of several contrary statements, and checks that only a person can settle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cds_service.policy.checks.check import Check, named, option
from cds_service.policy.checks.recorded import dates
from cds_service.policy.finding import Finding, fails, holds, nothing, unclear
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import in_words, window_start
from fhir_mappings.facts import Evidence, Facts, Records, Statement

_LOOKED_IN: tuple[Records, ...] = ("conditions", "observations")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusNow(Check):
    """A status such as tobacco use holds now, by current conditions and the latest observation of it.

    An observed opposite newer than the condition is a conflict; a recorded "unknown" leaves it open.
    """

    key: ClassVar[str] = "status_now"
    value_set: tuple[str, ...] = option("value sets", "codes that say that it holds", looked_in=_LOOKED_IN)
    opposite: tuple[str, ...] = option("value sets", "codes that say that it does not", looked_in=_LOOKED_IN)
    unknown: tuple[str, ...] = option(
        "value sets", "codes that say that it is unknown", default=(), looked_in=_LOOKED_IN
    )
    within_months: int | None = option("count", "how old an observation may be, in months", default=None)
    within_days: int | None = option(
        "count", "how old an observation may be, in days", default=None, not_beside="within_months"
    )
    onset_within_days: int | None = option("count", "how long ago a condition may have begun, in days", default=None)

    def evaluate(self, facts: Facts) -> Finding:
        found = [s for s in facts.of(*self.value_set, *self.opposite, *self.unknown) if self._current(s, facts)]
        observed = [s for s in found if s.kind == "observation"]
        newest = max((s.when.last for s in observed if s.when), default=None)
        latest = [s for s in observed if s.when and s.when.last == newest]
        standing = [*latest, *(s for s in found if s.kind == "condition")]
        yes, no = self._of(standing, self.value_set), self._of(standing, self.opposite)
        against = [s for s in no if self._speaks_against(s, yes, facts)]
        if yes and against:
            shown = [*yes, *against]
            return unclear(f"Recorded, and its opposite as well: {named(self.value_set)}.", shown, conflict=True)
        if yes:
            return self._yes(yes, facts)
        unknown = [s for s in standing if s.concepts.intersection(self.unknown)]
        if unknown:
            return unclear(f"The latest status is recorded as unknown ({dates(unknown)}).", unknown)
        doubtful = [s for s in standing if not s.confirmed and s.concepts.intersection(self.value_set)]
        if doubtful:
            return unclear(f"Recorded but not confirmed: {named(self.value_set)} ({dates(doubtful)}).", doubtful)
        if no:
            return fails(f"Recorded: {named(self.opposite)} ({dates(no)}).", no)
        return nothing(f"Not found: {named(self.value_set)}.")

    def describe(self) -> str:
        return f"{named(self.value_set)} holds now ({self._windows()}against it: {named(self.opposite)})"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset(_LOOKED_IN)

    @staticmethod
    def _current(statement: Statement, facts: Facts) -> bool:
        if statement.kind == "condition":
            return statement.phase == "current"
        return statement.kind == "observation" and bool(statement.when and statement.when.first <= facts.as_of)

    @staticmethod
    def _of(statements: Sequence[Statement], names: tuple[str, ...]) -> list[Statement]:
        return [s for s in statements if s.confirmed and s.concepts.intersection(names)]

    def _speaks_against(self, no: Statement, yes: Sequence[Statement], facts: Facts) -> bool:
        """Whether an opposite stands beside what it contradicts: not one that is stale, or older than all of it."""
        if no.kind == "condition":
            return True
        newer = any(s.when is None or no.when is None or no.when.last >= s.when.first for s in yes)
        return newer and self._fresh(no, facts)

    def _yes(self, yes: list[Statement], facts: Facts) -> Finding:
        fresh = [s for s in yes if self._fresh(s, facts)]
        if fresh:
            return holds(f"Recorded: {named(self.value_set)} ({dates(fresh)}).", fresh)
        return unclear(f"Too old to say what holds now: {named(self.value_set)} ({dates(yes)}).", yes)

    def _fresh(self, statement: Statement, facts: Facts) -> bool:
        condition = statement.kind == "condition"
        months, days = (None, self.onset_within_days) if condition else (self.within_months, self.within_days)
        if statement.when is None:
            return True
        return statement.when.within(window_start(facts.as_of, months, days), facts.as_of)

    def _windows(self) -> str:
        observed, begun = in_words(self.within_months, self.within_days), in_words(None, self.onset_within_days)
        counted = f"an observation counts {observed}; " if observed else ""
        return counted + (f"a condition counts when it began {begun}; " if begun else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested(Check):
    """Only a person's statement settles it: the chart is cited where it bears on the question, and decides nothing."""

    key: ClassVar[str] = "attested"
    citing: tuple[str, ...] = option("value sets", "what is shown to the person who answers", default=())

    def evaluate(self, facts: Facts) -> Finding:
        cited = [s for s in facts.of(*self.citing) if s.phase != "planned"] if self.citing else []
        stated = tuple(name for name in self.citing if name in facts.order.says)
        said = f" The order says: {named(stated)}." if stated else ""
        if cited:
            return unclear(
                f"On record: {named(self.citing)} ({dates(cited)}).{said} Nobody has stated the conclusion.", cited
            )
        if stated:
            order = Evidence(facts.order.reference, display=facts.order.display)
            return Finding(Outcome.UNDOCUMENTED, f"{said.strip()} Nobody has stated the conclusion.", (order,))
        return nothing("Nobody has stated it.")

    def describe(self) -> str:
        return "a clinician states it"

    @property
    def records(self) -> frozenset[Records]:
        cited: frozenset[Records] = frozenset({"procedures", "conditions"} if self.citing else ())
        return cited | {"questionnaire-responses"}
