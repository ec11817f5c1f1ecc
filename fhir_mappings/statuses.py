"""What the status of each FHIR resource type means for evidence. A status that is not listed never decides anything."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_mappings.facts import Phase
from fhir_mappings.json_fields import is_true, text, token


class Standing(NamedTuple):
    """How a resource counts: its phase, and whether it is enough (see ``Statement.confirmed``)."""

    phase: Phase
    confirmed: bool = True
    known: bool = True
    """False when FHIR R4 has no such status, or none is given where one must be."""


_CURRENT, _PAST, _DONE, _PLANNED = (Standing(phase) for phase in ("current", "past", "done", "planned"))
_DOUBTFUL = {phase: Standing(phase, confirmed=False) for phase in ("current", "past", "done", "planned")}
_RESULT: Mapping[str, Standing | None] = {
    "final": _DONE,
    "amended": _DONE,
    "corrected": _DONE,
    "preliminary": _DOUBTFUL["done"],
    "registered": _DOUBTFUL["done"],
    "unknown": _DOUBTFUL["done"],
    "cancelled": None,
    "entered-in-error": None,
}
_REQUEST: Mapping[str, Standing | None] = {
    "draft": _PLANNED,
    "active": _PLANNED,
    "on-hold": _DOUBTFUL["planned"],
    "completed": _PAST,  # the order was carried out or lapsed: that alone does not show that the service was given
    "unknown": _DOUBTFUL["planned"],
    "revoked": None,
    "entered-in-error": None,
}

STATUSES: Mapping[str, Mapping[str, Standing | None]] = MappingProxyType(
    {
        "Observation": _RESULT,
        "ServiceRequest": _REQUEST,
        "DeviceRequest": {**_REQUEST, "active": _CURRENT},  # an active order for a pump is how a pump in use shows
        "DeviceUseStatement": {
            "active": _CURRENT,
            "intended": _PLANNED,
            "completed": _PAST,
            "stopped": _PAST,
            "on-hold": _PAST,
            "entered-in-error": None,
        },
        "MedicationRequest": {
            "active": _CURRENT,
            "draft": _PLANNED,
            "completed": _PAST,
            "on-hold": _DOUBTFUL["past"],  # over for now; whether any of it was given does not show
            "stopped": _DOUBTFUL["past"],
            "unknown": _DOUBTFUL["current"],
            "cancelled": None,
            "entered-in-error": None,
        },
        "MedicationStatement": {
            "active": _CURRENT,
            "intended": _PLANNED,
            "on-hold": _PAST,
            "completed": _PAST,
            "stopped": _PAST,
            "unknown": _DOUBTFUL["current"],
            "not-taken": None,
            "entered-in-error": None,
        },
        "MedicationDispense": {
            "in-progress": _CURRENT,
            "preparation": _PLANNED,
            "on-hold": _PAST,
            "completed": _PAST,
            "stopped": _PAST,
            "unknown": _DOUBTFUL["current"],
            "cancelled": None,
            "declined": None,
            "entered-in-error": None,
        },
        "MedicationAdministration": {
            "in-progress": _DONE,
            "completed": _DONE,
            "stopped": _DOUBTFUL["done"],
            "on-hold": _DOUBTFUL["done"],
            "unknown": _DOUBTFUL["done"],
            "not-done": None,
            "entered-in-error": None,
        },
        "Procedure": {
            "in-progress": _DONE,
            "completed": _DONE,
            "preparation": _PLANNED,
            "on-hold": _DOUBTFUL["planned"],
            "stopped": _DOUBTFUL["done"],
            "unknown": _DOUBTFUL["done"],
            "not-done": None,
            "entered-in-error": None,
        },
        "Goal": {
            "accepted": _CURRENT,
            "active": _CURRENT,
            "on-hold": _CURRENT,
            "proposed": _PLANNED,
            "planned": _PLANNED,
            "completed": _PAST,
            "cancelled": None,
            "rejected": None,
            "entered-in-error": None,
        },
    }
)
"""Resource type -> status -> how it counts; None: no evidence."""

_OF_UNLISTED: Mapping[str, Phase] = {
    "Observation": "done",
    "MedicationAdministration": "done",
    "Procedure": "done",
    "ServiceRequest": "planned",
    "DeviceRequest": "planned",
}


_NONE_LISTED: Mapping[str, Standing | None] = {}
_NOT_YET_ORDERED = frozenset({"proposal", "plan", "option"})


def standing(resource: Mapping[str, Any], *, field: str = "status") -> Standing | None:
    """Return how a resource counts by its status (and ``doNotPerform`` and ``intent``); None: it is no evidence."""
    if "doNotPerform" in resource and is_true(resource["doNotPerform"]):
        return None
    kind = text(resource.get("resourceType")) or ""
    listed = STATUSES.get(kind, _NONE_LISTED)
    status = resource.get(field)
    if not isinstance(status, str) or status not in listed:
        status = token(status) or ""
    if status not in listed:
        return Standing(_OF_UNLISTED.get(kind, "current"), confirmed=False, known=False)
    found = listed[status]
    if found is None or found.phase != "current" or "intent" not in resource:
        return found
    return found._replace(phase="planned") if token(resource["intent"]) in _NOT_YET_ORDERED else found
