"""Records as FHIR R4 AuditEvents: that a decision was made, by whom, by which policy; without clinical content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"}
_ROLE = {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1", "display": "Patient"}
_SOURCE = "coverage-cds"


def audit_event(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the AuditEvent of a record; the patient is the pseudonym, as an identifier."""
    client = record["client"] or "unauthenticated client"
    return {
        "resourceType": "AuditEvent",
        "id": record["id"],
        "type": _TYPE,
        "subtype": [{"system": "http://cds-hooks.org/hooks", "code": record["hook"]}],
        "action": "E",
        "recorded": record["at"],
        "outcome": "0",
        "agent": [{"who": {"display": client}, "requestor": True}],
        "source": {"observer": {"display": _SOURCE}},
        "entity": [
            {
                "what": {"identifier": {"system": "urn:coverage-cds:pseudonym", "value": record["patient"]}},
                "role": _ROLE,
            },
            *map(_decided, record["cards"]),
        ],
    }


def _decided(card: Mapping[str, Any]) -> dict[str, Any]:
    policy = card.get("policy", {})
    found = {
        "order": card.get("order"),
        "therapy": card.get("therapy"),
        "asOf": card.get("asOf"),
        "policy": policy.get("id") or card.get("elsewhere"),
        "revision": policy.get("revision"),
        "basis": card.get("basis"),
        "outcome": card.get("outcome"),
        **{f"criterion {c['id']}": c["outcome"] for c in card.get("criteria", [])},
    }
    details = [{"type": name, "valueString": value} for name, value in found.items() if value]
    identifier = {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{card['uuid']}"}}
    return {"what": identifier, **({"detail": details} if details else {})}
