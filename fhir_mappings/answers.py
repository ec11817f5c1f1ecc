"""Whether the value of an observation says that the thing asked about is there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from fhir_mappings.chart import Resource
from fhir_mappings.descriptions import Description, describe
from fhir_mappings.json_fields import number

Answer = Literal["present", "absent", "number", "unclear", "unstated"]
"""``number``: it is a measured value. ``unclear``: there is a value, and it says neither yes nor no.
``unstated``: there is no value, nor an interpretation that stands for one."""

_InWords = Callable[[str], re.Match[str] | None]

# SNOMED CT qualifiers and LOINC answers (LA33-6 yes, LA32-8 no, LA6576-8 positive, LA6577-6 negative, LA9633-4
# present, LA9634-2 absent, LA11882-0 detected, LA11883-8 not detected), observation-interpretation codes
_CODES: dict[str | None, Answer] = {
    **dict.fromkeys(
        ("10828004", "52101004", "260373001", "373066001", "LA33-6", "LA6576-8", "LA9633-4", "LA11882-0"), "present"
    ),
    **dict.fromkeys(("POS", "DET", "RR"), "present"),
    **dict.fromkeys(
        ("260385009", "2667000", "260415000", "373067005", "LA32-8", "LA6577-6", "LA9634-2", "LA11883-8"), "absent"
    ),
    **dict.fromkeys(("NEG", "ND", "NR"), "absent"),
}
_YES_OR_NO: dict[str | None, Answer] = {"Y": "present", "N": "absent"}
_OF_YES_OR_NO = (
    None,
    "http://terminology.hl7.org/CodeSystem/v2-0136",
    "http://terminology.hl7.org/CodeSystem/v2-0532",
    "http://hl7.org/fhir/v2/0136",
    "urn:oid:2.16.840.1.113883.12.136",
)
"""The systems in which N is no: as an interpretation it is normal."""
_YES = re.compile(
    r"\s*(?:(?:yes|positive|present|detected|reactive|true)\b|(?:currently )?pregnant[\s.]*$)", re.IGNORECASE
)
_NO = re.compile(
    r"\s*(?:no|not|none|neg|negative|absent|undetected|non-?reactive|non-?pregnant|(?:patient )?denie[sd]|false)\b",
    re.IGNORECASE,
)
_UNSAID = re.compile(
    r"\s*(?:no (?:answer|data|information|response|result|sample|specimen)|not (?:applicable|asked|assessed|available"
    r"|certain|clear|collected|determined|documented|done|evaluated|known|obtained|performed|recorded|stated|sure|tested"
    r"|yet))",
    re.IGNORECASE,
)
"""What begins like a no and says that there is no answer."""
_INAPPLICABLE = ("385432009", "NA")
"""SNOMED CT and HL7's NullFlavor."""
_NOT_APPLICABLE = re.compile(r"\s*(?:not applicable|n/?a)[\s.]*", re.IGNORECASE)
_POSITIVE = re.compile(r"\s*(?:positive|present|detected|reactive)[\s.]*", re.IGNORECASE)
_NEGATIVE = re.compile(
    r"\s*(?:negative|absent|undetected|not (?:detected|present|reactive)|non[- ]?reactive)[\s.]*", re.IGNORECASE
)
_COUNTS = (None, "1", "{count}", "{episodes}", "{events}", "{#}")
_UNITS_OF_COUNTS = (*_COUNTS, "episodes", "events", "times")


def answer(holder: Resource, *, measures: bool = False) -> Answer:
    """Return what the value of an Observation, or of one of its components, says.

    ``measures``: a number is asked for, which no interpretation undoes; else a laboratory's judgement comes first.
    """
    if isinstance(truth := holder.get("valueBoolean"), bool):
        return "present" if truth else "absent"
    judged = frozenset[Answer]() if measures else describe(holder.get("interpretation")).once(_interpreted)
    if holder.get("valueQuantity") is not None or holder.get("valueInteger") is not None:
        return next(iter(judged)) if len(judged) == 1 else _measured(holder)
    said = describe(holder.get("valueCodeableConcept")).once(_judged) | _judged(describe(holder.get("valueString")))
    said = said or judged
    if len(said) == 1:
        return next(iter(said))
    return "unclear" if said or has_value(holder) else "unstated"


def is_inapplicable(holder: Resource) -> bool:
    """Whether the value says that the question does not apply: that answers nothing, nor does it leave it open."""
    said = describe(holder.get("valueCodeableConcept")) + describe(holder.get("valueString"))
    codes = any(code in _INAPPLICABLE for _, code in said.codings)
    return codes or any(_NOT_APPLICABLE.fullmatch(words) for words in said.texts)


def is_called_normal(holder: Resource) -> bool:
    """Whether a laboratory calls a result normal, and nothing else."""
    return {code for _, code in describe(holder.get("interpretation")).codings} == {"N"}


def has_value(holder: Resource) -> bool:
    """Whether an Observation, or one of its components, has a value of any type."""
    return any(name.startswith("value") and value is not None for name, value in holder.items())


def _measured(holder: Resource) -> Answer:
    """Return what a number says: a count of zero says that there was none."""
    field: Any = holder.get("valueQuantity")
    if not isinstance(field, dict):
        field = {"value": holder.get("valueInteger")}
    is_count = field.get("code") in _COUNTS and field.get("unit") in _UNITS_OF_COUNTS
    return "absent" if is_count and number(field.get("value")) == 0 else "number"


def _judged(description: Description) -> frozenset[Answer]:
    """Return what a value says."""
    said = {_YES_OR_NO[code] for system, code in description.codings if code in _YES_OR_NO and system in _OF_YES_OR_NO}
    return _said(description, _YES.match, _no) | said


def _no(words: str) -> re.Match[str] | None:
    return None if _UNSAID.match(words) else _NO.match(words)


def _interpreted(description: Description) -> frozenset[Answer]:
    """Return what an interpretation says. Its text may speak of a goal or a trend: only the whole of it can judge."""
    return _said(description, _POSITIVE.fullmatch, _NEGATIVE.fullmatch)


def _said(description: Description, is_yes: _InWords, is_no: _InWords) -> frozenset[Answer]:
    said = {_CODES[code] for _, code in description.codings if code in _CODES}
    for words in description.texts:
        if is_no(words):
            said.add("absent")
        elif is_yes(words):
            said.add("present")
    return frozenset(said)
