"""What a review judged, handed to whoever records it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cds_service.policy.document import Assessment, Line
from cds_service.routing import Selection
from fhir_mappings.facts import Facts


@dataclass(frozen=True, slots=True)
class Decision:
    """One card that assesses an order, and what it was judged by."""

    card: dict[str, Any]
    """The card as sent; its extension names the policy, its revision, the basis and the outcomes."""
    facts: Facts
    line: Line | None
    selection: Selection
    assessment: Assessment | None = None
    """None when another document governs, or the policy failed."""
    questionnaire: str | None = None
    """Where the questions on what is open are, as a canonical URL with a version; None when there are none."""
