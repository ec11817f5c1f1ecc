"""What every card that this service gives keeps, by CDS Hooks 2.0 and Da Vinci CRD, on every sample bundle."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cds_service.cards.reading import empty_members
from tests.cds_service.crd.asking import NAMES, answer, orders, sample

TYPES = {"guideline", "claim"}
J3590 = "casgevy-unlisted-code-j3590"

each_sample = pytest.mark.parametrize("name", NAMES)


def uuids(value: object) -> Iterator[str]:
    """Yield every uuid of an answer's cards and suggestions."""
    for card in value if isinstance(value, list) else []:
        yield card["uuid"]
        yield from (suggestion["uuid"] for suggestion in card.get("suggestions", []))


@each_sample
def test_no_card_mixes_links_of_two_kinds_or_links_with_suggestions(name: str) -> None:
    for hook in ("order-sign", "order-select"):
        for card in answer(sample(name, hook))["cards"]:
            assert len({link["type"] for link in card.get("links", [])}) <= 1
            assert not ("links" in card and "suggestions" in card)
            assert all("appContext" not in link for link in card.get("links", []) if link["type"] == "absolute")


@each_sample
def test_a_card_is_identified_short_and_of_a_type_of_the_guide(name: str) -> None:
    cards = answer(sample(name))["cards"]

    for card in cards:
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in {"info", "warning"}
        assert card["source"]["label"]
        assert card["source"]["topic"]["code"] in TYPES
        assert ("selectionBehavior" in card) == ("suggestions" in card)
        assert empty_members(card) == []
    assert len(set(uuids(cards))) == len(list(uuids(cards)))


@each_sample
def test_a_suggestion_says_what_it_does_to_which_order_of_the_request(name: str) -> None:
    body = sample(name)
    sent = {(order["resourceType"], order["id"]) for order in orders(body)}
    suggestions = [s for card in answer(body)["cards"] for s in card.get("suggestions", [])]

    for suggestion in suggestions:
        assert suggestion["label"]
        for action in suggestion["actions"]:
            assert action["description"]
            if action["type"] == "update":
                assert (action["resource"]["resourceType"], action["resource"]["id"]) in sent
                assert "resourceId" not in action


def test_the_offered_order_is_the_raw_one_but_for_its_code() -> None:
    body = sample(J3590)
    orders(body)[0]["unknown"] = {"kept": [None, 1.5]}
    before = copy.deepcopy(orders(body)[0])

    [card] = [c for c in answer(body)["cards"] if c["source"]["topic"]["code"] == "claim"]

    [suggestion] = card["suggestions"]
    [action] = suggestion["actions"]
    changed = action["resource"]
    code = "medicationCodeableConcept"
    assert {k: v for k, v in changed.items() if k != code} == {k: v for k, v in before.items() if k != code}
    assert [c["code"] for c in changed[code]["coding"] if c["code"].startswith("J")] == ["J3392"]


@each_sample
def test_whoever_goes_on_despite_a_card_may_say_why_in_words_of_cds_hooks(name: str) -> None:
    for card in answer(sample(name))["cards"]:
        reasons = card.get("overrideReasons", [])
        assert bool(reasons) == ("suggestions" not in card)
        assert all(set(reason) == {"system", "code", "display"} for reason in reasons)
        assert len({(reason["system"], reason["code"]) for reason in reasons}) == len(reasons)
        if reasons:
            systems = [reason["system"] for reason in reasons]
            assert systems[0] == "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"


def test_an_answer_has_no_empty_member_but_its_cards_and_what_the_order_brought() -> None:
    found: dict[str, Any] = answer(sample(J3590))

    assert empty_members({key: value for key, value in found.items() if key != "cards"}) == []
    assert answer(sample("order-that-concerns-no-policy")) == {"cards": []}
