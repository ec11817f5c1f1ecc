"""Checks on earlier infusions of a course: how many there were, and whether another one may follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from typing import ClassVar, NamedTuple

from cds_service.policy.checks.check import KIND_OF, Check, option
from cds_service.policy.checks.doses import (
    at_most,
    certain_doses,
    is_order,
    may_lie_before,
    without_orders_of_given,
)
from cds_service.policy.checks.recorded import dates
from cds_service.policy.finding import Finding, fails, holds, nothing, unclear
from cds_service.policy.windows import day_in_words, days_from, distinct_days
from fhir_mappings.facts import DateRange, Facts, Records, Statement

_LOOKED_IN: tuple[Records, ...] = ("procedures", "medication-administrations", "conditions")
_COUNTED = frozenset(KIND_OF[place] for place in _LOOKED_IN)


def count_bounds(infusions: Sequence[Statement], same_within_days: int, as_of: date) -> tuple[int, int]:
    """Return the certain and the possible number of distinct infusions; one without a date counts as one."""

    def most(found: list[Statement]) -> int:
        exact = [s.when for s in found if s.when and s.when.first == s.when.last]
        vague = sum(s.when is None or s.when.first != s.when.last for s in found)
        return distinct_days(exact, same_within_days) + vague

    sure = certain_doses(infusions, as_of)
    undated = sum(s.when is None for s in sure)
    certain = distinct_days((s.when for s in sure if s.when), same_within_days) + undated
    return certain, max(certain, at_most(infusions, most))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfInfusions(Check):
    """What asks for the infusions before the service date."""

    value_set: tuple[str, ...] = option("value sets", "infusions that count", looked_in=_LOOKED_IN)
    unstated: tuple[str, ...] = option(
        "value sets", "infusion codes that leave the kind open", default=(), looked_in=_LOOKED_IN
    )
    not_with: tuple[str, ...] = option("value sets", "what on the same day shows another kind", default=())
    mentioned: tuple[str, ...] = option(
        "value sets", "what shows that there was one, where none is certain", default=(), looked_in=("procedures",)
    )

    @property
    def records(self) -> frozenset[Records]:
        return frozenset({"procedures", "medication-administrations", "medication-requests"})

    def earlier(self, facts: Facts) -> list[Statement]:
        """Return the infusions: those of the value set, and the unstated ones that count as such.

        One whose code leaves the kind open does not count when something of ``not_with`` stands on the same day.
        Completed orders and dispenses may be infusions, where no infusion is certain; what came after one tells then
        that there was one, who knows when.
        """
        found = [s for s in self._given(facts, *self.value_set, *self.unstated) if self._is_of_the_kind(s, facts)]
        if certain_doses(found, facts.as_of):
            return without_orders_of_given(found, facts.as_of)
        return [*found, *(replace(s, confirmed=False) for s in self._given(facts, *self.mentioned)[:1])]

    @staticmethod
    def _given(facts: Facts, *names: str) -> list[Statement]:
        return [s for s in facts.of(*names) if _may_have_been_given(s) and may_lie_before(s, facts.as_of)]

    def _is_of_the_kind(self, statement: Statement, facts: Facts) -> bool:
        if not statement.concepts.isdisjoint(self.not_with):
            return False
        if not statement.concepts.isdisjoint(self.value_set):
            return True
        day, others = statement.when, [s.when for s in facts.of(*self.not_with) if s.when]
        return not any(day and day.touches(other.first, other.last) for other in others)


def _may_have_been_given(statement: Statement) -> bool:
    if is_order(statement):
        return statement.phase == "past"
    return statement.kind in _COUNTED and statement.phase != "planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class InfusionsExceed(OfInfusions):
    """Earlier infusions and this order together are more than the course allows.

    Completed orders and dispenses without a recorded infusion may be infusions: where they make too many, it is open.
    """

    key: ClassVar[str] = "infusions_exceed"
    limit: int = option("count", "the most infusions, this order included")
    same_within_days: int = option("count", "records this close together are one infusion")

    def evaluate(self, facts: Facts) -> Finding:
        earlier = self.earlier(facts)
        if not earlier:
            return nothing("No earlier infusion found.")
        certain, possible = count_bounds(earlier, self.same_within_days, facts.as_of)
        number, total = _span(certain, possible), _span(certain + 1, possible + 1)
        text = f"{number} earlier infusion{'s' if number != '1' else ''} ({dates(earlier)}) and this order"
        if certain + 1 > self.limit:
            return holds(f"{text} make {total}; the most is {self.limit}.", earlier)
        if possible + 1 > self.limit:
            return unclear(f"{text}: it cannot be told whether they make more than {self.limit}.", earlier)
        if "procedures" not in facts.supplied:
            return unclear(f"{text} make {total}, but the procedures were not supplied: there may be more.", earlier)
        return fails(f"{text} make {total} of at most {self.limit}.", earlier)

    def describe(self) -> str:
        days = f"{self.same_within_days} day{'s' if self.same_within_days != 1 else ''}"
        return (
            f"earlier infusions and this one are more than {self.limit} (records up to {days} apart are one infusion)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatOutsideWindow(OfInfusions):
    """A repeat infusion comes although insulin independence stands, or more than the window after it was lost.

    Open where another infusion may have been the last, or where insulin is unconfirmed or its dates are too vague.
    """

    key: ClassVar[str] = "repeat_outside_window"
    insulin: tuple[str, ...] = option(
        "value sets", "the drugs that show dependence", looked_in=("medication-requests",)
    )
    within_days: int = option("count", "the window after the infusion, and after the loss of independence")
    free_days: int = option("count", "the days without an order that count as an insulin-free interval")

    def evaluate(self, facts: Facts) -> Finding:
        earlier = self.earlier(facts)
        if not earlier:
            return nothing("No earlier infusion found: the criterion does not apply.")
        if not certain_doses(earlier, facts.as_of):
            return unclear(f"An earlier infusion is possible, but not certain ({dates(earlier)}).", earlier)
        last = _last_day(earlier, facts.as_of)
        if last is None:
            return unclear(
                f"Which infusion was the last, and on which day, is not certain ({dates(earlier)}).", earlier
            )
        insulin = [s for s in facts.of(*self.insulin) if s.kind == "medication" and s.phase != "planned"]
        readings = _readings(insulin, facts.as_of, *self._decisive_days(facts.as_of, last))
        found = [self._judge(facts.as_of, last, earlier, reading) for reading in readings]
        if len({finding.outcome for finding in found}) > 1:
            return unclear(
                f"The insulin on record is not confirmed, or dated too vaguely, to tell what came after {last}.",
                [*earlier, *insulin],
            )
        return found[0]

    def describe(self) -> str:
        return (
            "a repeat infusion is ordered while independence from insulin stands, or more than "
            f"{self.within_days} days after it was lost (more than {self.free_days} days without insulin count as "
            "independence)"
        )

    def _decisive_days(self, as_of: date, infused: date) -> tuple[tuple[date, ...], tuple[date, ...]]:
        """Return the starts and the ends of insulin that an outcome can turn on: first, last and one between."""
        too_late = days_from(as_of, -self.within_days - 1)
        return (date.min, date.max, too_late), (date.min, date.max, infused)

    def _judge(self, as_of: date, infused: date, earlier: list[Statement], insulin: Sequence[_Insulin]) -> Finding:
        shown = [*earlier, *(i.statement for i in insulin)]
        after = f"after the infusion of {infused}"
        active = [i for i in insulin if i.stands]
        restart = self._restart(infused, active, insulin)
        if restart is not None:
            start, when = restart
            text = f"Insulin was restarted {_began(when, as_of, after)}"
            if (as_of - start).days > self.within_days:
                return holds(f"{text}: more than {self.within_days}.", shown)
            return fails(f"{text}: within {self.within_days}.", shown)
        until = min(days_from(infused, self.within_days), as_of)
        still = [i.statement for i in active if i.start and i.start <= until]
        if still:
            return fails(f"Insulin is still ordered ({day_in_words(still[0].when)}) {after}.", [*earlier, *still])
        if not insulin:
            return unclear(f"No insulin is recorded {after}; nothing says whether independence was reached.", earlier)
        return unclear(f"The insulin on record does not tell whether independence was reached {after}.", shown)

    def _restart(
        self, infused: date, active: list[_Insulin], insulin: Sequence[_Insulin]
    ) -> tuple[date, DateRange] | None:
        """Return when insulin began again after a documented interval without any, if there was one."""
        started = [(i.start, i.statement.when) for i in active if i.start and i.statement.when]
        ends = [i.end for i in insulin if not i.stands]
        known = [end for end in ends if end is not None]
        if not started or len(started) != len(active) or not known or len(known) != len(ends):
            return None
        first = min(started, key=lambda one: one[0])
        if first[0] <= infused or max(known) < infused:
            return None
        return first if (first[0] - max(known)).days > self.free_days else None


class _Insulin(NamedTuple):
    """Insulin on record, by one reading of its days."""

    statement: Statement
    start: date | None
    end: date | None
    stands: bool
    """Whether it is ordered still on the service date."""


def _readings(
    insulin: Sequence[Statement], as_of: date, starts: tuple[date, ...], ends: tuple[date, ...]
) -> Iterator[list[_Insulin]]:
    """Yield the insulin by each way to read it.

    What is not confirmed is in it or not; a vague date is as near as it can be to each of the given days.
    """
    # a stopped order is not confirmed as taken, but that it ended is
    sure = [s for s in insulin if s.confirmed or s.phase == "past"]
    vague = any(when and when.first != when.last for s in insulin for when in (s.when, s.until))
    days = list(product(starts, ends)) if vague else [(date.min, date.min)]
    for held in (sure, insulin) if len(sure) < len(insulin) else (insulin,):
        for start, end in days:
            yield [_read(s, as_of, start, end) for s in held]


def _read(statement: Statement, as_of: date, start: date, end: date) -> _Insulin:
    ended = _near(end, statement.until)
    stands = statement.phase == "current" and (ended is None or ended >= as_of)
    return _Insulin(statement, _near(start, statement.when), ended, stands)


def _near(day: date, when: DateRange | None) -> date | None:
    return min(max(day, when.first), when.last) if when else None


def _last_day(infusions: Sequence[Statement], as_of: date) -> date | None:
    """Return the day of the last infusion; None when one without a certain day may have been the last."""
    certain = certain_doses(infusions, as_of)
    last = max((s.when.first for s in certain if s.when and s.when.first == s.when.last), default=None)
    if last is None or any(s.when is None or s.when.last > last for s in infusions):
        return None
    return last


def _began(when: DateRange, as_of: date, after: str) -> str:
    day = f"{'on' if when.first == when.last else 'in'} {day_in_words(when)}"
    return f"{day} {after}, {_span((as_of - when.last).days, (as_of - when.first).days)} days before the service date"


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
