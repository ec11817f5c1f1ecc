"""The sample bundles are valid, self-contained and synthetic, and the README and the promises list exactly them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from fhir.resources.R4B import get_fhir_model_class

FOLDER = Path(__file__).parents[1] / "sample_bundles"
FILES = sorted(FOLDER.glob("*.json"))
PROMISES = yaml.safe_load((Path(__file__).parent / "sample_promises.yaml").read_text(encoding="utf-8"))

TERMINOLOGY_HOSTS = {
    "hl7.org",
    "terminology.hl7.org",
    "loinc.org",
    "nahdo.org",
    "snomed.info",
    "unitsofmeasure.org",
    "www.ama-assn.org",
    "www.cms.gov",
    "www.nlm.nih.gov",
}
PAYERS = {
    "Ambetter",
    "Buckeye Health Plan",
    "Fidelis Care",
    "Health Net",
    "Regence",
    "Superior HealthPlan",
    "The Health Plan",
    "WellCare",
    "WellCare of North Carolina",
}
WEB_ADDRESS = re.compile(r"https?://[^\s\"]+")

each_bundle = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
each_promise = pytest.mark.parametrize(
    "card", [pytest.param(card, id=name) for name, cards in PROMISES["bundles"].items() for card in cards]
)


def read(path: Path) -> dict[str, Any]:
    bundle: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return bundle


def resources(path: Path) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in read(path)["entry"]]


def members(node: object, name: str) -> Iterator[Any]:
    """Yield every value that stands anywhere under the given member name."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name:
                yield value
            yield from members(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from members(item, name)


def unlisted_in(names: set[str], known: set[str]) -> list[str]:
    return sorted(names - known)


def test_there_are_bundles() -> None:
    assert len(FILES) >= 35


@each_bundle
def test_the_bundle_and_each_of_its_resources_is_valid_r4(path: Path) -> None:
    get_fhir_model_class("Bundle").model_validate(read(path))
    for resource in resources(path):
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@each_bundle
def test_it_is_a_collection_whose_entries_say_where_they_live(path: Path) -> None:
    bundle = read(path)
    expected = [f"https://ehr.example.org/fhir/{r['resourceType']}/{r['id']}" for r in resources(path)]

    assert bundle["type"] == "collection"
    assert bundle["id"] == path.stem
    assert [entry["fullUrl"] for entry in bundle["entry"]] == expected
    assert len(set(expected)) == len(expected)


@each_bundle
def test_every_reference_resolves_inside_the_bundle(path: Path) -> None:
    here = {f"{resource['resourceType']}/{resource['id']}" for resource in resources(path)}

    for resource in resources(path):
        contained = {f"#{inner['id']}" for inner in resource.get("contained", [])}
        assert unlisted_in(set(members(resource, "reference")), here | contained) == []


@each_bundle
def test_everything_is_about_its_one_patient(path: Path) -> None:
    patients = [resource["id"] for resource in resources(path) if resource["resourceType"] == "Patient"]
    about = {
        reference["reference"]
        for member in ("subject", "patient", "beneficiary")
        for reference in members(resources(path), member)
    }

    assert len(patients) == 1
    assert about == {f"Patient/{patients[0]}"}


@each_bundle
def test_it_holds_draft_orders_of_the_month_that_it_needs(path: Path) -> None:
    month = {"casgevy-age-9-before-label-change": "2026-06-", "casgevy-age-9-after-label-change": "2026-07-"}
    drafts = [resource for resource in resources(path) if resource.get("status") == "draft"]

    assert drafts
    assert {order["resourceType"] for order in drafts} <= {"MedicationRequest", "ServiceRequest"}
    assert all(order["authoredOn"].startswith(month.get(path.stem, "2026-11-")) for order in drafts)


@each_bundle
def test_people_and_places_are_synthetic(path: Path) -> None:
    people = {family for r in resources(path) for family in members(r, "family")}
    organizations = {
        holder["name"]
        for resource in resources(path)
        for holder in [resource, *resource.get("contained", [])]
        if holder["resourceType"] == "Organization"
    }
    hosts = {urlsplit(address).hostname or "" for address in WEB_ADDRESS.findall(path.read_text(encoding="utf-8"))}

    assert people == {"Sample", "Clinician"}
    assert [name for name in organizations - PAYERS if not name.startswith("Example ")] == []
    assert [host for host in hosts - TERMINOLOGY_HOSTS if not host.endswith(".example.org")] == []


def test_the_two_label_change_bundles_differ_in_their_dates_and_nothing_else() -> None:
    before, after = (
        (FOLDER / f"casgevy-age-9-{when}-label-change.json").read_text(encoding="utf-8") for when in ("before", "after")
    )

    assert after.replace("after-label", "before-label").replace("2026-07-15", "2026-06-15") == before


def test_facilities_have_npis_of_the_right_form_that_nobody_was_given() -> None:
    with (FOLDER / "treatment_centres.csv").open(encoding="utf-8", newline="") as file:
        registered = {row["npi"] for row in csv.DictReader(file)} - {""}
    named = {
        identifier["value"]
        for path in FILES
        for identifiers in members(resources(path), "identifier")
        for identifier in identifiers
        if identifier["system"] == "http://hl7.org/fhir/sid/us-npi"
    }

    assert named <= registered
    assert [npi for npi in registered if not (npi.startswith("19999999") and is_npi(npi))] == []


def is_npi(number: str) -> bool:
    """Whether the last digit is right: Luhn's check over the number with the prefix 80840."""
    digits = [int(digit) for digit in reversed("80840" + number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


@each_bundle
def test_it_is_pretty_printed(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == json.dumps(read(path), indent=2, ensure_ascii=False) + "\n"


def test_the_readme_lists_exactly_the_bundles() -> None:
    listed = re.findall(
        r"^\| \[([\w.-]+\.json)\]\(\1\) \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert sorted(listed) == [path.name for path in FILES]


def test_there_is_a_promise_for_exactly_each_bundle() -> None:
    assert sorted(PROMISES["bundles"]) == [path.stem for path in FILES]


@pytest.mark.parametrize("name", PROMISES["bundles"])
def test_a_promised_card_is_for_a_draft_order_of_its_bundle(name: str) -> None:
    drafts = {
        f"{r['resourceType']}/{r['id']}" for r in resources(FOLDER / f"{name}.json") if r.get("status") == "draft"
    }

    assert unlisted_in({card["order"] for card in PROMISES["bundles"][name]}, drafts) == []


@each_promise
def test_a_promise_names_a_policy_or_where_to_look_instead(card: dict[str, Any]) -> None:
    if card["basis"] == "elsewhere":
        assert set(card) - {"notices"} == {"order", "therapy", "basis", "elsewhere"}
    else:
        assert card["basis"] in {"member-plan", "reference"}
        assert card["therapy"] in PROMISES["criteria"][card["policy"]]


@each_promise
def test_a_promised_outcome_follows_from_its_criteria(card: dict[str, Any]) -> None:
    if card["basis"] == "elsewhere":
        return
    known = set(PROMISES["criteria"][card["policy"]][card["therapy"]])
    not_met, undocumented = set(card.get("not-met", [])), set(card.get("undocumented", []))

    assert unlisted_in(not_met | undocumented, known) == []
    assert not_met & undocumented == set()
    assert set(card.get("conflict", [])) <= undocumented
    assert card["outcome"] == ("not-met" if not_met else "undocumented" if undocumented else "met")
