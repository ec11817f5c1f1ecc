"""One walk over a chart: each resource to the reader of its type, each ``Type/id`` once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from fhir_mappings import conditions, devices, goals, medications, observations, procedures
from fhir_mappings.chart import Chart, Resource
from fhir_mappings.facts import Statement, Unreadable
from fhir_mappings.json_fields import Linked, Lookup, reference_to
from fhir_mappings.resources import Reading

READERS: Mapping[str, Callable[[Resource, Lookup], Reading | None]] = MappingProxyType(
    {
        "Condition": lambda resource, _: conditions.read(resource),
        "Procedure": lambda resource, _: procedures.read(resource),
        "Observation": lambda resource, _: observations.read(resource),
        "Goal": lambda resource, _: goals.read(resource),
        "ServiceRequest": lambda resource, _: procedures.read_request(resource),
        "DeviceRequest": devices.read_request,
        "DeviceUseStatement": devices.read_use,
        "MedicationRequest": medications.read,
        "MedicationStatement": medications.read,
        "MedicationDispense": medications.read,
        "MedicationAdministration": medications.read,
    }
)
_REFERRED_TO = ("Organization", "Location", "PractitionerRole", "Encounter", "Medication", "Device", "Condition")


class Found:
    """What the walk has found so far. A draft order counts before its copy in the chart."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.unreadable: list[Unreadable] = []
        self.quality: list[Unreadable] = []
        self._seen: set[str] = set()

    def is_new(self, resource: Resource) -> bool:
        """Whether no resource of that type and id was met; from now on one was. Those without an id are all new."""
        reference = reference_to(resource)
        if reference in self._seen:
            return False
        if "/" in reference:
            self._seen.add(reference)
        return True

    def note(self, unreadable: Unreadable | None, quality: Unreadable | None) -> None:
        """Keep what a reader of the card should know about a resource."""
        self.unreadable += [unreadable] if unreadable else []
        self.quality += [quality] if quality else []

    def add_draft(self, order: Resource, lookup: Lookup) -> None:
        """Read a draft order: what it orders lies ahead, and its copy in the chart counts no more."""
        reading = _read(order, lookup)
        if self.is_new(order) and reading is not None:
            self._keep(replace(reading, statements=tuple(map(_drafted, reading.statements))))

    def add(self, resource: Resource, reading: Reading) -> None:
        """Keep what a resource of the chart yields."""
        if self.is_new(resource):
            self._keep(reading)

    def _keep(self, reading: Reading) -> None:
        self.statements += reading.statements
        self.note(reading.unreadable, reading.quality)


def walk(chart: Chart, lookup: Lookup) -> Found:
    """Return the statements of a chart, those of the draft orders first."""
    found = Found()
    for order in chart.draft_orders:
        found.add_draft(order, lookup)
    for kind, read in READERS.items():
        for resource in chart.of_type(kind):
            reading = read(resource, lookup)
            if reading is not None:
                found.add(resource, reading)
    return found


def _drafted(statement: Statement) -> Statement:
    return replace(statement, phase="planned" if statement.phase == "current" else statement.phase, drafted=True)


def _read(resource: Resource, lookup: Lookup) -> Reading | None:
    kind = resource.get("resourceType")
    reader = READERS.get(kind) if isinstance(kind, str) else None
    return reader(resource, lookup) if reader else None


def lookup_of(chart: Chart) -> Lookup:
    """Return the chart's resources that others refer to (what ``orders.read`` needs too)."""
    return Linked({reference_to(r): r for kind in _REFERRED_TO for r in chart.of_type(kind)}, chart.by_urn)
