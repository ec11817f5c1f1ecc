"""The contract between FHIR and policies: what a chart and an order say, in policy terms, with no FHIR inside.

Everything here is frozen and free of I/O. A value set is named by its file in ``value_sets/`` (``type-1-diabetes``);
a statement's ``concepts`` are the names of the value sets that its codes are in.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

Records = Literal[
    "patient",
    "coverage",
    "conditions",
    "medication-requests",
    "procedures",
    "observations",
    "goals",
    "service-requests",
    "medication-administrations",
    "questionnaire-responses",
]
"""The kinds of record that a chart can supply; each is one prefetch key and one FHIR search."""

Kind = Literal["condition", "procedure", "observation", "administration", "medication", "service-request", "goal"]
"""What sort of statement it is. ``medication`` is a request or a statement that a drug is taken."""

Phase = Literal["current", "past", "done", "planned"]
"""``current``: holds now (an active condition or drug). ``past``: held once (resolved, ended).
``done``: it happened (a procedure, a result, an administration). ``planned``: ordered or intended, not done."""

Severity = Literal["mild", "moderate", "severe"]


@dataclass(frozen=True, slots=True, order=True)
class DateRange:
    """The days on which something may have happened: a FHIR partial date as its first and last day, inclusive."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("a date range ends before it begins")

    @classmethod
    def day(cls, day: date) -> DateRange:
        """Return the range that is exactly one day."""
        return cls(day, day)

    def within(self, first: date, last: date) -> bool:
        """Whether the event certainly lies between two days, both included."""
        return first <= self.first and self.last <= last

    def touches(self, first: date, last: date) -> bool:
        """Whether the event possibly lies between two days, both included."""
        return self.first <= last and first <= self.last


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a statement stands in the chart. ``display`` and ``value`` are text of the EHR: never trusted as markup."""

    reference: str
    display: str | None = None
    value: str | None = None
    date: str | None = None
    """As recorded: a FHIR date, possibly partial, without the time of day."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its canonical UCUM unit."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that the chart says and that counts as evidence: what was refuted or not done never gets here."""

    kind: Kind
    concepts: frozenset[str]
    evidence: Evidence
    phase: Phase
    when: DateRange | None = None
    """Onset of a condition, time of a procedure or result, start of a drug; None when undated."""
    until: DateRange | None = None
    """Abatement of a condition, end of a drug; None when open or not stated."""
    confirmed: bool = True
    """False for provisional, differential and unconfirmed conditions and preliminary results: not enough."""
    severity: Severity | None = None
    grade: int | None = None
    """Overall grade, for conditions that have one (acute GVHD I to IV)."""
    quantity: Quantity | None = None
    unverified: frozenset[str] = frozenset()
    """The concepts that rest only on codes or words that nobody could verify against a published source."""
    drafted: bool = False
    """Whether it is an order of the same request: without a date of its own it is for the day of that request."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A clinician's answer to a policy's question, from a completed QuestionnaireResponse. Yes points to coverage."""

    question: str
    answer: bool
    evidence: Evidence
    when: DateRange | None = None
    """When it was answered; None without a day, or for one that has not come yet (the evidence tells it)."""
    at: datetime | None = None
    """The moment, where time and zone are stated: it puts answers of one day in order."""
    happened: DateRange | None = None
    """The day that a follow-up gives for what is answered."""
    unread_day: bool = False
    """Whether that follow-up has an answer of which no day could be read."""
    questionnaire: str | None = None
    """The canonical URL of what was answered, as the response states it."""
    author: str | None = None
    """Who answered: ``Practitioner/p1``, or the type alone."""
    orders: tuple[str | None, ...] = ()
    """The orders for which it was answered, as the response names them: ``Type/id``; None for one that is not told."""


@dataclass(frozen=True, slots=True)
class Coding:
    """A code in its canonical system (see ``codes.py``)."""

    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the order was written, as it says so: reasonCode, reasonReference or their text."""

    concepts: frozenset[str]
    evidence: Evidence
    diagnosis: bool = False
    """Whether it is a coded diagnosis that is known (no symptom, circumstance or mere heading): it can be another one
    than the label's."""


Route = Literal[
    "intravenous",
    "intrathecal",
    "portal-vein",
    "subretinal",
    "intravitreal",
    "intraputaminal",
    "topical",
    "intravesical",
    "intralesional",
    "intracochlear",
    "subcutaneous",
    "surgical",
    "intra-articular",
    "intramuscular",
    "oral",
]
"""How a product is given: the routes that labels of cell and gene therapies tell apart, and common other ones."""


@dataclass(frozen=True, slots=True)
class Course:
    """How many administrations of a product are one labelled course; None when the label sets no number."""

    administrations: int | None
    within_days: int | None = None
    """The days in which they lie; None when the label sets no limit."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What the approval registry says of the ordered product."""

    state: Literal["approved", "not-approved", "undetermined", "unidentified"]
    on: DateRange | None = None
    """The day of the first FDA approval, or the month or year in which it was; None when it is not known."""
    note: str | None = None
    """What else is known of it, in our words."""
    market: str | None = None
    """That it has left the market, in our words."""


@dataclass(frozen=True, slots=True)
class Facility:
    """An organization or location that is to carry out the order."""

    identifiers: tuple[Coding, ...]
    """Its NPI and CCN (systems ``npi`` and ``ccn``)."""
    evidence: Evidence
    qualified_for: frozenset[str] = frozenset()
    """Therapies for which the facility's own record carries a treatment-centre qualification (Plan-Net)."""
    named_as: Literal["performer", "dispenser", "encounter"] = "performer"
    """By what the order leads to it; performers and locations count first, the others where there is none of them."""


@dataclass(frozen=True, slots=True)
class CentreStanding:
    """What the treatment-centre registry says of the order's facilities for the ordered product on the service date."""

    state: Literal["listed", "not-listed", "excluded", "unnamed"]
    """``excluded``: not listed, and the registry is complete for this product. ``unnamed``: no facility is named."""
    reason: str
    evidence: tuple[Evidence, ...] = ()


Identified = Literal["product", "ingredient", "procedure", "text"]
"""How an order names its therapy: ``product`` by NDC, RxNorm clinical or branded drug or product HCPCS;
``ingredient`` by RxNorm ingredient, brand name or UNII; ``procedure`` by CPT, ICD-10-PCS, SNOMED or service HCPCS."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order that is for a known therapy."""

    reference: str
    therapy: str
    """A therapy id of the contract, ``donislecel`` for example."""
    display: str
    """What the order calls it (text of the EHR)."""
    identified: Identified
    concepts: frozenset[str] = frozenset()
    """The value sets that its codes and its own name are in."""
    says: frozenset[str] = frozenset()
    """The value sets whose words stand in its name, reasons or notes, or whose codes are its reasons."""
    codes: tuple[Coding, ...] = ()
    reasons: tuple[Reason, ...] = ()
    service_date: DateRange | None = None
    alternatives: tuple[str, ...] = ()
    """Other products that the order's name may mean; the one whose label fits the patient's age is taken."""
    routes: frozenset[Route] = frozenset()
    course: Course | None = None
    """None for a therapy that is not one product of the registry."""
    approval: Approval | None = None
    facilities: tuple[Facility, ...] = ()
    notices: tuple[str, ...] = ()
    """What a reader should know about how the order was read, in our words."""


@dataclass(frozen=True, slots=True)
class Insurance:
    """One Coverage of the member, as far as routing needs it. Names and identifiers are as recorded."""

    reference: str
    payer_names: tuple[str, ...] = ()
    payer_identifiers: tuple[Coding, ...] = ()
    types: tuple[Coding, ...] = ()
    plan_names: tuple[str, ...] = ()
    """Names of Coverage.class and text of Coverage.type: they can name the plan and the line of business."""
    order: int | None = None
    active: bool = True
    """False when status is not active."""
    self_paid: bool = False
    """Whether only people pay: no payer's policy governs then."""
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A resource that could not be read, or only in part; named on the card so that somebody mends it."""

    reference: str
    problem: str


@dataclass(frozen=True, slots=True, eq=False)
class StatementIndex:
    """Statements in chart order, found by their value sets; made once for all orders of a request."""

    statements: tuple[Statement, ...]
    by_concept: dict[str, tuple[Statement, ...]]

    @classmethod
    def of(cls, statements: tuple[Statement, ...]) -> StatementIndex:
        """Return the index of statements."""
        found: dict[str, list[Statement]] = {}
        for statement in statements:
            for concept in statement.concepts:
                found.setdefault(concept, []).append(statement)
        return cls(statements, {concept: tuple(held) for concept, held in found.items()})

    def without(self, left_out: Collection[Statement]) -> StatementIndex:
        """Return the index of all other statements. What is left out is told by its identity."""
        if not left_out:
            return self
        fewer = dict(self.by_concept)
        for statement in left_out:
            for concept in statement.concepts:
                fewer[concept] = _without(fewer[concept], statement)
        return StatementIndex(functools.reduce(_without, left_out, self.statements), fewer)


def _without(statements: tuple[Statement, ...], left_out: Statement) -> tuple[Statement, ...]:
    # by identity: many of one request differ only in their evidence, and are compared field by field
    place = list(map(id, statements)).index(id(left_out))
    return (*statements[:place], *statements[place + 1 :])


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a policy may ask about one order on one day."""

    as_of: date
    order: Order
    birth: DateRange | None = None
    female: bool | None = None
    deceased: bool = False
    patient: Evidence | None = None
    centre: CentreStanding | None = None
    statements: tuple[Statement, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    supplied: frozenset[Records] = frozenset()
    """The records that were sent or fetched, even when they were empty."""
    missing: Mapping[Records, str] = field(default_factory=lambda: MappingProxyType({}))
    """The records that could not be had, with the reason in our words."""
    unreadable: tuple[Unreadable, ...] = ()
    quality: tuple[Unreadable, ...] = ()
    """Resources that are not valid FHIR R4 but whose needed fields could be read: evidence, with a notice."""
    index: StatementIndex | None = field(default=None, repr=False, compare=False)
    """Where the statements are found by their value sets; one that was made of other statements is not asked."""

    def of(self, *concepts: str) -> tuple[Statement, ...]:
        """Return the statements in any of the value sets, each once, in chart order."""
        index = self.index
        if index is None or index.statements is not self.statements:
            index = StatementIndex.of(self.statements)
            object.__setattr__(self, "index", index)
        if len(concepts) == 1:
            return index.by_concept.get(concepts[0], ())
        found = {id(s): s for c in concepts for s in index.by_concept.get(c, ())}
        return tuple(found.values())
