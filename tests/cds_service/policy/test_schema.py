"""The JSON Schema accepts what the loader accepts and knows every word of the vocabulary."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from cds_service.library import POLICIES, policy_schema
from cds_service.policy.checks import VOCABULARY
from cds_service.policy.schema import schema
from tests.cds_service.policy.documents import KNOWN, MINIMAL

SMALL = Draft202012Validator(schema(frozenset(KNOWN.value_sets), KNOWN.therapies | set(KNOWN.groups), KNOWN.payers))
SCHEMA = policy_schema()
FILES = sorted(POLICIES.glob("*.yaml"))
SHIPPED = Draft202012Validator(SCHEMA)


def parsed(text: str) -> Any:
    """Return a YAML text as JSON values."""
    return json.loads(json.dumps(yaml.safe_load(text), default=date.isoformat))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_document_is_valid(path: Path) -> None:
    errors = [error.message[:200] for error in SHIPPED.iter_errors(parsed(path.read_text(encoding="utf-8")))]
    assert errors == []


def test_a_minimal_document_is_valid() -> None:
    assert SMALL.is_valid(parsed(MINIMAL))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: A policy\n", ""),
        ("title: A policy", "titel: A policy"),
        ("payer: acme", "payer: nobody"),
        ("therapies: donislecel", "therapies: aspirin"),
        ("effective: {from: 2025-10-01}", "effective: 2025-10-01"),
        ("requires: A", "requires: {none: [A]}"),
        ("requires: A", "requires: {all: []}"),
        ("requires: A", "requires: A\nsections: []"),
        ("label: ill", "label: [ill]"),
        ("settled_by: The illness on the problem list.", "settled: x"),
        ("{recorded: {kind: current, value_set: illness}}", "{recorder: {kind: current, value_set: illness}}"),
        ("kind: current", "kind: now"),
        ("kind: current, ", ""),
        ("value_set: illness", "value_set: ilness"),
        ("value_set: illness", "value_set: []"),
        ("value_set: illness", "value_set: illness, within: 3"),
        ("value_set: illness", "value_set: illness, within_months: 0"),
        ("value_set: illness", "value_set: illness, within_months: 3, within_days: 90"),
        ("value_set: illness", "value_set: illness, around_days: 90"),
        ("value_set: illness", "value_set: illness, on_dates: 2"),
        ("kind: current", "kind: ever, within_days: 90"),
        ("value_set: illness", "value_set: illness, places: [rooms]"),
        ("value_set: illness", "value_set: illness, places: [patient]"),
        ("{recorded: {kind: current, value_set: illness}}", "{all: []}"),
        ("{recorded: {kind: current, value_set: illness}}", "{order_is: illness, order_says: illness}"),
    ],
)
def test_a_broken_document_is_not(old: str, new: str) -> None:
    assert old in MINIMAL
    assert not SMALL.is_valid(parsed(MINIMAL.replace(old, new)))


@pytest.mark.parametrize("key", VOCABULARY)
def test_every_check_is_in_the_schema_with_its_meaning(key: str) -> None:
    entries = SCHEMA["$defs"]["check"]["oneOf"]
    [entry] = [entry for entry in entries if key in entry["properties"]]
    assert entry["required"] == [key]
    assert entry["description"] == " ".join((VOCABULARY[key].__doc__ or "").split())


@pytest.mark.parametrize(
    ("check", "valid"),
    [
        ({"age_at_least": 18}, True),
        ({"age_at_least": {"years": 18}}, True),
        ({"age_at_least": "18"}, False),
        ({"order_says": "illness"}, True),
        ({"order_says": ["illness", "surgery"]}, True),
        ({"any": [{"order_is": "illness"}]}, True),
        ({"any": {"checks": [{"order_is": "illness"}]}}, True),
        ({"latest_result": {"value_set": "illness", "true_when": {"above": 0}, "false_when": [{"at_most": 0}]}}, True),
        ({"latest_result": {"value_set": "illness", "true_when": {"over": 0}}}, False),
        ({"attested": {}}, True),
        ({"recorded": {"value_set": "illness", "kind": "event", "within_months": 12, "on_dates": 2}}, True),
        ({"recorded": {"value_set": "illness", "kind": "current", "within_days": 30, "on_dates": 1}}, True),
        ({"recorded": {"value_set": "illness", "kind": "planned", "around_days": 30}}, True),
    ],
)
def test_checks_may_be_written_short_or_in_full(check: dict[str, Any], valid: bool) -> None:
    document = parsed(MINIMAL)
    document["criteria"]["A"]["met_when"] = check
    assert SMALL.is_valid(document) == valid


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_member_of_a_shipped_document_is_unknown_to_the_schema(path: Path) -> None:
    document = parsed(path.read_text(encoding="utf-8"))
    assert set(document) <= set(SCHEMA["properties"])
    known = set(SCHEMA["$defs"]["criterion"]["properties"])
    assert [name for name, one in document.get("criteria", {}).items() if not set(one) <= known] == []
