"""DeviceRequest and DeviceUseStatement -> Statement: how an insulin pump shows where no procedure was recorded."""

from __future__ import annotations

from fhir_mappings.chart import Resource
from fhir_mappings.dates import Moment, moment
from fhir_mappings.descriptions import Description, describe
from fhir_mappings.json_fields import Lookup, objects, resolve
from fhir_mappings.procedures import expected, service
from fhir_mappings.resources import Reading


def read_request(resource: Resource, lookup: Lookup) -> Reading | None:
    """Return what a DeviceRequest yields; an active one is current."""
    return service(resource, "service-request", requested(resource, lookup), expected)


def read_use(resource: Resource, lookup: Lookup) -> Reading | None:
    """Return what a DeviceUseStatement yields: a condition of the patient, current while it is active."""
    return service(resource, "condition", _referred(resource, "device", lookup), _used)


def _used(resource: Resource) -> Moment:
    return moment(resource.get("timingDateTime"), resource.get("timingPeriod"), resource.get("timingTiming"))


def requested(resource: Resource, lookup: Lookup) -> Description:
    """Return what a DeviceRequest says it is for."""
    return describe(resource.get("codeCodeableConcept")) + _referred(resource, "codeReference", lookup)


def _referred(resource: Resource, field: str, lookup: Lookup) -> Description:
    """Return what a Reference to a Device says: its display, and the device's type and names."""
    reference = resource.get(field)
    if not isinstance(reference, dict):
        return describe(reference)
    said = describe(reference.get("display"))
    device = resolve(reference, resource, lookup)
    if device is None:
        return said
    named = [entry.get("name") for entry in objects(device.get("deviceName"))]
    return said + describe(device.get("type")) + describe(named)
