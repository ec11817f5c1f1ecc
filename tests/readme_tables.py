"""The parts of the README that the service itself can tell: the first report, the samples, the settings.

``python -m tests.readme_tables`` writes them into the README; ``test_readme`` compares.
"""

from __future__ import annotations

import datetime
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from cds_service import hook_request, review
from cds_service.bundle_request import request_from
from cds_service.settings import PREFIX, Settings
from cds_service.terminal import print_cards

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SAMPLES = ROOT / "sample_bundles"
FIRST_SAMPLE = "lantidra-one-hypoglycemia-event-only"
TODAY = datetime.date(2026, 11, 20)
HOOK_INSTANCE = "7c6b1c1e-0d5f-4a53-9d3c-3c2f0c7f0f4e"
SHOWN_BEFORE, SHOWN_AFTER = "✓ I.C.1", 3
"""The report is shown down to this criterion, and so many lines of its end."""


def cards(sample: str, services: review.Services) -> list[dict[str, Any]]:
    """Return the cards of a sample."""
    bundle = json.loads((SAMPLES / f"{sample}.json").read_text(encoding="utf-8"))
    request = hook_request.read(request_from(bundle, HOOK_INSTANCE), ["order-sign"])
    found: list[dict[str, Any]] = review.answer(request, services, today=TODAY)["cards"]
    return found


def report(services: review.Services) -> str:
    """Return the first sample's gap report as ``evaluate`` prints it, its middle left out."""
    out = Console(file=io.StringIO(), width=80)
    print_cards(out, cards(FIRST_SAMPLE, services))
    assert isinstance(out.file, io.StringIO)
    lines = out.file.getvalue().rstrip("\n").splitlines()
    cut = next(number for number, line in enumerate(lines) if SHOWN_BEFORE in line)
    return "\n".join([*lines[:cut], "…", *lines[-SHOWN_AFTER:]])


def samples(services: review.Services) -> Iterator[list[str]]:
    """Yield the row of every sample: its file, the documents that govern, and what the cards say."""
    for path in sorted(SAMPLES.glob("*.json")):
        # a card that suggests another order assesses nothing itself
        assessing = [
            card for card in cards(path.stem, services) if "coverage-cds.assessment" in card.get("extension", {})
        ]
        found = [card["extension"]["coverage-cds.assessment"] for card in assessing]
        yield [f"[{path.stem}](sample_bundles/{path.name})", _documents(found), _told(found)]


def settings() -> Iterator[list[str]]:
    """Yield the row of every setting: its variable, default and meaning."""
    for name, field in Settings.model_fields.items():
        yield [f"`{PREFIX}{name.upper()}`", _default(field.default), field.description or ""]


def _documents(assessments: Sequence[dict[str, Any]]) -> str:
    named = [a["policy"]["id"] if "policy" in a else a["elsewhere"]["document"] for a in assessments]
    return ", ".join(dict.fromkeys(named)) or "none"


def _told(assessments: Sequence[dict[str, Any]]) -> str:
    return " · ".join(_outcome(assessment) for assessment in assessments) or "no card"


def _outcome(assessment: dict[str, Any]) -> str:
    if "elsewhere" in assessment:
        return "governed elsewhere"
    found = [
        f"{outcome.replace('-', ' ')}: {', '.join(ids)}"
        for outcome in ("not-met", "undocumented")
        if (ids := [c["id"] for c in assessment["criteria"] if c["outcome"] == outcome])
    ]
    return "; ".join(found) or "met"


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`" if value else "none"
    return "not set" if value is None else f"`{value}`"


def _with_rows(readme: str, head: str, rows: Iterator[list[str]]) -> str:
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    table = re.compile(rf"({re.escape(head)}\n\|[-|]+\|\n)(?:\|.*\n)*")
    return table.sub(lambda found: f"{found[1]}{body}\n", readme)


def up_to_date(readme: str) -> str:
    """Return the README with its report and tables as the service tells them now."""
    services = review.Services.load(Settings.load(centres=SAMPLES / "treatment_centres.csv"))
    shown = re.compile(r"(```text\n).*?(\n```)", re.DOTALL)
    readme = shown.sub(lambda found: f"{found[1]}{report(services)}{found[2]}", readme, count=1)
    readme = _with_rows(readme, "| sample | policy | what the card says |", samples(services))
    return _with_rows(readme, "| variable | default | meaning |", settings())


if __name__ == "__main__":
    README.write_text(up_to_date(README.read_text(encoding="utf-8")), encoding="utf-8")
