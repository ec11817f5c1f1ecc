"""Chart -> Record -> Facts. One walk over the chart serves every order; validation is for what becomes evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

from fhir_mappings import attestations, coverage, facilities, patient, reasons
from fhir_mappings.chart import Chart
from fhir_mappings.facts import (
    Attestation,
    Facts,
    Insurance,
    Order,
    Records,
    Statement,
    StatementIndex,
    Unreadable,
)
from fhir_mappings.json_fields import Lookup
from fhir_mappings.walk import Found, lookup_of, walk


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that a chart says, before it is known for which order and day it is asked."""

    person: patient.Person = patient.NOBODY
    statements: tuple[Statement, ...] = ()
    """In chart order, after those of the draft orders."""
    attestations: tuple[Attestation, ...] = ()
    insurances: tuple[Insurance, ...] = ()
    supplied: frozenset[Records] = frozenset()
    missing: Mapping[Records, str] = field(default_factory=lambda: MappingProxyType({}))
    unreadable: tuple[Unreadable, ...] = ()
    quality: tuple[Unreadable, ...] = ()
    lookup: Lookup = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """The resources that orders refer to: their reasons and facilities."""
    encounter: str | None = None
    """The reference to the encounter in which the orders are written."""
    _days: dict[date, _Day] = field(init=False, default_factory=dict, repr=False, compare=False)

    def on(self, day: date) -> _Day:
        """Return what the record says on a day: made once, as orders of one request mostly are for the same."""
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = _Day(self.statements, day)
        return found


class _Day:
    """The statements of a record as they stand on one day."""

    def __init__(self, statements: Iterable[Statement], day: date) -> None:
        self.index = StatementIndex.of(tuple([_on(statement, day) for statement in statements]))
        self._by_reference: dict[str, list[Statement]] = {}
        for statement in self.index.statements:
            self._by_reference.setdefault(statement.evidence.reference, []).append(statement)

    def beside(self, order: Order) -> StatementIndex:
        """Return all statements but those that are the order itself."""
        same = self._by_reference.get(order.reference, ())
        return self.index.without([statement for statement in same if _is_of(statement, order)])


def read_chart(chart: Chart, questions: Collection[str] | None = None) -> Record:
    """Return what a chart says. ``questions``: the linkIds of the answers that matter, None for all of them.

    Never raises on JSON objects, whatever they hold.
    """
    lookup = lookup_of(chart)
    found = walk(chart, lookup)
    person = _person(chart)
    found.note(person.unreadable, person.quality)
    return Record(
        person=person,
        attestations=tuple(_attestations(chart, found, questions, lookup)),
        insurances=tuple(_insurances(chart, lookup, found)),
        statements=tuple(found.statements),
        supplied=chart.supplied,
        missing=chart.missing,
        unreadable=(*chart.unreadable, *found.unreadable),
        quality=tuple(found.quality),
        lookup=lookup,
        encounter=f"Encounter/{chart.encounter_id}" if chart.encounter_id else None,
    )


def _person(chart: Chart) -> patient.Person:
    """Return the Patient whose chart it is, else the first one."""
    patients = chart.of_type("Patient")
    own = next((p for p in patients if p.get("id") == chart.patient_id), None) or next(iter(patients), None)
    return patient.read(own) if own is not None else patient.NOBODY


def _attestations(
    chart: Chart, found: Found, questions: Collection[str] | None, lookup: Lookup
) -> Iterable[Attestation]:
    for resource in chart.of_type("QuestionnaireResponse"):
        answers = attestations.read(resource, questions, lookup)
        if answers is not None and found.is_new(resource):
            found.note(answers.unreadable, answers.quality)
            yield from answers.attestations


def _insurances(chart: Chart, lookup: Lookup, found: Found) -> Iterable[Insurance]:
    for resource in chart.of_type("Coverage"):
        covered = coverage.read(resource, lookup)
        if covered is not None and found.is_new(resource):
            found.note(covered.unreadable, covered.quality)
            if covered.insurance is not None:
                yield covered.insurance


def facts(record: Record, order: Order, as_of: date) -> Facts:
    """Return what a policy may ask about one order on one day. The order itself is no evidence for itself."""
    order = reasons.completed(order, record.statements, record.lookup)
    order = facilities.completed(order, record.lookup, record.encounter, as_of)
    birth, doubt = patient.birth_on(record.person, as_of)
    quality = tuple(note for note in record.quality if note.reference != order.reference)
    if doubt is not None and record.person.evidence is not None:
        quality += (Unreadable(record.person.evidence.reference, doubt),)
    beside = record.on(as_of).beside(order)
    return Facts(
        as_of=as_of,
        order=order,
        birth=birth,
        female=record.person.female,
        deceased=patient.is_deceased(record.person, as_of),
        patient=record.person.evidence,
        statements=beside.statements,
        attestations=record.attestations,
        supplied=record.supplied,
        missing=record.missing,
        unreadable=tuple(note for note in record.unreadable if note.reference != order.reference),
        quality=quality,
        index=beside,
    )


def _is_of(statement: Statement, order: Order) -> bool:
    """Whether a statement of an order's reference is the order itself; those without an id differ by their therapy."""
    return "/" in order.reference or f"therapy:{order.therapy}" in statement.concepts


def _on(statement: Statement, day: date) -> Statement:
    """Return a condition as past when its abatement lies before the day."""
    if statement.until is None or statement.kind != "condition" or statement.phase != "current":
        return statement
    return replace(statement, phase="past") if statement.until.last < day else statement
