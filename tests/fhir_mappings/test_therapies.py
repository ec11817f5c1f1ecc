"""Which therapy an order is for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings import products, therapies
from fhir_mappings.systems import system_uri
from fhir_mappings.therapies import display_name, groups, ids, read_registry, recognise

HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
CPT = "http://www.ama-assn.org/go/cpt"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"
SNOMED = "http://snomed.info/sct"
UNII = "http://fdasis.nlm.nih.gov"


def therapy(*codings: tuple[str, str], text: str = "") -> tuple[str, str] | None:
    found = recognise(codings, [text] if text else [])
    return (found.therapy, found.identified) if found else None


@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        ((RXNORM, "2642270"), ("donislecel", "product")),
        ((RXNORM, "2642264"), ("donislecel", "product")),
        ((RXNORM, "2642217"), ("donislecel", "ingredient")),
        ((RXNORM, "2642266"), ("donislecel", "ingredient")),
        ((UNII, "fw00dg4e3p"), ("donislecel", "ingredient")),
        ((PCS, "XW033DA"), ("donislecel", "procedure")),
        ((NDC, "73539-0001-01"), ("donislecel", "product")),
        ((NDC, "73539-001-01"), ("donislecel", "product")),
        ((NDC, "51167-290-09"), ("exagamglogene", "product")),
        ((NDC, "51167029001"), ("exagamglogene", "product")),
        ((NDC, "0053-0300-30"), ("etranacogene", "product")),
        ((NDC, "0053030030"), ("etranacogene", "product")),
        ((NDC, "71894-120-02"), ("onasemnogene_iv", "product")),
        ((HCPCS, "J3392"), ("exagamglogene", "product")),
        ((HCPCS, "j3394"), ("lovotibeglogene", "product")),
        ((CPT, "J3394"), ("lovotibeglogene", "product")),
        ((HCPCS, "C9309"), ("onasemnogene_it", "product")),
        ((HCPCS, "Q2041"), ("axicabtagene", "product")),
        ((PCS, "XW033L7"), ("lifileucel", "procedure")),
        ((PCS, "XW03378"), ("unapproved-tabelecleucel", "procedure")),
        ((PCS, "XW043Q9"), ("unapproved-posoleucel", "procedure")),
        ((PCS, "30233X2"), ("hpc_cord_blood", "procedure")),
        ((HCPCS, "S2102"), ("islet-allogeneic", "procedure")),
        ((CPT, "0584T"), ("islet-allogeneic", "procedure")),
        ((HCPCS, "G0341"), ("islet-allogeneic", "procedure")),
        ((SNOMED, "447981001"), ("islet-allogeneic", "procedure")),
        ((CPT, "48160"), ("islet-autologous", "procedure")),
        ((PCS, "3E033U0"), ("islet-autologous", "procedure")),
        ((PCS, "6ABF0BZ"), ("islet-excluded", "procedure")),
        ((PCS, "0FYG0Z2"), ("islet-excluded", "procedure")),
        ((HCPCS, "38242"), ("donor-lymphocyte-infusion", "procedure")),
        ((HCPCS, "S2107"), ("adoptive-cell-therapy", "procedure")),
        ((PCS, "XW033C7"), ("adoptive-cell-therapy", "procedure")),
        ((PCS, "XW043G7"), ("adoptive-cell-therapy", "procedure")),
        ((CPT, "38228"), ("adoptive-cell-therapy", "procedure")),
        ((CPT, "89258"), ("fertility-preservation", "procedure")),
        ((HCPCS, "A0130"), ("medical-transport", "procedure")),
        ((HCPCS, "J3590"), ("unidentified-biologic", "procedure")),
        ((HCPCS, "C9399"), ("unidentified-biologic", "procedure")),
        ((PCS, "30233C0"), ("unidentified-biologic", "procedure")),
    ],
)
def test_a_code_names_a_therapy(coding: tuple[str, str], expected: tuple[str, str]) -> None:
    assert therapy(coding) == expected


@pytest.mark.parametrize(
    "code", ["96365", "36511", "37799", "86950", "38215", "S2150", "38240", "38205", "38241", "99213"]
)
def test_a_code_that_identifies_nothing_alone_is_no_therapy(code: str) -> None:
    assert therapy((HCPCS, code)) is None
    assert therapy((CPT, code)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lantidra", "donislecel"),
        ("LANTIDRA (donislecel-jujn) infusion", "donislecel"),
        ("donislecel-juin", "donislecel"),
        ("Donislecel-hyphenjujn", "donislecel"),
        ("Luxterna", "voretigene"),
        ("lovetibeglogene autotemcel", "lovotibeglogene"),
        ("exa-cel", "exagamglogene"),
        ("onasemnogene abeparvovec-xioi", "onasemnogene_iv"),
        ("onasemnogene abeparvovec-brve", "onasemnogene_it"),
        ("TIL therapy with lifileucel", "lifileucel"),
        ("Ebvallo", "unapproved-tabelecleucel"),
        ("RGX-121", "unapproved-clemidsogene"),
        ("MACI implant", "maci"),
        ("Pancreatic islet cell transplantation", "islet-allogeneic"),
        ("Autologous islet transplant after pancreatectomy", "islet-autologous"),
        ("TPIAT", "islet-autologous"),
        ("Bioartificial pancreas", "islet-excluded"),
        ("Porcine islet transplant", "islet-excluded"),
        ("Ex situ machine perfusion of the pancreas", "islet-excluded"),
        ("Donor lymphocyte infusion", "donor-lymphocyte-infusion"),
        ("DLI #2", "donor-lymphocyte-infusion"),
        ("Buffy coat infusion", "donor-lymphocyte-infusion"),
        ("TIL", "adoptive-cell-therapy"),
        ("CIK cells", "adoptive-cell-therapy"),
        ("LAK cells", "adoptive-cell-therapy"),
        ("CTL", "adoptive-cell-therapy"),
        ("Dendritic cell vaccine", "adoptive-cell-therapy"),
        ("Genetically engineered T cells", "adoptive-cell-therapy"),
        ("CAR-T infusion", "adoptive-cell-therapy"),
        ("Sperm banking", "fertility-preservation"),
        ("Non-emergency medical transportation", "medical-transport"),
        ("anitocabtagene autoleucel", "undetermined-anitocabtagene"),
    ],
)
def test_a_name_names_a_therapy(text: str, expected: str) -> None:
    assert therapy(text=text) == (expected, "text")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Lisinopril 10 MG Oral Tablet",
        "Interleukin-2",
        "aldesleukin (Proleukin)",
        "Nothing by mouth til midnight",
        "MRI CTL spine",
        "Granulocyte infusion, not DLI",
        "Islet cell antibody",
        "Artificial pancreas",
        "Maci, the surname",
        "CAR-T toxicity monitoring",
        "Crossmatch of donor lymphocytes",
        "Consultation about Casgevy",
        "Troponin after Zolgensma",
        "Autologous stem cell harvesting for Casgevy",
        "Apheresis for Kymriah",
        "plerixafor (mobilization for Casgevy)",
        "Islet cell transplant follow-up visit",
    ],
)
def test_other_orders_are_for_no_therapy(text: str) -> None:
    assert therapy(text=text) is None
    assert recognise([], [text], ordered=True) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Donor lymphocyte infusion post allogeneic HSCT", "donor-lymphocyte-infusion"),
        ("KYMRIAH (post-lymphodepletion) IV", "tisagenlecleucel"),
        ("Casgevy clinic-administered infusion", "exagamglogene"),
        ("Imlygic follow-up dose", "talimogene"),
        ("Islet autotransplant post pancreatectomy", "islet-autologous"),
        ("Referral for Casgevy infusion", "exagamglogene"),
        ("Do not irradiate Casgevy", "exagamglogene"),
        ("Not T-cell depleted DLI", "donor-lymphocyte-infusion"),
        ("Unmanipulated, not CD34 selected donor lymphocyte infusion", "donor-lymphocyte-infusion"),
    ],
)
def test_an_order_says_more_than_a_name(text: str, expected: str) -> None:
    found = recognise([("urn:oid:1.2.3", "4711")], [text], ordered=True)
    assert found is not None
    assert found.therapy == expected


def test_a_fertility_order_counts_beside_a_code_of_a_visit() -> None:
    found = recognise([(CPT, "99243")], ["Fertility preservation consultation"], ordered=True)
    assert found is not None
    assert found.therapy == "fertility-preservation"


@pytest.mark.parametrize(
    ("codings", "text", "expected"),
    [
        ([(HCPCS, "J3590")], "Lantidra", ("donislecel", "text")),
        ([(HCPCS, "C9399")], "Donor lymphocyte infusion", ("donor-lymphocyte-infusion", "text")),
        ([(HCPCS, "J3590")], "aldesleukin", None),
        ([(HCPCS, "J3590")], "some new antibody", ("unidentified-biologic", "procedure")),
        ([(HCPCS, "S2102")], "Lantidra", ("donislecel", "text")),
        ([(HCPCS, "S2102"), (RXNORM, "2642217")], "", ("donislecel", "ingredient")),
        ([(CPT, "0584T")], "autologous islets", ("islet-autologous", "text")),
        ([(HCPCS, "S2102")], "autologous islets", ("islet-allogeneic", "procedure")),
        ([(CPT, "0586T")], "islet xenotransplant", ("islet-excluded", "text")),
        ([(CPT, "0584T")], "islet cell transplant", ("islet-allogeneic", "procedure")),
        ([(CPT, "0584T"), (CPT, "48160")], "", ("islet-autologous", "procedure")),
        ([(HCPCS, "S2107")], "Amtagvi", ("lifileucel", "text")),
        ([(HCPCS, "S2107")], "TIL", ("adoptive-cell-therapy", "procedure")),
        ([(PCS, "XW133J8"), (HCPCS, "J3392")], "", ("exagamglogene", "product")),
        ([(CPT, "38242")], "CAR-T cells", ("donor-lymphocyte-infusion", "procedure")),
        ([(HCPCS, "J3590"), (HCPCS, "J3392")], "", ("exagamglogene", "product")),
        ([(HCPCS, "96365")], "Casgevy", ("exagamglogene", "text")),
        ([(CPT, "38240")], "Lantidra", ("donislecel", "text")),
    ],
)
def test_codes_win_over_texts_unless_they_say_less(
    codings: list[tuple[str, str]], text: str, expected: tuple[str, str] | None
) -> None:
    assert therapy(*codings, text=text) == expected


@pytest.mark.parametrize(
    "coding",
    [
        (CPT, "38206"),
        (CPT, "38225"),
        (CPT, "76705"),
        (CPT, "84484"),
        (CPT, "99214"),
        (PCS, "6A550ZV"),
        (RXNORM, "733003"),
        (RXNORM, "42316"),
    ],
)
def test_a_name_beside_a_code_of_something_else_is_only_mentioned(coding: tuple[str, str]) -> None:
    assert therapy(coding, text="Casgevy") is None


@pytest.mark.parametrize(
    ("codings", "text", "by_words"),
    [
        ([], "Casgevy", True),
        ([("urn:local", "4711")], "Casgevy", True),
        ([(HCPCS, "J3590")], "Casgevy", True),
        ([(CPT, "38241")], "Casgevy", True),
        ([(HCPCS, "J3392")], "Casgevy", False),
        ([(CPT, "38228")], "Kymriah", False),
        ([(CPT, "0584T")], "autologous islets", False),
        ([(HCPCS, "S2102")], "", False),
    ],
)
def test_it_is_told_whether_words_alone_name_a_therapy(
    codings: list[tuple[str, str]], text: str, by_words: bool
) -> None:
    found = recognise(codings, [text])
    assert found is not None
    assert found.by_words is by_words


BOTH = (
    "The name fits both Zolgensma and Itvisma; the one whose label fits the age was taken. "
    "Say which product is ordered."
)


@pytest.mark.parametrize(
    ("codings", "text", "expected", "notices"),
    [
        ([], "onasemnogene abeparvovec", "onasemnogene_iv", (BOTH,)),
        ([(RXNORM, "2170226")], "", "onasemnogene_iv", (BOTH,)),
        ([(RXNORM, "2170226")], "onasemnogene abeparvovec", "onasemnogene_iv", (BOTH,)),
        ([(RXNORM, "2170226")], "Zolgensma", "onasemnogene_iv", ()),
        ([(RXNORM, "2170226")], "Itvisma", "onasemnogene_it", ()),
        ([], "Itvisma (onasemnogene abeparvovec)", "onasemnogene_it", ()),
        ([(HCPCS, "C9309")], "onasemnogene abeparvovec", "onasemnogene_it", ()),
        ([(HCPCS, "J3399")], "Zolgensma", "onasemnogene_iv", ()),
    ],
)
def test_a_name_that_two_products_share_is_told_unless_something_says_more(
    codings: list[tuple[str, str]], text: str, expected: str, notices: tuple[str, ...]
) -> None:
    found = recognise(codings, [text])
    assert found is not None
    assert (found.therapy, found.notices) == (expected, notices)


@pytest.mark.parametrize(
    ("codings", "text"), [([(HCPCS, "J3392")], "Lyfgenia"), ([(HCPCS, "J3392"), (HCPCS, "J3394")], "")]
)
def test_two_products_in_one_order_are_told(codings: list[tuple[str, str]], text: str) -> None:
    found = recognise(codings, [text])
    assert found is not None
    assert found.therapy == "exagamglogene"
    lyfgenia, casgevy = "Lyfgenia (lovotibeglogene autotemcel)", "Casgevy (exagamglogene autotemcel)"
    assert found.notices == (f"The order also names {lyfgenia}; it was read as {casgevy}.",)


def test_the_value_sets_of_codes_and_names_come_along() -> None:
    found = recognise([(CPT, "0584T"), (HCPCS, "J3590")], ["Bioartificial pancreas"])
    assert found is not None
    assert found.concepts == {
        "islet-infusion-unstated",
        "unlisted-biologic",
        "generic-billing-codes",
        "bioartificial-pancreas",
    }


def test_every_code_of_a_product_names_it() -> None:
    for product in products.products():
        for code in product.codes:
            found = recognise([(system_uri(code.listed.system), code.listed.code)], [])
            assert found is not None
            assert (found.therapy, found.identified) == (product.id, code.kind)


def test_every_name_of_a_product_names_it() -> None:
    for product in products.products():
        for name in product.names + product.exact_names:
            assert therapy(text=f"Order for {name}, one dose") == (product.id, "text")


def test_every_therapy_has_a_name_for_the_card() -> None:
    assert display_name("donislecel") == "Lantidra (donislecel-jujn)"
    assert display_name("maci").startswith("MACI (")
    assert display_name("lifileucel") == "Amtagvi (lifileucel)"
    assert display_name("unapproved-posoleucel") == "posoleucel"
    assert all(display_name(one) for one in ids())
    with pytest.raises(KeyError):
        display_name("nothing")


def test_groups_hold_therapies() -> None:
    assert set().union(*groups().values()) <= ids()
    assert "exagamglogene" in groups()["cell-and-gene-products"]
    assert groups()["unapproved-products"] == {one for one in ids() if one.startswith(("unapproved-", "undetermined-"))}
    assert len(groups()["car-t-products"]) == 7
    assert groups()["car-t-products"] < groups()["cell-and-gene-products"]


@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.text())), st.lists(st.text()))
def test_no_order_makes_it_fail(codings: list[tuple[str | None, str | None]], texts: list[str]) -> None:
    found = recognise(codings, texts)
    assert found is None or found.therapy in ids()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{therapies: []}", "misses ['nothing']"),
        ("{therapies: [{id: a, title: A, words: []}], nothing: []}", "misses ['codes']"),
        (
            "{therapies: [{id: a, title: A, codes: [{value_set: none}], words: []}], nothing: []}",
            "'none' is no value set",
        ),
        ("{therapies: [{id: a, title: A, codes: [{value_set: nemt, x: 1}], words: []}], nothing: []}", "unknown keys"),
        ("{therapies: [{id: a, title: A, codes: [], words: [{words: a}]}], nothing: []}", "expected a list of texts"),
        ("{therapies: [], nothing: [], mentioned: {x: [a]}}", "unknown keys ['x']"),
        ("{therapies: [], nothing: [], something_else: {x: []}}", "unknown keys ['x']"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(content: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "therapies.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"^therapies\.yaml: ") as raised:
        read_registry(path, *products.registry())
    assert problem in str(raised.value)


def test_one_code_for_two_products_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "therapies.yaml"
    path.write_text("{therapies: [], nothing: []}")
    twice = {name: products.registry()[0]["donislecel"] for name in ("donislecel", "other")}
    twice["other"] = products.Product(
        "other", None, "other", "x", ("other",), (), twice["donislecel"].codes, "approved"
    )
    with pytest.raises(ValueError, match="other: 2642217 is also a code of another product"):
        read_registry(path, twice, ())


def test_an_order_for_nothing_we_know_stays_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(therapies, "match_code", None)
    monkeypatch.setattr(therapies, "match_words", None)
    assert recognise([(RXNORM, "314076")], ["Lisinopril 10 MG Oral Tablet"]) is None
