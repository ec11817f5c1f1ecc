"""Normal forms of codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings import strict_yaml, systems
from fhir_mappings.facts import Coding
from fhir_mappings.systems import canonical, ndc_forms, normal_forms, system_names, system_uri

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
NDC = "http://hl7.org/fhir/sid/ndc"


@pytest.mark.parametrize(
    "system",
    [
        HCPCS,
        "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "https://www.cms.gov/Medicare/Coding/MedHCPCSGenInfo/index.html",
        "urn:oid:2.16.840.1.113883.6.285",
        "2.16.840.1.113883.6.285",
        "URN:OID:2.16.840.1.113883.6.285",
        " http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets/ ",
    ],
)
def test_hcpcs_is_known_by_every_name_that_feeds_give_it(system: str) -> None:
    assert canonical(system, "J3392") == Coding("hcpcs", "J3392")


def test_every_system_is_known_by_its_own_uri() -> None:
    assert {name: canonical(system_uri(name), "1") for name in system_names() - {"hcpcs"}} == {
        name: Coding(name, "1") for name in system_names() - {"hcpcs"}
    }


def test_cpt_and_hcpcs_are_told_apart_by_the_code_and_not_by_the_system() -> None:
    assert canonical(HCPCS, "38242") == Coding("cpt", "38242")
    assert canonical(CPT, "s2102") == Coding("hcpcs", "S2102")
    assert canonical(HCPCS, "0584t") == Coding("cpt", "0584T")


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (None, "E10.9"),
        ("", "E10.9"),
        (ICD, None),
        (ICD, ""),
        (ICD, "  "),
        ("http://example.org", "E10.9"),
        (ICD, "9" * 41),
    ],
)
def test_what_is_missing_unknown_or_endless_has_no_normal_form(system: str | None, code: str | None) -> None:
    assert canonical(system, code) is None
    assert normal_forms(system, code) == []


@given(st.from_regex(r"[A-TV-Z][0-9][0-9AB](\.[0-9A-Z]{1,4})?", fullmatch=True))
def test_dots_and_case_of_an_icd_code_do_not_matter(code: str) -> None:
    expected = canonical(ICD, code)
    assert (
        expected == canonical(ICD, code.lower()) == canonical(ICD, code.replace(".", "")) == canonical(ICD, f" {code}")
    )
    assert expected is not None
    assert "." not in expected.code


@given(st.text(), st.text())
def test_no_code_makes_it_fail(system: str, code: str) -> None:
    normal_forms(system, code)
    for name in system_names():
        assert all(isinstance(form, str) for _, form in normal_forms(system_uri(name), code))


@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 99))
def test_a_4_4_2_ndc_has_the_zero_in_front(labeler: int, product: int, package: int) -> None:
    parts = f"{labeler:04}", f"{product:04}", f"{package:02}"
    billed = f"0{''.join(parts)}"
    assert ndc_forms("-".join(parts)) == ndc_forms(billed) == [billed]
    assert billed in ndc_forms("".join(parts))


@given(st.integers(0, 99999), st.integers(0, 999), st.integers(0, 99))
def test_a_5_3_2_ndc_has_the_zero_before_the_product(labeler: int, product: int, package: int) -> None:
    parts = f"{labeler:05}", f"{product:03}", f"{package:02}"
    billed = f"{parts[0]}0{parts[1]}{parts[2]}"
    assert ndc_forms("-".join(parts)) == ndc_forms(f"{parts[0]}-0{parts[1]}-{parts[2]}") == [billed]
    assert billed in ndc_forms("".join(parts))


@given(st.integers(0, 99999), st.integers(0, 9999), st.integers(0, 9))
def test_a_5_4_1_ndc_has_the_zero_before_the_package(labeler: int, product: int, package: int) -> None:
    parts = f"{labeler:05}", f"{product:04}", f"{package}"
    billed = f"{parts[0]}{parts[1]}0{parts[2]}"
    assert ndc_forms("-".join(parts)) == [billed]
    assert billed in ndc_forms("".join(parts))


@pytest.mark.parametrize("code", ["", "-", "12-34", "7188A-120-02", "123456789012", "٧١٨٩٤-١٢٠-٠٢"])
def test_what_has_no_form_of_an_ndc_stays_as_it_is(code: str) -> None:
    assert ndc_forms(code) == [code]


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("a: [")
    with pytest.raises(ValueError, match=r"^bad\.yaml: not YAML"):
        strict_yaml.read(path)


def test_a_value_stays_as_it_is_written_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: {b: yes, c: 2026-02, d: 1.50}")
    assert strict_yaml.read(path, as_written=True) == {"a": {"b": "yes", "c": "2026-02", "d": "1.50"}}
    assert strict_yaml.read(path)["a"]["b"] is True


@pytest.mark.parametrize("as_written", [False, True])
def test_a_key_that_is_given_twice_is_named_with_its_line(*, as_written: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a:\n  b: 1\n  c: 2\n  b: 3\n")
    with pytest.raises(ValueError, match=r"^a\.yaml: line 4: `b` is given twice; keep one of them$"):
        strict_yaml.read(path, as_written=as_written)


def test_one_uri_for_two_systems_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systems.yaml").write_text("systems: {a: {uri: http://x.org}, b: {uri: https://x.org/}}")
    monkeypatch.setattr(systems, "DATA", tmp_path)
    monkeypatch.setattr(systems, "_systems", systems._systems.__wrapped__)  # noqa: SLF001  # past the cache
    with pytest.raises(ValueError, match=r"https://x.org/ stands for a and for b"):
        systems._names.__wrapped__()  # noqa: SLF001
