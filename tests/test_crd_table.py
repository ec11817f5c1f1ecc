"""The table of CRD statements (``docs/crd.md``) is whole: each says whether, how and by which tests; those exist."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from tests.markdown import table
from tests.serving import ROOT

TEXT = (ROOT / "docs/crd.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
ROWS = [row for heading in HEADINGS for row in table(TEXT, heading)]
STATES = ("met", "in part", "not met", "does not apply")
NAMED = sorted({name for row in ROWS for name in re.findall(r"`([^`]+\.py::[^`]+)`", row[5])})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_how_far_it_is_met_and_by_which_test_or_why_not(row: list[str]) -> None:
    assert len(row) == 6
    _, level, statement, state, how, tests = row
    assert level.startswith(("SHALL", "SHOULD", "MAY", "("))
    assert statement
    assert state in STATES
    assert state == "met" or how != "-"
    assert state not in ("met", "in part") or "::" in tests


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))

    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_no_id_stands_twice_and_the_sums_are_right() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS)
    count = Counter(row[3] for row in ROWS)
    sums = [len(ROWS), *(count[state] for state in STATES)]
    assert [int(n) for n in re.findall(r"\d+", TEXT.split("Of ")[1].split(".\n")[0])] == sums


def test_there_are_as_many_statements_as_bind_a_server() -> None:
    assert len(ROWS) > 60
    assert len(NAMED) > 60
