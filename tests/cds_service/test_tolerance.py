"""CDS Hooks tolerance over HTTP: what real clients send, of any version, is answered; oddities are told on the card."""

from __future__ import annotations

import copy
import json
import random
import string
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cds_service import create_app, review
from cds_service.bundle_request import request_from
from cds_service.settings import Settings
from tests.calling import post
from tests.cds_service.examples import assessing, bundle
from tests.fuzz_requests import faults
from tests.mutations import FOLDER, LANTIDRA, SAMPLES

if TYPE_CHECKING:
    from flask import Flask

Body = dict[str, Any]
Change = Callable[[Body], None]

NAPROXEN = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "245420"}]}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app(Settings.load(data_dir=tmp_path_factory.mktemp("data"), log_level="CRITICAL"))


def real(name: str) -> Body:
    found: Body = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def sample(name: str = "lantidra-everything-documented") -> Body:
    read: Body = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return request_from(read, "6bc883b2-b795-4dcb-b661-34884a31d472")


def order_of(body: Body) -> dict[str, Any]:
    """Return the order that has a card."""
    orders = [entry["resource"] for entry in body["context"]["draftOrders"]["entry"]]
    found: dict[str, Any] = next((o for o in orders if str(o["id"]).endswith("-order")), orders[0])
    return found


def cards(app: Flask, body: Body) -> list[dict[str, Any]]:
    answer = post(app, json.dumps(body).encode())
    assert answer.status == 200, answer.body
    assert set(faults(answer)) <= {"a policy that failed"}
    found: list[dict[str, Any]] = assessing(json.loads(answer.body))
    return found


def assessment(card: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = card["extension"]["coverage-cds.assessment"]
    return found


def notices(app: Flask, body: Body) -> str:
    """Return the notices of the one card."""
    [card] = cards(app, body)
    return "\n".join(assessment(card).get("notices", ()))


def judged(found: list[dict[str, Any]]) -> list[Any]:
    """Return what was judged and how, without what names the answer."""
    seen = [assessment(card) for card in found]
    letters = [[(c["id"], c["outcome"], c["reason"]) for c in a.get("criteria", ())] for a in seen]
    return [
        (a["order"], a["therapy"], a["asOf"], a["basis"], a.get("outcome"), c)
        for a, c in zip(seen, letters, strict=True)
    ]


class TestRealRequests:
    @pytest.mark.parametrize(
        "name", ["cds-hooks-sandbox", "crd-2.2.1-two-orders", "crd-2.2.1-communication", "cds-hooks-library"]
    )
    def test_orders_that_concern_no_policy_are_answered_with_no_card(self, app: Flask, name: str) -> None:
        assert cards(app, real(name)) == []

    def test_the_request_generators_order_is_assessed_from_prefetch_under_its_own_keys(self, app: Flask) -> None:
        found = cards(app, real("da-vinci-request-generator"))

        assert {assessment(card)["therapy"] for card in found} == {"donislecel"}
        assert {assessment(card)["order"] for card in found} == {"MedicationRequest/order-1"}
        assert {c["outcome"] for c in assessment(found[0])["criteria"] if c["id"] == "I.A"} == {"met"}

    def test_a_category_that_is_an_object_is_a_matter_of_quality(self, app: Flask) -> None:
        body = real("cds-hooks-sandbox")
        assert isinstance(order_of(body)["category"], dict)
        order_of(body)["medicationCodeableConcept"] = LANTIDRA

        found = cards(app, body)

        assert {assessment(card)["therapy"] for card in found} == {"donislecel"}
        assert all("The order is not valid FHIR R4: " in "\n".join(assessment(card)["notices"]) for card in found)
        cited = [e["reference"] for c in assessment(found[0])["criteria"] for e in c.get("evidence", ())]
        assert {"Patient/t1d-001", "Condition/cond-0"} <= set(cited)

    def test_an_order_without_a_drug_as_the_sandbox_sends_it_first_has_no_card(self, app: Flask) -> None:
        body = real("cds-hooks-sandbox")
        del order_of(body)["medicationCodeableConcept"]

        assert cards(app, body) == []

    def test_absolute_references_under_other_paths_than_the_server_are_about_the_patient(self, app: Flask) -> None:
        body = real("crd-2.2.1-two-orders")
        order = order_of(body)
        order |= {"resourceType": "MedicationRequest", "medicationCodeableConcept": LANTIDRA}
        order.pop("code")

        found = cards(app, body)

        assert [assessment(card)["order"] for card in found] == ["MedicationRequest/1357"]
        assert assessment(found[0])["basis"] == "elsewhere"

    def test_an_open_server_and_an_empty_token_make_no_difference(self, app: Flask) -> None:
        with_token = sample()
        with_token |= {"fhirServer": "https://ehr.example.org/fhir", "fhirAuthorization": {"access_token": ""}}
        without = {**with_token}
        del without["fhirAuthorization"]

        assert judged(cards(app, with_token)) == judged(cards(app, without))
        assert notices(app, with_token) == notices(app, without)


def moved_to_the_root(body: Body) -> None:
    body["patient"] = body["context"].pop("patientId")
    body["user"] = body["context"].pop("userId")


def called_orders(body: Body) -> None:
    body["context"]["orders"] = body["context"].pop("draftOrders")


def patient_as_a_reference(body: Body) -> None:
    body["context"]["patientId"] = f"Patient/{body['context']['patientId']}"


def encounter_as_a_reference(body: Body) -> None:
    body["context"]["encounterId"] = "Encounter/e1"


def no_text_where_one_belongs(body: Body) -> None:
    body["context"]["userId"] = {"reference": "Practitioner/1"}


def an_unreadable_draft(body: Body) -> None:
    body["context"]["draftOrders"]["entry"].append({"resource": None})


def an_active_order(body: Body) -> None:
    order_of(body)["status"] = "active"


def prefetch_as_a_list(body: Body) -> None:
    held = body.pop("prefetch")
    body["prefetch"] = {"everything": [r for value in held.values() for r in _resources(value)]}


def _resources(value: Any) -> list[Any]:
    return [entry["resource"] for entry in value["entry"]] if value["resourceType"] == "Bundle" else [value]


class TestOddities:
    @pytest.mark.parametrize(
        ("change", "notice"),
        [
            (moved_to_the_root, "context.patientId is missing; patient, where the drafts of CDS Hooks 1.0 had it"),
            (called_orders, "context.draftOrders is missing; context.orders"),
            (patient_as_a_reference, "context.patientId was sent as a reference"),
            (encounter_as_a_reference, "context.encounterId was sent as a reference"),
            (no_text_where_one_belongs, "context.userId was not used: it is not a text"),
            (an_unreadable_draft, "1 of the entries of context.draftOrders could not be read as a resource"),
            (an_active_order, "The order has another status than draft"),
        ],
    )
    def test_what_is_odd_is_answered_with_a_notice(self, app: Flask, change: Change, notice: str) -> None:
        body = sample()
        change(body)

        assert judged(cards(app, body)) == judged(cards(app, sample()))
        assert notice in notices(app, body)
        assert notice not in notices(app, sample())

    def test_it_is_told_on_the_card_of_an_order_whose_drug_could_not_be_had_too(self, app: Flask) -> None:
        body = sample()
        called_orders(body)
        for entry in body["context"]["orders"]["entry"]:
            entry["resource"].pop("medicationCodeableConcept", None)
        body["context"]["orders"]["entry"][0]["resource"]["medicationReference"] = {"reference": "Medication/m1"}

        assert "context.draftOrders is missing; context.orders" in notices(app, body)

    def test_it_is_told_on_the_card_of_a_policy_that_failed_too(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise LookupError

        monkeypatch.setattr(review, "evaluate", fail)
        body = sample()
        called_orders(body)

        assert "context.draftOrders is missing; context.orders" in notices(app, body)

    def test_prefetch_under_one_strange_key_without_a_bundle_is_evidence(self, app: Flask) -> None:
        body = sample()
        prefetch_as_a_list(body)

        [card] = cards(app, body)

        assert {c["id"] for c in assessment(card)["criteria"] if c["outcome"] == "met"} >= {"I.A", "I.C.2"}

    @pytest.mark.parametrize(
        "members",
        [
            {"hookInstance": "42"},
            {"fhirServer": "https://ehr.example.org/fhir", "fhirAuthorization": {"access_token": "t"}},
            {"fhirAuthorization": {"access_token": "t", "token_type": "Bearer", "expires_in": "300", "scope": None}},
            {"user": "Practitioner/example", "redirect": "https://ehr.example.org/back", "oauth": {"token": "t"}},
            {"prefetchTime": 3},
        ],
    )
    def test_members_of_older_versions_change_nothing(self, app: Flask, members: dict[str, Any]) -> None:
        assert judged(cards(app, sample() | members)) == judged(cards(app, sample()))

    def test_what_cds_hooks_3_adds_changes_nothing(self, app: Flask) -> None:
        body = sample()
        body["hookVersion"] = "3.0.0"
        body["fhirServer"] = "https://ehr.example.org/fhir"
        body["fhirAuthorization"] = {
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.rs user/*.cruds",
            "subject": "client",
            "patient": body["context"]["patientId"],
        }
        body["context"] |= {"draftOrders": {**body["context"]["draftOrders"], "type": "collection"}}
        body["extension"] = {"org.example.ehr": {"acceptsActionSelection": True}}

        assert judged(cards(app, body)) == judged(cards(app, sample()))

    @pytest.mark.parametrize("members", [{}, {"type": "searchset"}, {"type": "transaction"}, {"type": ["collection"]}])
    def test_the_drafts_bundle_needs_no_type_and_no_full_urls(self, app: Flask, members: dict[str, Any]) -> None:
        body = sample()
        entries = [{"resource": entry["resource"]} for entry in body["context"]["draftOrders"]["entry"]]
        body["context"]["draftOrders"] = {"entry": entries, **members}

        assert judged(cards(app, body)) == judged(cards(app, sample()))

    @pytest.mark.parametrize("drafts", [{}, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "entry": []}])
    def test_no_draft_orders_are_no_error(self, app: Flask, drafts: Any) -> None:
        body = sample()
        body["context"]["draftOrders"] = drafts

        assert cards(app, body) == []


def with_unknown_members(node: Any, chance: random.Random) -> Any:
    """Return a JSON value with a member of 16 random letters in every object."""
    if isinstance(node, list):
        return [with_unknown_members(value, chance) for value in node]
    if not isinstance(node, dict):
        return node
    name = "".join(chance.choices(string.ascii_letters, k=16))
    known = {key: with_unknown_members(value, chance) for key, value in node.items()}
    return {**known, name: chance.choice(["x", 1, None, [], {}, {"y": [{"z": "E10.9"}]}])}


class TestUnknownMembers:
    @pytest.mark.parametrize(
        "name", ["lantidra-everything-documented", "casgevy-sickle-cell-ready", "dli-grade-3-gvhd"]
    )
    def test_at_every_level_they_change_no_outcome(self, app: Flask, name: str) -> None:
        for seed in range(3):
            body = with_unknown_members(sample(name), random.Random(seed))  # noqa: S311 - names that can be made again

            assert judged(cards(app, body)) == judged(cards(app, sample(name)))

    def test_at_the_root_the_context_and_the_configuration_they_change_nothing_at_all(self, app: Flask) -> None:
        body = sample() | {"extension": {"davinci-crd.configuration": {"alt-drug": True}}}
        more = copy.deepcopy(body)
        for holder in (more, more["context"], more["extension"]["davinci-crd.configuration"]):
            holder["qwertyuiopasdfgh"] = {"x": []}

        assert _without_ids(cards(app, more)) == _without_ids(cards(app, body))


def _without_ids(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for card in found:
        del card["uuid"], assessment(card)["decisionId"]
    return found


class TestOrders:
    def test_drafts_of_mixed_types_and_statuses_are_each_judged_for_themselves(self, app: Flask) -> None:
        body = sample()
        lantidra = order_of(body)
        patient = lantidra["subject"]
        others: list[dict[str, Any]] = [
            {**lantidra, "id": "active", "status": "active"},
            {**lantidra, "id": "unknown", "status": "unheard-of"},
            {**lantidra, "id": "cancelled", "status": "cancelled"},
            {**lantidra, "id": "prohibited", "doNotPerform": True},
            {**lantidra, "id": "naproxen", "medicationCodeableConcept": NAPROXEN},
            {"resourceType": "NutritionOrder", "id": "n1", "status": "draft", "patient": patient},
            {"resourceType": "VisionPrescription", "id": "v1", "status": "draft", "patient": patient},
            {"resourceType": "CommunicationRequest", "id": "c1", "status": "draft", "subject": patient},
            {"resourceType": "Appointment", "id": "a1", "status": "proposed", "participant": []},
            {"resourceType": "MadeUp", "id": "m1"},
        ]
        body["context"]["draftOrders"] = bundle(*others, lantidra, type="collection")

        named = {assessment(card)["order"]: assessment(card).get("notices", ()) for card in cards(app, body)}

        wanted = ["MedicationRequest/active", "MedicationRequest/unknown", f"MedicationRequest/{lantidra['id']}"]
        assert list(named) == wanted
        assert [any("another status than draft" in n for n in named[name]) for name in wanted] == [True, True, False]

    @pytest.mark.parametrize(
        "selection",
        [
            "MedicationRequest/second",
            "https://ehr.example.org/fhir/MedicationRequest/second",
            "MedicationRequest/second/_history/2",
            "second",
            "urn:uuid:9d1f",
        ],
    )
    def test_order_select_is_about_what_was_selected(self, app: Flask, selection: str) -> None:
        body = sample() | {"hook": "order-select"}
        second = {**order_of(body), "id": "second"}
        body["context"]["draftOrders"]["entry"].append({"fullUrl": "urn:uuid:9d1f", "resource": second})
        body["context"]["selections"] = [selection, "NutritionOrder/gone"]

        assert [assessment(card)["order"] for card in cards(app, body)] == ["MedicationRequest/second"]

    @pytest.mark.parametrize("selections", [None, [], "MedicationRequest/second", {}, [7]])
    def test_without_usable_selections_order_select_is_about_every_order(self, app: Flask, selections: object) -> None:
        body = sample() | {"hook": "order-select"}
        body["context"]["selections"] = selections

        assert len(cards(app, body)) == 1

    def test_fifty_orders_have_fifty_cards_in_their_order(self, app: Flask) -> None:
        found = cards(app, of_orders(50))

        assert [assessment(card)["order"] for card in found] == [f"MedicationRequest/order-{n}" for n in range(50)]
        assert len({card["uuid"] for card in found}) == 50

    def test_fifty_orders_that_concern_no_policy_have_none(self, app: Flask) -> None:
        assert cards(app, of_orders(50, NAPROXEN)) == []

    def test_the_time_grows_with_the_orders_and_no_faster(self, app: Flask) -> None:
        few, many = (seconds(app, of_orders(count)) for count in (10, 50))

        assert many < 5 * few * 2, "five times the orders took more than twice five times the time"


def of_orders(count: int, drug: dict[str, Any] | None = None) -> Body:
    body = sample()
    order = order_of(body)
    drugs = {"medicationCodeableConcept": drug} if drug else {}
    orders = [{**copy.deepcopy(order), **drugs, "id": f"order-{number}"} for number in range(count)]
    body["context"]["draftOrders"] = bundle(*orders, type="collection")
    return body


def seconds(app: Flask, body: Body) -> float:
    """Return the processor's time for an answer, the best of five: the machine has other work."""
    sent = json.dumps(body).encode()

    def once() -> float:
        started = time.thread_time()
        post(app, sent)
        return time.thread_time() - started

    return min(once() for _ in range(5))
