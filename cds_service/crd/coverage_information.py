"""Assertions to the coverage-information extension of Da Vinci CRD 2.0.1, 2.1.0 and 2.2.1. Pure.

Where the versions' invariants differ, what is written satisfies all of them: ``pa-needed`` stands exactly when
something may be covered, ``info-needed`` exactly when something is conditional, and there is always a reason in words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from cds_service.crd.assertion import Assertion, Reason
from cds_service.crd.versions import TEMPORARY, Version, detail_system
from cds_service.questionnaires.canonical import pointer
from fhir_mappings.facts import Coding
from fhir_mappings.systems import system_uri

URL = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"
OURS = "coverage-cds-"
"""How the assertion ids of this service begin."""

_DIGITS = 32
_TOLD = json.JSONEncoder(sort_keys=True)
"""What stands in an id is written by the standard library: an id stays what it was, whatever else writes JSON here."""
_CODES: dict[Version, frozenset[str]] = {
    "2.0": frozenset({"detail-code"}),
    "2.1": frozenset({"detail-code"}),
    "2.2": frozenset({"no-active-coverage", "technical"}),
}
"""The codes for reasons that each version knows, of those that are used here."""


def extension(assertion: Assertion, version: Version, server: str, today: date) -> dict[str, Any]:
    """Return the extension for an order on an EHR's FHIR server."""
    stable = list(_stable(assertion, version))
    made = _sub("date", "Date", today.isoformat())
    named = _sub("coverage-assertion-id", "String", identity(assertion, [version, *stable], server))
    return {"url": URL, "extension": [*stable, *_linked(assertion, version), made, named]}


def identity(assertion: Assertion, stable: list[Any], server: str) -> str:
    """Return the id of an assertion: the same whenever the same is said of the same order for the same reasons.

    It depends on no day and on no URL of this service. The order's id is unique on the EHR's server only. At its end it
    names the questionnaire: Da Vinci DTR sends the id as the context of ``$questionnaire-package``.
    """
    questionnaire = (assertion.questionnaire or "").rpartition("/")[2]
    told = [server, assertion.order, assertion.coverage, *assertion.basis, questionnaire, stable]
    named = OURS + hashlib.sha256(_TOLD.encode(told).encode()).hexdigest()[:_DIGITS]
    return f"{named}-{pointer(assertion.questionnaire)}" if assertion.questionnaire else named


def identity_of(extension: object) -> str | None:
    """Return the assertion id of a coverage-information extension of this service; None of anything else."""
    if not isinstance(extension, dict) or extension.get("url") != URL:
        return None
    parts = extension.get("extension")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("url") == "coverage-assertion-id":
            found = part.get("valueString")
            return found if isinstance(found, str) and found.startswith(OURS) else None
    return None


def _stable(assertion: Assertion, version: Version) -> Iterator[dict[str, Any]]:
    """Yield everything that does not depend on the day or on where this service is."""
    covered = assertion.covered
    if covered == "indeterminate" and version != "2.2":
        covered = "conditional"
    pa_needed = assertion.authorization.needed if assertion.authorization else "conditional"
    yield _sub("coverage", "Reference", {"reference": assertion.coverage})
    yield _sub("covered", "Code", covered)
    if covered != "not-covered":
        yield _sub("pa-needed", "Code", pa_needed)
    if assertion.questionnaire:
        yield _sub("doc-needed", "Code", "clinical")
        if pa_needed == "auth-needed":
            yield _sub("doc-purpose", "Code", "withpa")
    if covered == "conditional" or (covered != "not-covered" and pa_needed == "conditional"):
        yield from (_sub("info-needed", "Code", code) for code in _info_needed(assertion, version))
    yield from (_sub("billingCode", "Coding", _coding(code)) for code in assertion.billing)
    yield from (_sub("reason", "CodeableConcept", _reason(reason, version)) for reason in _reasons(assertion, version))


def _info_needed(assertion: Assertion, version: Version) -> list[str]:
    lacks: list[str] = [code for code in assertion.lacks if code != "detail-code" or version == "2.2"]
    return lacks or ["OTH"]


def _reasons(assertion: Assertion, version: Version) -> Iterator[Reason]:
    yield from assertion.reasons
    if "detail-code" in assertion.lacks and version != "2.2":
        yield Reason("The ordered code is too general to decide.", Coding("reason", "detail-code"))


def _linked(assertion: Assertion, version: Version) -> Iterator[dict[str, Any]]:
    if assertion.questionnaire:
        yield _sub("questionnaire", "Canonical", assertion.questionnaire)
    if assertion.policy_url:
        code = {"coding": [{"system": detail_system(version), "code": "policy-link"}]}
        category = [_sub("category", "Code", "cat-other")] if version == "2.2" else []
        value = _sub("value", "String" if version == "2.0" else "Url", assertion.policy_url)
        yield {"url": "detail", "extension": [*category, _sub("code", "CodeableConcept", code), value]}


def _reason(reason: Reason, version: Version) -> dict[str, Any]:
    if reason.code is None or reason.code.code not in _CODES[version]:
        return {"text": reason.text}
    return {"coding": [{"system": TEMPORARY, "code": reason.code.code}], "text": reason.text}


def _coding(code: Coding) -> dict[str, str]:
    return {"system": system_uri(code.system), "code": code.code}


def _sub(name: str, kind: str, value: object) -> dict[str, Any]:
    return {"url": name, f"value{kind}": value}
