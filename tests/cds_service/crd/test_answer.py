"""What a client may ask for, by version and by configuration, and that it gets that."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from cds_service.crd import configuration
from cds_service.crd.versions import VERSIONS
from cds_service.errors import Unprocessable
from tests.cds_service.crd.asking import CASGEVY, LANTIDRA, answer, captured, orders, sample
from tests.cds_service.crd.guide import informations

J3590 = "casgevy-unlisted-code-j3590"
TEMPORARY = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"


def topics(found: dict[str, Any]) -> list[str]:
    return [card["source"]["topic"]["code"] for card in found["cards"]]


def detail_code(found: dict[str, Any]) -> Any:
    [information] = informations(found)
    [detail] = [part for part in information["extension"] if part["url"] == "detail"]
    return next(part for part in detail["extension"] if part["url"] == "code")["valueCodeableConcept"]["coding"][0]


@pytest.mark.parametrize(
    ("version", "topic", "detail"),
    [
        ("2.0", TEMPORARY, TEMPORARY),
        ("2.1", TEMPORARY, TEMPORARY),
        ("2.2", f"{TERMINOLOGY}/cdshooks-card-type", f"{TERMINOLOGY}/crd-coverage-detail"),
    ],
)
def test_the_version_is_the_one_asked_for_or_else_the_deployments(version: Any, topic: str, detail: str) -> None:
    for found in (
        answer(sample(J3590, requestedVersion=version)),
        answer(sample(J3590, requestedVersion=f"{version}.1"), crd_version="2.1"),
        answer(sample(J3590), crd_version=version),
    ):
        assert {card["source"]["topic"]["system"] for card in found["cards"]} == {topic}
        assert detail_code(found) == {"system": detail, "code": "policy-link"}


def test_without_either_it_is_2_0() -> None:
    assert detail_code(answer(sample(CASGEVY)))["system"] == TEMPORARY


@pytest.mark.parametrize("asked", ["1.0", "2.3", "2", "", "canary", 2.2, ["2.2"], {}])
def test_a_version_that_is_not_spoken_is_an_error_that_names_those_that_are(asked: object) -> None:
    with pytest.raises(Unprocessable, match=r"2\.0, 2\.1 and 2\.2") as error:
        answer(sample(CASGEVY, requestedVersion=asked))

    assert error.value.expression == "extension.davinci-crd.requestedVersion"
    assert "canary" not in error.value.message


def test_discovery_tells_versions_and_options_as_the_guide_wants_them() -> None:
    told = configuration.discovery()
    options = told["davinci-crd.configuration-options"]

    assert told["davinci-crd.version"] == list(VERSIONS)
    assert all(re.fullmatch(r"[1-9]\d*\.\d+", version) for version in VERSIONS)
    for option in options:
        assert set(option) == {"code", "type", "name", "description", "default"}
        assert type(option["default"]).__name__ == {"boolean": "bool", "integer": "int"}[option["type"]]
    for member in ("code", "name", "description"):
        assert len({option[member] for option in options}) == len(options)
    assert [option["code"] for option in options] == ["coverage-info", "guideline", "claim", "max-cards"]


def test_there_is_an_option_for_each_type_of_answer_that_is_given() -> None:
    found = answer(sample(J3590))
    given = {*topics(found), *(["coverage-info"] if "systemActions" in found else [])}

    assert given == {option.code for option in configuration.OPTIONS if option.type == "boolean"}


@pytest.mark.parametrize("code", ["guideline", "claim"])
def test_cards_of_a_type_that_is_switched_off_are_left_out(code: str) -> None:
    found = answer(sample(J3590, configuration={code: False}))

    assert set(topics(found)) == {"guideline", "claim"} - {code}
    assert found["systemActions"]


def test_coverage_information_that_is_switched_off_is_left_out() -> None:
    found = answer(sample(J3590, configuration={"coverage-info": False}))

    assert set(topics(found)) == {"guideline", "claim"}
    assert "systemActions" not in found


def test_everything_switched_off_is_no_error() -> None:
    off = {"coverage-info": False, "guideline": False, "claim": False}

    assert answer(sample(J3590, configuration=off)) == {"cards": []}


@pytest.mark.parametrize("most", [0, 1, 2, 100])
def test_no_more_cards_are_given_than_wanted(most: int) -> None:
    all_of_them = len(answer(sample(J3590))["cards"])

    assert len(answer(sample(J3590, configuration={"max-cards": most}))["cards"]) == min(most, all_of_them)


def test_of_too_many_cards_those_that_warn_are_kept() -> None:
    body = sample(LANTIDRA, configuration={"max-cards": 1})
    elsewhere = copy.deepcopy(orders(sample("car-t-medicare-advantage"))[0])
    elsewhere["subject"] = orders(body)[0]["subject"]
    orders_of = body["context"]["draftOrders"]["entry"]
    orders_of.insert(0, {"resource": elsewhere})
    both = answer({**body, "extension": {}})["cards"]
    assert [card["indicator"] for card in both][:2] == ["info", "warning"]

    [card] = answer(body)["cards"]

    assert card["indicator"] == "warning"


NO_NUMBERS: list[object] = [True, False, -1, 1.5, "1", None, []]


@pytest.mark.parametrize(
    "wanted",
    [
        *({"max-cards": most} for most in NO_NUMBERS),
        {"coverage-info": "false", "guideline": 0, "claim": None},
        {"alt-drug": True, "unsolicited-determ": False, "xqzwvutsrponmlkj": False},
        *("x", 5, None, [], [{"guideline": False}]),
    ],
)
def test_options_that_are_unknown_or_of_another_type_change_nothing(wanted: object) -> None:
    found, plain = answer(sample(J3590, configuration=wanted)), answer(sample(J3590))

    assert topics(found) == topics(plain)
    assert found["systemActions"] == plain["systemActions"]


def test_the_option_of_a_real_client_changes_nothing() -> None:
    body = captured("da-vinci-request-generator")
    assert body["extension"]["davinci-crd.configuration"] == {"alt-drug": True}

    assert answer(body)["systemActions"] == answer({**body, "extension": {}})["systemActions"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_card_about_one_of_several_orders_names_it_for_programs(version: str) -> None:
    name = "fertility-preservation-beside-casgevy"
    cards = answer(sample(name, requestedVersion=version))["cards"]

    named = [card["extension"]["davinci-crd.associated-resource"] for card in cards]
    references = [resource if version == "2.0" else resource["reference"] for [resource] in named]
    assert set(references) == {"MedicationRequest/casgevy-order", "ServiceRequest/fertility-order"}
    assert len(references) == len(cards)


def test_a_card_about_the_only_order_does_not() -> None:
    for card in answer(sample(J3590))["cards"]:
        assert "davinci-crd.associated-resource" not in card.get("extension", {})
