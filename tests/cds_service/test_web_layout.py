"""What every page has: headers that keep everything else out, and a navigation that knows where the reader is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cds_service import create_app
from cds_service.settings import Settings


@pytest.mark.parametrize("path", ["/", "/policies", "/policies/none"])
def test_a_page_may_load_and_run_only_what_comes_from_here(tmp_path: Path, path: str) -> None:
    headers = create_app(Settings.load(data_dir=tmp_path)).test_client().get(path).headers
    rules = {rule.split()[0]: set(rule.split()[1:]) for rule in headers["Content-Security-Policy"].split(";")}

    assert set().union(*rules.values()) == {"'none'", "'self'", "data:"}
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == {"'none'"}
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == {"'self'"}
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/static/pages.css", "/cds-services", "/nothing"])
def test_no_answer_is_taken_for_another_type_than_it_says(tmp_path: Path, path: str) -> None:
    answer = create_app(Settings.load(data_dir=tmp_path)).test_client().get(path, buffered=True)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "here"), [("/", ["Playground"]), ("/policies", ["Policies"]), ("/policies/CP.MP.250", ["Policies"])]
)
def test_the_navigation_says_where_the_reader_is(tmp_path: Path, path: str, here: list[str]) -> None:
    page = create_app(Settings.load(data_dir=tmp_path)).test_client().get(path).text

    assert re.findall(r'aria-current="page">(\w+)<', page) == here
