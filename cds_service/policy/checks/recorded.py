"""Checks on what the chart records: events, current conditions, history, plans, diagnoses, grades."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal, cast

from cds_service.policy.checks.check import KIND_OF, Check, named, option, sentence
from cds_service.policy.finding import Finding, fails, holds, in_order, nothing, unclear
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import day_in_words, days_from, distinct_days, in_words, window_start
from fhir_mappings.facts import DateRange, Facts, Kind, Records, Severity, Statement

RecordedKind = Literal["event", "current", "ever", "planned"]

_DEFAULT_PLACES: dict[str, tuple[Records, ...]] = {
    "event": ("conditions", "observations"),
    "current": ("conditions",),
    "ever": ("conditions", "procedures"),
    "planned": ("procedures", "service-requests"),
}


_DEFAULTS_IN_WORDS = ", ".join(f"{' and '.join(places)} for `{kind}`" for kind, places in _DEFAULT_PLACES.items())


@lru_cache(maxsize=128)  # policies name a few places only, in a few orders
def _kinds(places: tuple[Records, ...]) -> frozenset[Kind]:
    return frozenset(KIND_OF[place] for place in places)


def dates(statements: Iterable[Statement]) -> str:
    """Return the dates of statements as a phrase, newest first."""
    days = sorted({day_in_words(s.when) for s in statements}, reverse=True)
    return ", ".join(days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Check):
    """Something of a value set is in the chart.

    ``event``: it happened in the window, whatever its status now, on so many distinct dates.
    ``current``: it holds now. ``ever``: at any time up to the service date. ``planned``: done or ordered around it; an
    order of the same request needs no date.
    """

    key: ClassVar[str] = "recorded"
    value_set: tuple[str, ...] = option("value sets", "what is looked for")
    kind: RecordedKind = option("choice", "how it counts", choices=("event", "current", "ever", "planned"))
    places: tuple[Records, ...] = option(
        "records",
        f"where it is looked for, and nowhere else; by default: {_DEFAULTS_IN_WORDS}",
        default=(),
        choices=tuple(KIND_OF),
    )
    on_dates: int = option("count", "distinct dates on which it must have happened", default=1, kinds=("event", "ever"))
    within_months: int | None = option("count", "look-back in months", default=None, kinds=("event", "current"))
    within_days: int | None = option(
        "count", "look-back in days", default=None, kinds=("event", "current"), not_beside="within_months"
    )
    around_days: int | None = option(
        "count", "days before and after the service date", default=None, kinds=("planned",)
    )
    severity: Severity | None = option(
        "choice", "severity it must state", default=None, choices=("mild", "moderate", "severe")
    )
    excepting: tuple[str, ...] = option("value sets", "codes left out although they are in the value set", default=())
    unless: Check | None = option("check", "when this is true as well, a reviewer must judge", default=None)

    def evaluate(self, facts: Facts) -> Finding:
        kinds = _kinds(self.places or _DEFAULT_PLACES[self.kind])
        of_set = facts.of(*self.value_set)
        found = [s for s in of_set if s.kind in kinds and s.concepts.isdisjoint(self.excepting)]
        enough = [s for s in found if s.confirmed and self._counts(s, facts) is True]
        if distinct_or_one(enough, self.on_dates):
            return self._unless(facts, enough)
        possible = [s for s in found if self._counts(s, facts) is not False]
        if not possible:
            return nothing(f"Not found: {named(self.value_set)} {self._window()}".rstrip() + ".")
        return unclear(self._not_enough(enough, possible), possible)

    def describe(self) -> str:
        how = {
            "event": f"{named(self.value_set)} is recorded {self._window()}".rstrip(),
            "current": f"{named(self.value_set)} is current{self._since()}",
            "ever": f"{named(self.value_set)} is recorded at any time",
            "planned": f"{named(self.value_set)} is done or ordered {self._window()}".rstrip(),
        }[self.kind]
        how += f" on {self.on_dates} or more dates" if self.on_dates > 1 else ""
        how += f", {self.severity}" if self.severity else ""
        how += f", leaving out {named(self.excepting)}" if self.excepting else ""
        return how + (f" (for a reviewer when {self.unless.describe()})" if self.unless else "")

    @property
    def records(self) -> frozenset[Records]:
        inner = self.unless.records if self.unless else frozenset[Records]()
        return frozenset(self.places or _DEFAULT_PLACES[self.kind]) | inner

    def children(self) -> tuple[Check, ...]:
        return (self.unless,) if self.unless else ()

    def looked_in(self, declared: dataclasses.Field[Any]) -> tuple[Records, ...]:
        return declared.metadata["looked_in"] or self.places or _DEFAULT_PLACES[self.kind]

    def _counts(self, statement: Statement, facts: Facts) -> bool | None:
        """Return whether the statement certainly counts, certainly does not, or possibly does (None)."""
        counted = getattr(self, f"_counts_{self.kind}")(statement, facts)
        if counted is True and self.severity and statement.severity != self.severity:
            return None
        return cast("bool | None", counted)

    def _counts_event(self, statement: Statement, facts: Facts) -> bool | None:
        if statement.phase == "planned":
            return False
        first = window_start(facts.as_of, self.within_months, self.within_days)
        if statement.when is None:
            return None
        if statement.when.within(first, facts.as_of):
            return True
        return None if statement.when.touches(first, facts.as_of) else False

    def _counts_current(self, statement: Statement, facts: Facts) -> bool | None:
        if statement.kind == "observation":
            return self._counts_event(statement, facts)
        if statement.phase != "current":
            return False
        if statement.when is None:
            return True
        first = window_start(facts.as_of, self.within_months, self.within_days)
        # an active condition with an onset outside the window may be a list nobody tidied: a person must look
        return True if statement.when.within(first, facts.as_of) or self._straddles(statement.when, facts) else None

    def _straddles(self, when: DateRange, facts: Facts) -> bool:
        return not (self.within_months or self.within_days) and when.first <= facts.as_of

    def _counts_ever(self, statement: Statement, facts: Facts) -> bool | None:
        if statement.phase == "planned":
            return False
        return statement.when is None or statement.when.first <= facts.as_of

    def _counts_planned(self, statement: Statement, facts: Facts) -> bool | None:
        if statement.phase == "past":
            return False
        if self.around_days is None:
            return True
        if statement.when is None:
            return True if statement.drafted else None
        around = days_from(facts.as_of, -self.around_days), days_from(facts.as_of, self.around_days)
        if statement.when.within(*around):
            return True
        return None if statement.when.touches(*around) else False

    def _unless(self, facts: Facts, enough: Sequence[Statement]) -> Finding:
        reason = f"Recorded: {named(self.value_set)} ({dates(enough)})."
        if self.unless:
            exception = self.unless.evaluate(facts)
            if exception.outcome is not Outcome.NOT_MET and not exception.silent:
                mixed = unclear(f"{reason} {exception.reason} A reviewer must judge.", enough)
                shown = in_order([*mixed.evidence, *exception.evidence])
                return replace(mixed, evidence=shown, unverified=mixed.unverified | exception.unverified)
        return holds(reason, enough)

    def _not_enough(self, enough: Sequence[Statement], possible: Sequence[Statement]) -> str:
        what, counted = named(self.value_set), distinct_days(s.when for s in enough if s.when)
        if self.on_dates > 1 and counted:
            return f"Recorded on {counted} of {self.on_dates} dates {self._window()}: {what} ({dates(enough)})."
        if self.severity and any(s.severity != self.severity for s in possible):
            return f"Recorded without the severity {self.severity}: {what} ({dates(possible)})."
        if not all(s.confirmed for s in possible):
            return f"Recorded but not confirmed: {what} ({dates(possible)})."
        return f"Recorded, but the date leaves open whether it counts: {what} ({dates(possible)})."

    def _window(self) -> str:
        if self.around_days is not None:
            return f"within {self.around_days} days of the service date"
        return in_words(self.within_months, self.within_days)

    def _since(self) -> str:
        window = in_words(self.within_months, self.within_days)
        return f", begun or observed {window}" if window else ""


def distinct_or_one(statements: Sequence[Statement], needed: int) -> bool:
    """Whether there are enough statements: one of any kind, or so many on certainly distinct dates."""
    if needed <= 1:
        return bool(statements)
    return distinct_days(s.when for s in statements if s.when) >= needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(Check):
    """The patient has a diagnosis now. Another diagnosis of the same family instead: false; both: a conflict."""

    key: ClassVar[str] = "diagnosis"
    value_set: tuple[str, ...] = option("value sets", "the diagnosis", looked_in=("conditions",))
    other: tuple[str, ...] = option(
        "value sets", "diagnoses that speak against it when they stand alone", default=(), looked_in=("conditions",)
    )
    beside: tuple[str, ...] = option(
        "value sets", "those of them that conflict with it when both stand", default=(), looked_in=("conditions",)
    )

    def evaluate(self, facts: Facts) -> Finding:
        wanted = [s for s in facts.of(*self.value_set) if s.kind == "condition"]
        others = [s for s in facts.of(*self.other) if _current(s) and s not in wanted]
        found = [s for s in wanted if _current(s)]
        conflicting = [s for s in others if s.concepts.intersection(self.beside)]
        if found and conflicting:
            reason = f"Both recorded as current: {named(self.value_set)}, and {self._names(conflicting)}."
            return unclear(reason, [*found, *conflicting], conflict=True)
        if found:
            return holds(f"Recorded: {named(self.value_set)} ({dates(found)}).", found)
        if others:
            return fails(f"Recorded instead: {self._names(others)}.", others)
        if wanted:
            state = "not confirmed" if any(not s.confirmed for s in wanted) else "no longer current"
            return unclear(f"Recorded, but {state}: {named(self.value_set)}.", wanted)
        return nothing(f"Not found as a current condition: {named(self.value_set)}.")

    def describe(self) -> str:
        text = f"{named(self.value_set)} is a current diagnosis"
        return text + (f" (only {named(self.other)} speaks against it)" if self.other else "")

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"conditions"})

    def _names(self, statements: Sequence[Statement]) -> str:
        found = tuple(name for name in self.other if any(name in s.concepts for s in statements))
        return " and ".join(named((name,)) for name in found)


def _current(statement: Statement) -> bool:
    return statement.kind == "condition" and statement.phase == "current" and statement.confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeAtLeast(Check):
    """A current condition has this grade or a higher one. A lower grade: false; no grade stated: left open."""

    key: ClassVar[str] = "grade_at_least"
    value_set: tuple[str, ...] = option("value sets", "the condition", looked_in=("conditions",))
    grade: int = option("count", "the lowest grade for which the check is true")

    def evaluate(self, facts: Facts) -> Finding:
        current = [s for s in facts.of(*self.value_set) if s.kind == "condition" and s.phase == "current"]
        if not current:
            return nothing(f"Not found as a current condition: {named(self.value_set)}.")
        what = sentence(named(self.value_set))
        high = [s for s in current if s.confirmed and s.grade is not None and s.grade >= self.grade]
        if high:
            return holds(f"{what}: current, grade {max(s.grade or 0 for s in high)}.", high)
        if all(s.confirmed and s.grade is not None for s in current):
            return fails(f"{what}: current, grade {max(s.grade or 0 for s in current)}.", current)
        return unclear(f"{what}: current, but the grade is not stated or it is not confirmed.", current)

    def describe(self) -> str:
        return f"current {named(self.value_set)} of grade {self.grade} or higher"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"conditions"})
