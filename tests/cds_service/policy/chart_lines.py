"""The lines of a policy case (``{condition: E10.641, on: 2026-02-03}``) as raw FHIR R4 resources. No policy in here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cds_service.proof import BadCaseError
from fhir_mappings.chart import TYPE_OF, Chart
from fhir_mappings.codes import system_uri
from fhir_mappings.facts import Records
from fhir_mappings.systems import system_names

ChartLine = Mapping[str, Any]
Json = dict[str, Any]

PATIENT_ID = "p1"
SUBJECT = {"reference": f"Patient/{PATIENT_ID}"}

_SHAPES = (
    ("icd-10-cm", re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?")),
    ("hcpcs", re.compile(r"[A-Z]\d{4}")),
    ("cpt", re.compile(r"\d{5}|\d{4}T")),
    ("icd-10-pcs", re.compile(r"(?=.*[A-Z])(?=.*\d)[0-9A-HJ-NP-Z]{7}")),
    ("loinc", re.compile(r"\d{4,6}-\d")),
    ("ndc", re.compile(r"\d{4,5}-\d{3,4}-\d{1,2}")),
)
_LOOKS_LIKE_A_CODE = re.compile(r"[A-Za-z]\d[0-9A-Za-z.]{2,}|\d{4,}[A-Za-z]?(?:-\d+)*")
_QUANTITY = re.compile(r"([<>]=?)?\s*(-?\d+(?:\.\d+)?)\s*(.*)")
_YES_OR_NO = {"yes": True, "no": False}


def concept(written: str) -> Json:
    """Return the CodeableConcept of "E10.641", "snomed 421437000", "J3590 Lantidra" or plain words.

    The code comes first, under the name of its system where its shape does not tell it, then the text, if any.
    """
    first, _, rest = written.partition(" ")
    if first in system_names() or "://" in first or first.startswith("urn:"):
        code, _, words = rest.partition(" ")
        system: str | None = system_uri(first) if first in system_names() else first
    else:
        system, code, words = _system_of(first), first, rest
    if system is None:
        if _LOOKS_LIKE_A_CODE.fullmatch(code):
            raise BadCaseError(f"{written!r} begins like a code, and none of the systems has codes of that shape")
        return {"text": written}
    found: Json = {"coding": [{"system": system, "code": code}]}
    return found | ({"text": words} if words else {})


def _system_of(code: str) -> str | None:
    return next((system_uri(name) for name, shape in _SHAPES if shape.fullmatch(code)), None)


def concepts(written: str | list[str]) -> Json:
    """Return one CodeableConcept that holds every code written."""
    each = [concept(one) for one in ([written] if isinstance(written, str) else written)]
    codings = [coding for one in each for coding in one.get("coding", [])]
    texts = [one["text"] for one in each if "text" in one]
    return ({"coding": codings} if codings else {}) | ({"text": "; ".join(texts)} if texts else {})


def _status(code: str) -> Json:
    return {"coding": [{"code": code}]}


def _given(line: ChartLine, **fields: tuple[str, Callable[[Any], Any]]) -> Json:
    """Return the FHIR fields for the keys of a line that are there: key=(FHIR field, how it is written)."""
    return {field: build(line[key]) for key, (field, build) in fields.items() if key in line}


def _as_is(value: Any) -> Any:
    return value


def _condition(line: ChartLine) -> Json:
    return {
        "clinicalStatus": _status(line.get("status", "active")),
        "verificationStatus": _status(line.get("verification", "confirmed")),
        "code": concepts(line["condition"]),
        **_given(
            line,
            on=("onsetDateTime", _as_is),
            until=("abatementDateTime", _as_is),
            severity=("severity", concept),
            stage=("stage", lambda words: [{"summary": {"text": words}}]),
        ),
    }


def _procedure(line: ChartLine) -> Json:
    return {
        "status": line.get("status", "completed"),
        "code": concepts(line["procedure"]),
        **_given(line, on=("performedDateTime", _as_is)),
    }


def _observation(line: ChartLine) -> Json:
    found: Json = {
        "status": line.get("status", "final"),
        "code": concepts(line["observation"]),
        **_given(line, on=("effectiveDateTime", _as_is)),
    }
    return found | (_value(line["value"]) if "value" in line else {})


def _value(written: str) -> Json:
    """Return value[x]: yes or no, a number with or without its unit, a code or a text."""
    if written in _YES_OR_NO:
        return {"valueBoolean": _YES_OR_NO[written]}
    if quantity := _QUANTITY.fullmatch(written):
        return {"valueQuantity": _quantity(quantity)}
    return {"valueCodeableConcept": concept(written)}


def _quantity(found: re.Match[str]) -> Json:
    comparator, number, unit = found.groups()
    value: Json = {"value": float(number) if "." in number else int(number)}
    return value | ({"unit": unit} if unit else {}) | ({"comparator": comparator} if comparator else {})


def _medication(line: ChartLine) -> Json:
    return {
        "status": line.get("status", "active"),
        "intent": line.get("intent", "order"),
        "medicationCodeableConcept": concepts(line["medication"]),
        **_given(
            line,
            on=("authoredOn", _as_is),
            until=("dispenseRequest", lambda day: {"validityPeriod": {"end": day}}),
            **{"do not perform": ("doNotPerform", _YES_OR_NO.__getitem__)},
        ),
    }


def _administration(line: ChartLine) -> Json:
    return {
        "status": line.get("status", "completed"),
        "medicationCodeableConcept": concepts(line["administration"]),
        "effectiveDateTime": line["on"],
    }


def _goal(line: ChartLine) -> Json:
    quantity = _QUANTITY.fullmatch(line["value"])
    if quantity is None:
        raise BadCaseError(f"the goal's value {line['value']!r} is no number with a unit")
    return {
        "lifecycleStatus": line.get("status", "active"),
        "description": {"text": "Target"},
        "target": [{"measure": concepts(line["goal"]), "detailQuantity": _quantity(quantity)}],
        **_given(line, on=("startDate", _as_is)),
    }


def _service_order(line: ChartLine) -> Json:
    return {
        "status": line.get("status", "active"),
        "intent": line.get("intent", "order"),
        "code": concepts(line["ordered"]),
        **_given(line, on=("occurrenceDateTime", _as_is)),
    }


_WRITTEN: dict[str, tuple[str, Callable[[ChartLine], Json], frozenset[str]]] = {
    "condition": ("Condition", _condition, frozenset({"verification", "until", "severity", "stage"})),
    "procedure": ("Procedure", _procedure, frozenset()),
    "observation": ("Observation", _observation, frozenset({"value"})),
    "medication": ("MedicationRequest", _medication, frozenset({"until", "intent", "do not perform"})),
    "administration": ("MedicationAdministration", _administration, frozenset()),
    "goal": ("Goal", _goal, frozenset({"value"})),
    "ordered": ("ServiceRequest", _service_order, frozenset({"intent"})),
}
_EVERY_LINE = frozenset({"on", "status", "in the same set"})


def resource(line: ChartLine, number: int) -> Json:
    """Return the FHIR resource that a line is; BadCaseError when a key of it is not known."""
    kinds = [key for key in line if key in _WRITTEN]
    if len(kinds) != 1:
        raise BadCaseError(f"{dict(line)} must have exactly one of {sorted(_WRITTEN)}")
    kind, build, more = _WRITTEN[kinds[0]]
    if unknown := set(line) - {kinds[0]} - more - _EVERY_LINE:
        raise BadCaseError(f"{dict(line)}: a {kinds[0]} has no {sorted(unknown)}")
    return {"resourceType": kind, "id": f"line-{number}", "subject": SUBJECT, **build(line)}


def order_resource(order: ChartLine, on: str) -> Json:
    """Return the draft order: ``drug`` or ``service``, its reason, note and facility, and a drug's route."""
    if unknown := set(order) - {"drug", "service", "reason", "note", "route", "facility"}:
        raise BadCaseError(f"an order has no {sorted(unknown)}")
    about: Json = {"id": "order", "status": "draft", "intent": "order", "subject": SUBJECT, "authoredOn": on}
    if "drug" in order:
        about |= {"resourceType": "MedicationRequest", "medicationCodeableConcept": concepts(order["drug"])}
    else:
        about |= {"resourceType": "ServiceRequest", "code": concepts(order["service"]), "occurrenceDateTime": on}
    return about | _given(
        order,
        reason=("reasonCode", lambda written: [concept(written)]),
        note=("note", lambda words: [{"text": words}]),
        route=("dosageInstruction", lambda written: [{"route": concept(written)}]),
        facility=("performer", _facility if "drug" in order else lambda written: [_facility(written)]),
    )


def _facility(written: str) -> Json:
    """Return a Reference to the performer by its NPI, or by its name alone."""
    if written.isdigit():
        return {"identifier": {"system": system_uri("npi"), "value": written}}
    return {"type": "Organization", "display": written}


def answers(attested: ChartLine, on: str) -> Json:
    """Return the QuestionnaireResponse that answers each question, ``{question: yes}``, on the given day."""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": f"answers-{on}-{'-'.join(attested.values())}",
        "status": "completed",
        "authored": on,
        "item": [
            {"linkId": question, "answer": [{"valueBoolean": _YES_OR_NO[answer]}]}
            for question, answer in attested.items()
        ],
    }


def chart_of(
    lines: list[ChartLine], order: Json, more: list[Json], *, supplied: frozenset[Records], missing: dict[Records, str]
) -> Chart:
    """Return the chart of the lines and of further resources; a record that is not supplied holds none of them."""
    built = [(line, resource(line, number)) for number, line in enumerate(lines, 1)]
    drafts = tuple(r for line, r in built if "in the same set" in line)
    by_type: dict[str, tuple[Json, ...]] = {}
    withheld = {kind for record, kind in TYPE_OF.items() if record not in supplied}
    for found in [*(r for line, r in built if "in the same set" not in line), *more]:
        kind = found["resourceType"]
        if kind in withheld:
            raise BadCaseError(f"a {kind} is in the chart although such records are not supplied")
        by_type[kind] = (*by_type.get(kind, ()), found)
    return Chart(
        patient_id=PATIENT_ID,
        resources=by_type,
        draft_orders=(order, *drafts),
        supplied=supplied,
        missing=missing,
    )
