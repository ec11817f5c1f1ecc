"""Takes the pictures of the pages that the documents show: ``python -m tests.browser.screenshots``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from playwright.sync_api import sync_playwright

from tests.browser.bench import GAP, Bench
from tests.browser.conftest import NAMES, PHONE
from tests.serving import ROOT, project_folder, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = ROOT / "docs/pictures"
MOST_BYTES = 150_000
WIDE = (1440, 940)


class Picture(NamedTuple):
    """One picture: its file's name, how to bring the page about, the window, and light or dark."""

    name: str
    prepare: Callable[[Page], object]
    window: tuple[int, int] = WIDE
    scheme: Literal["light", "dark"] = "light"


def _gap(page: Page) -> None:
    bench = Bench(page).open(GAP)
    bench.criterion("I.C.2").get_by_role("button", name="Condition/severe-hypoglycemia-1").click()
    page.mouse.move(0, 0)


def _settled(page: Page) -> None:
    bench = Bench(page).open(GAP)
    bench.replace("2024-12-11", "2026-08-02")
    bench.fire()


PICTURES = (
    Picture("playground", _gap),
    Picture("playground-settled", _settled, scheme="dark"),
    Picture("playground-phone", lambda page: Bench(page).open(GAP).cards.first.scroll_into_view_if_needed(), PHONE),
    Picture("policy", lambda page: page.goto("/policies/CP.MP.250?on=2026-11-02")),
    Picture("therapies", lambda page: page.goto("/therapies")),
)


def take(folder: Path) -> None:
    """Write all pictures into a folder."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, serving(project_folder(Path(data))) as (url, _), sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for picture in PICTURES:
            _take(browser, url, picture, folder / f"{picture.name}.png")
        browser.close()


def _take(browser: Browser, url: str, picture: Picture, file: Path) -> None:
    width, height = picture.window
    page = browser.new_page(
        base_url=url, viewport={"width": width, "height": height}, color_scheme=picture.scheme, reduced_motion="reduce"
    )
    picture.prepare(page)
    page.screenshot(path=file, animations="disabled", caret="hide")
    page.close()


if __name__ == "__main__":
    take(FOLDER)
