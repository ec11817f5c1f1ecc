"""The pictures of the documents: those that the script takes, each shown and none too large."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser import screenshots
from tests.cds_service.test_web_pages import client
from tests.serving import ROOT

PAGES = (ROOT / "docs/pages.md").read_text(encoding="utf-8")
FILES = {picture.file for picture in screenshots.PICTURES}


def test_every_picture_that_the_script_takes_is_there_and_no_other() -> None:
    assert {path.name for path in screenshots.FOLDER.iterdir()} == FILES


def test_the_document_on_the_pages_shows_every_picture_once() -> None:
    assert sorted(re.findall(r"!\[[^\]]+\]\(pictures/([^)]+)\)", PAGES)) == sorted(FILES)


def test_no_picture_is_larger_than_the_script_lets_it_be() -> None:
    assert max(path.stat().st_size for path in screenshots.FOLDER.iterdir()) <= screenshots.MOST_BYTES


def test_every_part_of_the_navigation_is_in_the_document_on_the_pages(tmp_path: Path) -> None:
    (navigation,) = re.findall(r"<nav .*?</nav>", client(tmp_path).get("/policies").text, re.DOTALL)
    parts = re.findall(r'href="([^"]+)"', navigation)

    assert len(parts) == 5
    assert [part for part in parts if f"| `{part}`" not in PAGES] == []
