"""Takes the pictures of the pages that the documents show: ``python -m tests.browser.screenshots [NAME ...]``."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from playwright.sync_api import sync_playwright

from tests import second_version
from tests.browser.bench import GAP, Bench, sample
from tests.browser.conftest import NAMES, PHONE
from tests.serving import ROOT, project_folder, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = ROOT / "docs/pictures"
MOST_BYTES = 150_000
"""Of one picture: whoever clones the project or reads its documents loads them all."""
WIDE = (1440, 940)
MIDDLE = (1180, 860)
RECORDED = ("lantidra-pregnant", "dli-ready", "casgevy-unlisted-code-j3590", "medicare-member-lantidra", GAP)
_TO_WEBP = """async ([png, quality]) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""
_QUALITY = 0.75


class Picture(NamedTuple):
    """One picture: its name, how to bring the page about, the window, light or dark, and which library is served."""

    name: str
    prepare: Callable[[Page], object]
    window: tuple[int, int] = WIDE
    scheme: Literal["light", "dark"] = "light"
    two_versions: bool = False

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.webp"


def _gap(page: Page) -> None:
    bench = Bench(page).open(GAP)
    bench.criterion("I.C.2").get_by_role("button", name="Condition/severe-hypoglycemia-1").click()
    page.mouse.move(0, 0)
    page.locator(".case").evaluate("found => found.scrollIntoView()")


def _settled(page: Page) -> None:
    bench = Bench(page).open(GAP)
    bench.replace("2024-12-11", "2026-08-02")
    bench.fire()


def _on_a_phone(page: Page) -> None:
    Bench(page).open(GAP).cards.first.evaluate("card => card.scrollIntoView()")


def _form(page: Page) -> None:
    link = Bench(page).open(GAP).cards.first.get_by_role("link", name="Answer 1 open question")
    page.goto(link.get_attribute("href") or "")
    page.get_by_role("radio").first.wait_for()


def _decisions(page: Page) -> None:
    for name in RECORDED:
        request = page.request.post("/playground/request", data=sample(name)).json()
        page.request.post("/cds-services/coverage-criteria", data=request)
    page.goto("/decisions")


def _decision(page: Page) -> None:
    card = Bench(page).open(GAP).cards.first
    card.get_by_text("Override this card…").click()
    card.get_by_label("Reason").select_option(label="The payer has already authorized it")
    card.get_by_label("Comment").fill("Agreed by telephone")
    card.get_by_role("button", name="Send feedback").click()
    card.get_by_text("the service has the reason").wait_for()
    page.get_by_role("link", name="The record of this decision").click()
    page.locator("tbody").get_by_role("link").click()
    page.locator(".timeline").wait_for()


PICTURES = (
    Picture("playground", _gap, (1440, 1010)),
    Picture("playground-settled", _settled, scheme="dark"),
    Picture("playground-phone", _on_a_phone, PHONE),
    Picture("policy", lambda page: page.goto("/policies/CP.MP.101"), MIDDLE),
    Picture(
        "policy-difference",
        lambda page: page.goto(f"/policies/{second_version.POLICY}/diff"),
        MIDDLE,
        two_versions=True,
    ),
    Picture("therapies", lambda page: page.goto("/therapies"), MIDDLE),
    Picture("therapy", lambda page: page.goto("/therapies/exagamglogene"), MIDDLE, "dark"),
    Picture("questions", _form, MIDDLE),
    Picture("decisions", _decisions, MIDDLE),
    Picture("decision", _decision, MIDDLE),
)


def take(folder: Path, wanted: Collection[str] = ()) -> None:
    """Write the pictures of these names, or all, into a folder. Raises SystemExit when one is too large."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [picture for picture in PICTURES if not wanted or picture.name in wanted]
    with tempfile.TemporaryDirectory() as data, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for two_versions in (False, True):
            with _served(Path(data) / f"two-{two_versions}", two_versions=two_versions) as (url, _):
                for picture in pictures:
                    if picture.two_versions is two_versions:
                        _take(browser, url, picture, folder / picture.file)
        browser.close()


def _served(folder: Path, *, two_versions: bool) -> AbstractContextManager[tuple[str, subprocess.Popen[str]]]:
    folder.mkdir()
    settings = {}
    if two_versions:
        policies = second_version.write(folder / "policies", *second_version.CHANGES)
        settings["COVERAGE_CDS_POLICIES"] = str(policies)
    return serving(project_folder(folder), settings=settings)


def _take(browser: Browser, url: str, picture: Picture, file: Path) -> None:
    width, height = picture.window
    page = browser.new_page(
        base_url=url, viewport={"width": width, "height": height}, color_scheme=picture.scheme, reduced_motion="reduce"
    )
    picture.prepare(page)
    png = page.screenshot(animations="disabled", caret="hide")
    page.goto("about:blank")  # a page without our Content-Security-Policy, and with the browser's own encoder
    webp = base64.b64decode(page.evaluate(_TO_WEBP, [base64.b64encode(png).decode(), _QUALITY]))
    page.close()
    if len(webp) > MOST_BYTES:
        raise SystemExit(f"{file.name} would have {len(webp)} bytes; {MOST_BYTES} are allowed.")
    file.write_bytes(webp)


if __name__ == "__main__":
    take(FOLDER, sys.argv[1:])
