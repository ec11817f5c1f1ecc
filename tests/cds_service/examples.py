"""Small CDS Hooks requests and FHIR resources that tests start from."""

from __future__ import annotations

from typing import Any

from cds_service.cards.assessment import ASSESSMENT

PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-02-03"}


def resource(kind: str, name: str, patient: str = "p1", **members: Any) -> dict[str, Any]:
    about = "beneficiary" if kind == "Coverage" else "subject"
    return {"resourceType": kind, "id": name, about: {"reference": f"Patient/{patient}"}, **members}


def bundle(*resources: Any, **members: Any) -> dict[str, Any]:
    entries = [{"resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **members}


def failure(severity: str = "error") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "processing"}]}


def hook_body(**members: Any) -> dict[str, Any]:
    """Return an order-sign request with one order; members replace its own, None drops one."""
    body: dict[str, Any] = {
        "hook": "order-sign",
        "hookInstance": "6bc883b2-b795-4dcb-b661-34884a31d472",
        "context": context(),
        **members,
    }
    return {name: value for name, value in body.items() if value is not None}


def context(**members: Any) -> dict[str, Any]:
    body = {
        "userId": "Practitioner/example",
        "patientId": "p1",
        "draftOrders": bundle(resource("MedicationRequest", "order-1", status="draft"), type="collection"),
        **members,
    }
    return {name: value for name, value in body.items() if value is not None}


def assessing(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cards of an answer that assess an order, without those that only suggest something."""
    return [card for card in answer["cards"] if ASSESSMENT in card.get("extension", {})]


def without_tasks(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cards of an answer but those that offer a Task to document something."""
    return [card for card in answer["cards"] if "Task" not in str(card.get("suggestions"))]
