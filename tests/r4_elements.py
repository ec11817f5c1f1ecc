"""Writes ``fhir_mappings/r4_elements.json``: the elements of resources that become evidence, as the models have them.

``python -m tests.r4_elements`` does it after a new version of ``fhir.resources``; a test compares.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
from fhir.resources.R4B import get_fhir_model_class

FILE = Path(__file__).parents[1] / "fhir_mappings/r4_elements.json"
RESOURCES = (
    "Condition",
    "Coverage",
    "DeviceRequest",
    "DeviceUseStatement",
    "Goal",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Patient",
    "Procedure",
    "QuestionnaireResponse",
    "ServiceRequest",
)
"""The types of resource of which a fact can be made."""
CONTAINED = ("Device", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole")
"""The types that they contain."""
EXTENSIONS = frozenset(
    {"CodeableConcept", "Coding", "Duration", "Identifier", "Period", "Quantity", "Range", "Reference"}
)
"""The types of extensions' values, besides primitives; what has another one is left to the models."""
UNTOLD = frozenset({"url", "base64Binary", "oid", "uuid"})
"""Primitives of which what the models accept is not told in short; what has one is left to the models."""

PRIMITIVES = {"str": "string", "bool": "boolean"}


def elements() -> dict[str, Any]:
    """Return, for each type, its elements (type, ``*`` for a list, ``!`` where it is required) and its choices."""
    found: dict[str, Any] = {}
    waiting = list(RESOURCES)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name], inside = _of(name)
            waiting += inside
    return {"resources": RESOURCES, "contained": CONTAINED, "types": dict(sorted(found.items()))}


def _of(name: str) -> tuple[dict[str, Any], set[str]]:
    inside: set[str] = set()
    told: dict[str, str] = {}
    choices: dict[str, list[str]] = {}
    needed: list[str] = []
    for field in get_fhir_model_class(name).model_fields.values():
        extra: Any = field.json_schema_extra or {}
        member = str(field.alias)
        kind, is_list = _type(field.annotation)
        if not extra.get("element_property") or kind in UNTOLD or (name == "Extension" and not _is_usual(member, kind)):
            continue
        is_needed = field.is_required() or extra.get("element_required")
        told[member] = kind + ("*" if is_list else "") + ("!" if is_needed else "")
        if kind == "Resource":
            inside.update(CONTAINED)
        elif kind[0].isupper():
            inside.add(kind)
        if choice := extra.get("one_of_many"):
            choices.setdefault(choice, []).append(member)
            if extra.get("one_of_many_required") and choice not in needed:
                needed.append(choice)
    one_of = [{"needed": choice in needed, "of": names} for choice, names in choices.items()]
    if name in RESOURCES or name in CONTAINED:
        told["resourceType"] = f"={name}!"
    return {"elements": told, **({"choices": one_of} if one_of else {})}, inside


def _is_usual(member: str, kind: str) -> bool:
    return not (member.startswith("value") and kind[0].isupper()) or kind in EXTENSIONS


def _type(annotation: Any) -> tuple[str, bool]:
    """Return the name of a field's type in FHIR, and whether it is a list."""
    is_list = False
    while True:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return next((a.__visit_name__ for a in args if hasattr(a, "__visit_name__")), "base64Binary"), is_list
        if origin in (Union, types.UnionType):
            annotation = next(a for a in args if a is not type(None))
        elif origin is list:
            annotation, is_list = args[0], True
        else:
            break
    if hasattr(annotation, "get_model_klass"):
        return annotation.get_model_klass().__name__, is_list
    return PRIMITIVES.get(annotation.__name__, annotation.__name__), is_list


def text() -> bytes:
    return orjson.dumps(elements(), option=orjson.OPT_INDENT_2) + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(text())
