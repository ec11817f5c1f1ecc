from __future__ import annotations

from typing import Any

from fhir_mappings.chart import Chart, Resource
from fhir_mappings.walk import READERS, lookup_of, walk

from .examples import ICD, concept, condition, medication_request, procedure, status, without


def chart(*resources: dict[str, Any], drafts: tuple[dict[str, Any], ...] = ()) -> Chart:
    by_type: dict[str, tuple[dict[str, Any], ...]] = {}
    for resource in resources:
        by_type[resource["resourceType"]] = (*by_type.get(resource["resourceType"], ()), resource)
    return Chart("p1", by_type, drafts)


def found(*resources: dict[str, Any], drafts: tuple[dict[str, Any], ...] = ()) -> list[tuple[str, str]]:
    statements = walk(chart(*resources, drafts=drafts), {}).statements
    return [(statement.evidence.reference, statement.phase) for statement in statements]


def test_every_reader_is_for_a_type_and_the_rest_of_the_chart_is_left_alone() -> None:
    assert "Patient" not in READERS
    assert found(condition(), {"resourceType": "Encounter", "id": "e"}) == [("Condition/c1", "current")]


def test_a_resource_that_came_twice_counts_once_and_those_without_an_id_all_count() -> None:
    assert found(condition(), condition(code=concept(ICD, "E10.641"))) == [("Condition/c1", "current")]
    anonymous = without(condition(), "id")
    assert found(anonymous, anonymous) == [("Condition (no id)", "current")] * 2


def test_a_draft_order_lies_ahead_and_replaces_its_copy_in_the_chart() -> None:
    order = medication_request()
    assert found(order, drafts=(order,)) == [("MedicationRequest/m1", "planned")]
    assert found(order, drafts=(medication_request(status="cancelled"),)) == []
    assert found(order, drafts=(medication_request(status="stopped"),)) == [("MedicationRequest/m1", "past")]


def test_a_statement_tells_whether_it_is_an_order_of_the_same_request() -> None:
    order = medication_request()
    assert [s.drafted for s in walk(chart(drafts=(order,)), {}).statements] == [True]
    assert [s.drafted for s in walk(chart(order), {}).statements] == [False]


def test_a_draft_of_another_type_is_left_alone() -> None:
    assert found(drafts=({"resourceType": "NutritionOrder", "id": "n"}, {"resourceType": 5}, {})) == []


def test_what_cannot_be_read_is_collected() -> None:
    seen = walk(chart(condition(code=5), condition(id="c2", clinicalStatus=status("bogus")), procedure()), {})
    assert [note.reference for note in seen.unreadable] == ["Condition/c1"]
    assert [note.reference for note in seen.quality] == ["Condition/c2"]
    assert [statement.evidence.reference for statement in seen.statements] == ["Condition/c2", "Procedure/pr1"]


def test_the_resources_that_others_refer_to_are_found_by_type_and_id() -> None:
    payer = {"resourceType": "Organization", "id": "o1"}
    assert lookup_of(chart(payer, condition(), procedure())) == {"Organization/o1": payer, "Condition/c1": condition()}


def test_the_urns_of_entries_are_looked_at_only_when_a_reference_is_one() -> None:
    payer = {"resourceType": "Organization", "id": "o1"}
    asked: list[str] = []

    def by_urn() -> dict[str, Resource]:
        asked.append("all of them")
        return {"urn:uuid:1": payer}

    lookup = lookup_of(Chart("p1", {"Organization": (payer,)}, by_urn=by_urn))

    assert lookup.get("Organization/o1") == payer
    assert lookup.get("Organization/o2") is None
    assert (list(lookup), len(lookup), asked) == (["Organization/o1"], 1, [])
    assert lookup.get("urn:uuid:1") == payer
    assert lookup.get("urn:uuid:2") is None
