"""The registry of treatment centres: YAML and CSV, every mistake with its line, and how an order's facilities stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cds_service.centres import NO_CENTRES, Centre, Centres, load_centres
from cds_service.policy.errors import PolicyError
from fhir_mappings.facts import CentreStanding, Coding, Evidence, Facility
from tests.cds_service.policy.charts import ordered, references

PRODUCTS = frozenset({"axi-cel", "tisa-cel"})
ONE, OTHER, CCN = Coding("npi", "1111111111"), Coding("npi", "2222222222"), Coding("ccn", "34T001")
DAY = date(2026, 11, 2)

HEADER = "npi,ccn,product,from,to,complete,source\n"
CSV = HEADER + "1111111111,,axi-cel,2025-01-01,2026-12-31,yes,A list\n,34T001,tisa-cel,2024-06-01,,,Another list\n"
YAML = """\
centres:
  - {npi: 1111111111, product: axi-cel, from: 2025-01-01, to: 2026-12-31, complete: true, source: A list}
  - {ccn: 34T001, product: tisa-cel, from: 2024-06-01, source: Another list}
"""
READ = (
    Centre(ONE, "axi-cel", date(2025, 1, 1), date(2026, 12, 31), True, "A list"),
    Centre(CCN, "tisa-cel", date(2024, 6, 1), None, False, "Another list"),
)


def load(folder: Path, text: str, name: str = "centres.csv") -> Centres:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_centres(path, PRODUCTS)


class TestReading:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("centres.csv", CSV),
            ("CENTRES.CSV", CSV),
            ("centres.csv", "\ufeff" + CSV),
            ("centres.csv", CSV.replace("\n", "\r\n")),
            ("centres.csv", CSV.replace("\n", "\n\n")),
            ("centres.csv", CSV.replace("yes", " TRUE ").replace(",,,Another", ",,no,Another")),
            ("centres.yaml", YAML),
            ("centres.yaml", "\ufeff" + YAML),
            ("centres.yaml", YAML.replace("true", "yes").replace("34T001,", "34T001, complete: false,")),
            ("centres.yaml", YAML.replace("1111111111", '"1111111111"')),
        ],
    )
    def test_csv_and_yaml_say_the_same(self, name: str, text: str, tmp_path: Path) -> None:
        assert load(tmp_path, text, name).entries == READ

    def test_a_text_with_a_comma_stands_in_quotes(self, tmp_path: Path) -> None:
        [entry] = load(tmp_path, f'{HEADER}1111111111,,axi-cel,2025-01-01,,,"A list, page 2"\n').entries
        assert entry.source == "A list, page 2"

    def test_columns_that_nobody_needs_may_be_left_out(self, tmp_path: Path) -> None:
        [entry] = load(tmp_path, "npi,product,from,source\n1111111111,axi-cel,2025-01-01,A list\n").entries
        assert entry == replace(READ[0], last=None, complete=False)

    def test_a_registry_may_be_empty(self, tmp_path: Path) -> None:
        assert load(tmp_path, HEADER) == load(tmp_path, "centres: []\n", "c.yaml") == NO_CENTRES


COLUMNS = "The columns are npi, ccn, product, from, to, complete, source."
BAD_CSV = {
    "an empty file": ("", f"1: the column from is missing. {COLUMNS}"),
    "no product column": ("npi,from,source\n", f"1: the column product is missing. {COLUMNS}"),
    "a column that is not known": (CSV.replace("npi", "npis", 1), f"1: the column npis is not known. {COLUMNS}"),
    "a column twice": (CSV.replace("ccn", "npi", 1), f"1: the column npi is given twice. {COLUMNS}"),
    "an open quote": (CSV.replace("Another", '"Another'), "3: this is not CSV: unexpected end of data."),
    "a text behind quotes": (CSV.replace("A list", '"A" list'), "2: this is not CSV: ',' expected after '\"'."),
    "a cell of megabytes": (
        CSV.replace("A list", "A" * 200_000),
        "2: this is not CSV: field larger than field limit (131072).",
    ),
    "more cells than columns": (
        CSV.replace("A list", "A list, page 2"),
        "2: the row has more cells than there are columns. Put a text with a comma in quotes.",
    ),
    "fewer cells than columns": (
        HEADER + "1111111111,,axi-cel,2025-01-01\n",
        "2: `source` is missing. Say where the qualification is published.",
    ),
    "a product that is not known": (
        CSV.replace("tisa-cel", "tisa"),
        "3: `tisa` is no product of the registry. Use its id, for example as `policies` prints it.",
    ),
    "a date of another land": (
        CSV.replace("2025-01-01", "01/01/2025"),
        "2: `from` is not a date. Write it as YYYY-MM-DD.",
    ),
    "an end that is no date": (CSV.replace("2026-12-31", "open"), "2: `to` is not a date. Write it as YYYY-MM-DD."),
    "no first day": (
        CSV.replace("2024-06-01", ""),
        "3: the period is not right. Give `from`, and a `to` that is not before it.",
    ),
    "a period that ends before it begins": (
        CSV.replace("2026-12-31", "2024-12-31"),
        "2: the period is not right. Give `from`, and a `to` that is not before it.",
    ),
    "a blank source": (
        CSV.replace("A list", "  "),
        "2: `source` is missing. Say where the qualification is published.",
    ),
    "neither yes nor no": (CSV.replace("yes", "maybe"), "2: `complete` is neither yes nor no."),
    "no identifier": (
        CSV.replace("1111111111", ""),
        "2: a centre has one of `npi` and `ccn`. Write a line for each.",
    ),
    "two identifiers": (
        CSV.replace("1111111111,", "1111111111,34T001"),
        "2: a centre has one of `npi` and `ccn`. Write a line for each.",
    ),
    "an NPI of nine digits": (
        CSV.replace("1111111111", "111111111"),
        "2: `111111111` is no NPI. An NPI has 10 digits, a CCN 6 to 10 characters.",
    ),
    "a CCN in small letters": (
        CSV.replace("34T001", "34t001"),
        "3: `34t001` is no CCN. An NPI has 10 digits, a CCN 6 to 10 characters.",
    ),
    "an identifier without end": (
        CSV.replace("1111111111", "1" * 99),
        f"2: `{'1' * 20}` is no NPI. An NPI has 10 digits, a CCN 6 to 10 characters.",
    ),
}
BAD_YAML = {
    "no list": ("centers: []\n", "1: `centers` is not known here. Did you mean `centres`?"),
    "an empty file": ("", "1: the file is empty. Begin with `policy:` and the policy's id."),
    "a list alone": ("- npi\n", "1: found a list where a mapping is needed. Write `key: value` lines."),
    "a text for a centre": (
        "centres: [x]\n",
        "1: found `x` where a mapping is needed. Write `key: value` lines.",
    ),
    "a key that is not known": (
        YAML.replace("npi:", "npis:"),
        "2: `npis` is not known here. Did you mean `npi`?",
    ),
    "no source": (YAML.replace(", source: Another list", ""), "3: `source` is missing. Add `source:`."),
    "an empty end": (
        YAML.replace("to: 2026-12-31", "to: "),
        "2: found nothing where a text is needed.",
    ),
    "a list for a source": (YAML.replace("A list", "[A list]"), "2: found a list where a text is needed."),
    "a key twice": (
        YAML.replace("product: axi-cel", "product: axi-cel, product: tisa-cel"),
        "2: `product` is given twice (first on line 2). Keep one of them.",
    ),
    "an NPI of nine digits": (
        YAML.replace("1111111111", "111111111"),
        "2: `111111111` is no NPI. An NPI has 10 digits, a CCN 6 to 10 characters.",
    ),
    "no YAML": (YAML.replace("34T001,", "34T001"), "3: this is not YAML: expected ',' or '}', but got ':'."),
}


class TestMistakes:
    def message(self, folder: Path, text: str, name: str) -> str:
        with pytest.raises(PolicyError) as raised:
            load(folder, text, name)
        return str(raised.value)

    @pytest.mark.parametrize(("text", "message"), BAD_CSV.values(), ids=BAD_CSV)
    def test_in_csv(self, text: str, message: str, tmp_path: Path) -> None:
        assert self.message(tmp_path, text, "c.csv") == f"{tmp_path / 'c.csv'}:{message}"

    @pytest.mark.parametrize(("text", "message"), BAD_YAML.values(), ids=BAD_YAML)
    def test_in_yaml(self, text: str, message: str, tmp_path: Path) -> None:
        assert self.message(tmp_path, text, "c.yaml") == f"{tmp_path / 'c.yaml'}:{message}"

    def test_the_line_is_that_of_the_row_behind_blank_lines(self, tmp_path: Path) -> None:
        text = CSV.replace("\n", "\n\n").replace("34T001", "?")
        assert ":5: " in self.message(tmp_path, text, "c.csv")

    def test_a_file_that_is_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "c.csv"
        path.write_bytes(HEADER.encode("utf-16"))
        with pytest.raises(PolicyError, match="it cannot be read"):
            load_centres(path, PRODUCTS)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyError, match=r"cannot be read \(FileNotFoundError\)"):
            load_centres(tmp_path / "c.csv", PRODUCTS)


def at(*identifiers: Coding, name: str = "Organization/o1", qualified_for: frozenset[str] = frozenset()) -> Facility:
    return Facility(identifiers, Evidence(name), qualified_for)


def standing(*facilities: Facility, centres: Centres | None = None, day: date = DAY) -> CentreStanding:
    order = replace(ordered("axi-cel"), facilities=facilities)
    return (Centres(READ) if centres is None else centres).standing(order, day)


INCOMPLETE = Centres((replace(READ[0], complete=False),))


class TestStanding:
    def test_a_registered_facility_is_listed_with_the_source(self) -> None:
        found = standing(at(ONE))
        assert found.state == "listed"
        assert found.reason == "NPI 1111111111 is registered for this product from 2025-01-01 (A list)."
        assert references(found.evidence) == ["Organization/o1"]

    @pytest.mark.parametrize(
        ("day", "state"),
        [
            (date(2024, 12, 31), "not-listed"),
            (date(2025, 1, 1), "listed"),
            (date(2026, 12, 31), "listed"),
            (date(2027, 1, 1), "not-listed"),
        ],
    )
    def test_both_days_of_the_period_count(self, day: date, state: str) -> None:
        assert standing(at(ONE), day=day).state == state

    def test_a_period_may_be_open(self) -> None:
        open_ended = Centres((replace(READ[0], last=None),))
        assert standing(at(ONE), centres=open_ended, day=date(2099, 1, 1)).state == "listed"

    def test_one_of_several_facilities_is_enough(self) -> None:
        found = standing(at(OTHER, name="Location/l1"), at(ONE))
        assert found.state == "listed"
        assert references(found.evidence) == ["Location/l1", "Organization/o1"]

    def test_one_of_several_identifiers_is_enough(self) -> None:
        assert standing(at(OTHER, ONE)).state == "listed"

    def test_a_facility_that_is_not_registered_is_excluded_where_the_registry_is_complete(self) -> None:
        found = standing(at(OTHER))
        assert found.state == "excluded"
        assert found.reason == (
            "NPI 2222222222 is not registered for this product on 2026-11-02, and the registry is complete for it."
        )

    def test_else_it_is_only_not_listed(self) -> None:
        found = standing(at(OTHER, CCN), centres=INCOMPLETE)
        assert found.state == "not-listed"
        assert found.reason == "CCN 34T001 and NPI 2222222222 is not registered for this product on 2026-11-02."

    @pytest.mark.parametrize("facilities", [[], [at()], [at(ONE)]])
    def test_a_deployment_without_a_registry_says_so(self, facilities: list[Facility]) -> None:
        found = standing(*facilities, centres=NO_CENTRES)
        assert (found.state, found.reason) == ("not-listed", "This deployment has no registry of treatment centres.")
        assert len(found.evidence) == len(facilities)

    def test_a_qualification_counts_without_a_registry_too(self) -> None:
        assert standing(at(qualified_for=frozenset({"axi-cel"})), centres=NO_CENTRES).state == "listed"

    def test_a_registry_that_is_complete_for_another_product_excludes_nobody(self) -> None:
        other = Centres((replace(READ[0], product="tisa-cel"),))
        assert standing(at(OTHER), centres=other).state == "not-listed"
        assert standing(at(ONE), centres=other).state == "not-listed"

    def test_a_registry_is_complete_only_in_its_period(self) -> None:
        assert standing(at(OTHER), day=date(2027, 1, 1)).state == "not-listed"

    def test_a_qualification_in_the_facilitys_own_record_counts(self) -> None:
        for facility in (at(OTHER, qualified_for=frozenset({"axi-cel"})), at(qualified_for=frozenset({"axi-cel"}))):
            found = standing(facility)
            assert found.state == "listed"
            assert found.reason == "The facility's record carries a qualification for this product."

    def test_a_qualification_for_another_product_does_not(self) -> None:
        found = standing(at(qualified_for=frozenset({"tisa-cel"})))
        assert found.state == "excluded"
        assert found.reason.startswith("The facility is not registered")

    @pytest.mark.parametrize("facilities", [[], [at()], [at(name="Organization/o1"), at(name="Location/l1")]])
    def test_without_an_identifier_no_facility_is_named(self, facilities: list[Facility]) -> None:
        found = standing(*facilities)
        assert (found.state, found.reason) == ("unnamed", "The order names no facility with an NPI or CCN.")
        assert len(found.evidence) == len(facilities)

    @pytest.mark.parametrize(
        "identifier",
        [
            Coding("npi", "<script>alert(1)</script>"),
            Coding("npi", "1111111111\n- **met**"),
            Coding("npi", "[here](https://evil.example)"),
            Coding("ccn", "`" * 8),
            Coding("naic", "1111111111"),
        ],
    )
    def test_what_has_not_the_shape_of_an_identifier_is_never_repeated(self, identifier: Coding) -> None:
        assert standing(at(identifier)).state == "unnamed"
        assert standing(at(identifier, ONE)).state == "listed"
        assert identifier.code not in standing(at(identifier, OTHER)).reason
