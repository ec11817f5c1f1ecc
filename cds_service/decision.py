"""What a review judged, handed to whoever records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.policy.document import Line
from fhir_mappings.facts import Facts


@dataclass(frozen=True, slots=True)
class Decision:
    """One card that assesses an order, and what it was judged by."""

    card: Mapping[str, Any]
    """The card as sent; its extension names the policy, its revision, the basis and the outcomes."""
    facts: Facts
    line: Line | None
