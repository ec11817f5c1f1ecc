"""The three outcomes and their strong Kleene logic. An outcome is never a bool: "unknown" must not pass for "false"."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NoReturn


class Outcome(enum.Enum):
    """What the chart says about a statement.

    For a criterion it points towards coverage: ``MET`` supports it, whether the policy requires or excludes.
    For a check it is the truth of the check itself.
    """

    MET = "met"
    NOT_MET = "not-met"
    UNDOCUMENTED = "undocumented"

    # there is one of each, and the hash of an enum's member is asked for all the time: that of its name is slow
    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise TypeError("an outcome has three values; compare it with `is`")


def all_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Kleene conjunction: one not-met decides, else one undocumented leaves it open. Empty: met."""
    seen = set(outcomes)
    for outcome in (Outcome.NOT_MET, Outcome.UNDOCUMENTED):
        if outcome in seen:
            return outcome
    return Outcome.MET


def any_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Kleene disjunction: one met decides, else one undocumented leaves it open. Empty: not-met."""
    seen = set(outcomes)
    for outcome in (Outcome.MET, Outcome.UNDOCUMENTED):
        if outcome in seen:
            return outcome
    return Outcome.NOT_MET


_OPPOSITE = {
    Outcome.MET: Outcome.NOT_MET,
    Outcome.NOT_MET: Outcome.MET,
    Outcome.UNDOCUMENTED: Outcome.UNDOCUMENTED,
}


def opposite(outcome: Outcome) -> Outcome:
    """Kleene negation: undocumented stays undocumented."""
    return _OPPOSITE[outcome]
