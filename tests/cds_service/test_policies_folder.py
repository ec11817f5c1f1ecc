"""The folder of policies explains itself: its README is complete and true, its JSON Schema is current."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator

from cds_service import policy_docs
from cds_service.files import yaml_files
from cds_service.library import PAYERS, POLICIES, known_names, load_payers
from cds_service.policy.checks import VOCABULARY
from cds_service.policy.errors import PolicyError
from cds_service.policy.load import load_document
from fhir_mappings.facts import Records
from tests.markdown import blocks, table

README = policy_docs.README.read_text(encoding="utf-8")
OUT_OF_DATE = "python -m cds_service.policy_docs brings it up to date"
EXAMPLE = next(block for block in blocks(README, "yaml") if block.startswith("policy:"))
EXAMPLE_FILE = "EX.1_2026-01-01.yaml"
KNOWN = known_names(load_payers(PAYERS))

each_policy = pytest.mark.parametrize("path", yaml_files([POLICIES]), ids=lambda path: path.stem)


class _AsEditorsRead(yaml.SafeLoader):
    """YAML 1.2 as editors read it: a date is a text."""


_AsEditorsRead.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def rows(heading: str) -> dict[str, str]:
    """Return a table of the README as its first column's name to the whole row."""
    return {re.sub(r"`", "", cells[0]): " | ".join(cells) for cells in table(README, heading)}


def schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(policy_docs.SCHEMA_FILE.read_text(encoding="utf-8"))
    return content


def test_the_schema_file_is_what_the_vocabulary_generates() -> None:
    assert policy_docs.SCHEMA_FILE.read_text(encoding="utf-8") == policy_docs.schema_text(), OUT_OF_DATE


def test_the_schema_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(schema())


@each_policy
def test_a_shipped_policy_is_right_by_the_schema(path: Path) -> None:
    document = yaml.load(path.read_text(encoding="utf-8"), _AsEditorsRead)  # noqa: S506 - a safe loader

    assert [error.message for error in Draft202012Validator(schema()).iter_errors(document)] == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("pregnancy-current,", "pregnancy-curent,"),
        ("payer: centene", "payer: nobody"),
        ("[donislecel]", "[donisleceel]"),
        ("silence: [conditions]", "silence: [conditons]"),
        ("{age_at_least: 18}", "{age_at_leest: 18}"),
        ("kind: current", "kind: now"),
        ("    label: adult\n", ""),
        ("questions:", "queries:"),
    ],
)
def test_the_schema_finds_what_the_loader_finds(right: str, wrong: str) -> None:
    text = EXAMPLE.replace(right, wrong)

    assert Draft202012Validator(schema()).is_valid(yaml.load(EXAMPLE, _AsEditorsRead))  # noqa: S506
    assert not Draft202012Validator(schema()).is_valid(yaml.load(text, _AsEditorsRead))  # noqa: S506
    with pytest.raises(PolicyError):
        load_document(text, EXAMPLE_FILE, KNOWN)


@each_policy
def test_a_shipped_policy_tells_people_and_editors_where_to_look(path: Path) -> None:
    assert path.read_text(encoding="utf-8").splitlines()[:2] == [
        "# How to read this file: README.md in this folder.",
        "# yaml-language-server: $schema=policy.schema.json",
    ]


def test_the_table_of_checks_is_what_the_vocabulary_generates() -> None:
    assert policy_docs.with_table(README) == README, OUT_OF_DATE


def test_the_table_of_checks_is_the_whole_vocabulary_with_every_part() -> None:
    table_rows = rows("The checks")

    assert list(table_rows) == list(VOCABULARY)
    for name, check in VOCABULARY.items():
        assert [o.name for o in dataclasses.fields(check) if f"`{o.name}`" not in table_rows[name]] == []


def test_both_are_written_by_one_call(tmp_path: Path) -> None:
    schema_file, readme = tmp_path / "schema.json", tmp_path / "README.md"
    readme.write_text(f"before\n{policy_docs.BEGIN}\nold\n{policy_docs.END}\nafter\n", encoding="utf-8")

    policy_docs.write(schema_file, readme)

    assert schema_file.read_text(encoding="utf-8") == policy_docs.schema_text()
    before, table_there, after = re.split(r"\n?<!--.*?-->\n*", readme.read_text(encoding="utf-8"))
    assert (before, table_there.strip(), after) == ("before", policy_docs.table(), "after\n")


def test_the_readme_explains_every_part_of_a_file() -> None:
    assert sorted(rows("The parts of a file")) == sorted(schema()["properties"])


def test_the_readme_explains_every_part_of_a_criterion() -> None:
    assert sorted(rows("The parts of a criterion")) == sorted(schema()["$defs"]["criterion"]["properties"])


def test_the_readme_names_every_kind_of_record() -> None:
    assert [record for record in get_args(Records) if f"`{record}`" not in README] == []


def test_the_example_of_the_readme_is_a_policy() -> None:
    document = load_document(EXAMPLE, EXAMPLE_FILE, KNOWN)

    assert list(document.criteria) == ["A", "B"]


def test_the_mistake_in_the_readme_gets_the_message_in_the_readme() -> None:
    with pytest.raises(PolicyError) as caught:
        load_document(EXAMPLE.replace("pregnancy-current", "pregnancy-curent"), EXAMPLE_FILE, KNOWN)

    assert str(caught.value) in blocks(README, "text")
