"""A policy as data: its letters, their checks, the logic over them, and what a reader of its cards must be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, get_args

from cds_service.policy.checks import Check
from cds_service.policy.outcome import Outcome, all_of, any_of
from fhir_mappings.facts import Evidence, Records

SectionName = Literal["indication", "dosage", "forms", "contraindications"]
"""The sections of a product label that a criterion can point to."""
SECTIONS: tuple[SectionName, ...] = get_args(SectionName)

Line = Literal["commercial", "medicaid", "medicare"]
LINES: tuple[Line, ...] = ("commercial", "medicaid", "medicare")


@dataclass(frozen=True, slots=True)
class Letter:
    """One criterion's id in the logic of a policy."""

    id: str


@dataclass(frozen=True, slots=True)
class Joined:
    """``all`` or ``any`` of several parts of the logic."""

    how: Literal["all", "any"]
    parts: tuple[Logic, ...]


Logic = Letter | Joined


def letters(logic: Logic) -> tuple[str, ...]:
    """Return the letters of the logic in the order in which they are written."""
    if isinstance(logic, Letter):
        return (logic.id,)
    return tuple(letter for part in logic.parts for letter in letters(part))


def outcome_of(logic: Logic, outcome: Callable[[str], Outcome]) -> Outcome:
    """Return the outcome of the logic, given that of each letter."""
    if isinstance(logic, Letter):
        return outcome(logic.id)
    fold = all_of if logic.how == "all" else any_of
    return fold(outcome_of(part, outcome) for part in logic.parts)


@dataclass(frozen=True, slots=True)
class Assumption:
    """A reading or a number that the policy does not print, in our words."""

    id: str
    text: str
    numbers: frozenset[Decimal] = frozenset()


About = Literal["order", "patient"]
"""What a question asks about; no answer about the order itself counts that was given for another order."""
ABOUT: tuple[About, ...] = get_args(About)


@dataclass(frozen=True, slots=True)
class AskedDate:
    """The day that is asked for after a yes."""

    text: str
    within_months: int | None = None
    """How long before the service date that day may lie; a yes with another day does not count."""


@dataclass(frozen=True, slots=True)
class AskedValue:
    """The number that is asked for after a yes. It is shown as evidence and decides nothing."""

    text: str
    unit: str
    """A UCUM code."""


@dataclass(frozen=True, slots=True)
class Question:
    """A yes or no question whose answer settles criteria; yes points towards coverage."""

    id: str
    text: str
    within_months: int | None = None
    """How old an answer may be on the service date."""
    date: AskedDate | None = None
    value: AskedValue | None = None
    about: About = "patient"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One letter. Either it requires (``met_when``) or it excludes (``excluded_when``, ``review_when``)."""

    id: str
    label: str
    """Two to five words for the summary of a card."""
    text: str
    settled_by: str
    met_when: Check | None = None
    excluded_when: Check | None = None
    review_when: Check | None = None
    """Findings that only a person can judge: they leave the criterion undocumented and name it for the reviewer."""
    silence: tuple[Records, ...] = ()
    """The records in which an exclusion would show: when they were supplied and show nothing, it is assumed absent."""
    from_label: SectionName | None = None
    """The section of the ordered product's label that judges it; checks of its own then serve where that has none."""
    question: str | None = None
    assumes: tuple[str, ...] = ()
    printed: frozenset[Decimal] = frozenset()
    """The numbers of the checks that the policy itself prints."""
    records: frozenset[Records] = field(init=False, repr=False, compare=False)
    """The records that the criterion needs: where its checks look, and what silence asks for."""
    value_sets: frozenset[str] = field(init=False, repr=False, compare=False)
    """The value sets that its checks read."""

    def __post_init__(self) -> None:
        # asked for every order, and the same for all
        object.__setattr__(self, "records", self.looked_in | frozenset(self.silence))
        read = frozenset(name for check in self.checks() for name in check.value_sets())
        object.__setattr__(self, "value_sets", read)

    @property
    def excludes(self) -> bool:
        """Whether it says what must not be, rather than what has to be."""
        return self.met_when is None and (self.from_label is None or self.from_label == "contraindications")

    @property
    def looked_in(self) -> frozenset[Records]:
        """The records in which its checks look."""
        return frozenset(r for check in self.checks() for r in check.records)

    def checks(self) -> tuple[Check, ...]:
        """Return the criterion's checks."""
        return tuple(c for c in (self.met_when, self.excluded_when, self.review_when) if c is not None)


@dataclass(frozen=True, slots=True)
class Section:
    """The part of a policy that judges some therapies, with its own logic."""

    therapies: frozenset[str]
    requires: Logic


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """When another document governs: for a line of business, for some therapies, or always."""

    document: str
    because: str
    line: Line | None = None
    therapies: frozenset[str] | None = None

    def applies(self, therapy: str, line: Line | None) -> bool:
        """Whether this member's order falls under the other document."""
        return (self.line is None or self.line == line) and (self.therapies is None or therapy in self.therapies)


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the reader of a card, with the circumstances in which it is shown."""

    text: str
    line: Line | None = None
    therapies: frozenset[str] | None = None
    codes: frozenset[str] = frozenset()
    """Shown only when the order uses one of these codes."""
    under_age: int | None = None

    def applies(self, therapy: str, line: Line | None, codes: frozenset[str], age: int | None) -> bool:
        """Whether the notice belongs on this card."""
        return (
            (self.line is None or self.line == line)
            and (self.therapies is None or therapy in self.therapies)
            and (not self.codes or bool(self.codes & codes))
            and (self.under_age is None or (age is not None and age < self.under_age))
        )


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place where the policy disagrees with itself, and how it is read."""

    text: str
    therapies: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ProductCode:
    """The policy wants a product's own billing code where there is one, instead of these unlisted ones."""

    instead_of: frozenset[str]
    text: str


PriorAuthorizationNeeded = Literal["auth-needed", "no-auth"]
"""What a policy can say of prior authorization, by the codes of Da Vinci CRD."""
NEEDED: tuple[PriorAuthorizationNeeded, ...] = get_args(PriorAuthorizationNeeded)


@dataclass(frozen=True, slots=True)
class PriorAuthorization:
    """What the policy says about asking the payer first, and for which therapies (None: all that it judges)."""

    needed: PriorAuthorizationNeeded
    text: str
    therapies: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Lifted:
    """For members under an age no limit of the policy is final: a rule above it may lift each."""

    under_age: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class PolicyDocument:
    """One policy in the version that is in force from ``effective_from``. A library holds each once."""

    id: str
    title: str
    payer: str
    citation: str
    effective_from: date
    revision: str
    """The first 16 hex digits of the SHA-256 of the document's text."""
    file: str
    criteria: Mapping[str, Criterion]
    not_evaluated: Mapping[str, str]
    questions: Mapping[str, Question]
    assumptions: Mapping[str, Assumption]
    sections: tuple[Section, ...] = ()
    lines: frozenset[Line] = frozenset(LINES)
    elsewhere: tuple[Elsewhere, ...] = ()
    notices: tuple[Notice, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    product_code: ProductCode | None = None
    prior_authorization: PriorAuthorization | None = None
    """None when the document says nothing of it."""

    lifted: Lifted | None = None
    _applicable: Mapping[str, tuple[Criterion, ...]] = field(init=False, repr=False)
    _records: Mapping[str, frozenset[Records]] = field(init=False, repr=False)
    _therapies: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # asked for every order, and the same for all
        applicable = {t: self._criteria_of(s) for s in reversed(self.sections) for t in s.therapies}
        records = {t: frozenset(r for c in found for r in c.records) for t, found in applicable.items()}
        object.__setattr__(self, "_applicable", MappingProxyType(applicable))
        object.__setattr__(self, "_records", MappingProxyType(records))
        sent = (e.therapies for e in self.elsewhere if e.therapies)
        object.__setattr__(self, "_therapies", frozenset(applicable).union(*sent))

    def therapies(self) -> frozenset[str]:
        """Return the therapies that the policy judges or sends elsewhere."""
        return self._therapies

    def section_for(self, therapy: str) -> Section | None:
        """Return the section that judges the therapy."""
        return next((s for s in self.sections if therapy in s.therapies), None)

    def authorization_of(self, therapy: str) -> PriorAuthorization | None:
        """Return what the policy says about prior authorization of the therapy; None when it says nothing."""
        said = self.prior_authorization
        return said if said and (said.therapies is None or therapy in said.therapies) else None

    def applicable(self, therapy: str) -> tuple[Criterion, ...]:
        """Return the criteria that apply to the therapy, in the policy's order."""
        return self._applicable.get(therapy, ())

    def records(self, therapy: str) -> frozenset[Records]:
        """Return the records that judging the therapy needs."""
        return self._records.get(therapy, frozenset())

    def _criteria_of(self, section: Section) -> tuple[Criterion, ...]:
        wanted = set(letters(section.requires))
        return tuple(c for c in self.criteria.values() if c.id in wanted)


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """What the chart says about one criterion, and what would settle it."""

    id: str
    label: str
    text: str
    outcome: Outcome
    reason: str
    settled_by: str
    evidence: tuple[Evidence, ...] = ()
    assumed: bool = False
    conflict: bool = False
    assumptions: tuple[str, ...] = ()
    question: str | None = None
    attested: bool = False
    """Whether a person's answer settles it, not the chart."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """A policy held against the facts of one order."""

    document: PolicyDocument
    outcome: Outcome
    results: tuple[CriterionResult, ...]
    notices: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
