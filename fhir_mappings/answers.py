"""Whether the value of an observation says that the thing asked about is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from fhir_mappings.chart import Resource
from fhir_mappings.descriptions import Description, describe
from fhir_mappings.json_fields import number

Answer = Literal["present", "absent", "number", "unclear"]
"""``number``: it is a measured value. ``unclear``: there is a value, and it says neither yes nor no."""

# SNOMED CT qualifiers and LOINC answers (LA33-6 yes, LA32-8 no, LA6576-8 positive, LA6577-6 negative, LA9633-4
# present, LA9634-2 absent, LA11882-0 detected, LA11883-8 not detected), observation-interpretation codes
_PRESENT = {"10828004", "52101004", "260373001", "373066001", "LA33-6", "LA6576-8", "LA9633-4", "LA11882-0"} | {
    "POS",
    "DET",
    "RR",
    "Y",
}
_ABSENT = {"260385009", "2667000", "260415000", "373067005", "LA32-8", "LA6577-6", "LA9634-2", "LA11883-8"} | {
    "NEG",
    "ND",
    "NR",
    "N",
}
_YES = re.compile(r"\s*(?:yes|positive|present|detected|reactive|true)\b", re.IGNORECASE)
_NO = re.compile(r"\s*(?:no|not|none|negative|absent|undetected|non-?reactive|denie[sd]|false)\b", re.IGNORECASE)
_COUNTS = (None, "1", "{count}", "{episodes}", "{events}", "{#}")
_UNITS_OF_COUNTS = (*_COUNTS, "episodes", "events", "times")


def answer(holder: Resource) -> Answer:
    """Return what the value of an Observation, or of one of its components, says. No value at all is ``present``."""
    if isinstance(truth := holder.get("valueBoolean"), bool):
        return "present" if truth else "absent"
    if holder.get("valueQuantity") is not None or holder.get("valueInteger") is not None:
        return _measured(holder)
    said = describe(holder.get("valueCodeableConcept")).once(_judged) | _judged(describe(holder.get("valueString")))
    said = said or describe(holder.get("interpretation")).once(_judged)
    if len(said) == 1:
        return next(iter(said))
    return "unclear" if said or has_value(holder) else "present"


def has_value(holder: Resource) -> bool:
    """Whether an Observation, or one of its components, has a value of any type."""
    return any(name.startswith("value") and value is not None for name, value in holder.items())


def _measured(holder: Resource) -> Answer:
    """Return what a number says: a count of zero says that there was none; a laboratory's judgement comes first."""
    judged = describe(holder.get("interpretation")).once(_judged)
    if len(judged) == 1:
        return next(iter(judged))
    field: Any = holder.get("valueQuantity")
    if not isinstance(field, dict):
        field = {"value": holder.get("valueInteger")}
    is_count = field.get("code") in _COUNTS and field.get("unit") in _UNITS_OF_COUNTS
    return "absent" if is_count and number(field.get("value")) == 0 else "number"


def _judged(description: Description) -> frozenset[Answer]:
    return frozenset(_judgements(description))


def _judgements(description: Description) -> Iterator[Answer]:
    for _, code in description.codings:
        if code in _PRESENT:
            yield "present"
        elif code in _ABSENT:
            yield "absent"
    for words in description.texts:
        if _NO.match(words):
            yield "absent"
        elif _YES.match(words):
            yield "present"
