"""The registry of products."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fhir_mappings.facts import Approval, Course, DateRange
from fhir_mappings.products import approval, course, product, products, read_products


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
    stratagraft = product("stratagraft")
    assert stratagraft is not None
    assert stratagraft.approved == DateRange(date(2021, 6, 1), date(2021, 6, 30))


def test_what_is_not_approved_or_not_known_to_be_has_no_approval() -> None:
    by_state = {
        state: {one.id for one in products() if one.state == state} for state in ("not-approved", "undetermined")
    }
    assert by_state["not-approved"] == {one.id for one in products() if one.id.startswith("unapproved-")}
    assert by_state["undetermined"] == {one.id for one in products() if one.id.startswith("undetermined-")}
    assert {one.id for one in products() if one.approved is None} == by_state["not-approved"] | by_state["undetermined"]
    assert (len(by_state["not-approved"]), len(by_state["undetermined"])) == (3, 5)


def test_the_approval_of_a_therapy_says_what_the_registry_knows() -> None:
    day = DateRange.day(date(2023, 12, 8))
    note = "For sickle cell disease; for beta thalassemia since 2024-01-16; widened 2026-07."
    assert approval("exagamglogene") == Approval("approved", day, note)
    assert approval("lovotibeglogene") == Approval("approved", day)
    assert approval("unapproved-clemidsogene") == Approval(
        "not-approved", note="A complete response letter of 2026-02-07."
    )
    assert approval("undetermined-ux111") == Approval("undetermined", note="Not looked up after early 2026.")
    assert approval("unidentified-biologic") == Approval("unidentified")
    assert approval("donor-lymphocyte-infusion") is None


def test_a_product_that_left_the_market_says_so() -> None:
    beqvez = approval("fidanacogene")
    assert beqvez is not None
    assert beqvez.market == "It has not been marketed since 2025-02."


def test_what_is_not_known_to_be_approved_says_why() -> None:
    assert [one.id for one in products() if one.state != "approved" and not one.approval_note] == []


@pytest.mark.parametrize(
    ("therapy", "expected"),
    [
        ("exagamglogene", Course(1)),
        ("voretigene", Course(2)),
        ("obecabtagene", Course(2, 21)),
        ("sipuleucel", Course(3)),
        ("donislecel", Course(3)),
        ("beremagene", Course(None)),
        ("maci", Course(None)),
        ("unapproved-posoleucel", None),
        ("undetermined-deramiocel", None),
        ("adoptive-cell-therapy", None),
    ],
)
def test_a_course_is_what_the_label_counts_as_one(therapy: str, expected: Course | None) -> None:
    assert course(therapy) == expected


def test_whatever_is_given_once_says_how_many_administrations_that_is() -> None:
    assert [one.id for one in products() if one.one_time and one.administrations_per_course is None] == ["maci"]


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
REST = "shared_names: [], not_approved: [], undetermined: []"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "expected keys and values"),
        ("{products: [], not_approved: [], undetermined: []}", "misses ['shared_names']"),
        (f"{{products: [{ONE}}}, {ONE}}}], {REST}}}", "a stands there twice"),
        (f"{{products: [{ONE}, approved: 2024-04-31}}], {REST}}}", "not YAML"),
        (f"{{products: [{ONE}, approved: 2024-04-30}}], {REST}}}", "is no date in quotes"),
        (f"{{products: [{ONE}, approved: soon}}], {REST}}}", "a: 'soon' is no date"),
        (f"{{products: [{ONE}, discontinued: soon}}], {REST}}}", "a: 'soon' is no date"),
        (f"{{products: [{ONE}, price: 1}}], {REST}}}", "unknown keys ['price']"),
        (
            f"{{products: [{ONE}, codes: [{{system: unii, verified: v, codes: [a]}}]}}], {REST}}}",
            "None does not say how closely",
        ),
        (
            (
                "{products: [], not_approved: [], undetermined: [],"
                " shared_names: [{products: [z], names: [z], notice: n}]}"
            ),
            "'z' is no product",
        ),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(content: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "products.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"^products\.yaml: ") as raised:
        read_products(path)
    assert problem in str(raised.value)
