"""order-dispatch and appointment-book: the orders that they name are judged like those that an EHR signs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds_service import exact_json, hook_request, review
from cds_service.errors import NotAHookRequest, NothingToGoOn, WrongPatient
from tests.cds_service.crd.asking import CASGEVY, LANTIDRA, TODAY, answer, orders, sample, services
from tests.cds_service.crd.guide import informations, told
from tests.cds_service.ehr import Ehr, raw
from tests.cds_service.examples import assessing

ALTERNATE = "http://hl7.org/fhir/StructureDefinition/alternate-reference"


def named(name: str = LANTIDRA, hook: str = "order-dispatch", **context: Any) -> dict[str, Any]:
    """Return a request that names the orders of a sample bundle, active by now, and sends them as prefetch."""
    body = sample(name)
    held = orders(body)
    for order in held:
        order["status"] = "active"
    references = [f"{order['resourceType']}/{order['id']}" for order in held]
    patient = body["context"]["patientId"]
    keys = {"MedicationRequest": "medicationRequests", "ServiceRequest": "serviceRequests"}
    for order in held:
        sent = body["prefetch"].setdefault(keys[order["resourceType"]], {"resourceType": "Bundle", "entry": []})
        sent["entry"].append({"resource": order})
    own = {"dispatchedOrders": references} if hook == "order-dispatch" else {"appointments": appointments(*references)}
    body["context"] = {"patientId": patient, **own, **context}
    return {**body, "hook": hook}


def appointments(*references: str, **members: Any) -> dict[str, Any]:
    booked = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "proposed",
        "basedOn": [based_on(reference) for reference in references],
        **members,
    }
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": booked}]}


def based_on(reference: str) -> dict[str, Any]:
    """Return how an Appointment names an order: R4 knows ServiceRequests only, others by an extension."""
    if reference.startswith("ServiceRequest/"):
        return {"reference": reference}
    return {"extension": [{"url": ALTERNATE, "valueReference": {"reference": reference}}]}


def assessed(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [card["extension"]["coverage-cds.assessment"] for card in assessing(found)]


def same(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what does not differ from call to call."""
    return [(a["order"], a["policy"]["id"], [(c["id"], c["outcome"]) for c in a["criteria"]]) for a in assessed(found)]


@pytest.mark.parametrize("hook", ["order-dispatch", "appointment-book"])
@pytest.mark.parametrize("name", [LANTIDRA, CASGEVY, "dli-ready", "thp-lifestyle-reason"])
def test_the_assessment_is_that_of_the_same_order_when_it_is_signed(name: str, hook: str) -> None:
    signed, found = answer(sample(name)), answer(named(name, hook))

    assert same(found) == same(signed)
    assert told(informations(found)[0], "covered") == told(informations(signed)[0], "covered")


def test_an_active_order_is_nothing_odd_here() -> None:
    [card] = assessed(answer(named()))

    assert not any("another status than draft" in notice for notice in card["notices"])


@pytest.mark.parametrize(
    ("member", "several"), [("dispatchedOrders", True), ("dispatched-orders", True), ("order", False)]
)
def test_the_orders_are_found_under_every_name_that_versions_of_the_hook_give_them(member: str, several: bool) -> None:
    body = named()
    references = body["context"].pop("dispatchedOrders")
    body["context"][member] = references if several else references[0]

    assert same(answer(body)) == same(answer(named()))


def test_the_orders_are_found_in_lists_in_bundles_inside_bundles_and_by_the_urns_of_entries() -> None:
    as_list, nested, by_urn = named(), named(), named()
    sent = by_urn["prefetch"]["medicationRequests"]
    as_list["prefetch"]["medicationRequests"] = [e["resource"] for e in sent["entry"]]
    nested["prefetch"]["medicationRequests"] = {"resourceType": "Bundle", "entry": [{"resource": sent}]}
    references = by_urn["context"]["dispatchedOrders"]
    for number, entry in enumerate(sent["entry"]):
        reference, urn = f"MedicationRequest/{entry['resource']['id']}", f"urn:uuid:{number}"
        entry["fullUrl"] = urn
        references[:] = [urn if one == reference else one for one in references]

    assert references[0].startswith("urn:")
    for body in (as_list, nested, by_urn):
        assert same(answer(body)) == same(answer(named()))


def test_a_urn_that_leads_to_no_order_is_passed_over() -> None:
    references = named()["context"]["dispatchedOrders"]

    assert same(answer(named(dispatchedOrders=["urn:uuid:9", *references]))) == same(answer(named()))


def test_the_order_comes_back_as_the_ehr_holds_it_with_nothing_of_the_dispatch_in_it() -> None:
    body = named(CASGEVY, performer="Organization/elsewhere")
    [sent] = [
        e["resource"] for e in body["prefetch"]["medicationRequests"]["entry"] if e["resource"]["id"] == "casgevy-order"
    ]

    [action] = answer(body)["systemActions"]

    assert {**action["resource"], "extension": sent.get("extension")} == {**sent, "extension": sent.get("extension")}


def test_whom_it_is_dispatched_to_is_the_facility_that_is_judged() -> None:
    body = named(CASGEVY, performer="Organization/elsewhere")
    facility = {"resourceType": "Organization", "id": "elsewhere", "name": "Dispatched Clinic"}
    body["prefetch"]["organizations"] = {"resourceType": "Bundle", "entry": [{"resource": facility}]}

    [card] = assessed(answer(body))

    [centre] = [criterion for criterion in card["criteria"] if criterion["id"] == "I.C"]
    assert "Dispatched Clinic" in json.dumps(centre)
    assert not any("not valid FHIR" in notice for notice in card["notices"])


def unsent(ehr: Ehr, name: str = LANTIDRA, hook: str = "order-dispatch", **context: Any) -> dict[str, Any]:
    """Return a request whose orders are not in the prefetch but on the FHIR server."""
    body = named(name, hook, **context)
    for order in orders(sample(name)):
        ehr.has(f"{order['resourceType']}/{order['id']}", {**order, "status": "active"})
    for key in ("medicationRequests", "serviceRequests"):
        body["prefetch"][key] = {"resourceType": "Bundle", "entry": []}
    return {**body, "fhirServer": ehr.base}


@pytest.mark.parametrize("hook", ["order-dispatch", "appointment-book"])
@pytest.mark.parametrize("name", [CASGEVY, "dli-ready"])
def test_orders_that_were_not_sent_are_read_from_the_fhir_server(ehr: Ehr, name: str, hook: str) -> None:
    [order] = orders(sample(name))

    found = answer(unsent(ehr, name, hook))

    assert [a["order"] for a in assessed(found)] == [f"{order['resourceType']}/{order['id']}"]
    assert len(found["systemActions"]) == 1


def test_an_absolute_reference_to_the_same_server_leads_there_too(ehr: Ehr) -> None:
    body = unsent(ehr)
    body["context"]["dispatchedOrders"] = [f"{ehr.base}/{r}" for r in body["context"]["dispatchedOrders"]]

    assert len(assessed(answer(body))) == 1


def test_numbers_of_an_order_that_was_read_come_back_as_they_are_held(ehr: Ehr) -> None:
    body = unsent(ehr)
    order = orders(sample(LANTIDRA))[0]
    text = json.dumps(
        {**order, "status": "active", "extension": [{"url": "http://x.example.org", "valueDecimal": 2.5}]}
    )
    ehr.does(f"MedicationRequest/{order['id']}", raw(text.replace("2.5", "2.50").encode()))

    assert b'"valueDecimal":2.50' in exact_json.write(answer(body)["systemActions"])


def test_an_order_that_cannot_be_had_is_told_and_the_others_are_judged(ehr: Ehr) -> None:
    body = unsent(ehr)
    body["context"]["dispatchedOrders"].append("ServiceRequest/gone")

    first, second = assessing(answer(body))

    assert first["extension"]["coverage-cds.assessment"]["policy"]
    assert second["summary"] == "An order could not be read: coverage criteria were not checked"
    assert "ServiceRequest/gone" in second["detail"]
    assert "404" in second["detail"]


@pytest.mark.parametrize("hook", ["order-dispatch", "appointment-book"])
def test_without_orders_and_without_a_server_there_is_nothing_to_go_on(hook: str) -> None:
    body = named(hook=hook)
    body["prefetch"] = {key: body["prefetch"][key] for key in ("patient", "coverage")}

    with pytest.raises(NothingToGoOn, match="medicationRequests, serviceRequests, deviceRequests") as error:
        answer(body)

    assert error.value.status == 412


@pytest.mark.parametrize("sent", [None, {"resourceType": "Bundle", "type": "searchset"}])
def test_an_order_that_is_not_among_those_that_were_sent_is_told_on_a_card(sent: object) -> None:
    body = named()
    body["prefetch"]["medicationRequests"] = sent

    found = answer(body)

    assert found["cards"]
    assert {card["summary"] for card in found["cards"]} == {
        "An order could not be read: coverage criteria were not checked"
    }
    assert "systemActions" not in found


def test_an_order_that_was_not_sent_beside_one_that_was_is_told(ehr: Ehr) -> None:
    body = named()
    body["context"]["dispatchedOrders"].append("MedicationRequest/absent")

    assert [card["indicator"] for card in assessing(answer(body))] == ["warning", "info"]


@pytest.mark.parametrize("reference", ["NutritionOrder/n1", "VisionPrescription/v1", "urn:uuid:1", "#x", "Patient/p1"])
def test_what_no_policy_can_be_about_is_not_even_looked_for(reference: str) -> None:
    assert answer(named(dispatchedOrders=[reference])) == {"cards": []}


def test_an_appointment_that_no_order_stands_behind_gets_no_card() -> None:
    assert answer(named(hook="appointment-book", appointments=appointments())) == {"cards": []}


@pytest.mark.parametrize(
    ("hook", "context", "path"),
    [
        ("order-dispatch", {}, "context.dispatchedOrders"),
        ("order-dispatch", {"dispatchedOrders": []}, "context.dispatchedOrders"),
        ("order-dispatch", {"dispatched-orders": [5, None, ""]}, "context.dispatched-orders"),
        ("order-dispatch", {"order": {"canary": 1}}, "context.order"),
        ("appointment-book", {}, "context.appointments"),
        ("appointment-book", {"appointments": ["canary"]}, "context.appointments"),
    ],
)
def test_a_context_that_names_nothing_readable_is_an_error_that_says_where(
    hook: str, context: dict[str, Any], path: str
) -> None:
    body = {**named(), "hook": hook, "context": {"patientId": "p1", **context}}

    with pytest.raises(NotAHookRequest) as error:
        hook_request.read(body, hook_request.HOOKS)

    assert error.value.expression == path
    assert "canary" not in error.value.message


def test_the_order_of_another_patient_is_refused(ehr: Ehr) -> None:
    body = unsent(ehr)
    order = orders(sample(LANTIDRA))[0]
    ehr.has(f"MedicationRequest/{order['id']}", {**order, "subject": {"reference": "Patient/another"}})

    with pytest.raises(WrongPatient):
        answer(body)


@pytest.mark.parametrize("actors", [["Patient/another"], ["Patient/another", "Practitioner/x"]])
def test_the_appointment_of_another_patient_is_refused(actors: list[str]) -> None:
    participants = [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors]
    body = named(hook="appointment-book", appointments=appointments("ServiceRequest/s1", participant=participants))

    with pytest.raises(WrongPatient, match=r"An Appointment in context\.appointments entry 1"):
        answer(body)


def test_the_appointment_of_this_patient_and_others_is_read() -> None:
    body = named(hook="appointment-book")
    own = body["context"]["patientId"]
    participants = [{"actor": {"reference": f"Patient/{p}"}, "status": "accepted"} for p in (own, "another")]
    body["context"]["appointments"]["entry"][0]["resource"]["participant"] = participants

    assert len(assessed(answer(body))) == 1


@pytest.mark.parametrize("based", [None, 5, "ServiceRequest/s1", [None, 5, {"reference": 7}, {"extension": "x"}]])
def test_an_appointment_written_badly_is_read_as_far_as_it_goes(based: object) -> None:
    body = named(hook="appointment-book", appointments=appointments(basedOn=based))

    asked = hook_request.read(body, hook_request.HOOKS)

    assert asked.named_orders == (("ServiceRequest/s1",) if isinstance(based, str) else ())


def test_the_example_of_the_guide_is_answered() -> None:
    body = {
        "hook": "appointment-book",
        "hookInstance": "bfdb5c14-deb2-4dc9-b175-39925484de2c",
        "context": {
            "userId": "PractitionerRole/A2340113",
            "patientId": "1288992",
            "appointments": appointments(
                participant=[{"actor": {"reference": "Patient/1288992"}, "status": "accepted"}],
                serviceType=[
                    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/service-type", "code": "24"}]}
                ],
            ),
        },
        "extension": {"davinci-crd.requestedVersion": "2.2"},
    }

    assert answer(body) == {"cards": []}


def test_more_orders_than_are_looked_up_are_told_of_too(ehr: Ehr) -> None:
    body = unsent(ehr)
    body["context"]["dispatchedOrders"] += [f"ServiceRequest/s{number}" for number in range(30)]

    found = answer(body)

    assert len(assessed(found)) == 31
    assert len(ehr.paths()) < 31


def test_the_library_is_asked_in_the_same_way() -> None:
    asked = hook_request.read(named(), hook_request.HOOKS)

    assert review.answer(asked, services(), today=TODAY)["cards"]
