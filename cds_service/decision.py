"""What a review judged, handed to whoever records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.policy.document import Line
from cds_service.routing import Selection
from fhir_mappings.facts import Facts


@dataclass(frozen=True, slots=True)
class Decision:
    """One card that assesses an order, and what it was judged by."""

    card: Mapping[str, Any]
    """The card as sent; its extension names the policy, its revision, the basis and the outcomes."""
    facts: Facts
    selection: Selection
    """The document that was found to govern, and by which coverage."""

    @property
    def line(self) -> Line | None:
        """The member's line of business, when it is stated."""
        return self.selection.line
