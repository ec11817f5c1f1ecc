"""Where a value set can stand: never narrower than what the readers find, and known for what cannot be."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from fhir_mappings import codes, occurrence
from fhir_mappings.facts import Kind, Records
from fhir_mappings.walk import READERS

CONCEPT_OF = {
    "Condition": "code",
    "Procedure": "code",
    "Observation": "code",
    "ServiceRequest": "code",
    "DeviceRequest": "codeCodeableConcept",
    "MedicationRequest": "medicationCodeableConcept",
    "MedicationStatement": "medicationCodeableConcept",
    "MedicationDispense": "medicationCodeableConcept",
    "MedicationAdministration": "medicationCodeableConcept",
}
PLACE_OF: dict[Kind, Records] = {
    "condition": "conditions",
    "procedure": "procedures",
    "observation": "observations",
    "medication": "medication-requests",
    "administration": "medication-administrations",
    "service-request": "service-requests",
}
WORDS = sorted({w for n in codes.value_set_names() for g in codes.value_set(n).words for w in g.wording.words})


def _named(kind: str, words: str) -> dict[str, Any]:
    """Return a resource of a kind that is named so, with a value where it needs one."""
    resource = {"resourceType": kind, "id": "r1", "status": "completed", "valueBoolean": True}
    if kind == "DeviceUseStatement":
        return {**resource, "device": {"display": words}}
    return {**resource, CONCEPT_OF[kind]: {"text": words}}


@pytest.mark.parametrize("kind", sorted(READERS.keys() - {"Goal"}))
def test_what_a_reader_finds_by_words_can_stand_there(kind: str) -> None:
    found: dict[str, Records] = {}
    for words in WORDS:
        reading = READERS[kind](_named(kind, words), {})
        for statement in reading.statements if reading else ():
            found |= {name: PLACE_OF[statement.kind] for name in statement.concepts if ":" not in name}

    assert found
    assert {name: place for name, place in found.items() if place not in occurrence.records_of(name)} == {}


@pytest.mark.parametrize(
    ("name", "possible", "impossible"),
    [
        ("kidney-transplant", {"conditions", "procedures", "service-requests"}, set()),
        ("insulin-basal", {"medication-requests", "medication-administrations"}, {"conditions"}),
        ("insulin-pump", {"conditions", "procedures", "service-requests"}, set()),
        ("hba1c", {"observations"}, {"conditions", "medication-requests"}),
        ("active-infection", {"conditions", "observations"}, {"medication-requests"}),
        ("lifestyle-reasons", set(), set(get_args(Records))),
        ("commercial", set(), set(get_args(Records))),
        ("hba1c-goal", {"goals"}, {"observations"}),
        ("pregnancy-current", {"conditions", "observations", "medication-requests"}, {"goals", "patient"}),
    ],
)
def test_what_is_certain_is_excluded_and_what_is_not_is_possible(
    name: str, possible: set[Records], impossible: set[Records]
) -> None:
    found = occurrence.records_of(name)

    assert possible <= found
    assert found.isdisjoint(impossible)
