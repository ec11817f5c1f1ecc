"""Tells whether a FHIR resource is about the patient of the request, so that no other patient's data is ever used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from cds_service.errors import WrongPatient

Whose = Literal["ours", "another", "unclear"]
"""``unclear``: it names somebody, but not in a way that can be compared with a patient id."""

_PATIENT = re.compile(r"(?:^|/)Patient/([A-Za-z0-9._~:%@+=-]+)(?:/_history/[^/?#]+)?$")
_ABOUT = ("subject", "patient", "beneficiary")
NO_LINKS: Mapping[str, str] = MappingProxyType({})


def patient_of(reference: str) -> str | None:
    """Return the id in a reference to a Patient: relative, absolute, with a version or without; else None."""
    match = _PATIENT.search(reference)
    return match[1] if match else None


def whose(resource: Mapping[str, Any], patient_id: str, links: Mapping[str, str] = NO_LINKS) -> Whose:
    """Say whose data a resource is. A resource that names nobody is ours: it came under this patient's request.

    ``links`` gives the patient id for a ``urn:uuid:`` of the same Bundle (see ``links_of``).
    """
    if resource.get("resourceType") == "Patient":
        own = resource.get("id", patient_id)
        if not isinstance(own, str):
            return "unclear"
        return "ours" if own == patient_id else "another"
    answer: Whose = "ours"
    for name in _ABOUT:
        about = resource.get(name)
        reference = about.get("reference") if isinstance(about, Mapping) else None
        if not isinstance(reference, str):
            continue
        named = patient_of(reference) or links.get(reference)
        if named is None:
            if reference.removeprefix("urn:uuid:") != patient_id:
                answer = "unclear"
        elif named != patient_id:
            return "another"
    return answer


def links_of(entries: Iterable[object]) -> Mapping[str, str]:
    """Return the fullUrl of every Patient among a Bundle's entries, with the Patient's id."""
    links: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if isinstance(url, str) and isinstance(resource, Mapping) and resource.get("resourceType") == "Patient":
            patient = resource.get("id")
            if isinstance(patient, str):
                links[url] = patient
    return links


def refusal(resource: Mapping[str, Any], where: str, path: str) -> WrongPatient:
    """Return the error that names a resource of another patient by type and place; its ids are not repeated."""
    kind = resource.get("resourceType")
    name = kind if isinstance(kind, str) and kind.isalpha() and len(kind) <= 64 else "resource"
    return WrongPatient(
        f"A {name} in {where} is about another patient than context.patientId; "
        "a request may hold the data of one patient only.",
        path,
    )
