"""The playground as its users handle it: what they pick, write, press and read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.serving import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

GAP = "lantidra-one-hypoglycemia-event-only"
"""One severe hypoglycemia in 12 months, where two are asked for (I.C.2); another is of 2024."""


def sample(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / f"sample_bundles/{name}.json").read_text(encoding="utf-8"))
    return read


_PASTE = """(field, text) => {
  const held = new DataTransfer();
  held.setData("text/plain", text);
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: held, bubbles: true, cancelable: true }));
}"""
"""What a browser does when a text is pasted; the clipboard itself is only for pages that were granted it."""


@dataclass
class Bench:
    """A playground in a page."""

    page: Page

    def open(self, sample: str | None = None) -> Bench:
        self.page.goto(f"/?sample={sample}" if sample else "/")
        self.content.wait_for()
        if sample:
            self.answered()
        return self

    @property
    def content(self) -> Locator:
        """The editor's text field."""
        return self.page.get_by_label("FHIR Bundle or CDS Hooks request, as JSON")

    @property
    def result(self) -> Locator:
        return self.page.locator("#result")

    @property
    def cards(self) -> Locator:
        return self.page.locator("article.card")

    def criterion(self, letter: str) -> Locator:
        return self.page.locator(f'[data-criterion="{letter}"]')

    def write(self, text: str) -> None:
        """Replace the editor's whole text, by pasting."""
        self.content.focus()
        self.page.keyboard.press("Control+a")
        self.content.evaluate(_PASTE, text)

    def replace(self, old: str, new: str) -> None:
        """Write a text in the place of another, wherever it stands in the editor, with the editor's own search."""
        self.content.focus()
        self.page.keyboard.press("Control+f")
        self.page.get_by_label("Find", exact=True).fill(old)
        self.page.get_by_label("Replace", exact=True).fill(new)
        self.page.get_by_role("button", name="replace all").click()
        self.page.keyboard.press("Escape")

    def fire(self, document: object = None) -> None:
        """Fire what is in the editor, or a document that is pasted first; return when the answer is there."""
        if document is not None:
            self.write(json.dumps(document, indent=2, ensure_ascii=False))
        self.result.evaluate("result => { result.dataset.old = '1'; result.firstElementChild.dataset.old = '1'; }")
        self.page.get_by_role("button", name="Fire order-sign").click()
        self.answered()

    def answered(self) -> None:
        """Wait until what stands on the right is the answer to the last call."""
        self.page.locator("#result > :not([data-old]):not(.first)").first.wait_for()
