"""Why an order was written: its reasonCode and reasonReference, and what the chart says of what they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from fhir_mappings import codes, conditions
from fhir_mappings.chart import Resource
from fhir_mappings.descriptions import UNDESCRIBED, Description, describe, matches
from fhir_mappings.facts import Evidence, Order, Reason, Statement
from fhir_mappings.json_fields import Lookup, items, objects, one_object, reference_to, resolve, target

_CIRCUMSTANCES = frozenset("RVWXYZ")
"""Chapters of ICD-10-CM that hold no diagnoses: symptoms, external causes, reasons for contact."""


def read(resource: Resource) -> Iterator[Reason]:
    """Yield the coded reasons of an order, then the ones that refer to something (see ``completed``)."""
    reference = reference_to(resource)
    for concept in items(resource.get("reasonCode")):
        described = describe(concept)
        if described != UNDESCRIBED:
            diagnosis = described.once(_names_a_diagnosis)
            yield Reason(_meaning(described), Evidence(reference, described.display), diagnosis)
    for pointer in objects(resource.get("reasonReference")):
        found = one_object(resolve(pointer, resource, {}))
        described = describe(pointer.get("display")) + describe(found.get("code"))
        source = target(pointer) or reference
        where = reference if source.startswith("#") else source
        yield Reason(_meaning(described), Evidence(where, described.display), _is_diagnosis(found))


def completed(order: Order, statements: Iterable[Statement], lookup: Lookup) -> Order:
    """Return the order with what the chart says of the conditions and other resources that are its reasons."""
    pointed_at = {reason.evidence.reference for reason in order.reasons} - {order.reference}
    if not pointed_at:
        return order
    known: dict[str, frozenset[str]] = {}
    for statement in statements:
        reference = statement.evidence.reference
        if reference in pointed_at:
            known[reference] = known.get(reference, frozenset()) | statement.concepts
    reasons = tuple(_completed(reason, known, lookup) for reason in order.reasons)
    return replace(order, reasons=reasons, says=order.says.union(*known.values()))


def _completed(reason: Reason, known: Mapping[str, frozenset[str]], lookup: Lookup) -> Reason:
    reference = reason.evidence.reference
    found = lookup.get(reference)
    if found is None and reference not in known:
        return reason
    display = reason.evidence.display or describe(one_object(found).get("code")).display
    return Reason(
        concepts=reason.concepts | known.get(reference, frozenset()),
        evidence=replace(reason.evidence, display=display),
        diagnosis=reason.diagnosis or _is_diagnosis(one_object(found)),
    )


def _meaning(described: Description) -> frozenset[str]:
    return matches(described, "reasons").concepts | matches(described, "conditions").concepts


def _is_diagnosis(resource: Resource) -> bool:
    if resource.get("resourceType") != "Condition" or conditions.is_refuted(resource):
        return False
    return describe(resource.get("code")).once(_names_a_diagnosis)


def _names_a_diagnosis(described: Description) -> bool:
    return any(_is_known_diagnosis(*coding) for coding in described.codings)


_BROAD = frozenset({"heme-malignancy", "heme-malignancy-remission", "heme-malignancy-relapse"})
"""Value sets that hold the diagnoses of labels without telling them apart."""


def _is_known_diagnosis(system: str | None, code: str | None) -> bool:
    """Whether a code can be held against a label: what nobody here knows may be the label's own diagnosis."""
    found = codes.canonical(system, code)
    if found is None or found.system not in {"icd-10-cm", "snomed"}:
        return False
    if found.system == "snomed":  # only ICD-10-CM tells by the code itself what it is about
        return not codes.match_code(system, code).concepts <= _BROAD
    return found.code[0] not in _CIRCUMSTANCES and not codes.is_header(found.code)
