"""Which draft orders concern a policy: told from the orders alone, with one look-up for a drug that is a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from cds_service import hook_request
from cds_service.errors import CouldNotRetrieve
from cds_service.fhir_client import Fetched
from cds_service.hook_request import HookRequest
from cds_service.triage import NotRead, Triage, selected, triage
from tests.cds_service.examples import bundle, context, hook_body, resource

HOOKS = ("order-sign", "order-select")
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
CASGEVY = {"coding": [{"system": HCPCS, "code": "J3392"}]}
ASPIRIN = {"text": "Aspirin 81 MG Oral Tablet"}
MEDICATION = {"resourceType": "Medication", "id": "m1", "code": CASGEVY}


class Ehr:
    """An EHR that has some resources, and remembers what it was asked for."""

    def __init__(self, *resources: Mapping[str, Any]) -> None:
        self.resources = {f"{r['resourceType']}/{r['id']}": r for r in resources}
        self.asked: list[str] = []

    def read(self, reference: str) -> Mapping[str, Any]:
        self.asked.append(reference)
        if reference not in self.resources:
            raise CouldNotRetrieve("the EHR does not have it")
        return self.resources[reference]

    def prepare(self, references: Iterable[str]) -> None:
        """Nothing needs to be prepared."""

    def many(self, queries: Iterable[str]) -> Mapping[str, Fetched]:
        raise AssertionError("no search is needed to tell which orders concern a policy")


def order(name: str, code: Mapping[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    drug: dict[str, Any] = {} if code is None else {"medicationCodeableConcept": code}
    return resource("MedicationRequest", name, **{"status": "draft", "intent": "order", **drug, **members})


def by_reference(reference: str = "Medication/m1", name: str = "o1") -> dict[str, Any]:
    return order(name, medicationReference={"reference": reference})


def request(*drafts: Any, selections: list[str] | None = None, **members: Any) -> HookRequest:
    """Return an order-sign request, or an order-select request when there are selections."""
    more = {} if selections is None else {"selections": selections}
    drawn = context(draftOrders=bundle(*drafts, type="collection"), **more)
    members = {"hook": "order-sign" if selections is None else "order-select", **members}
    return hook_request.read(hook_body(context=drawn, **members), HOOKS)


def references(found: Triage) -> list[str]:
    return [known.reference for known in found.known]


def test_orders_of_a_known_therapy_are_kept_in_their_order() -> None:
    found = triage(request(order("o1", CASGEVY), order("o2", ASPIRIN), order("o3", {"text": "Lantidra"})), None)
    assert [(known.reference, known.therapy) for known in found.known] == [
        ("MedicationRequest/o1", "exagamglogene"),
        ("MedicationRequest/o3", "donislecel"),
    ]
    assert found.unread == ()


@pytest.mark.parametrize("drafts", [[], [order("o1", ASPIRIN)], [resource("Patient", "p1")], [order("o1")]])
def test_other_orders_concern_nobody(drafts: list[Any]) -> None:
    ehr = Ehr()
    assert triage(request(*drafts), ehr) == Triage((), ())
    assert ehr.asked == []


class TestDrugByReference:
    @pytest.mark.parametrize("prefetch", [{}, {"m": MEDICATION}])
    def test_it_is_found_among_the_draft_orders_first(self, prefetch: dict[str, Any]) -> None:
        ehr = Ehr()
        assert references(triage(request(by_reference(), MEDICATION, prefetch=prefetch), ehr)) == [
            "MedicationRequest/o1"
        ]
        assert ehr.asked == []

    @pytest.mark.parametrize(
        "reference", ["Medication/m1", "Medication/m1/_history/3", "https://ehr.example.org/fhir/Medication/m1"]
    )
    def test_then_in_the_prefetch_under_any_key(self, reference: str) -> None:
        asked = request(by_reference(reference), prefetch={"anything": bundle(MEDICATION)})
        assert references(triage(asked, None)) == ["MedicationRequest/o1"]

    @pytest.mark.parametrize(
        "value",
        [
            [MEDICATION],
            bundle(bundle(MEDICATION)),
            [bundle(MEDICATION)],
            {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": {**MEDICATION, "id": "m2"}}]},
            bundle({"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": MEDICATION}]}),
        ],
    )
    def test_in_whatever_it_lies_there(self, value: object) -> None:
        reference = "urn:uuid:1" if "urn" in str(value) else "Medication/m1"
        found = triage(request(by_reference(reference), prefetch={"anything": value}), None)
        assert references(found) == ["MedicationRequest/o1"]

    def test_it_may_be_named_by_the_urn_of_an_entry_of_the_draft_orders(self) -> None:
        asked = request(by_reference("urn:uuid:1"), MEDICATION)
        body = hook_body(context=context(draftOrders=bundle(*asked.draft_orders)))
        body["context"]["draftOrders"]["entry"][1]["fullUrl"] = "urn:uuid:1"
        assert references(triage(hook_request.read(body, HOOKS), None)) == ["MedicationRequest/o1"]

    def test_then_at_the_ehr(self) -> None:
        ehr = Ehr(MEDICATION)
        assert references(triage(request(by_reference()), ehr)) == ["MedicationRequest/o1"]
        assert ehr.asked == ["Medication/m1"]

    def test_a_drug_of_no_policy_is_no_order_of_ours(self) -> None:
        assert triage(request(by_reference()), Ehr({**MEDICATION, "code": ASPIRIN})) == Triage((), ())

    def test_without_an_ehr_to_ask_the_order_is_named(self) -> None:
        reason = "the medication that it refers to was not sent"
        assert triage(request(by_reference()), None) == Triage((), (NotRead("MedicationRequest/o1", reason),))

    @pytest.mark.parametrize("reference", ["Patient/p2", "Condition/c1", "urn:uuid:1", "#gone"])
    def test_what_is_no_drug_is_not_asked_for(self, reference: str) -> None:
        ehr = Ehr({"resourceType": "Patient", "id": "p2"}, {"resourceType": "Condition", "id": "c1", "code": CASGEVY})
        reason = "the medication that it refers to was not sent"
        assert triage(request(by_reference(reference)), ehr) == Triage((), (NotRead("MedicationRequest/o1", reason),))
        assert ehr.asked == []

    def test_what_is_no_drug_is_not_taken_for_one(self) -> None:
        condition = resource("Condition", "c1", code=CASGEVY)
        found = triage(request(by_reference("Condition/c1"), prefetch={"conditions": bundle(condition)}), None)
        assert found.known == ()

    def test_an_ehr_that_cannot_answer_leaves_the_other_orders_alone(self) -> None:
        found = triage(request(by_reference(name="o1"), order("o2", CASGEVY)), Ehr())
        assert references(found) == ["MedicationRequest/o2"]
        assert found.unread == (NotRead("MedicationRequest/o1", "the EHR does not have it"),)


class TestSelection:
    DRAFTS = (order("o1", CASGEVY), order("o2", CASGEVY))

    @pytest.mark.parametrize(
        ("selections", "expected"),
        [
            (None, ["MedicationRequest/o1", "MedicationRequest/o2"]),
            ([], ["MedicationRequest/o1", "MedicationRequest/o2"]),
            (["MedicationRequest/o2"], ["MedicationRequest/o2"]),
            (["o2"], ["MedicationRequest/o2"]),
            (["MedicationRequest/o3"], []),
            (["https://ehr.example.org/fhir/MedicationRequest/o2/_history/3"], ["MedicationRequest/o2"]),
            (["o2", "o9"], ["MedicationRequest/o2"]),
            (["urn:uuid:no-order"], []),
        ],
    )
    def test_only_the_selected_orders_are_in_question(self, selections: list[str] | None, expected: list[str]) -> None:
        asked = request(*self.DRAFTS, selections=selections)
        assert references(triage(asked, None)) == expected
        assert [f"MedicationRequest/{r['id']}" for r in selected(asked)] == expected

    def test_an_order_may_be_selected_by_its_full_url(self) -> None:
        entries = [{"fullUrl": f"urn:uuid:{n}", "resource": draft} for n, draft in enumerate(self.DRAFTS, 1)]
        body = hook_body(
            hook="order-select", context=context(draftOrders={"entry": entries}, selections=["urn:uuid:2"])
        )
        assert references(triage(hook_request.read(body, HOOKS), None)) == ["MedicationRequest/o2"]

    def test_only_order_select_has_selections(self) -> None:
        asked = request(*self.DRAFTS, selections=["MedicationRequest/o2"], hook="order-sign")
        assert len(selected(asked)) == 2

    def test_a_drug_may_stand_beside_the_selected_order(self) -> None:
        asked = request(by_reference(), MEDICATION, selections=["MedicationRequest/o1"])
        assert references(triage(asked, None)) == ["MedicationRequest/o1"]


def test_what_was_odd_about_the_request_is_told_with_each_order() -> None:
    asked = request(order("o1", CASGEVY), "no order")
    assert asked.notices
    [known] = triage(asked, None).known
    assert set(asked.notices) <= set(known.notices)


@pytest.mark.parametrize(
    ("status", "notice"),
    [
        ("draft", None),
        ("Draft ", None),
        ("active", "The order has another status than draft; it was read as one that is about to be signed."),
        (None, "The order does not state its status; it was read as one that is about to be signed."),
        (["draft"], "The order does not state its status; it was read as one that is about to be signed."),
    ],
)
def test_an_order_that_is_no_draft_is_judged_with_a_notice(status: object, notice: str | None) -> None:
    [known] = triage(request({**order("o1", CASGEVY), "status": status}), None).known
    assert [n for n in known.notices if "about to be signed" in n] == ([notice] if notice else [])
