"""The order comes back as it was sent, with our extensions added or replaced and nothing else changed."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service import exact_json, hook_request, review
from cds_service.crd.coverage_information import identity_of
from cds_service.crd.system_actions import with_extensions
from tests.cds_service.crd.asking import (
    CASGEVY,
    LANTIDRA,
    NAMES,
    READY,
    TODAY,
    answer,
    captured,
    orders,
    sample,
    services,
)
from tests.cds_service.crd.guide import URL, informations
from tests.cds_service.examples import assessing

OTHERS = {"url": "https://ehr.example.org/fhir/StructureDefinition/x", "valueDecimal": 1.5}
FOREIGN = {"url": URL, "extension": [{"url": "coverage-assertion-id", "valueString": "payer-17"}]}


def without_ours(order: dict[str, Any]) -> dict[str, Any]:
    """Return an order as it was before our extensions came to it."""
    kept = [e for e in order.get("extension", []) if identity_of(e) is None]
    return {**order, "extension": kept} if kept else {k: v for k, v in order.items() if k != "extension"}


def signed_again(body: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return the request of an EHR that has carried out the system actions and signs again."""
    changed = {r["id"]: r for r in (action["resource"] for action in found["systemActions"])}
    again = copy.deepcopy(body)
    for entry in again["context"]["draftOrders"]["entry"]:
        entry["resource"] = changed.get(entry["resource"].get("id"), entry["resource"])
    return again


@pytest.mark.parametrize("name", NAMES)
def test_each_action_is_one_update_of_an_order_of_the_request_and_changes_nothing_else_in_it(name: str) -> None:
    body = sample(name)
    sent = {order["id"]: order for order in orders(body)}

    for action in answer(body).get("systemActions", []):
        assert set(action) == {"type", "description", "resource"}
        assert action["type"] == "update"
        assert action["description"]
        assert without_ours(action["resource"]) == sent[action["resource"]["id"]]


@pytest.mark.parametrize("name", ["da-vinci-request-generator", "cds-hooks-sandbox"])
def test_an_order_of_a_real_client_comes_back_as_it_was_odd_as_it_may_be(name: str) -> None:
    body = captured(name)

    for action in answer(body).get("systemActions", []):
        assert without_ours(action["resource"]) in orders(body)


def test_the_text_of_every_value_is_kept_numbers_too() -> None:
    body = sample(LANTIDRA)
    orders(body)[0]["extension"] = [OTHERS, FOREIGN]
    orders(body)[0]["dosageInstruction"] = [{"doseAndRate": [{"doseQuantity": {"value": 1.5, "unit": "Äq"}}]}]
    orders(body)[0]["unknownMember"] = [None, {"deep": True}, "", {}, 5]
    text = json.dumps(body).replace('"value": 1.5', '"value": 1.50').replace("1.5}", "1.500}").encode()
    asked = hook_request.read(json.loads(text), hook_request.HOOKS, text)

    found = exact_json.write(review.answer(asked, services(), today=TODAY)).decode()

    assert '"value":1.50,"unit":"Äq"' in found
    assert '"valueDecimal":1.500}' in found
    assert '"unknownMember":[null,{"deep":true},"",{},5]' in found


def test_extensions_of_others_are_kept_in_their_order_and_ours_come_after() -> None:
    body = sample(CASGEVY)
    orders(body)[0]["extension"] = [OTHERS, FOREIGN]

    [action] = answer(body)["systemActions"]

    first, second, ours = action["resource"]["extension"]
    assert [first, second] == [OTHERS, FOREIGN]
    assert identity_of(ours)


def test_an_order_that_carries_the_same_assertion_already_is_left_alone() -> None:
    body = sample(CASGEVY)
    found = answer(body)

    again = answer(signed_again(body, found))

    assert "systemActions" not in again
    assert len(again["cards"]) == len(found["cards"])


def test_what_was_asserted_before_is_replaced_when_something_new_is_asserted() -> None:
    body = sample(CASGEVY)
    orders(body)[0]["extension"] = [OTHERS]
    before = answer(body)
    again = signed_again(body, before)
    again["prefetch"]["patient"].pop("birthDate")

    [action] = answer(again)["systemActions"]

    extensions = action["resource"]["extension"]
    assert extensions[0] == OTHERS
    assert len(extensions) == 2
    assert identity_of(extensions[1]) != identity_of(informations(before)[0])


def test_orders_of_one_request_are_told_apart() -> None:
    body = sample("fertility-preservation-beside-casgevy")

    named = [action["resource"]["resourceType"] for action in answer(body)["systemActions"]]

    assert named == ["MedicationRequest", "ServiceRequest"]


def test_an_order_without_an_id_cannot_be_updated_and_has_its_card_only() -> None:
    body = sample(LANTIDRA)
    del orders(body)[0]["id"]

    found = answer(body)

    assert len(assessing(found)) == 1
    assert "systemActions" not in found


def test_an_order_that_concerns_no_policy_is_answered_without_any() -> None:
    assert answer(sample("order-that-concerns-no-policy")) == {"cards": []}


def test_they_stand_twice_where_the_deployment_wants_that() -> None:
    found = answer(sample(CASGEVY), mirror_system_actions=True)

    assert found["extension"] == {"systemActions": found["systemActions"]}
    assert "extension" not in answer(sample(CASGEVY))
    assert "extension" not in answer(sample("order-that-concerns-no-policy"), mirror_system_actions=True)


def test_the_same_request_gets_the_same_actions() -> None:
    assert answer(sample(CASGEVY))["systemActions"] == answer(sample(CASGEVY))["systemActions"]


def test_an_extension_that_stands_outside_a_list_is_kept_in_one() -> None:
    new = informations(answer(sample(CASGEVY)))

    assert with_extensions({"id": "x", "extension": OTHERS}, new) == {"id": "x", "extension": [OTHERS, *new]}


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(OTHERS) | st.just(FOREIGN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), odd, max_size=4), st.lists(odd, max_size=3))
def test_whatever_an_order_holds_is_kept(members: dict[str, Any], extensions: list[Any]) -> None:
    new = informations(answer(sample(CASGEVY)))
    order = {**members, "extension": extensions}
    before = copy.deepcopy(order)

    changed = with_extensions(order, new)

    assert changed == {**before, "extension": [*before["extension"], *new]}
    assert order == before


def test_the_id_is_no_link_to_the_patient() -> None:
    [information] = informations(answer(sample(READY)))

    assert re.fullmatch(r"coverage-cds-[0-9a-f]{32}", identity_of(information) or "")


def test_the_id_fits_into_a_claim_and_ends_with_what_names_the_questionnaire() -> None:
    [information] = informations(answer(sample(LANTIDRA)))

    identity = identity_of(information) or ""

    assert re.fullmatch(r"coverage-cds-[0-9a-f]{32}-[0-9a-f]{8}-4", identity)
    assert len(identity) <= 80  # the K3 segment of an X12 837
