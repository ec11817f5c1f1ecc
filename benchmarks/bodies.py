"""The requests that are measured, made from the sample bundles: an order of no policy, and a full Lantidra chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from cds_service.bundle_request import request_from

SAMPLES = Path(__file__).parents[1] / "sample_bundles"
HOOK_INSTANCE = "1f2c4f0e-6f0b-4d52-9f0c-0b7a2f6a5c11"


def irrelevant(size: int = 3_000) -> bytes:
    """Return the order-sign body of an order that concerns no policy, of about so many bytes."""
    return _body("order-that-concerns-no-policy", size)


def lantidra(size: int = 28_000) -> bytes:
    """Return the order-sign body of a Lantidra order with everything documented, of about so many bytes."""
    return _body("lantidra-everything-documented", size)


def _body(sample: str, size: int) -> bytes:
    request = request_from(orjson.loads((SAMPLES / f"{sample}.json").read_bytes()), HOOK_INSTANCE)
    patient = request["context"]["patientId"]
    number = 0
    while len(body := orjson.dumps(request)) < size - 300:
        # what most of a chart is made of: results and problems that no policy asks about
        _add(request, "observations", _weight(patient, number))
        if number % 3 == 0:
            _add(request, "conditions", _hypertension(patient, number))
        number += 1
    return body


def _add(request: dict[str, Any], key: str, resource: dict[str, Any]) -> None:
    bundle = request["prefetch"].setdefault(key, {"resourceType": "Bundle", "type": "searchset", "entry": []})
    bundle["entry"].append({"resource": resource})


def _weight(patient: str, number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"weight-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "Body weight"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}",
        "valueQuantity": {"value": 70 + number % 5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


def _hypertension(patient: str, number: int) -> dict[str, Any]:
    active = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    return {
        "resourceType": "Condition",
        "id": f"hypertension-{number}",
        "clinicalStatus": {"coding": [active]},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10"}], "text": "Hypertension"},
        "subject": {"reference": f"Patient/{patient}"},
        "recordedDate": f"20{number % 20 + 5:02}-04-01",
    }
