"""What is told to be plainly valid is accepted by the models of fhir.resources, and it is most of what is sent."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from fhir_mappings.plain_r4 import is_plain
from tests import r4_elements
from tests.serving import ROOT

TABLE = r4_elements.elements()
VALUES: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False),
    "canonical": ("http://example.org/Questionnaire/1|2.0", " odd "),
    "code": ("final", "two words", "mm[Hg]"),
    "date": ("2026", "2026-02", "2024-02-28", "1999-12-31", "2999-04-30"),
    "dateTime": ("2026", "2026-01", "2026-01-31", "2026-01-31T23:59:59Z", "1900-06-30T00:00:00.123456+13:59"),
    "decimal": (0, 1, -2.5, 1e-7, 1e300, 2**60),
    "id": ("a", "A-1.b", "x" * 64),
    "instant": ("2026-01-31T23:59:59Z", "2026-01-31T23:59:59.1-05:00"),
    "integer": (0, -1, 2**31 - 1),
    "markdown": ("*text*", "\n x"),
    "positiveInt": (1, 2**31 - 1),
    "string": ("text", " ä\t😀 ", "."),
    "time": ("00:00:00", "23:59:59.999999"),
    "unsignedInt": (0, 7),
    "uri": ("urn:oid:1.2.3", "a b", "x"),
    "xhtml": ('<div xmlns="http://www.w3.org/1999/xhtml">text</div>',),
}
"""For each primitive, values that must be told to be plain, the longest and the latest among them."""
ODD: tuple[Any, ...] = (
    *(None, "", " ", "\n", [], {}, [None], [[]], {"id": "x"}, ["x"], [{}], {"resourceType": "Patient"}),
    *("x y", "é", "x" * 65, "true", "2026-02-29", "2026-04-31", "2026-1-1", "0000", "10000", "24:00:00"),
    *("2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+14:00"),
    *(True, 1, 0, -1, 1.5, 2**31, 2**63, float("inf"), float("nan")),
)
"""What stands where it should not, somewhere."""


def test_the_table_is_that_of_the_models() -> None:
    assert r4_elements.FILE.read_bytes() == r4_elements.text()


@pytest.mark.parametrize("kind", r4_elements.RESOURCES)
def test_whatever_the_table_describes_is_plain_and_the_models_accept_it(kind: str) -> None:
    chance = random.Random(kind)  # noqa: S311 - no secret
    for _ in range(150):
        resource = made(kind, chance, 4)

        assert is_plain(resource), resource
        assert accepted(resource), resource


@pytest.mark.parametrize("kind", r4_elements.RESOURCES)
def test_what_is_plain_is_accepted_by_the_models_wherever_it_is_changed(kind: str) -> None:
    chance = random.Random(kind)  # noqa: S311 - no secret
    plain = 0
    for _ in range(400):
        resource = made(kind, chance, 3)
        change(resource, chance)
        if is_plain(resource):
            plain += 1
            assert accepted(resource), resource

    assert plain < 400


def test_resources_as_they_are_sent_are_plain() -> None:
    sent = [r for r in sample_resources() if r["resourceType"] in r4_elements.RESOURCES]

    assert [r for r in sent if not is_plain(r)] == []
    assert len(sent) > 400


@pytest.mark.parametrize("kind", ["Practitioner", "Bundle", "Nothing", "", None, 3, ["Patient"], {"a": 1}])
def test_a_resource_that_becomes_no_evidence_is_left_to_the_models(kind: object) -> None:
    assert not is_plain({"resourceType": kind})


def test_a_resource_that_is_deep_is_told_without_an_error() -> None:
    reference: dict[str, Any] = {"reference": "Organization/1"}
    for _ in range(2000):
        reference = {"identifier": {"value": "x", "assigner": reference}}

    assert not is_plain({"resourceType": "Patient", "managingOrganization": reference, "x": 1})


def made(name: str, chance: random.Random, depth: int) -> dict[str, Any]:
    """Return an object of a type with some of its elements."""
    table = TABLE["types"][name]
    chosen: dict[str, str] = {}
    for choice in table.get("choices", ()):
        if choice["needed"] or (depth and chance.random() < 0.5):
            kept = chance.choice(choice["of"])
            chosen |= dict.fromkeys(choice["of"], "") | {kept: "!"}
    found = {}
    for element, told in table["elements"].items():
        needed = "!" in told or chosen.get(element) == "!"
        if chosen.get(element) == "" or not (needed or (depth > 0 and chance.random() < 0.25)):
            continue
        if any(element in choice["of"] for choice in table.get("choices", ())) and not needed:
            continue
        found[element] = value_of(told, chance, depth)
    return found


def value_of(told: str, chance: random.Random, depth: int) -> Any:
    kind = told.rstrip("*!")
    if kind.startswith("="):
        return kind[1:]

    def one() -> Any:
        if kind == "Resource":
            return made(chance.choice(TABLE["contained"]), chance, depth - 2)
        return made(kind, chance, depth - 1) if kind[0].isupper() else chance.choice(VALUES[kind])

    return [one() for _ in range(chance.randint(1, 2))] if "*" in told else one()


def change(resource: dict[str, Any], chance: random.Random) -> None:
    """Put something odd somewhere, take something away, or put it where it does not belong."""
    places = list(holders(resource))
    holder = chance.choice(places)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    what = chance.random()
    if keys and what < 0.6:
        holder[chance.choice(keys)] = copy.deepcopy(chance.choice(ODD))
    elif keys and what < 0.75:
        del holder[chance.choice(keys)]
    elif isinstance(holder, dict):
        other = chance.choice(places)
        holder[
            chance.choice(["_status", "extension", "valueString", "resource_type", "fhir_comments", "x", "text"])
        ] = copy.deepcopy(other) if what < 0.9 else "x"


def holders(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from holders(inner)


def accepted(resource: dict[str, Any]) -> bool:
    """Whether the models accept a resource as it comes out of JSON."""
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(orjson.loads(orjson.dumps(resource)))
    except (ValidationError, orjson.JSONDecodeError):
        return False
    return True


def sample_resources() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "sample_bundles").glob("*.json")):
        yield from (entry["resource"] for entry in orjson.loads(path.read_bytes())["entry"])
