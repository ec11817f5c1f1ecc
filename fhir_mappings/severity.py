"""How severe a condition is, and the overall grade of graft-versus-host disease, from codes and short texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from fhir_mappings.descriptions import Description, describe
from fhir_mappings.facts import Severity
from fhir_mappings.json_fields import objects

# SNOMED CT and LOINC answer codes: FHIR's condition-severity value set, and LOINC LA6750-9 to LA6752-5 (from memory)
_CODES: dict[str, Severity] = {
    "24484000": "severe",
    "LA6750-9": "severe",
    "6736007": "moderate",
    "LA6751-7": "moderate",
    "255604002": "mild",
    "LA6752-5": "mild",
}
_WORDS: dict[str, Severity] = {"severe": "severe", "moderate": "moderate", "mild": "mild"}

_LEVEL = r"(IV|III|II|I|[0-4]|[A-D])"
_RANGE = r"(?!\s{0,3}(?:-|/|to|or)\s{0,3}(?:IV|I{1,3}|[0-4]|[A-D])\b)"
_GRADED = re.compile(rf"\b(?:grade|index)\s{{0,3}}[:=]?\s{{0,3}}{_LEVEL}\b{_RANGE}", re.IGNORECASE)
_LOCAL = re.compile(r"gvhd[-_ ]acute[-_ ]([0-4])", re.IGNORECASE)
_BARE = re.compile(rf"{_LEVEL}", re.IGNORECASE)
_ORGAN = re.compile(r"\b(?:skin|liver|gut|gi|gastro\w*|intestin\w*|bowel|organ)\b", re.IGNORECASE)
_NUMERAL = {"0": 0, "I": 1, "II": 2, "III": 3, "IV": 4, "A": 1, "B": 2, "C": 3, "D": 4}


def severity(concept: object) -> Severity | None:
    """Return the severity that a CodeableConcept names, by code or by the one word; None when it names none or two."""
    return describe(concept).once(_severity)


def _severity(description: Description) -> Severity | None:
    found = {_CODES[code] for _, code in description.codings if code in _CODES}
    found |= {_WORDS[word.casefold()] for word in description.texts if word.casefold() in _WORDS}
    return found.pop() if len(found) == 1 else None


def grade(answers: Iterable[Description], named: Description) -> int | None:
    """Return the overall grade, 0 to 4, of graft-versus-host disease; None when none is stated or several differ.

    ``answers`` are what is said where only a stage or a grade can stand, so that a bare "III" counts; in ``named``
    the word "grade" has to be there. The IBMTR index A to D is read as I to IV. A range, and the stage of one
    organ, are no overall grade.
    """
    found = {_level(words, bare=True) for answer in answers for words in _said(answer)}
    found |= {_level(words, bare=False) for words in _said(named)}
    found.discard(None)
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=4096)
def is_graded(concepts: frozenset[str]) -> bool:
    """Whether value sets are of something that has an overall grade."""
    return any(concept.startswith("gvhd-") for concept in concepts)


def stages(stage: object) -> list[Description]:
    """Return the summaries of Condition.stage."""
    return [describe(entry.get("summary")) for entry in objects(stage)]


def _said(description: Description) -> Iterable[str]:
    return (*description.texts, *(code for _, code in description.codings if code))


def _level(words: str, *, bare: bool) -> int | None:
    found = _LOCAL.search(words)
    if found is None and not _ORGAN.search(words):
        found = _GRADED.search(words) or (_BARE.fullmatch(words) if bare else None)
    if found is None:
        return None
    level = found[1].upper()
    return _NUMERAL[level] if level in _NUMERAL else int(level)
