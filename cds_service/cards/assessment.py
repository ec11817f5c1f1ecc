"""Where a card carries its assessment as data, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ASSESSMENT = "coverage-cds.assessment"
"""The member of a card's extension."""


def assessment_of(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the assessment of a card; nothing for one that assesses no order."""
    found: Mapping[str, Any] = card.get("extension", {}).get(ASSESSMENT, {})
    return found
