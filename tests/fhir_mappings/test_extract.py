from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings import orders
from fhir_mappings.chart import Chart
from fhir_mappings.dates import date_range
from fhir_mappings.extract import Record, facts, read_chart
from fhir_mappings.facts import Evidence, Facts, Order, Reason, Unreadable
from fhir_mappings.walk import READERS, lookup_of

from .examples import (
    HCPCS,
    ICD,
    MODIFIER,
    chart_resources,
    concept,
    condition,
    coverage,
    damaged,
    json_values,
    lantidra_order,
    medication_request,
    observation,
    patient,
    response,
    service_request,
    status,
    without,
)

DAY = date(2026, 11, 20)
TYPES = [*READERS, "Patient", "Coverage", "QuestionnaireResponse", "Medication", "Organization", "Device", "Encounter"]


def chart(*resources: dict[str, Any], drafts: tuple[dict[str, Any], ...] = (), **fields: Any) -> Chart:
    by_type: dict[str, tuple[dict[str, Any], ...]] = {}
    for resource in resources:
        by_type[resource["resourceType"]] = (*by_type.get(resource["resourceType"], ()), resource)
    return Chart("p1", by_type, drafts, **fields)


def ordered(resource: dict[str, Any]) -> Order:
    order = orders.read(resource, {})
    assert isinstance(order, Order)
    return order


def asked(*resources: dict[str, Any], order: dict[str, Any] | None = None, **fields: Any) -> Facts:
    draft = order or lantidra_order()
    return facts(read_chart(chart(*resources, drafts=(draft,), **fields)), ordered(draft), DAY)


def test_a_chart_gives_the_facts_about_an_order_on_a_day() -> None:
    found = asked(
        *chart_resources(),
        supplied=frozenset({"conditions"}),
        missing={"goals": "was not sent"},
        unreadable=(Unreadable("conditions entry 4", "is no object"),),
    )
    assert found.as_of == DAY
    assert found.birth == date_range("1979-03-14")
    assert found.female is True
    assert found.deceased is False
    assert found.patient is not None
    assert found.supplied == {"conditions"}
    assert found.missing == {"goals": "was not sent"}
    assert found.unreadable == (Unreadable("conditions entry 4", "is no object"),)
    assert found.quality == ()
    assert [a.question for a in found.attestations] == ["other-treatments-failed"]
    assert {s.kind for s in found.statements} == {
        "condition",
        "procedure",
        "observation",
        "administration",
        "medication",
        "service-request",
        "goal",
    }


def test_a_record_serves_every_order_and_holds_the_insurances() -> None:
    record = read_chart(chart(coverage(), coverage(), coverage(id="cov2", status="entered-in-error")))
    assert [insurance.reference for insurance in record.insurances] == ["Coverage/cov1"]
    assert read_chart(Chart("p1")) == Record()
    modified = read_chart(chart(coverage(modifierExtension=MODIFIER)))
    assert modified.insurances == ()
    assert [note.reference for note in modified.unreadable] == ["Coverage/cov1"]


def test_the_order_itself_is_no_evidence_and_the_other_orders_are_plans() -> None:
    own, other = lantidra_order(), medication_request(status="draft")
    found = facts(read_chart(chart(own, drafts=(own, other))), ordered(own), DAY)
    assert [(s.evidence.reference, s.phase) for s in found.statements] == [("MedicationRequest/m1", "planned")]


def test_orders_without_an_id_are_told_apart_by_their_therapy() -> None:
    own, other = without(lantidra_order(), "id"), without(medication_request(), "id")
    found = facts(read_chart(chart(drafts=(own, other))), ordered(own), DAY)
    assert [s.evidence.display for s in found.statements] == ["Tacrolimus 1 mg capsule"]


def test_what_is_wrong_with_the_order_itself_is_said_by_the_order() -> None:
    assert asked(order=lantidra_order(modifierExtension=MODIFIER)).unreadable == ()
    assert asked(order=lantidra_order(category={"text": "x"})).quality == ()


def test_a_condition_that_ended_before_the_day_is_past_and_one_that_ends_later_is_not() -> None:
    def phases(until: str) -> list[str]:
        return [s.phase for s in asked(condition(abatementDateTime=until)).statements if s.kind == "condition"]

    assert phases("2026-11-19") == ["past"]
    assert phases("2026-11") == ["current"]
    assert phases("2027-02-01") == ["current"]


def test_the_reasons_of_an_order_are_known_by_the_chart() -> None:
    pointing = lantidra_order(
        reasonCode=[{"text": "see below"}],
        reasonReference=[{"reference": "Condition/c1"}, {"reference": "Condition/z"}],
    )
    order = asked(condition(), order=pointing).order
    assert [reason.concepts for reason in order.reasons] == [frozenset(), {"type-1-diabetes"}, frozenset()]
    assert isinstance(order.reasons[1], Reason)
    assert "type-1-diabetes" in order.says


def test_a_reason_that_no_value_set_holds_is_known_by_its_condition_in_the_chart() -> None:
    pointing = lantidra_order(reasonCode=[], reasonReference=[{"reference": "Condition/c9"}])
    other = condition(id="c9", code=concept(ICD, "M54.50", "Low back pain"))
    [reason] = asked(other, order=pointing).order.reasons
    assert reason == Reason(frozenset(), Evidence("Condition/c9", "Low back pain"), diagnosis=True)
    refuted = other | {"verificationStatus": status("refuted")}
    [reason] = asked(refuted, order=pointing).order.reasons
    assert not reason.diagnosis


def test_a_reason_that_is_a_result_is_known_by_what_the_chart_says_of_it() -> None:
    pointing = lantidra_order(reasonCode=[], reasonReference=[{"reference": "Observation/o1"}])
    [reason] = asked(observation(), order=pointing).order.reasons
    assert reason == Reason(frozenset({"hba1c"}), Evidence("Observation/o1"))


@pytest.mark.parametrize(
    ("birth", "problem"),
    [
        ("2030-01-01", "its birth date lies after the date of the order"),
        ("1800-01-01", "its birth date is more than 130 years before the order"),
    ],
)
def test_an_impossible_birth_date_is_unknown_and_named(birth: str, problem: str) -> None:
    found = asked(patient(birthDate=birth))
    assert found.birth is None
    assert Unreadable("Patient/p1", problem) in found.quality


def test_the_patient_is_the_one_whose_chart_it_is() -> None:
    assert asked(patient(id="other", gender="male"), patient()).female is True
    assert asked(patient(id="other", gender="male")).female is False
    assert asked().birth is None
    modified = asked(patient(modifierExtension=MODIFIER))
    assert modified.birth is None
    assert [note.reference for note in modified.unreadable] == ["Patient/p1"]


def test_a_deceased_patient_is_known_as_such() -> None:
    assert asked(patient(deceasedBoolean=True)).deceased is True


def test_a_response_that_came_twice_counts_once_and_only_its_questions_that_matter() -> None:
    assert len(asked(response(), response()).attestations) == 1
    assert read_chart(chart(response()), frozenset({"other"})).attestations == ()


def test_an_earlier_product_is_found_by_its_therapy() -> None:
    earlier = service_request(id="s9", status="completed", code=concept(HCPCS, "J3392"))
    assert [s.phase for s in asked(earlier).of("therapy:exagamglogene")] == ["past"]


def test_nothing_that_was_sent_is_changed() -> None:
    sent, order = chart_resources(), lantidra_order()
    before = copy.deepcopy((sent, order))
    facts(read_chart(chart(*sent, drafts=(order,))), ordered(order), DAY)
    assert (sent, order) == before


@given(damaged(chart_resources()), damaged([lantidra_order(), service_request()]))
def test_a_damaged_resource_or_order_never_raises(resource: dict[str, Any], draft: dict[str, Any]) -> None:
    whole = chart(*chart_resources(), resource | {"id": "zz"}, drafts=(draft,))
    record = read_chart(whole)
    order = orders.read(draft, lookup_of(whole))
    facts(record, order if isinstance(order, Order) else ordered(lantidra_order()), DAY)


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(st.text(max_size=5), json_values)), max_size=4))
def test_arbitrary_json_in_place_of_resources_never_raises(resources: list[tuple[str, dict[str, Any]]]) -> None:
    sent = [content | {"resourceType": kind} for kind, content in resources]
    record = read_chart(chart(*sent, drafts=tuple(sent)))
    assert isinstance(facts(record, ordered(lantidra_order()), DAY), Facts)


@given(st.sampled_from([r for r in chart_resources() if len(r) > 2]), json_values)
def test_arbitrary_json_in_every_field_at_once_never_raises(resource: dict[str, Any], value: Any) -> None:
    for name in resource:
        if name != "resourceType":
            read_chart(chart(resource | {name: value}))
