"""Chimerism results as the donor's share in percent. The direction is read, never assumed."""

from __future__ import annotations

import re
from typing import NamedTuple

from fhir_mappings.codes import Match
from fhir_mappings.descriptions import Description
from fhir_mappings.facts import Quantity
from fhir_mappings.quantities import PERCENT

DONOR, RECIPIENT, UNDIRECTED, LINEAGE = (
    "chimerism-donor",
    "chimerism-recipient",
    "chimerism-undirected",
    "chimerism-lineage",
)
_ALL = frozenset({DONOR, RECIPIENT, UNDIRECTED, LINEAGE})
_OF_A_LINEAGE = re.compile(
    r"\bCD\s?\d+|\b(?:[TB]|NK)[- ]?(?:cell|lymphocyte)|lymphoid|myeloid|granulocyt|monocyt|neutrophil", re.IGNORECASE
)
_DONOR = re.compile(r"\bdonor\b", re.IGNORECASE)
_RECIPIENT = re.compile(r"\b(?:recipient|host)\b", re.IGNORECASE)


class Result(NamedTuple):
    """What a chimerism result says."""

    match: Match
    donor: Quantity | None
    """The donor's share in percent; where the direction is not known, the share as it stands."""
    shown: str | None
    """The result as written, saying so where it is the recipient's share."""


def is_about(concepts: frozenset[str]) -> bool:
    """Whether value sets are of chimerism results."""
    return bool(concepts & _ALL)


def result(asked: Match, code: Description, value: str | None, measured: Quantity | None) -> Result:
    """Return a result under the value set of its direction, or of lineage-specific ones, which never stand for blood.

    ``value`` is the result as written, which may name the direction ("85 % donor").
    """
    share = measured if measured and measured.unit == PERCENT else None
    concept = _direction(asked.concepts, value or "")
    shown = value
    if concept == RECIPIENT:
        concept = DONOR
        shown = value if value is None or _RECIPIENT.search(value) else f"recipient {value}"
        share = Quantity(100 - share.value, PERCENT) if share else None
    if any(_OF_A_LINEAGE.search(words) for words in code.texts):
        concept = LINEAGE
    kept = (asked.concepts - _ALL) | {concept}
    doubtful = asked.unverified - _ALL
    if not asked.concepts & _ALL - asked.unverified:
        doubtful |= {concept}
    return Result(Match(kept, doubtful), share, shown)


def _direction(concepts: frozenset[str], value: str) -> str:
    """Return the direction that code and value agree on."""
    donor = DONOR in concepts or bool(_DONOR.search(value))
    recipient = RECIPIENT in concepts or bool(_RECIPIENT.search(value))
    if donor == recipient:
        return UNDIRECTED
    return DONOR if donor else RECIPIENT
