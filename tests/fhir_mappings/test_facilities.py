"""Where an order is to be carried out, as the order, its contained resources and the chart tell it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings import facilities, orders
from fhir_mappings.chart import Chart
from fhir_mappings.extract import facts, read_chart
from fhir_mappings.facts import Coding, Evidence, Facility, Order

from .examples import (
    CCN,
    HCPCS,
    NPI,
    Json,
    concept,
    damaged,
    json_values,
    lantidra_order,
    organization,
    qualification,
    service_request,
)

DAY = date(2026, 11, 20)
HOSPITAL = Facility((Coding("npi", "1234567893"),), Evidence("Organization/org1", "Example Hospital"))
LOCATION: Json = {
    "resourceType": "Location",
    "id": "loc1",
    "identifier": [{"system": "urn:oid:2.16.840.1.113883.4.336", "value": "340001"}],
    "name": "Unit 7",
}
ROLE: Json = {
    "resourceType": "PractitionerRole",
    "id": "role1",
    "identifier": [{"system": NPI, "value": "1111111112"}],
    "organization": {"reference": "Organization/org1"},
    "location": [{"reference": "Location/loc1"}],
}
ENCOUNTER: Json = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "planned",
    "serviceProvider": {"reference": "Organization/org1"},
}
UNIT = Facility((Coding("ccn", "340001"),), Evidence("Location/loc1", "Unit 7"))


def pointing(to: str, **fields: Any) -> Json:
    return {"reference": to, **fields}


def ordered(resource: Json, *drafts: Json) -> Order:
    order = orders.read(resource, {f"{d['resourceType']}/{d['id']}": d for d in drafts})
    assert isinstance(order, Order)
    return order


def named(resource: Json, *chart: Json, encounter: str | None = None, day: date = DAY) -> tuple[Facility, ...]:
    """The facilities of an order that was read before the chart was known."""
    by_type: dict[str, tuple[Json, ...]] = {}
    for sent in chart:
        by_type[sent["resourceType"]] = (*by_type.get(sent["resourceType"], ()), sent)
    record = read_chart(Chart("p1", by_type, (resource,), encounter_id=encounter))
    return facts(record, ordered(resource), day).order.facilities


@pytest.mark.parametrize(
    "resource",
    [
        service_request(performer=[pointing("Organization/org1")]),
        service_request(performer=pointing("http://ehr.example.org/fhir/Organization/org1/_history/2")),
        service_request(locationReference=[pointing("Organization/org1")]),
        lantidra_order(performer=pointing("Organization/org1")),
    ],
)
def test_a_facility_of_the_chart_is_found_by_the_performer_or_location_of_the_order(resource: Json) -> None:
    assert named(resource, organization()) == (HOSPITAL,)


def test_before_the_chart_is_known_a_facility_is_only_pointed_at() -> None:
    pointer = pointing("Organization/org1", display="A hospital")
    order = ordered(service_request(performer=[pointer]))
    assert order.facilities == (Facility((), Evidence("Organization/org1", "A hospital")),)
    assert named(service_request(performer=[pointer])) == order.facilities


def test_facilities_among_the_draft_orders_and_inside_the_order_are_known_at_once() -> None:
    assert ordered(service_request(performer=[pointing("Organization/org1")]), organization()).facilities == (HOSPITAL,)
    inside = service_request(performer=[pointing("#org1")], contained=[organization()])
    expected = Facility(HOSPITAL.identifiers, Evidence("ServiceRequest/s1", "Example Hospital"))
    assert ordered(inside).facilities == (expected,)
    assert named(inside) == (expected,)


def test_an_identifier_in_the_reference_is_enough() -> None:
    identifier = {"system": NPI, "value": "1234567893"}
    only = service_request(performer=[{"identifier": identifier, "type": "Organization"}])
    assert named(only) == (Facility(HOSPITAL.identifiers, Evidence("ServiceRequest/s1")),)
    both = service_request(performer=[pointing("Organization/org1", identifier=identifier)])
    assert named(both, organization(npi=None)) == (HOSPITAL,)
    assert named(both, organization()) == (HOSPITAL,)


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ({"system": "urn:oid:2.16.840.1.113883.4.6", "value": "1234567893"}, (Coding("npi", "1234567893"),)),
        ({"system": CCN, "value": " 340001 "}, (Coding("ccn", "340001"),)),
        ({"system": CCN, "value": "34-T001"}, (Coding("ccn", "34T001"),)),
        ({"system": CCN, "value": "34t001"}, (Coding("ccn", "34T001"),)),
        ({"system": NPI, "value": "1234567893", "use": "old"}, ()),
        ({"system": "http://example.org/ids", "value": "1"}, ()),
        ({"system": "http://hl7.org/fhir/sid/us-mbi", "value": "1"}, ()),
        ({"system": NPI}, ()),
        ({"system": NPI, "value": 5}, ()),
        ("1234567893", ()),
    ],
)
def test_npi_and_ccn_in_use_are_its_identifiers(identifier: object, expected: tuple[Coding, ...]) -> None:
    [found] = named(
        service_request(performer=[pointing("Organization/org1")]), organization(npi=None, identifier=[identifier])
    )
    assert found.identifiers == expected


def test_a_role_leads_to_its_organization_and_location_and_its_own_npi_is_a_persons() -> None:
    order = service_request(performer=[pointing("PractitionerRole/role1", display="A surgeon")])
    assert named(order, ROLE, organization(), LOCATION) == (HOSPITAL, UNIT)
    assert named(order) == ()
    inside = service_request(performer=[pointing("#role1")], contained=[ROLE])
    assert named(inside, organization(), LOCATION) == (HOSPITAL, UNIT)


def test_a_location_leads_to_the_organization_that_runs_it() -> None:
    order = service_request(locationReference=[pointing("Location/loc1")])
    run = LOCATION | {"managingOrganization": pointing("Organization/org1")}
    assert named(order, run, organization()) == (UNIT, HOSPITAL)
    inside = run | {"contained": [organization(id="in")], "managingOrganization": pointing("#in")}
    expected = Facility(HOSPITAL.identifiers, Evidence("Location/loc1", "Example Hospital"))
    assert named(order, inside) == (UNIT, expected)


@pytest.mark.parametrize(
    "performer",
    [
        pointing("Practitioner/x", identifier={"system": NPI, "value": "1111111112"}),
        {"type": "Practitioner", "identifier": {"system": NPI, "value": "1111111112"}},
        pointing("CareTeam/x", display="A team"),
        pointing("#p"),
        {},
        "Organization/org1",
        5,
    ],
)
def test_a_person_or_a_team_is_no_facility(performer: object) -> None:
    order = service_request(performer=[performer], contained=[{"resourceType": "Practitioner", "id": "p"}])
    assert named(order, organization()) == ()


def test_a_facility_that_has_only_a_name_is_shown() -> None:
    order = service_request(performer=[{"display": "Example Hospital"}, pointing("urn:uuid:1")])
    assert named(order) == (
        Facility((), Evidence("ServiceRequest/s1", "Example Hospital")),
        Facility((), Evidence("urn:uuid:1")),
    )


def test_the_encounter_counts_when_no_performer_is_named() -> None:
    expected = (Facility(HOSPITAL.identifiers, HOSPITAL.evidence, named_as="encounter"),)
    own = lantidra_order(encounter=pointing("Encounter/e1"))
    assert named(own, ENCOUNTER, organization()) == expected
    assert named(own, organization()) == ()
    assert named(lantidra_order(), ENCOUNTER, organization(), encounter="e1") == expected
    assert named(lantidra_order(), organization(), encounter="e1") == ()
    assert named(lantidra_order(), ENCOUNTER, organization()) == ()
    other = own | {"performer": {"display": "Elsewhere"}}
    assert [f.evidence.display for f in named(other, ENCOUNTER, organization(), encounter="e1")] == ["Elsewhere"]


def test_who_dispenses_counts_when_no_performer_is_named() -> None:
    dispensed = lantidra_order(dispenseRequest={"performer": pointing("Organization/org1")})
    assert named(dispensed, organization()) == (
        Facility(HOSPITAL.identifiers, HOSPITAL.evidence, named_as="dispenser"),
    )
    both = dispensed | {"performer": pointing("Location/loc1")}
    assert named(both, organization(), LOCATION) == (UNIT,)


def test_a_facility_that_is_named_twice_counts_once() -> None:
    order = service_request(performer=[pointing("Organization/org1")] * 2, encounter=pointing("Encounter/e1"))
    assert named(order, organization(), ENCOUNTER, encounter="e1") == (HOSPITAL,)


CASGEVY = {"text": "Treatment centre for Casgevy"}


@pytest.mark.parametrize(
    ("extension", "therapies"),
    [
        (qualification(CASGEVY), {"exagamglogene"}),
        (qualification(concept(HCPCS, "J3392")), {"exagamglogene"}),
        (qualification(concept("http://example.org/centres", "exagamglogene")), {"exagamglogene"}),
        (qualification(CASGEVY, period={"start": "2026-01-01", "end": "2026-12-31"}), {"exagamglogene"}),
        (qualification(CASGEVY, period={"start": "2026"}), set()),
        (qualification(CASGEVY, period={"start": "2025"}), {"exagamglogene"}),
        (qualification(CASGEVY, period={"end": "2026-11-19"}), set()),
        (qualification(CASGEVY, period={"start": "soon"}), set()),
        (qualification(CASGEVY, period={"end": "2026-13"}), set()),
        (qualification(CASGEVY, status="suspended"), set()),
        (qualification({"text": "FACT accredited"}), set()),
        (qualification({"text": "Not Casgevy"}), set()),
        (qualification(CASGEVY) | {"url": "http://example.org/other"}, set()),
        ({"url": qualification(CASGEVY)["url"]}, set()),
    ],
)
def test_a_plan_net_qualification_that_holds_on_the_day_names_a_product(extension: Json, therapies: set[str]) -> None:
    qualified = organization(extension=[extension])
    [found] = named(service_request(performer=[pointing("Organization/org1")]), qualified)
    assert found.qualified_for == therapies


def test_a_role_can_carry_the_qualification() -> None:
    role = ROLE | {"extension": [qualification(CASGEVY)]}
    found = named(service_request(performer=[pointing("PractitionerRole/role1")]), role, organization())
    assert [(f.evidence.reference, f.qualified_for) for f in found] == [
        ("PractitionerRole/role1", {"exagamglogene"}),
        ("Organization/org1", frozenset()),
        ("Location/loc1", frozenset()),
    ]


def test_without_a_day_only_a_qualification_without_bounds_holds() -> None:
    def qualified(period: Json | None) -> frozenset[str]:
        inside = organization(extension=[qualification(CASGEVY, period=period)])
        order = service_request(authoredOn=None, performer=[pointing("#org1")], contained=[inside])
        [found] = ordered(order).facilities
        return found.qualified_for

    assert qualified(None) == {"exagamglogene"}
    assert qualified({"start": "2020-01-01"}) == frozenset()


def test_resources_that_refer_in_a_circle_end() -> None:
    role = ROLE | {"organization": pointing("PractitionerRole/role1")}
    circle = LOCATION | {"managingOrganization": pointing("PractitionerRole/role1")}
    order = service_request(performer=[pointing("PractitionerRole/role1")])
    assert named(order, role, circle) == (UNIT,)
    chain = [
        LOCATION | {"id": f"l{n}", "managingOrganization": pointing(f"Location/l{n + 1}"), "name": None}
        for n in range(2000)
    ]
    assert len(named(service_request(locationReference=[pointing("Location/l0")]), *chain)) == 4


@given(
    damaged([organization(extension=[qualification(CASGEVY, period={"start": "2026"})]), LOCATION, ROLE, ENCOUNTER]),
    damaged(
        [
            service_request(performer=[pointing("PractitionerRole/role1")], locationReference=[pointing("#l")]),
            lantidra_order(performer=pointing("Location/loc1"), encounter=pointing("Encounter/e1")),
            lantidra_order(dispenseRequest={"performer": pointing("Organization/org1")}),
        ]
    ),
)
def test_damaged_resources_never_raise(resource: Json, order: Json) -> None:
    lookup = {"PractitionerRole/role1": ROLE, "Location/loc1": LOCATION, "Encounter/e1": ENCOUNTER}
    lookup[f"{resource['resourceType']}/{resource.get('id')}"] = resource
    found = facilities.of_order(order, lookup, DAY)
    facilities.completed(
        Order("x", "donislecel", "x", "text", facilities=found), {**lookup, "Organization/org1": resource}, None, DAY
    )


@given(st.dictionaries(st.sampled_from(["performer", "locationReference", "encounter", "contained"]), json_values))
def test_arbitrary_json_in_place_of_references_never_raises(fields: dict[str, Any]) -> None:
    facilities.of_order(service_request(**fields), {}, None)


@pytest.mark.parametrize("sent", [LOCATION, ROLE])
def test_a_facility_that_the_order_names_by_a_urn_is_read_once_the_chart_is_known(sent: Json) -> None:
    order = service_request(performer=[pointing("urn:uuid:1")])
    place = organization()
    chart = Chart("p1", {"Organization": (place,)}, (order,), by_urn=lambda: {"urn:uuid:1": sent})

    found = facts(read_chart(chart), ordered(order), DAY).order.facilities

    assert [one.identifiers for one in found if one.identifiers] == [
        UNIT.identifiers if sent is LOCATION else HOSPITAL.identifiers
    ]
