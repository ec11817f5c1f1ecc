"""Text of the EHR made safe to show: it appears inside Markdown code spans only, and never as markup."""

from __future__ import annotations

import unicodedata

from fhir_mappings.facts import Evidence

LONGEST = 120
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of control, format (bidirectional overrides too), surrogate and unassigned characters."""


def plain(text: str | None) -> str:
    """Return a text of the EHR on one line, without control, bidirectional and format characters, cut at 120."""
    if not text:
        return ""
    if text.isascii() and text.isprintable() and len(text) <= LONGEST and "  " not in text and text == text.strip():
        return text
    shown = text[: LONGEST * 4]
    if not (shown.isascii() and shown.isprintable()):  # most texts are: nothing in them is hidden
        shown = "".join(" " if c.isspace() else c for c in shown if _shown(c))
    line = " ".join(shown.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"


def _shown(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in _HIDDEN


def code_span(text: str | None) -> str:
    """Return a text of the EHR as a Markdown code span; empty when nothing of it can be shown."""
    line = plain(text)
    return span(line) if line else ""


def span(line: str) -> str:
    """Return a text that ``plain`` made as a Markdown code span."""
    # an apostrophe in place of a backtick: a code span that cannot be closed from inside needs no escaping
    return "`" + line.replace("`", "'") + "`"


def evidence_json(evidence: Evidence) -> dict[str, str]:
    """Return evidence as the assessment carries it, empty members left out."""
    members = (
        ("reference", evidence.reference),
        ("display", evidence.display),
        ("value", evidence.value),
        ("date", evidence.date),
    )
    return {name: line for name, text in members if text and (line := plain(text))}
