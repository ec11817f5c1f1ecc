"""Where an order is to be carried out: the facilities that its performer, location or encounter lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

from fhir_mappings import codes, therapies
from fhir_mappings.chart import Resource
from fhir_mappings.dates import date_range
from fhir_mappings.descriptions import describe
from fhir_mappings.facts import Coding, Evidence, Facility, Order
from fhir_mappings.json_fields import Lookup, objects, one_object, reference_to, resolve, target, text, token

QUALIFICATION = "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/qualification"
"""The extension of Da Vinci PDex Plan-Net by which a directory says what a facility is qualified for."""

_NamedAs = Literal["performer", "dispenser", "encounter"]
_FIELDS: Mapping[str, tuple[tuple[str, _NamedAs | None], ...]] = MappingProxyType(
    {
        "ServiceRequest": (("performer", "performer"), ("locationReference", "performer"), ("encounter", "encounter")),
        "MedicationRequest": (
            ("performer", "performer"),
            ("dispenseRequest.performer", "dispenser"),
            ("encounter", "encounter"),
        ),
        "PractitionerRole": (("organization", None), ("location", None)),
        "Location": (("managingOrganization", None),),
        "Encounter": (("serviceProvider", None),),
        "Organization": (),
    }
)
"""The fields of orders, and of what they refer to, that lead to a facility; and as what an order names it."""

_PLACES = ("Organization", "Location")
_DEEPEST = 3
"""From an order's performer to its location to the organization there; anything longer goes in a circle."""


@dataclass(frozen=True, slots=True)
class _Path:
    """How a facility is reached, and what is known of it on the way."""

    reference: str
    named_as: _NamedAs
    display: str | None = None
    identifiers: tuple[Coding, ...] = ()
    depth: int = 0


def of_order(resource: Resource, lookup: Lookup, day: date | None) -> tuple[Facility, ...]:
    """Return what an order names as a facility, resolved as far as ``lookup`` and its contained resources go.

    An encounter or a role that is not known yet is kept for ``completed``. ``day``: when qualifications must hold.
    """
    reader = _Reader(lookup, day)
    found = reader.follow(resource, resource, _Path(reference_to(resource), "performer"))
    return tuple(dict.fromkeys(found))


def completed(order: Order, lookup: Lookup, encounter: str | None, day: date) -> Order:
    """Return the order with its facilities as the chart knows them on a day.

    ``encounter`` is the one in which the order is written. What only dispenses, or is only where the order was
    written, counts when the order names no performer or location.
    """
    reader = _Reader(lookup, day)
    found = [facility for known in order.facilities for facility in reader.again(known)]
    if encounter is not None:
        found += reader.read(encounter, _Path(encounter, "encounter"))
    performers = [facility for facility in found if facility.named_as == "performer"]
    facilities = tuple(dict.fromkeys(performers or found))
    return order if facilities == order.facilities else replace(order, facilities=facilities)


def pointers(resource: Resource) -> Iterator[tuple[Mapping[str, Any], _NamedAs | None]]:
    """Yield the References of an order, or of what it refers to, that lead to a facility; and as what an order does."""
    for field, named_as in _FIELDS.get(text(resource.get("resourceType")) or "", ()):
        outer, _, inner = field.partition(".")
        value = resource.get(outer)
        for pointer in objects(one_object(value).get(inner) if inner else value):
            yield pointer, named_as


class _Reader:
    """Reads each facility once, as one lookup knows it, with the qualifications that hold on one day."""

    def __init__(self, lookup: Lookup, day: date | None) -> None:
        self._lookup = lookup
        self._day = day
        self._seen: set[int] = set()

    def again(self, known: Facility) -> Iterator[Facility]:
        """Yield a facility as the lookup knows it; nothing for a role or an encounter that nobody sent."""
        reference = known.evidence.reference
        found = self._lookup.get(reference)
        kind = _kind(reference) if found is None else text(found.get("resourceType"))
        if found is not None and kind in _FIELDS:
            path = _Path(reference, known.named_as, known.evidence.display, known.identifiers)
            yield from self.read(reference, path)
        elif kind not in ("PractitionerRole", "Encounter"):
            yield known

    def read(self, reference: str, path: _Path) -> Iterator[Facility]:
        """Yield the facilities of a resource in the lookup, and of what it refers to."""
        if (found := self._lookup.get(reference)) is not None:
            yield from self._described(found, found, path)

    def follow(self, resource: Resource, holder: Resource, path: _Path) -> Iterator[Facility]:
        """Yield the facilities that a resource refers to; ``holder`` has the contained ones."""
        if path.depth >= _DEEPEST:
            return
        for pointer, named_as in pointers(resource):
            yield from self._pointed(pointer, holder, path, named_as or path.named_as)

    def _pointed(
        self, pointer: Mapping[str, Any], holder: Resource, path: _Path, named_as: _NamedAs
    ) -> Iterator[Facility]:
        wanted = target(pointer)
        found = resolve(pointer, holder, self._lookup)
        stated = text(found.get("resourceType")) if found is not None else text(pointer.get("type")) or _kind(wanted)
        if stated is not None and stated not in _FIELDS:
            return  # a person, a team or a device
        is_inside = wanted is None or wanted.startswith("#")
        onward = _Path(
            reference=path.reference if wanted is None or is_inside else wanted,
            named_as=named_as,
            display=text(pointer.get("display")),
            identifiers=tuple(_identifiers(pointer.get("identifier"))) if stated in (*_PLACES, None) else (),
            depth=path.depth + 1,
        )
        if found is not None:
            yield from self._described(found, holder if is_inside else found, onward)
        elif wanted is not None or onward.identifiers or onward.display:
            yield Facility(onward.identifiers, Evidence(onward.reference, onward.display), named_as=named_as)

    def _described(self, found: Resource, holder: Resource, path: _Path) -> Iterator[Facility]:
        if id(found) in self._seen:
            return
        self._seen.add(id(found))
        is_place = found.get("resourceType") in _PLACES
        own = _identifiers(found.get("identifier")) if is_place else ()
        qualified_for = frozenset(self._qualified_for(found))
        if is_place or qualified_for:
            yield Facility(
                identifiers=tuple(dict.fromkeys((*path.identifiers, *own))),
                evidence=Evidence(path.reference, text(found.get("name")) or path.display),
                qualified_for=qualified_for,
                named_as=path.named_as,
            )
        yield from self.follow(found, holder, path)

    def _qualified_for(self, resource: Resource) -> Iterator[str]:
        """Yield the therapies of the qualifications that are active and hold on the day."""
        for extension in objects(resource.get("extension")):
            if extension.get("url") != QUALIFICATION:
                continue
            parts = {text(part.get("url")): part for part in objects(extension.get("extension"))}
            status, period, code = (one_object(parts.get(name)) for name in ("status", "period", "code"))
            if token(status.get("valueCode")) != "active" or not self._is_in(period.get("valuePeriod")):
                continue
            described = describe(code.get("valueCodeableConcept"))
            names = (*described.texts, *(code for _, code in described.codings if code))
            if recognised := therapies.recognise(described.codings, names):
                yield recognised.therapy

    def _is_in(self, period: object) -> bool:
        """Whether the day certainly lies in a Period; without a day only where it has no bounds."""
        bounds = one_object(period)
        start, end = bounds.get("start"), bounds.get("end")
        first, last = date_range(start), date_range(end)
        if (start is not None and first is None) or (end is not None and last is None):
            return False
        if self._day is None:
            return first is None and last is None
        return (first is None or first.last <= self._day) and (last is None or self._day <= last.first)


def _kind(reference: str | None) -> str | None:
    """Return the resource type in ``Type/id``; None when the reference does not tell it."""
    kind, slash, _ = (reference or "").partition("/")
    return kind if slash else None


def _identifiers(value: object) -> Iterable[Coding]:
    """Yield the NPIs and CCNs among identifiers that are still in use."""
    for identifier in objects(value):
        system, number = text(identifier.get("system")), text(identifier.get("value"))
        found = codes.canonical(system, number) if token(identifier.get("use")) != "old" else None
        if found is not None and found.system in ("npi", "ccn"):
            yield found
