"""Cards and assessments on a terminal: a gap report that a developer reads at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cds_service.cards.assessment import assessment_of

_MARKS = {"met": ("✓", "green"), "not-met": ("✗", "red"), "undocumented": ("?", "yellow")}
_SORTED = ("not-met", "undocumented", "met")
_ID_WIDTH = 10


def print_cards(console: Console, cards: Sequence[Mapping[str, Any]]) -> None:
    """Print every card with its criteria, gaps first; a sentence when there is none.

    A card that only offers a Task is left out: it repeats the gaps, and nobody at a terminal has a list of tasks.
    """
    if not cards:
        console.print("No card: no order concerns a policy of this library.")
    for card in cards:
        if not _only_offers_a_task(card):
            console.print(_card(card))


def _only_offers_a_task(card: Mapping[str, Any]) -> bool:
    actions = [action for suggestion in card.get("suggestions", []) for action in suggestion.get("actions", [])]
    return bool(actions) and all(action.get("resource", {}).get("resourceType") == "Task" for action in actions)


def _card(card: Mapping[str, Any]) -> RenderableType:
    assessment = assessment_of(card)
    color = "yellow" if card.get("indicator") == "warning" else "green"
    parts: list[RenderableType] = [
        Text(str(card.get("summary", "")), style="bold"),
        Text(_context(assessment) if assessment else str(card.get("detail", "")), style="dim"),
    ]
    parts += [Text(f"+ {suggestion['label']}", style="bold blue") for suggestion in card.get("suggestions", [])]
    if "elsewhere" in assessment:
        parts.append(Text(assessment["elsewhere"]["because"]))
    criteria = sorted(assessment.get("criteria", []), key=lambda c: _SORTED.index(c["outcome"]))
    parts += [_criterion(criterion) for criterion in criteria]
    assumed = dict.fromkeys(a for criterion in criteria for a in criterion.get("assumptions", []))
    parts += [Text(f"≈ {assumption}", style="dim") for assumption in assumed]
    parts += [Text(f"! {conflict}", style="magenta") for conflict in assessment.get("conflicts", [])]
    parts += [Text(f"i {notice}", style="cyan") for notice in assessment.get("notices", [])]
    label = str(card.get("source", {}).get("label", ""))
    return Panel(Group(*parts), title=escape(label), border_style=color, title_align="left")


def _context(assessment: Mapping[str, Any]) -> str:
    policy = assessment.get("policy", {})
    named = (
        f"{policy['id']} of {policy['payer']}, from {policy['effectiveFrom']}"
        if policy
        else "no policy of this library"
    )
    parts = [assessment.get("order"), assessment.get("therapy"), f"on {assessment.get('asOf')}", named]
    return " · ".join(str(part) for part in [*parts, assessment.get("basis"), assessment.get("outcome")] if part)


def _criterion(criterion: Mapping[str, Any]) -> RenderableType:
    mark, color = _MARKS[criterion["outcome"]]
    lines = [criterion["reason"], *(_evidence(e) for e in criterion.get("evidence", []))]
    if "settledBy" in criterion:
        lines.append(f"→ {criterion['settledBy']}")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_ID_WIDTH)
    grid.add_row(Text(f"{mark} {criterion['id']}", style=f"bold {color}"), Text(criterion["text"]))
    grid.add_row("", Text("\n".join(lines), style="dim" if mark == "✓" else ""))
    return grid


def _evidence(evidence: Mapping[str, str]) -> str:
    members = (evidence.get("date"), evidence.get("display"), evidence.get("value"), evidence["reference"])
    return "· " + " ".join(member for member in members if member)
