"""Coverage -> Insurance, as far as routing needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhir_mappings import codes
from fhir_mappings.chart import Resource
from fhir_mappings.dates import moment
from fhir_mappings.descriptions import Description, describe
from fhir_mappings.facts import Coding, Insurance, Unreadable
from fhir_mappings.json_fields import Lookup, items, objects, one_object, reference_to, resolve, target, text, token
from fhir_mappings.resources import MODIFIED, is_modified, problem

_PEOPLE = ("Patient", "RelatedPerson")


@dataclass(frozen=True, slots=True)
class Covered:
    """What one Coverage yields."""

    insurance: Insurance | None = None
    unreadable: Unreadable | None = None
    quality: Unreadable | None = None


def read(resource: Resource, organizations: Lookup) -> Covered | None:
    """Return what a Coverage says about payer, plan and period; None when it was entered in error."""
    status = token(resource.get("status"))
    if status == "entered-in-error":
        return None
    reference = reference_to(resource)
    if is_modified(resource):
        return Covered(unreadable=Unreadable(reference, MODIFIED))
    payors = items(resource.get("payor"))
    payers = [payor for payor in payors if not _is_a_person(payor)]
    names, identifiers = _payer(payers, resource, organizations)
    kind = describe(resource.get("type"))
    order = resource.get("order")
    period = one_object(resource.get("period"))
    start, end = moment(period.get("start")), moment(period.get("end"))
    defect = "its period could not be read" if start.unread or end.unread else problem(resource)
    insurance = Insurance(
        reference=reference,
        payer_names=names,
        payer_identifiers=identifiers,
        types=kind.once(_types),
        plan_names=tuple(dict.fromkeys((*_classes(resource), *kind.texts))),
        order=order if isinstance(order, int) and not isinstance(order, bool) else None,
        active=status == "active",
        self_paid=bool(payors) and not payers,
        start=start.when.first if start.when else None,
        end=end.when.last if end.when else None,
    )
    return Covered(insurance, quality=Unreadable(reference, defect) if defect else None)


def _types(kind: Description) -> tuple[Coding, ...]:
    return tuple(codes.canonical(system, code) or Coding(system or "", code or "") for system, code in kind.codings)


def _classes(resource: Resource) -> Iterator[str]:
    """Yield the name, or else the value, of each Coverage.class."""
    for entry in objects(resource.get("class")):
        if name := text(entry.get("name")) or text(entry.get("value")):
            yield name


def _is_a_person(payor: object) -> bool:
    """Whether somebody pays for themselves or their own, who is no payer."""
    return isinstance(payor, dict) and ((target(payor) or "").startswith(_PEOPLE) or payor.get("type") in _PEOPLE)


def _payer(
    payers: Sequence[object], resource: Resource, organizations: Lookup
) -> tuple[tuple[str, ...], tuple[Coding, ...]]:
    """Return the payer's names and identifiers: of the reference itself, then of the Organization it points to."""
    names: list[str | None] = []
    identifiers: list[Coding] = []
    for payor in objects(payers):
        names.append(text(payor.get("display")))
        identifiers += _identifiers(payor)
        if organization := resolve(payor, resource, organizations):
            names += [text(name) for name in (organization.get("name"), *items(organization.get("alias")))]
            identifiers += _identifiers(organization)
    return tuple(dict.fromkeys(name for name in names if name)), tuple(dict.fromkeys(identifiers))


def _identifiers(holder: Resource) -> Iterator[Coding]:
    for identifier in objects(holder.get("identifier")):
        if value := text(identifier.get("value")):
            yield Coding(text(identifier.get("system")) or "", value)
