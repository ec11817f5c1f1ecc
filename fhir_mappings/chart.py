"""A patient's chart as it arrived: raw FHIR JSON by type, and which records were supplied. Nothing is interpreted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fhir_mappings.facts import Records, Unreadable

Resource = Mapping[str, Any]
"""One FHIR resource as parsed JSON. Read-only by convention: what is echoed must be what was sent."""

TYPE_OF: Mapping[Records, str] = MappingProxyType(
    {
        "patient": "Patient",
        "coverage": "Coverage",
        "conditions": "Condition",
        "medication-requests": "MedicationRequest",
        "procedures": "Procedure",
        "observations": "Observation",
        "goals": "Goal",
        "service-requests": "ServiceRequest",
        "medication-administrations": "MedicationAdministration",
        "questionnaire-responses": "QuestionnaireResponse",
    }
)
"""The FHIR resource type that each kind of record holds."""

ALWAYS_NEEDED: frozenset[Records] = frozenset({"patient", "coverage"})
"""What decides for every order: whose policy governs, and by which rules for age and sex."""

NOT_SENT = "was not sent"
"""The reason in ``Chart.missing`` for what the EHR left out and nobody fetched."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What was sent or fetched about one patient.

    ``resources`` maps a FHIR resource type to its resources (Medication and Organization too, for references).
    ``supplied`` names the records that were sent or fetched, empty ones included; ``missing`` gives, for each record
    that could not be had, the reason in our words; a record in neither was not needed and not sent.
    """

    patient_id: str
    resources: Mapping[str, tuple[Resource, ...]] = field(default_factory=lambda: MappingProxyType({}))
    draft_orders: tuple[Resource, ...] = ()
    supplied: frozenset[Records] = frozenset()
    missing: Mapping[Records, str] = field(default_factory=lambda: MappingProxyType({}))
    unreadable: tuple[Unreadable, ...] = ()
    encounter_id: str | None = None
    """The encounter in which the orders are written."""
    by_urn: Callable[[], Mapping[str, Resource]] = field(default=dict, repr=False, compare=False)
    """The resources by the URN (``fullUrl``) of the Bundle's entry that held them."""

    def of_type(self, resource_type: str) -> tuple[Resource, ...]:
        """Return the chart's resources of one FHIR type, draft orders not among them."""
        return self.resources.get(resource_type, ())
