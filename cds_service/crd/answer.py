"""What a request asks of Da Vinci CRD, and the answer that obeys it: cards, and coverage information for the EHR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from cds_service.crd import configuration, versions
from cds_service.crd.assertion import Terms
from cds_service.crd.configuration import Configuration
from cds_service.crd.system_actions import AsSent, system_actions
from cds_service.crd.versions import Version
from cds_service.decision import Decision
from cds_service.hook_request import HookRequest

SELECTING = "order-select"
"""The hook at which an order is not final: documentation is not asked for yet (Da Vinci CRD, hook-19)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asks for."""

    version: Version
    wanted: Configuration

    @classmethod
    def by(cls, request: HookRequest, default: Version) -> Asked:
        """Read a request. Raises Unprocessable (422) for a version that is not spoken."""
        return cls(versions.chosen(request.extension, default), configuration.read(request.extension))

    def about(self, order: str) -> Mapping[str, Any]:
        """Return the extension by which a card names its order, one of several."""
        return versions.associated(self.version, order) if "/" in order else {}

    def actions(
        self, decisions: Sequence[Decision], as_sent: AsSent, server: str | None, today: date, terms: Terms
    ) -> list[dict[str, Any]]:
        """Return the system actions on the orders of an EHR's FHIR server; none when they are not wanted."""
        if not decisions or not self.wanted.coverage_information:
            return []
        return system_actions(decisions, as_sent, self.version, server, today, terms)

    def answer(
        self, cards: Sequence[dict[str, Any]], actions: Sequence[dict[str, Any]], *, mirrored: bool = False
    ) -> dict[str, Any]:
        """Return the response; ``mirrored``: with the system actions also where one client looks for them."""
        found: dict[str, Any] = {"cards": self.wanted.kept(cards)}
        if actions:
            found["systemActions"] = actions
            found |= {"extension": {"systemActions": actions}} if mirrored else {}
        return found
