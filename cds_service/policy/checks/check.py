"""What every check is, and how its options are declared: loader, JSON Schema and pages read them here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal

from cds_service.policy.finding import Finding
from fhir_mappings.facts import Facts, Kind, Records

OptionKind = Literal[
    "count", "number", "value sets", "therapies", "records", "choice", "choices", "check", "checks", "range"
]

KIND_OF: dict[Records, Kind] = {
    "conditions": "condition",
    "procedures": "procedure",
    "observations": "observation",
    "medication-requests": "medication",
    "medication-administrations": "administration",
    "service-requests": "service-request",
    "goals": "goal",
}
"""The sort of statement that each kind of record yields."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers by its bounds: at_least, above, below, at_most. At least one is given."""

    at_least: Decimal | None = None
    above: Decimal | None = None
    below: Decimal | None = None
    at_most: Decimal | None = None

    def __contains__(self, value: Decimal) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    def numbers(self) -> frozenset[Decimal]:
        """Return the bounds."""
        return frozenset(v for v in (self.at_least, self.above, self.below, self.at_most) if v is not None)

    def is_empty(self) -> bool:
        """Whether no number can lie in it."""
        lowest = max((v for v in (self.at_least, self.above) if v is not None), default=None)
        highest = min((v for v in (self.at_most, self.below) if v is not None), default=None)
        if lowest is None or highest is None:
            return False
        return lowest > highest or (lowest == highest and (self.above == lowest or self.below == highest))

    def in_words(self) -> str:
        """Return the range as a phrase: ``at least 7.0`` or ``above 0 and below 90``."""
        bounds = (("at least", self.at_least), ("above", self.above), ("below", self.below), ("at most", self.at_most))
        return " and ".join(f"{word} {value}" for word, value in bounds if value is not None)


def option(
    kind: OptionKind,
    meaning: str,
    *,
    default: Any = dataclasses.MISSING,
    choices: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    not_beside: str = "",
    looked_in: tuple[Records, ...] = (),
) -> Any:
    """Declare one option of a check: how it is written in YAML and what it means to a policy analyst.

    ``kinds``: the values of the check's option ``kind`` for which it counts, all when there are none.
    ``not_beside``: the option that it excludes. ``looked_in``: where alone its value sets are looked for.
    """
    metadata = {"kind": kind, "meaning": meaning, "choices": choices, "kinds": kinds, "not_beside": not_beside}
    return dataclasses.field(default=default, metadata={**metadata, "looked_in": looked_in})


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the closed vocabulary. ``key`` is its name in YAML; the docstring is its meaning for an analyst."""

    key: ClassVar[str]
    scalar: ClassVar[str | None] = None
    """The option that may be written directly after the key (``age_at_least: 18``)."""

    def evaluate(self, facts: Facts) -> Finding:
        """Return whether the check is true of the facts. Pure; raises nothing on any facts."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return the check in words, as a phrase that can follow "the chart shows that"."""
        raise NotImplementedError

    @property
    def records(self) -> frozenset[Records]:
        """The records in which the check looks: they are fetched when they were not sent."""
        return frozenset(r for child in self.children() for r in child.records)

    def children(self) -> tuple[Check, ...]:
        """Return the checks inside this one."""
        return ()

    def numbers(self) -> frozenset[Decimal]:
        """Return every number that the check was given: each must be printed in the policy or be an assumption."""
        found: set[Decimal] = set()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == field.default or value is None:
                continue
            if field.metadata["kind"] in {"count", "number"}:
                found.add(Decimal(value))
            if field.metadata["kind"] == "range":
                for each in value if isinstance(value, tuple) else (value,):
                    found |= each.numbers()
        return frozenset(found).union(*(child.numbers() for child in self.children()))

    def looked_in(self, declared: dataclasses.Field[Any]) -> tuple[Records, ...]:
        """Return the records in which alone an option's value sets are looked for; none: anywhere, or in the order."""
        found: tuple[Records, ...] = declared.metadata["looked_in"]
        return found

    def value_sets(self) -> frozenset[str]:
        """Return the value sets that the check reads."""
        own = {
            name
            for field in dataclasses.fields(self)
            if field.metadata["kind"] == "value sets"
            for name in getattr(self, field.name)
        }
        return frozenset(own).union(*(child.value_sets() for child in self.children()))


class ValueSetName(str):
    """The name of a value set together with its title, which is what people read."""

    __slots__ = ("phrase", "shown")
    shown: str
    phrase: str
    """The title as it stands inside a sentence."""

    def __new__(cls, name: str, title: str) -> ValueSetName:
        made = super().__new__(cls, name)
        made.shown = title
        made.phrase = _inside_a_sentence(title)
        return made


def named(value_sets: tuple[str, ...]) -> str:
    """Return value sets as a phrase inside a sentence: their titles (else their names) with "or" between them."""
    return " or ".join(
        [name.phrase if isinstance(name, ValueSetName) else name.replace("-", " ") for name in value_sets]
    )


def _inside_a_sentence(title: str) -> str:
    first = title.split(" ", 1)[0]
    # an acronym or a code-like word keeps its capitals inside a sentence
    lower = first in {"A", "An"} or (first.isalpha() and first[1:].islower())
    return title[0].lower() + title[1:] if lower else title


def sentence(text: str) -> str:
    """Return a text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]
