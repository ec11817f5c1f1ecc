"""What the published versions of Da Vinci CRD say of coverage information, as a validator would check it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from cds_service.crd.versions import Version

URL = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"

_MANY = 99
_CARDINALITIES: dict[str, tuple[int, int, str]] = {
    "coverage": (1, 1, "Reference"),
    "covered": (1, 1, "Code"),
    "pa-needed": (0, 1, "Code"),
    "doc-needed": (0, _MANY, "Code"),
    "doc-purpose": (0, _MANY, "Code"),
    "info-needed": (0, _MANY, "Code"),
    "billingCode": (0, _MANY, "Coding"),
    "reason": (0, _MANY, "CodeableConcept"),
    "questionnaire": (0, _MANY, "Canonical"),
    "date": (1, 1, "Date"),
    "coverage-assertion-id": (1, 1, "String"),
    "satisfied-pa-id": (0, 1, "String"),
}
_CODES: dict[Version, dict[str, set[str]]] = {
    "2.0": {
        "covered": {"covered", "not-covered", "conditional"},
        "pa-needed": {"no-auth", "auth-needed", "satisfied", "performpa", "conditional"},
        "doc-needed": {"clinical", "admin", "both", "conditional"},
        "info-needed": {"performer", "location", "timeframe", "contract-window", "OTH"},
    },
    "2.1": {
        "covered": {"covered", "not-covered", "conditional"},
        "pa-needed": {"no-auth", "auth-needed", "satisfied", "performpa", "conditional"},
        "doc-needed": {"clinical", "admin", "patient", "conditional"},
        "info-needed": {"performer", "location", "timeframe", "contract-window", "OTH"},
    },
    "2.2": {
        "covered": {"covered", "not-covered", "conditional", "indeterminate"},
        "pa-needed": {"no-auth", "auth-needed", "satisfied", "performpa", "conditional", "indeterminate"},
        "doc-needed": {"clinical", "admin", "patient", "conditional", "indeterminate"},
        "info-needed": {"performer", "location", "timeframe", "contract-window", "detail-code", "OTH"},
    },
}
_PURPOSES = {"withpa", "withclaim", "withorder", "retain-doc", "OTH"}
_REASONS: dict[Version, set[str]] = {
    "2.0": {"gold-card", "detail-code"},
    "2.1": {"gold-card", "detail-code"},
    "2.2": {
        *("gold-card", "no-member-found", "no-active-coverage", "coverage-not-found", "auth-out-network", "technical"),
    },
}


def informations(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every coverage-information extension of an answer."""
    orders = [action["resource"] for action in answer.get("systemActions", [])]
    return [e for order in orders for e in order.get("extension", []) if e["url"] == URL]


def told(information: dict[str, Any], name: str) -> list[Any]:
    """Return the values of one part of an extension."""
    parts = [part for part in information["extension"] if part["url"] == name]
    return [value for part in parts for key, value in part.items() if key.startswith("value")]


def problems(information: dict[str, Any], version: Version) -> list[str]:
    """Return what a validator of one version finds wrong with an extension."""
    return [*_shape(information, version), *_codes(information, version), *_invariants(information, version)]


def _shape(information: dict[str, Any], version: Version) -> Iterator[str]:
    allowed = {**_CARDINALITIES, "doc-needed": (0, 1, "Code")} if version == "2.0" else _CARDINALITIES
    for part in information["extension"]:
        if part["url"] == "detail":
            yield from _detail(part, version)
        elif part["url"] not in allowed:
            yield f"{part['url']} is no part"
        elif set(part) != {"url", f"value{allowed[part['url']][2]}"}:
            yield f"{part['url']} has {sorted(part)}"
    yield from _forms(information)
    for name, (least, most, _) in allowed.items():
        if not least <= len(told(information, name)) <= most:
            yield f"{name} stands {len(told(information, name))} times"


def _forms(information: dict[str, Any]) -> Iterator[str]:
    for day in told(information, "date"):
        date.fromisoformat(day)
    for reference in told(information, "coverage"):
        if not re.fullmatch(r"Coverage/[A-Za-z0-9.-]{1,64}", reference["reference"]):
            yield "coverage is no reference to a Coverage"
    for canonical in told(information, "questionnaire"):
        if not re.fullmatch(r"https?://[^|]+/Questionnaire/[A-Za-z0-9.-]{1,64}\|.+", canonical):
            yield "questionnaire is no canonical URL with a version"


def _detail(part: dict[str, Any], version: Version) -> Iterator[str]:
    names = [inner["url"] for inner in part["extension"]]
    if names != (["category", "code", "value"] if version == "2.2" else ["code", "value"]):
        yield f"detail has {names}"
    value = part["extension"][-1]
    if set(value) != {"url", "valueString" if version == "2.0" else "valueUrl"}:
        yield f"the value of a detail is {sorted(value)}"


def _codes(information: dict[str, Any], version: Version) -> Iterator[str]:
    for name, codes in {**_CODES[version], "doc-purpose": _PURPOSES}.items():
        yield from (f"{name}: {code} is no code" for code in told(information, name) if code not in codes)
    for reason in told(information, "reason"):
        if not reason.get("text"):
            yield "a reason has no text"
        for coding in reason.get("coding", []):
            if coding["code"] not in _REASONS[version]:
                yield f"reason: {coding['code']} is no code"


def _invariants(information: dict[str, Any], version: Version) -> Iterator[str]:
    decided = {name: told(information, name) for name in ("covered", "pa-needed", "doc-needed")}
    conditional = any("conditional" in values for values in decided.values())
    info = told(information, "info-needed")
    if told(information, "questionnaire") and not decided["doc-needed"]:
        yield "crd-ci-q1"
    if (decided["covered"] == ["not-covered"]) == bool(decided["pa-needed"]):
        yield "crd-ci-q2"  # 2.0 by its expression, 2.1 and 2.2 by their text: together exactly one of them
    if conditional != bool(info):
        yield "crd-ci-q3"
    if decided["pa-needed"] in (["satisfied"], ["no-auth"]) and "withpa" in told(information, "doc-purpose"):
        yield "crd-ci-q4"
    if (decided["pa-needed"] == ["satisfied"]) != bool(told(information, "satisfied-pa-id")):
        yield "crd-ci-q5"
    reasons = told(information, "reason")
    if "OTH" in info and not reasons:
        yield "crd-ci-q6"
    if version == "2.2" and told(information, "doc-purpose") and not reasons:
        yield "crd-ci-q8"
    if any("indeterminate" in values for values in decided.values()) and not reasons:
        yield "crd-ci-q9"
