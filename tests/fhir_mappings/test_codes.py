"""Which value sets codes and texts are in, and the laws that hold for every value set file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings import codes, listings, strict_yaml
from fhir_mappings.codes import NOTHING, Match, match_code, match_words, together, value_set, value_set_names
from fhir_mappings.listings import is_verified, read_value_set
from fhir_mappings.systems import DATA, system_names

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
NDC = "http://hl7.org/fhir/sid/ndc"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SOPT = "https://nahdo.org/sopt"

FILES = sorted((DATA / "value_sets").glob("*.yaml"))


def concepts(system: str | None, code: str | None) -> set[str]:
    return set(match_code(system, code).concepts)


def said(text: str, scope: str) -> set[str]:
    return set(match_words(text, scope).concepts)


# Laws


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_value_set_loads_has_a_title_of_its_own_and_known_systems(path: Path) -> None:
    one = read_value_set(path)
    assert one.name == path.stem
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.name)
    assert one.title.strip()
    assert {code.system for code in one.codes} <= system_names()
    assert all(code.verified for code in one.codes)
    assert all(words.verified for words in one.words)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_code_lists_hold_codes_and_no_texts_of_code_systems(path: Path) -> None:
    found = strict_yaml.read(path)
    for group in [*found.get("codes", []), *found.get("prefixes", [])]:
        assert set(group) == {"system", "verified", "codes"}
        assert all(re.fullmatch(r"[A-Za-z0-9.-]{1,20}", code) for code in group["codes"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_code_stands_once_in_a_value_set(path: Path) -> None:
    listed = [(code.system, code.code) for code in read_value_set(path).codes]
    assert sorted(listed) == sorted(set(listed))


def test_every_file_is_a_value_set_of_its_name() -> None:
    assert {path.stem for path in FILES} == value_set_names()
    assert {value_set(name).name for name in value_set_names()} == value_set_names()


def test_every_listed_code_leads_to_its_value_set() -> None:
    for name in value_set_names():
        for code in value_set(name).codes:
            assert name in codes.match_code(codes.system_uri(code.system), code.code).concepts


def test_every_word_leads_to_its_value_set() -> None:
    for name in value_set_names():
        for words in value_set(name).words:
            for scope in words.scopes:
                assert [word for word in words.wording.words if name not in said(word, scope)] == []


def test_unverified_is_always_a_part_of_the_concepts() -> None:
    for name in value_set_names():
        for code in value_set(name).codes:
            match = codes.match_code(codes.system_uri(code.system), code.code)
            assert match.unverified <= match.concepts
            assert not is_verified(code.verified) or name not in match.unverified


# Traps


def test_presymptomatic_stages_are_not_type_1_diabetes() -> None:
    assert concepts(ICD, "E10.A2") == {"type-1-diabetes-presymptomatic"}
    assert concepts(ICD, "E10.9") == {"type-1-diabetes"}
    assert concepts(ICD, "E11.65") == {"diabetes-not-type-1"}


def test_hypoglycemia_without_coma_has_no_stated_severity() -> None:
    assert concepts(ICD, "E10.649") == {"type-1-diabetes", "hypoglycemia-any"}
    assert concepts(ICD, "E10.641") == {"type-1-diabetes", "severe-hypoglycemia"}
    assert concepts(ICD, "E16.A3") == {"severe-hypoglycemia"}
    assert concepts(ICD, "E16.A2") == {"hypoglycemia-any"}


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (LOINC, "41995-2"),
        (CPT, "83036"),
        (ICD, "Z71.89"),
        (ICD, "K86.81"),
        (ICD, "N48.32"),
        (ICD, "Z52.4"),
        (CPT, "50380"),
        (PCS, "6A550Z1"),
        (ICD, "D56.3"),
    ],
)
def test_codes_that_mislead_are_in_no_value_set(system: str, code: str) -> None:
    assert match_code(system, code) == NOTHING


def test_corrections_of_the_lists_hold() -> None:
    assert concepts(ICD, "Z90.411") == {"pancreatectomy-partial"}
    assert concepts(ICD, "Z90.410") == {"pancreatectomy-total"}
    assert concepts(SNOMED, "60001007") == {"not-pregnant"}
    assert concepts(LOINC, "82810-3") == {"pregnancy-status-question"}
    assert concepts(LOINC, "2106-3") == {"pregnancy-test"}
    assert concepts(LOINC, "72166-2") == {"tobacco-status-question"}
    assert concepts(HCPCS, "J3590") == {"unlisted-biologic", "generic-billing-codes"}
    assert concepts(CPT, "86950") == {"generic-billing-codes"}
    assert concepts(HCPCS, "S2150") == {"generic-billing-codes"}
    assert concepts(ICD, "T86.12") == {"kidney-transplant", "lantidra-label-cautions"}
    assert "cald" not in concepts(ICD, "E71.521")


@pytest.mark.parametrize(
    ("code", "now"),
    [
        ("O09.92", True),
        ("O09.A1", True),
        ("O14.02", True),
        ("O14.04", False),
        ("O15.03", True),
        ("O15.2", False),
        ("O24.414", True),
        ("O24.424", False),
        ("O26.612", True),
        ("O26.63", False),
        ("O36.5920", True),
        ("O60.02", True),
        ("O60.14X0", False),
        ("O71.02", False),
        ("O88.011", True),
        ("O98.511", True),
        ("O99.213", True),
        ("O99.214", False),
        ("O9A.212", True),
        ("O9A.22", False),
        ("O00.101", False),
        ("O80", False),
        ("O13", False),
    ],
)
def test_the_pregnancy_chapter_says_pregnant_now_or_leaves_it_open(code: str, now: bool) -> None:
    assert concepts(ICD, code) - {"type-1-diabetes", "diabetes-not-type-1"} == (
        {"pregnancy-birth-or-after", "pregnancy-current"} if now else {"pregnancy-birth-or-after"}
    )


def test_remission_is_neither_current_use_nor_active() -> None:
    assert concepts(ICD, "F17.211") == {"tobacco-not-current"}
    assert concepts(ICD, "F11.21") == {"substance-in-remission"}
    assert concepts(ICD, "F11.20") == {"substance-use-active", "opioid-use-disorder"}
    assert concepts(SNOMED, "266927001") == {"tobacco-unknown"}


def test_hardship_is_not_unwillingness() -> None:
    assert concepts(ICD, "Z91.190") == concepts(ICD, "Z91.A41") == {"noncompliance-financial-hardship"}
    assert concepts(ICD, "Z91.199") == {"noncompliance-patient"}


def test_living_alone_is_not_absence_of_support() -> None:
    assert "social-support-lacking" not in concepts(ICD, "Z60.2")
    assert "social-support-lacking" in concepts(ICD, "Z60.4")


def test_chimerism_results_tell_whose_share_they_are() -> None:
    assert concepts(LOINC, "104480-9") == {"chimerism-recipient"}
    assert said("Chimerism, donor", "observations") == {"chimerism-donor"}
    assert said("Host chimerism", "observations") == {"chimerism-recipient"}
    assert said("Chimerism study", "observations") == {"chimerism-undirected"}


def test_a_transplant_status_does_not_say_allogeneic() -> None:
    for code in ("Z94.84", "Z94.81", "T86.5", "T86.09"):
        assert concepts(ICD, code) == {"hsct-unstated", "hsct-status"}


def test_a_harvest_for_car_t_is_no_earlier_therapy() -> None:
    assert concepts(CPT, "38225") == {"cart-preparation"}
    assert concepts(CPT, "38228") == {"prior-cart-procedure"}


def test_prefixes_hold_for_all_codes_below_them() -> None:
    assert concepts(ICD, "C92.02") == {"heme-malignancy", "heme-malignancy-relapse"}
    assert concepts(ICD, "C84.98") == {"heme-malignancy"}
    assert concepts(PCS, "0FBG4ZZ") == {"pancreatectomy-partial"}
    assert concepts(ICD, "C8") == set()


def test_an_ndc_of_ten_digits_is_tried_in_every_form() -> None:
    assert concepts(NDC, "7353900101") == concepts(NDC, "73539-001-01") == {"donislecel-product"}
    assert concepts(NDC, "0000000000") == set()


def test_the_line_of_business_is_in_the_type_of_coverage() -> None:
    assert concepts(SOPT, "111") == {"medicare-advantage"}
    assert concepts("urn:oid:2.16.840.1.113883.3.221.5", "211") == {"medicaid"}


def test_what_rests_on_unverified_codes_alone_is_marked() -> None:
    assert match_code(CPT, "43264") == Match(
        frozenset({"pancreatitis-treatment"}), frozenset({"pancreatitis-treatment"})
    )
    assert match_code(RXNORM, "274783").unverified == frozenset()


def test_something_verified_settles_what_is_unverified() -> None:
    sure, unsure = Match(frozenset("ab"), frozenset()), Match(frozenset("bc"), frozenset("bc"))
    assert together([sure, unsure, NOTHING]) == Match(frozenset("abc"), frozenset("c"))
    assert together([]) == NOTHING


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Insulin glargine 100 UNT/ML Pen Injector [Lantus]", {"insulin-any", "insulin-basal"}),
        ("insulin lispro", {"insulin-any", "insulin-prandial"}),
        ("Humulin 70/30", {"insulin-any", "insulin-basal", "insulin-prandial"}),
        ("insulin", {"insulin-any"}),
        ("Insulin syringe 1 mL", set()),
        ("insulin pump", {"insulin-pump"}),
        ("Tacrolimus 1 MG Oral Capsule", {"immunosuppressant-maintenance"}),
        ("Tacrolimus 0.1 % topical ointment", set()),
        ("cyclosporine ophthalmic emulsion", set()),
        ("methadone 10 mg", {"opioid-agonist-treatment"}),
        ("Lisinopril 10 MG", set()),
    ],
)
def test_drugs_are_known_by_their_names(text: str, expected: set[str]) -> None:
    assert said(text, "medications") - {"insulin-any"} == expected - {"insulin-any"}
    if "insulin-any" in expected:
        assert "insulin-any" in said(text, "medications")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AML, to prevent relapse", {"relapse-purpose"}),
        ("Mixed chimerism without relapse", set()),
        ("Relapse after T-cell depleted transplant", {"relapse-purpose"}),
        ("Relapsed after CAR-T", {"relapse-purpose"}),
        ("No molecular relapse; donor chimerism falling", set()),
        ("Not in relapse", set()),
        ("No evidence of disease relapse", set()),
        ("Relapse: none", set()),
        ("Relapse not suspected", set()),
        ("CD8-depleted product", {"ex-vivo-manipulation"}),
        ("Selected donor lymphocytes", {"ex-vivo-manipulation"}),
        ("Unmanipulated, not T-cell depleted", set()),
        ("Unmanipulated; not CD34-selected", set()),
        ("Unmanipulated", set()),
        ("Selected dose 1x10^7 CD3/kg", set()),
        ("Dose selected: 1x10^7 CD3/kg", set()),
        ("Prior therapy: CAR-T (2023)", set()),
        ("Lymphocytes expanded ex vivo", {"ex-vivo-manipulation"}),
        ("CAR lymphocytes", {"ex-vivo-manipulation"}),
        ("Injured in a car", set()),
        ("Cells concentrated and frozen", set()),
        ("wishes to come off insulin", {"lifestyle-reasons"}),
        ("despite lifestyle modification", set()),
        ("wants to be insulin free", {"lifestyle-reasons"}),
        ("does not want to stop insulin", set()),
        ("Failed to become insulin free", set()),
        ("Never became insulin free", set()),
        ("no longer insulin free since August", set()),
        ("Severe hypoglycemia; wishes to stop insulin", {"islet-clinical-reasons", "lifestyle-reasons"}),
        ("longevity", {"lifestyle-reasons"}),
        ("To return to an active lifestyle", {"lifestyle-reasons"}),
        ("Patient wants freedom from insulin", {"lifestyle-reasons"}),
    ],
)
def test_reasons_are_known_by_their_words(text: str, expected: set[str]) -> None:
    assert said(text, "reasons") == expected


@pytest.mark.parametrize(
    "text",
    [
        "Removal of insulin pump",
        "Insulin pump removal due to infection",
        "Insulin pump discontinued",
        "Evaluation for insulin pump",
        "Insulin pump candidate counseling",
        "Referral: insulin pump evaluation",
        "Islet transplant evaluation",
        "Considering islet transplant",
    ],
)
def test_a_service_that_only_mentions_a_thing_is_not_that_thing(text: str) -> None:
    assert said(text, "procedures") == set()


@pytest.mark.parametrize(
    "text",
    [
        "Islet transplant follow-up visit",
        "US liver with Doppler, post islet transplant",
        "No complications after islet transplant",
    ],
)
def test_what_comes_after_a_transplant_says_that_there_may_have_been_one(text: str) -> None:
    assert said(text, "procedures") == {"islet-infusion-mentioned"}


@pytest.mark.parametrize(
    ("text", "is_said"),
    [
        ("AML not in remission after relapse", True),
        ("Patient without GVHD has relapse", True),
        ("MRD not cleared after relapse", True),
        ("No evidence of disease relapse", False),
        ("Patient has no relapse", False),
        ("Not in relapse", False),
    ],
)
def test_what_follows_a_turn_is_not_denied_by_what_went_before(text: str, *, is_said: bool) -> None:
    assert ("relapse-purpose" in said(text, "reasons")) == is_said


def test_a_closed_loop_pump_is_no_bioartificial_pancreas() -> None:
    assert said("Artificial pancreas (hybrid closed loop)", "orders") == set()
    assert said("Bioartificial pancreas", "orders") == {"bioartificial-pancreas"}


def test_words_count_only_in_their_scope() -> None:
    assert said("Lantus", "orders") == set()
    with pytest.raises(KeyError):
        match_words("Lantus", "somewhere")


@given(st.text(), st.sampled_from(sorted(listings.SCOPES)))
def test_no_text_makes_it_fail(text: str, scope: str) -> None:
    assert match_words(text, scope).unverified <= match_words(text, scope).concepts


@given(
    st.sampled_from(sorted(code for code in value_set("type-1-diabetes").codes if code.system == "icd-10-cm")),
    st.data(),
)
def test_every_way_to_write_an_icd_code_leads_to_its_value_set(code: listings.ListedCode, data: st.DataObject) -> None:
    dotted = f"{code.code[:3]}.{code.code[3:]}" if len(code.code) > 3 else code.code
    written = data.draw(st.sampled_from([dotted, dotted.lower(), code.code, code.code.lower(), f" {dotted} "]))
    assert "type-1-diabetes" in match_code(ICD, written).concepts


# Bad files


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "expected keys and values, found []"),
        ("name: x", "misses ['title']"),
        ("{name: y, title: t, codes: []}", "its name is 'y', not that of the file"),
        ("{name: x, title: t}", "it lists neither codes nor words"),
        ("{name: x, title: t, colour: red}", "unknown keys ['colour']"),
        ("{name: x, title: t, codes: [{system: icd-9, verified: v, codes: [a]}]}", "unknown system 'icd-9'"),
        ("{name: x, title: t, codes: [{system: cpt, verified: v, codes: [J3590]}]}", "['J3590'] are no codes of cpt"),
        ("{name: x, title: t, codes: [{system: cpt, verified: v, codes: ['3824O']}]}", "['3824O'] are no codes of cpt"),
        (
            "{name: x, title: t, codes: [{system: icd-10-cm, verified: v, codes: [E10.64l]}]}",
            "['E10.64l'] are no codes",
        ),
        ("{name: x, title: t, codes: [{system: icd-10-cm, verified: v, codes: [EIO.9]}]}", "['EIO.9'] are no codes"),
        ("{name: x, title: t, codes: [{system: loinc, verified: v, codes: ['45484']}]}", "['45484'] are no codes"),
        ("name: x\ntitle: t\ncodes: []\ncodes: []\n", "line 4: `codes` is given twice; keep one of them"),
        ("{name: x, title: t, codes: [{system: cpt, verified: v, codes: [38242]}]}", "numbers in quotes"),
        ("{name: x, title: t, codes: [{system: cpt, verified: v, codes: '38242'}]}", "expected a list of texts"),
        ("{name: x, title: t, codes: [{system: ndc, verified: v, codes: ['7353900101']}]}", "are no codes of ndc"),
        ("{name: x, title: t, words: [{in: [reasons], verified: v, words: [1]}]}", "expected a list of texts"),
        ("{name: x, title: t, words: [{in: [reasons], verified: v, words: [a], denied_within: }]}", "a whole number"),
        ("{name: x, title: t, words: [{in: [nowhere], verified: v, words: [a]}]}", "unknown scope in ['nowhere']"),
        ("{name: x, title: t, words: [{in: [], verified: v, words: [a]}]}", "unknown scope in []"),
        ("{name: x, title: t, words: [{verified: v, words: [a]}]}", "misses ['in']"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(content: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"^x\.yaml: ") as raised:
        read_value_set(path)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("C833", True),
        ("C83", True),
        ("D574", True),  # listed as a prefix, and still no code of its own
        ("C8338", False),
        ("C8339", False),  # a code until it was divided, and listed
        ("M5450", False),
        ("M54", False),
        ("", False),
    ],
)
def test_a_heading_of_listed_codes_is_told_from_a_code(code: str, *, expected: bool) -> None:
    assert codes.is_header(code) is expected
