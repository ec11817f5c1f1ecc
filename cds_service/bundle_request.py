"""A sample Bundle as the order-sign request that an EHR would send: its draft orders, the rest as prefetch. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cds_service.errors import UnusableInput
from cds_service.prefetch import KEY_OF, MINIMAL
from fhir_mappings.chart import TYPE_OF, Resource

ORDERS = frozenset(
    {
        "MedicationRequest",
        "ServiceRequest",
        "DeviceRequest",
        "NutritionOrder",
        "VisionPrescription",
        "CommunicationRequest",
    }
)
_KEY_OF_TYPE = {TYPE_OF[records]: key for records, key in KEY_OF.items() if records != "patient"}
_SENT_ALONG = {"Organization": "coverage", "Medication": "medicationRequests"}
_OTHERS = "otherResources"


def is_bundle(document: Mapping[str, Any]) -> bool:
    """Whether a document is a FHIR Bundle and not a CDS Hooks request."""
    return document.get("resourceType") == "Bundle"


def request_from(bundle: Mapping[str, Any], hook_instance: str) -> dict[str, Any]:
    """Return the order-sign request for a Bundle.

    Only what the Bundle holds is sent: a record that is not in it was not supplied. An entry that cannot be read is
    sent as it is, so that the answer names it. Raises UnusableInput when the Bundle's entries are no list, or it has
    no draft order or not exactly one Patient.
    """
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise UnusableInput("the Bundle's entry is not a list; give a list of objects with a resource each.")
    held, unread = [], {}
    urns: dict[int, str] = {}
    for number, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            held.append(resource)
            if isinstance(url := entry.get("fullUrl"), str) and url.startswith("urn:"):
                urns[id(resource)] = url
        else:
            unread[f"Bundle.entry[{number}]"] = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    drafts = [r for r in held if r["resourceType"] in ORDERS and r.get("status") == "draft"]
    if not drafts:
        raise UnusableInput("the Bundle holds no order with status draft; give the order that is signed that status.")
    patient = _patient(held)
    rest = [r for r in held if r not in drafts and r["resourceType"] != "Patient"]
    encounter = next((r["id"] for r in held if r["resourceType"] == "Encounter" and r.get("id")), None)
    return {
        "hook": "order-sign",
        "hookInstance": hook_instance,
        "context": {
            "userId": _user(held, drafts),
            "patientId": patient["id"],
            **({"encounterId": encounter} if encounter else {}),
            "draftOrders": _bundle("collection", drafts, urns),
        },
        "prefetch": {"patient": patient, **_prefetch(rest, urns), **unread},
    }


def bringing(sent: str, request: Mapping[str, Any], fhir_server: str | None) -> dict[str, Any]:
    """Return a request that brings ``none``, the ``minimal`` or the ``full`` of its prefetch and names a FHIR server.

    A token that the request carries is for the server that it named, and is not shown to another.
    """
    changed = dict(request)
    if fhir_server is not None:
        changed.pop("fhirAuthorization", None)
        changed["fhirServer"] = fhir_server
    held = changed.pop("prefetch", None)
    if sent == "minimal" and isinstance(held, Mapping):
        held = {key: held[key] for key in MINIMAL if key in held}
    if held and sent != "none":
        changed["prefetch"] = held
    return changed


def _patient(held: Sequence[Resource]) -> Resource:
    patients = [r for r in held if r["resourceType"] == "Patient" and isinstance(r.get("id"), str)]
    if len(patients) != 1:
        raise UnusableInput(f"the Bundle holds {len(patients)} Patients with an id; one is needed.")
    return patients[0]


def _user(held: Sequence[Resource], drafts: Sequence[Resource]) -> str:
    practitioners = [
        f"{r['resourceType']}/{r['id']}" for r in held if r["resourceType"] == "Practitioner" and "id" in r
    ]
    requesters = [r.get("requester") for r in drafts]
    named = [r["reference"] for r in requesters if isinstance(r, dict) and isinstance(r.get("reference"), str)]
    return next((name for name in (*practitioners, *named) if name.startswith("Practitioner")), "Practitioner/unknown")


def _prefetch(rest: Sequence[Resource], urns: Mapping[int, str]) -> dict[str, Any]:
    by_key: dict[str, list[Resource]] = {}
    for resource in rest:
        kind = resource["resourceType"]
        key = _KEY_OF_TYPE.get(kind) or _SENT_ALONG.get(kind) or _OTHERS
        by_key.setdefault(key, []).append(resource)
    return {key: _bundle("searchset", found, urns) for key, found in by_key.items()}


def _bundle(kind: str, resources: Sequence[Resource], urns: Mapping[int, str]) -> dict[str, Any]:
    """Return a Bundle of the resources; ``urns``: the fullUrls that others may refer to, by the resource's identity."""
    entries = [{"fullUrl": urns[id(r)], "resource": r} if id(r) in urns else {"resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}
