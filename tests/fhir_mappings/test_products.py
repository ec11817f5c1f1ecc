"""The registry of products."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fhir_mappings.facts import DateRange
from fhir_mappings.products import product, products, read_products


def test_products_have_their_facts() -> None:
    lantidra = product("donislecel")
    assert lantidra is not None
    assert lantidra.approved == DateRange.day(date(2023, 6, 28))
    assert (lantidra.one_time, lantidra.max_doses, lantidra.hcpcs) == (False, 3, ())
    casgevy = product("exagamglogene")
    assert casgevy is not None
    assert (casgevy.one_time, casgevy.cgt_access_model, casgevy.hcpcs) == (True, True, ("J3392",))
    luxturna = product("voretigene")
    assert luxturna is not None
    assert (luxturna.one_time, luxturna.administrations_per_course) == (True, 2)


def test_an_approval_of_which_only_the_month_is_known_is_a_range() -> None:
    beqvez = product("fidanacogene")
    assert beqvez is not None
    assert beqvez.approved == DateRange(date(2024, 4, 1), date(2024, 4, 30))


def test_what_is_not_approved_has_no_approval() -> None:
    open_ones = {one.id for one in products() if one.approved is None}
    assert open_ones == {one.id for one in products() if one.id.startswith("unapproved-")}
    assert len(open_ones) == 3


def test_cord_blood_is_never_an_earlier_product_and_38240_is_no_code_of_it() -> None:
    assert [one.id for one in products() if not one.earlier_product] == ["hpc_cord_blood"]
    cord_blood = product("hpc_cord_blood")
    assert cord_blood is not None
    assert {code.listed.system for code in cord_blood.codes} == {"icd-10-pcs"}


def test_only_casgevy_and_lyfgenia_are_drugs_of_the_access_model() -> None:
    assert {one.id for one in products() if one.cgt_access_model} == {"exagamglogene", "lovotibeglogene"}


def test_a_therapy_that_is_no_product_has_none() -> None:
    assert product("donor-lymphocyte-infusion") is None


def test_every_code_says_against_what_it_was_checked() -> None:
    assert all(code.listed.verified for one in products() for code in one.codes)


def test_the_labels_of_unlisted_codes_are_no_codes_of_a_product() -> None:
    assert not {code.listed.code for one in products() for code in one.codes} & {"J3590", "C9399", "J9999", "38240"}


ONE = "{id: a, brand: A, generic: b, class: c, names: [a]"
REST = "shared_names: [], not_approved: []"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "expected keys and values"),
        ("{products: [], not_approved: []}", "misses ['shared_names']"),
        (f"{{products: [{ONE}}}, {ONE}}}], {REST}}}", "a stands there twice"),
        (f"{{products: [{ONE}, approved: 2024-04-31}}], {REST}}}", "not YAML"),
        (f"{{products: [{ONE}, approved: 2024-04-30}}], {REST}}}", "is no date in quotes"),
        (f"{{products: [{ONE}, approved: soon}}], {REST}}}", "a: 'soon' is no date"),
        (f"{{products: [{ONE}, price: 1}}], {REST}}}", "unknown keys ['price']"),
        (
            f"{{products: [{ONE}, codes: [{{system: unii, verified: v, codes: [a]}}]}}], {REST}}}",
            "None does not say how closely",
        ),
        ("{products: [], shared_names: [{product: z, names: [z], notice: n}], not_approved: []}", "'z' is no product"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(content: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "products.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"^products\.yaml: ") as raised:
        read_products(path)
    assert problem in str(raised.value)
