"""The route that an order states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from fhir_mappings import routes
from fhir_mappings.facts import Coding
from fhir_mappings.routes import ROUTES, read_routes

from .examples import SNOMED, concept, damaged, lantidra_order, service_request


def stated(*dosages: Any, ordered: tuple[Coding, ...] = (), **fields: Any) -> set[str]:
    return set(routes.stated(lantidra_order(dosageInstruction=[*dosages], **fields), ordered))


def pcs(code: str) -> tuple[Coding, ...]:
    return (Coding("icd-10-pcs", code),)


@pytest.mark.parametrize(
    ("code", "route"),
    [
        ("47625008", "intravenous"),
        ("418114005", "intravenous"),
        ("58771000052103", "portal-vein"),
        ("72607000", "intrathecal"),
        ("58831000052108", "subretinal"),
        ("418401004", "intravitreal"),
        ("6064005", "topical"),
        ("372471009", "intravesical"),
        ("447122006", "intralesional"),
        ("12130007", "intra-articular"),
        ("34206005", "subcutaneous"),
        ("78421000", "intramuscular"),
        ("26643006", "oral"),
    ],
)
def test_a_route_is_known_by_its_snomed_code(code: str, route: str) -> None:
    assert stated({"route": concept(SNOMED, code)}) == {route}


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("Single IV infusion", "intravenous"),
        ("give i.v. over 30 min", "intravenous"),
        ("Infuse once through a central venous catheter", "intravenous"),
        ("Single infusion via hepatic portal vein", "portal-vein"),
        ("Intrathecal injection by lumbar puncture", "intrathecal"),
        ("0.3 mL sub-retinal, right eye", "subretinal"),
        ("Intravitreal implant, left eye", "intravitreal"),
        ("Bilateral infusion into the putamen", "intraputaminal"),
        ("Apply topically once a week", "topical"),
        ("75 mL into the bladder, hold 1 hour", "intravesical"),
        ("Inject into the lesions, subcutaneous lesions too", "intralesional"),
        ("Through the round window", "intracochlear"),
        ("Surgical implantation, knee", "surgical"),
        ("Intraarticular", "intra-articular"),
        ("Subcutaneously, four doses", "subcutaneous"),
        ("Take by mouth", "oral"),
        ("Not intravenous", None),
        ("For grade IV disease", None),
        ("iv", None),
        ("Premedicate with IV steroids", None),
        ("As directed", None),
    ],
)
def test_a_route_is_known_by_words(text: str, route: str | None) -> None:
    expected = {route} if route else set()
    assert stated({"text": text}) == expected
    assert stated({"route": {"text": text}}) == expected


def test_the_site_and_the_details_of_an_order_can_tell_the_route() -> None:
    assert stated({"site": {"text": "Hepatic portal vein"}}) == {"portal-vein"}
    detailed = service_request(orderDetail=[{"text": "Intrathecal"}])
    assert routes.stated(detailed, ()) == {"intrathecal"}


def test_a_vein_named_exactly_takes_the_place_of_any_vein() -> None:
    assert stated({"route": concept(SNOMED, "419993007")}) == {"intravenous"}
    assert stated({"route": concept(SNOMED, "419993007", "Intravenous portal route")}) == {"portal-vein"}
    assert stated({"route": concept(SNOMED, "47625008"), "text": "into the portal vein"}) == {"portal-vein"}


@pytest.mark.parametrize("code", ["30233Q1", "30243X2", "XW033C3", "XW04368", "XW133J8", "XW143J8"])
def test_a_vein_in_a_procedure_code_is_intravenous(code: str) -> None:
    assert stated(ordered=pcs(code)) == {"intravenous"}


@pytest.mark.parametrize("code", ["XW033DA", "3E033U1", "XW0Q316", "XHRPXF7", "0TY00Z0"])
def test_other_procedure_codes_and_those_of_islets_tell_no_route(code: str) -> None:
    assert stated(ordered=pcs(code)) == set()


def test_a_vein_is_told_by_procedure_codes_only() -> None:
    assert stated(ordered=(Coding("snomed", "30233"), Coding("hcpcs", "XW133J8"))) == set()


def test_words_beside_the_stated_route_add_nothing_unless_they_contradict_it() -> None:
    eye = concept(SNOMED, "58831000052108")
    assert stated({"route": eye, "text": "Subretinal, with IV sedation"}) == {"subretinal"}
    assert stated({"route": eye, "text": "Intravitreal"}) == {"subretinal", "intravitreal"}
    assert stated({"route": eye}, ordered=pcs("XW133J8")) == {"subretinal", "intravenous"}


def test_several_dosages_each_say_a_route() -> None:
    assert stated({"text": "IV"}, {"route": concept(SNOMED, "72607000")}) == {"intravenous", "intrathecal"}


def test_every_route_can_be_stated() -> None:
    words = {"intra-articular": "intra-articular", "oral": "by mouth", "surgical": "surgical placement"}
    assert {route for name in ROUTES for route in stated({"text": words.get(name, name)})} == set(ROUTES)


@given(damaged([lantidra_order(dosageInstruction=[{"text": "IV", "route": concept(SNOMED, "1"), "site": {}}])]))
def test_a_damaged_dosage_never_raises(resource: dict[str, Any]) -> None:
    routes.stated(resource, ())


CODES = "codes: [{system: snomed, verified: v, codes: ['421437000']}]"
ORAL, TOPICAL = (f"{{route: {route}, words: [], {CODES}}}" for route in ("oral", "topical"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "expected keys and values"),
        ("{routes: [{route: sideways, words: []}], untold: []}", "'sideways' is no route"),
        ("{routes: [{route: oral, words: [], within: x}], untold: []}", "'x' is no route"),
        (f"{{untold: [], routes: [{ORAL}, {TOPICAL}]}}", "421437000 is also a code of another route"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(content: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"^routes\.yaml: ") as raised:
        read_routes(path)
    assert problem in str(raised.value)
