"""The table of promises (``docs/security.md``) is whole: each is one line with the tests that hold it; those exist."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.markdown import table
from tests.serving import ROOT

TEXT = (ROOT / "docs/security.md").read_text(encoding="utf-8")
ROWS = [row for heading in re.findall(r"^## (.*)$", TEXT, re.MULTILINE) for row in table(TEXT, heading)]
NAMED = sorted({name for row in ROWS for name in row[2].strip("`").split("` · `")})


def test_every_promise_has_its_line() -> None:
    assert [row[0] for row in ROWS] == [*(f"S{number}" for number in range(1, 20)), "pages"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_line_says_what_is_promised_and_by_which_tests_it_is_held(row: list[str]) -> None:
    _, promise, tests = row
    assert len(promise) > 40
    assert re.fullmatch(r"`[^`]+\.py::test_\w+`( · `[^`]+\.py::test_\w+`)+", tests)


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")

    assert function in functions(path)


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
