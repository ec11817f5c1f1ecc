"""axe-core, run on a page as the browser shows it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests import npm

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).parent
_RUN = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ impact, id, help, nodes }) => ({ impact, id, help, nodes: nodes.map(node =>
        `${node.target.join(" ")}: ${node.failureSummary}`) }));
}"""


def accessible(page: Page) -> None:
    """Fail when axe-core finds anything serious or critical, in the state and colours that the page is in."""
    page.evaluate(_axe())
    serious = [
        f"{found['impact']} {found['id']}: {found['help']}\n    " + "\n    ".join(found["nodes"][:5])
        for found in page.evaluate(_RUN)
        if found["impact"] in {"serious", "critical"}
    ]
    assert serious == [], "\n".join(serious)


@cache
def _axe() -> str:
    npm.install(FOLDER)
    return (FOLDER / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
