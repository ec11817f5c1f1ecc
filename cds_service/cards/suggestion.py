"""A card that offers a draft order with the product's own billing code, everything else in it unchanged. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from cds_service.cards.plain import code_span
from cds_service.cards.render import Context
from fhir_mappings.chart import Resource
from fhir_mappings.codes import canonical, system_uri
from fhir_mappings.json_fields import reference_to

_CODED = ("medicationCodeableConcept", "code", "codeCodeableConcept")
"""The members of a MedicationRequest, a ServiceRequest and a DeviceRequest that hold what is ordered."""
_OF_THE_CODE = frozenset({"system", "version", "code", "display"})


def with_code(order: Resource, unlisted: Iterable[str], code: str) -> dict[str, Any] | None:
    """Return a copy of the raw order with the unlisted code replaced.

    None when no unlisted code stands where codes of orders stand, when the product's own code stands there already, or
    when the order has no id by which it could be updated.
    """
    if not isinstance(order.get("id"), str):
        return None
    found = _unlisted(order, unlisted, code)
    if found is None:
        return None
    number, place = found
    changed = copy.deepcopy(dict(order))
    codings = list(_codings(changed))[number]
    codings[place] = {**_kept(codings[place]), "system": system_uri("hcpcs"), "code": code}
    return changed


def _unlisted(order: Resource, unlisted: Iterable[str], code: str) -> tuple[int, int] | None:
    """Return where the first unlisted code stands: in which list, and where there; None after the product's own."""
    for number, codings in enumerate(_codings(order)):
        if any(_is_one_of(coding, (code,)) for coding in codings):
            return None
        for place, coding in enumerate(codings):
            if _is_one_of(coding, unlisted):
                return number, place
    return None


def _codings(order: Resource) -> Iterator[list[Any]]:
    """Yield the lists of codings that say what is ordered: the order's own, and those of a contained Medication."""
    contained = order.get("contained")
    held = [r for r in contained if isinstance(r, dict)] if isinstance(contained, list) else []
    for holder in (order, *(r for r in held if r.get("resourceType") == "Medication")):
        for member in _CODED:
            concept = holder.get(member)
            codings = concept.get("coding") if isinstance(concept, dict) else None
            if isinstance(codings, list):
                yield codings


def _is_one_of(coding: object, unlisted: Iterable[str]) -> bool:
    if not isinstance(coding, dict):
        return False
    system, code = coding.get("system"), coding.get("code")
    found = canonical(system, code) if isinstance(system, str) and isinstance(code, str) else None
    return found is not None and found.code in set(unlisted)


def _kept(coding: dict[str, Any]) -> dict[str, Any]:
    """Return what of a coding does not describe its code."""
    return {name: value for name, value in coding.items() if name.lstrip("_") not in _OF_THE_CODE}


def product_code(changed: dict[str, Any], code: str, therapy: str, payer: str, context: Context) -> dict[str, Any]:
    """Return the card that offers the changed order."""
    name = context.therapy_name(therapy)
    about = context.about(reference_to(changed))
    return {
        "uuid": context.new_id(),
        "summary": f"{name}: order it by its product-specific code {code}"[:139],
        "detail": f"The payer asks for the product-specific code. {code_span(changed.get('id'))} has an unlisted one.",
        "indicator": "info",
        "source": context.source(payer, "claim"),
        "suggestions": [
            {
                "label": f"Use {code}",
                "uuid": context.new_id(),
                "isRecommended": True,
                "actions": [
                    {
                        "type": "update",
                        "description": f"Replace the unlisted code by {code}; nothing else changes.",
                        "resource": changed,
                    }
                ],
            }
        ],
        "selectionBehavior": "at-most-one",
        **({"extension": dict(about)} if about else {}),
    }
