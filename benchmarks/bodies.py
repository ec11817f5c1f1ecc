"""The requests that are measured, made from the sample bundles; no two that are sent are the same.

A benchmark that repeats one request sees what the caches hold. Here every request has ids, a patient and times of day
of its own, and several charts with other dates and values take turns: only what recurs in life (codes, names of tests
and drugs, days) recurs.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from cds_service.bundle_request import request_from

SAMPLES = Path(__file__).parents[1] / "sample_bundles"
HOOK_INSTANCE = "1f2c4f0e-6f0b-4d52-9f0c-0b7a20000000"
CHARTS = 6
"""Charts of one kind that take turns."""
_STAMP = "0000000"
"""Stands in every id, and is replaced by the request's number."""
_TIME = "T00:00:00"
"""The time of day in every dateTime, replaced too."""
_TODAY = datetime.date(2026, 10, 1)


class Kind:
    """One kind of request: a sample, and how much chart is added to it."""

    def __init__(self, sample: str, size: int, *, resources: int | None = None, orders: int = 1) -> None:
        self._charts = [_chart(sample, size, resources, orders, seed) for seed in range(CHARTS)]
        self.size = len(self._charts[0])
        self.resources = resources_in(self._charts[0])

    def requests(self, start: int = 1) -> Iterator[bytes]:
        """Yield bodies without end, each of its own; ``start`` is the number of the first."""
        for number in count(start):
            yield self.body(number)

    def body(self, number: int = 1) -> bytes:
        """Return the body of one request."""
        chart = self._charts[number % CHARTS]
        hour, minute, second = number % 24, number // 24 % 60, number // 1440 % 60
        time = f"T{hour:02}:{minute:02}:{second:02}"
        return chart.replace(_STAMP.encode(), b"%07d" % number).replace(_TIME.encode(), time.encode())


def irrelevant(size: int = 3_000) -> Kind:
    """Return orders that concern no policy, with a chart of about so many bytes."""
    return Kind("order-that-concerns-no-policy", size)


def lantidra(size: int = 28_000) -> Kind:
    """Return Lantidra orders with everything documented, with a chart of about so many bytes."""
    return Kind("lantidra-everything-documented", size)


def casgevy(size: int = 250_000, resources: int | None = 300) -> Kind:
    """Return Casgevy orders with everything documented, with a chart of so many bytes and resources."""
    return Kind("casgevy-sickle-cell-ready", size, resources=resources)


def many_orders(orders: int) -> Kind:
    """Return requests with so many draft orders, every other one for Lantidra."""
    return Kind("lantidra-everything-documented", 0, orders=orders)


def resources_in(body: bytes) -> int:
    """Return how many resources a request holds."""
    request = orjson.loads(body)
    held = [request["context"]["draftOrders"], *request["prefetch"].values()]
    return sum(len(value["entry"]) if value["resourceType"] == "Bundle" else 1 for value in held)


def _chart(sample: str, size: int, resources: int | None, orders: int, seed: int) -> bytes:
    request = request_from(orjson.loads((SAMPLES / f"{sample}.json").read_bytes()), HOOK_INSTANCE)
    _order(request, orders)
    text = _stamped(request)
    request = orjson.loads(text)
    patient, chance = request["context"]["patientId"], random.Random(seed)  # noqa: S311 - no secret
    held, length = resources_in(text), len(text)
    while resources is not None and held < resources:
        # as many resources as asked for, and then as much text in them as is missing
        left = resources - held
        length += _add(request, held, patient, chance, max(0, (size - length) // left - 600))
        held += 1
    while resources is None and length < size - 400:
        length += _add(request, held, patient, chance, 0)
        held += 1
    # every other client writes its JSON in a way of its own
    return orjson.dumps(request).replace(b'"status":', b'"status": ' if seed % 2 else b'"status":')


def _order(request: dict[str, Any], orders: int) -> None:
    """Let a request have so many draft orders: of every two, one concerns no policy."""
    entries = request["context"]["draftOrders"]["entry"]
    first = entries[0]["resource"]
    for number in range(1, orders):
        order = {**first, "id": f"{first['id']}-{number}"}
        if number % 2:
            order = {k: v for k, v in order.items() if k not in ("reasonCode", "reasonReference", "note")}
            order["code" if "code" in order else "medicationCodeableConcept"] = {"text": "Acetaminophen 500 mg tablet"}
        entries.append({"resource": order})


def _stamped(request: dict[str, Any]) -> bytes:
    """Return a request as text, with the stamp in every id and in every reference to it."""
    held = [*request["context"]["draftOrders"]["entry"]]
    for value in request["prefetch"].values():
        held += value["entry"] if value["resourceType"] == "Bundle" else [{"resource": value}]
    text = orjson.dumps(request)
    for kind, name in {(e["resource"]["resourceType"], e["resource"]["id"]) for e in held}:
        for old, new in (('"id":"{}"', '"id":"{}-{}"'), (f'"{kind}/{{}}"', f'"{kind}/{{}}-{{}}"')):
            text = text.replace(old.format(name).encode(), new.format(name, _STAMP).encode())
    patient = request["context"]["patientId"]
    return text.replace(f'"patientId":"{patient}"'.encode(), f'"patientId":"{patient}-{_STAMP}"'.encode())


def _add(request: dict[str, Any], number: int, patient: str, chance: random.Random, padding: int) -> int:
    """Add what most of a chart is made of, which no policy asks about; return its length in bytes."""
    key, resource = (_condition if number % 5 == 0 else _result)(number, patient, chance)
    if padding:
        note = "Reviewed with the patient at the visit; no change to the plan of care. "
        resource["note"] = [{"text": (note * (padding // len(note) + 1))[:padding]}]
    bundle = request["prefetch"].setdefault(key, {"resourceType": "Bundle", "type": "searchset", "entry": []})
    bundle["entry"].append({"resource": resource})
    return len(orjson.dumps({"resource": resource})) + 1


_RESULTS = (
    ("29463-7", "Body weight", "kg", 40, 110),
    ("8310-5", "Body temperature", "Cel", 36, 39),
    ("8867-4", "Heart rate", "/min", 50, 110),
    ("2951-2", "Sodium", "mmol/L", 130, 150),
    ("6298-4", "Potassium", "mmol/L", 3, 6),
    ("2345-7", "Glucose", "mg/dL", 60, 300),
)
_PROBLEMS = (("I10", "Hypertension"), ("J30.9", "Allergic rhinitis"), ("M54.50", "Low back pain"), ("K21.9", "Reflux"))


def _day(chance: random.Random) -> datetime.date:
    return _TODAY - datetime.timedelta(days=chance.randrange(5000))


def _result(number: int, patient: str, chance: random.Random) -> tuple[str, dict[str, Any]]:
    code, name, unit, low, high = chance.choice(_RESULTS)
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    return "observations", {
        "resourceType": "Observation",
        "id": f"result-{number}-{_STAMP}",
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": name}], "text": name},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"{_day(chance)}{_TIME}-05:00",
        "valueQuantity": {
            "value": round(chance.uniform(low, high), 1),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }


def _condition(number: int, patient: str, chance: random.Random) -> tuple[str, dict[str, Any]]:
    code, name = chance.choice(_PROBLEMS)
    clinical = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    verified = {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}
    return "conditions", {
        "resourceType": "Condition",
        "id": f"problem-{number}-{_STAMP}",
        "clinicalStatus": {"coding": [clinical]},
        "verificationStatus": {"coding": [verified]},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}], "text": name},
        "subject": {"reference": f"Patient/{patient}"},
        "recordedDate": f"{_day(chance)}{_TIME}-05:00",
    }
