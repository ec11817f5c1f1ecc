"""The offered order: a deep copy of the raw one with the product's own code, everything else as it was."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.cards.render import Context
from cds_service.cards.suggestion import product_code, with_code
from fhir_mappings.systems import system_uri
from tests.cds_service.cards.reading import empty_members, kinds

HCPCS = system_uri("hcpcs")
UNLISTED = ("J3590", "C9399")
EXTENSION = [{"url": "https://ehr.example.org/fhir/StructureDefinition/x", "valueString": "kept"}]


def order(*codings: Any, member: str = "medicationCodeableConcept", **members: Any) -> dict[str, Any]:
    concept = {"coding": list(codings), "text": "Casgevy", "extension": EXTENSION}
    return {
        "resourceType": "MedicationRequest",
        "id": "o1",
        "meta": {"versionId": "3"},
        "extension": EXTENSION,
        "status": "draft",
        "_status": {"id": "s"},
        "note": [{"text": "J3590"}, None],
        "unknownMember": {"deep": [1, None, {"system": HCPCS, "code": "J3590"}]},
        "contained": [{"resourceType": "Organization", "id": "c", "name": ""}],
        member: concept,
        **members,
    }


CODING = {"system": HCPCS, "code": "J3590"}
NEW = {"system": HCPCS, "code": "J3392"}
NDC = {"system": "http://hl7.org/fhir/sid/ndc", "code": "51167-290-01"}


@pytest.mark.parametrize("member", ["medicationCodeableConcept", "code", "codeCodeableConcept"])
@pytest.mark.parametrize(
    "coding",
    [
        CODING,
        {**CODING, "code": "C9399"},
        {**CODING, "code": "j3590"},
        {**CODING, "system": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"},
        {**CODING, "system": "http://www.ama-assn.org/go/cpt"},
        {**CODING, "display": "Unclassified biologics", "version": "2026", "_display": {"id": "d"}},
    ],
)
def test_only_the_code_changes(coding: dict[str, Any], member: str) -> None:
    raw = order(NDC, coding, member=member)
    before = copy.deepcopy(raw)
    changed = with_code(raw, UNLISTED, "J3392")
    assert changed == order(NDC, NEW, member=member)
    assert raw == before


def test_a_coding_keeps_what_does_not_describe_its_code() -> None:
    kept = {"id": "c", "extension": EXTENSION, "userSelected": True}
    assert with_code(order({**CODING, **kept, "display": "x"}), UNLISTED, "J3392") == order({**NEW, **kept})


def test_the_copy_shares_nothing_with_the_original() -> None:
    raw = order(CODING)
    changed = with_code(raw, UNLISTED, "J3392")
    assert changed is not None
    changed["unknownMember"]["deep"].append("mine")
    changed["extension"][0]["valueString"] = "changed"
    changed["medicationCodeableConcept"]["text"] = "changed"
    assert raw == order(CODING)


@pytest.mark.parametrize(
    "raw",
    [
        order(NDC),
        order(),
        order({**CODING, "system": "https://ehr.example.org/codes"}),
        order({"code": "J3590"}),
        order({"system": HCPCS}),
        order("J3590", None, 5, {"system": 5, "code": ["J3590"]}, {"system": HCPCS, "code": None}),
        order(CODING, member="somethingElse"),
        order(medicationCodeableConcept="J3590"),
        order(medicationCodeableConcept={"coding": CODING}),
        {k: v for k, v in order(CODING).items() if k != "id"},
        {**order(CODING), "id": 5},
        order(NEW, CODING),
        order(contained={"resourceType": "Medication", "id": "m", "code": {"coding": [CODING]}}),
        order(contained=[None, {"resourceType": "Substance", "id": "m", "code": {"coding": [CODING]}}]),
        {**order(), "medicationReference": {"reference": "Medication/m"}},
    ],
    ids=lambda raw: None,
)
def test_an_order_whose_code_stands_elsewhere_gets_no_offer(raw: dict[str, Any]) -> None:
    before = copy.deepcopy(raw)
    assert with_code(raw, UNLISTED, "J3392") is None
    assert raw == before


def by_contained(coding: dict[str, Any]) -> dict[str, Any]:
    medication = {"resourceType": "Medication", "id": "m", "code": {"coding": [NDC, coding]}, "extension": EXTENSION}
    raw = order(contained=[{"resourceType": "Organization", "id": "c"}, medication])
    return {**raw, "medicationReference": {"reference": "#m"}}


def test_a_contained_medication_is_part_of_the_order() -> None:
    raw = by_contained(CODING)
    assert with_code(raw, UNLISTED, "J3392") == by_contained(NEW)
    assert raw == by_contained(CODING)


def test_what_cannot_be_read_does_not_hide_the_code_behind_it() -> None:
    odd = {"system": 5, "code": ["x"]}
    assert with_code(order(odd, None, CODING), UNLISTED, "J3392") == order(odd, None, NEW)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["J3590", HCPCS, "coding"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["system", "code", "coding", "x"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), json, max_size=4), json)
def test_any_order_is_copied_as_it_is_or_not_at_all(members: dict[str, Any], odd: Any) -> None:
    raw = {**order(odd, CODING), **members}
    before = copy.deepcopy(raw)
    changed = with_code(raw, UNLISTED, "J3392")
    assert raw == before
    if changed is not None:
        assert {k: v for k, v in changed.items() if k != "medicationCodeableConcept"} == {
            k: v for k, v in before.items() if k != "medicationCodeableConcept"
        }


class TestCard:
    def card(self, changed: dict[str, Any]) -> dict[str, Any]:
        ids = (f"uuid-{n}" for n in itertools.count())
        context = Context("https://cds.example.org", lambda: next(ids), lambda _: "Casgevy (exa)", str)
        return product_code(changed, "J3392", "exagamglogene", "WellCare of North Carolina", context)

    def test_it_offers_one_update(self) -> None:
        changed = order(NEW)
        found = self.card(changed)
        [suggestion] = found["suggestions"]
        [action] = suggestion["actions"]
        assert (found["uuid"], suggestion["uuid"]) == ("uuid-0", "uuid-1")
        assert (action["type"], action["resource"]) == ("update", changed)
        assert suggestion["label"] == "Use J3392"
        assert found["selectionBehavior"] == "at-most-one"
        assert found["indicator"] == "info"
        assert found["source"]["label"] == "WellCare of North Carolina"
        assert found["source"]["topic"]["code"]

    def test_it_has_no_empty_member_of_its_own(self) -> None:
        assert empty_members(self.card(order(NEW))) == []

    def test_the_summary_is_short_whatever_the_product_is_called(self) -> None:
        context = Context("", lambda: "u", lambda _: "Long name " * 30, str)
        assert len(product_code(order(NEW), "J3392", "x", "p", context)["summary"]) < 140

    def test_the_order_is_named_in_a_code_span(self) -> None:
        found = self.card({**order(NEW), "id": "<b>[x](y)`z"})
        assert kinds(found["detail"]) <= {"p", "code"}
