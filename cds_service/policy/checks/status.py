"""Checks whose answer is the latest of several contrary statements, and checks that only a person can settle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal

from cds_service.policy.checks.check import Check, named, option
from cds_service.policy.checks.recorded import dates
from cds_service.policy.finding import Finding, fails, holds, nothing, unclear
from cds_service.policy.outcome import Outcome
from cds_service.policy.windows import in_words, window_start
from fhir_mappings.facts import Evidence, Facts, Records, Statement

_LOOKED_IN: tuple[Records, ...] = ("conditions", "observations")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusNow(Check):
    """A status such as tobacco use holds now, by current conditions, the latest observation of it, and its tests.

    An observed opposite newer than the condition is a conflict; a recorded "unknown" leaves it open, and so does an
    observation without a date.
    """

    key: ClassVar[str] = "status_now"
    value_set: tuple[str, ...] = option("value sets", "codes that say that it holds", looked_in=_LOOKED_IN)
    opposite: tuple[str, ...] = option("value sets", "codes that say that it does not", looked_in=_LOOKED_IN)
    unknown: tuple[str, ...] = option(
        "value sets", "codes that say that it is unknown", default=(), looked_in=_LOOKED_IN
    )
    tests: tuple[str, ...] = option(
        "value sets", "tests whose positive result shows that it holds", default=(), looked_in=("observations",)
    )
    earlier: Literal["replaced", "counts"] = option(
        "choice",
        "whether a newer observation replaces an earlier one, or the earlier one counts until it is too old "
        "and is in conflict with a newer opposite",
        default="replaced",
        choices=("replaced", "counts"),
    )
    within_months: int | None = option("count", "how old an observation may be, in months", default=None)
    within_days: int | None = option(
        "count", "how old an observation may be, in days", default=None, not_beside="within_months"
    )
    onset_within_days: int | None = option("count", "how long ago a condition may have begun, in days", default=None)
    tests_within_days: int | None = option(
        "count", "how old a test may be, in days; an older one is left out", default=None
    )

    def evaluate(self, facts: Facts) -> Finding:
        found = [s for s in facts.of(*self._shown_by, *self.opposite, *self.unknown) if self._current(s, facts)]
        newest = _newest(found)
        latest = [s for s in found if not _is_older(s, newest)]
        counted = latest if self.earlier == "replaced" else [s for s in found if self._counts(s, newest, facts)]
        no = _of(latest, self.opposite)
        return (
            self._held(_of(counted, self._shown_by), no, facts)
            or self._open([s for s in latest if s.concepts.isdisjoint((*self._shown_by, *self.opposite))])
            or self._doubted(_of(counted, self._shown_by, confirmed=False))
            or self._denied(no)
            or self._doubted(_of(latest, self.opposite, confirmed=False))
            or nothing(f"Not found: {named(self._shown_by)}.")
        )

    def describe(self) -> str:
        return f"{named(self._shown_by)} holds now ({self._windows()}against it: {named(self.opposite)})"

    @property
    def records(self) -> frozenset[Records]:
        return frozenset(_LOOKED_IN)

    @property
    def _shown_by(self) -> tuple[str, ...]:
        return self.value_set + self.tests

    def _current(self, statement: Statement, facts: Facts) -> bool:
        if statement.kind == "condition":
            return statement.phase == "current"
        if statement.kind != "observation" or (statement.when and statement.when.first > facts.as_of):
            return False
        return statement.concepts.isdisjoint(self.tests) or self._fresh(statement, facts) is not False

    def _counts(self, statement: Statement, newest: date | None, facts: Facts) -> bool:
        return not _is_older(statement, newest) or self._fresh(statement, facts) is not False

    def _held(self, yes: Sequence[Statement], no: Sequence[Statement], facts: Facts) -> Finding | None:
        """Return what those that say yes lead to; None without any, or where they are too old and no came after."""
        shown = [s for s in yes if self._fresh(s, facts)] or [s for s in yes if self._fresh(s, facts) is None]
        what = f"{self._names(shown or yes)} ({dates(shown or yes)})"
        if against := [s for s in no if shown and self._speaks_against(s, shown, facts)]:
            both = [*shown, *against]
            return unclear(f"Recorded, and its opposite as well: {self._names(shown)}.", both, conflict=True)
        if shown and self._fresh(shown[0], facts):
            return holds(f"Recorded: {what}.", shown)
        if shown:
            return unclear(f"Recorded, but the date leaves open whether it holds now: {what}.", shown)
        if yes and not any(_came_after(s, yes) for s in no):
            return unclear(f"Too old to say what holds now: {what}.", yes)
        return None

    def _open(self, unknown: Sequence[Statement]) -> Finding | None:
        return unclear(f"The latest status says neither yes nor no ({dates(unknown)}).", unknown) if unknown else None

    def _doubted(self, said: Sequence[Statement]) -> Finding | None:
        return unclear(f"Recorded but not confirmed: {self._names(said)} ({dates(said)}).", said) if said else None

    def _denied(self, no: Sequence[Statement]) -> Finding | None:
        return fails(f"Recorded: {self._names(no)} ({dates(no)}).", no) if no else None

    def _names(self, statements: Sequence[Statement]) -> str:
        """Return what the statements say, in the order of the options."""
        said = frozenset[str]().union(*(s.concepts for s in statements))
        return named(tuple(name for name in (*self._shown_by, *self.opposite) if name in said))

    def _speaks_against(self, no: Statement, yes: Sequence[Statement], facts: Facts) -> bool:
        """Whether an opposite stands beside what it contradicts: not one that is stale, or older than all of it."""
        if no.kind == "condition":
            return True
        newer = any(s.when is None or no.when is None or no.when.last >= s.when.first for s in yes)
        return newer and self._fresh(no, facts) is not False

    def _fresh(self, statement: Statement, facts: Facts) -> bool | None:
        """Return whether its day lies in the window; None where that cannot be told. A condition needs no day."""
        if statement.when is None:
            return True if statement.kind == "condition" else None
        window = window_start(facts.as_of, *self._window(statement)), facts.as_of
        return statement.when.within(*window) or (None if statement.when.touches(*window) else False)

    def _window(self, statement: Statement) -> tuple[int | None, int | None]:
        """Return how old a statement may be, in months or in days."""
        if statement.kind == "condition":
            return None, self.onset_within_days
        if not statement.concepts.isdisjoint(self.tests):
            return None, self.tests_within_days
        return self.within_months, self.within_days

    def _windows(self) -> str:
        told = (
            ("an observation counts", in_words(self.within_months, self.within_days)),
            ("a test counts", in_words(None, self.tests_within_days)),
            ("a condition counts when it began", in_words(None, self.onset_within_days)),
        )
        return "".join(f"{what} {when}; " for what, when in told if when)


def _newest(statements: Sequence[Statement]) -> date | None:
    """Return a day on or after which the newest of the confirmed observations was certainly made."""
    days = [s.when.first for s in statements if s.kind == "observation" and s.confirmed and s.when]
    return max(days, default=None)


def _is_older(statement: Statement, newest: date | None) -> bool:
    """Whether a newer observation is certain; one without a day may be the newest, and a condition holds on."""
    day = statement.when
    return statement.kind == "observation" and newest is not None and day is not None and day.last < newest


def _came_after(statement: Statement, others: Sequence[Statement]) -> bool:
    day = statement.when
    return day is not None and all(s.when is not None and s.when.last < day.first for s in others)


def _of(statements: Sequence[Statement], names: tuple[str, ...], *, confirmed: bool = True) -> list[Statement]:
    return [s for s in statements if s.confirmed is confirmed and not s.concepts.isdisjoint(names)]


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
