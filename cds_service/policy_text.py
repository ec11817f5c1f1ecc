"""A policy as text for the terminal: letters, checks in words, assumptions, questions, notices."""

from __future__ import annotations

from datetime import date

from rich.markup import escape
from rich.table import Table

from cds_service.library import Library
from cds_service.policy.difference import Part
from cds_service.policy.document import Criterion, PolicyDocument
from cds_service.policy.label import Label, LabelSection
from cds_service.policy.outline import logic_in_words


def listing(library: Library) -> Table:
    """Return the library as a table."""
    table = Table("policy", "payer", "from", "lines", "therapies", "title")
    for document in library.documents:
        therapies = sorted(document.therapies())
        shown = ", ".join(therapies[:3]) + (f" and {len(therapies) - 3} more" if len(therapies) > 3 else "")
        payer = library.payers.by_id[document.payer].label
        lines = "all" if len(document.lines) == 3 else ", ".join(sorted(document.lines))
        told = (document.id, payer, str(document.effective_from), lines, shown, document.title)
        table.add_row(*map(escape, told))
    return table


def describe(document: PolicyDocument) -> str:
    """Return one policy in full, in plain text."""
    parts = [
        f"{document.id}: {document.title}",
        f"{document.citation}. In force from {document.effective_from}; revision {document.revision}.",
    ]
    parts += [
        f"\nRequired for {', '.join(sorted(s.therapies))}:\n  {logic_in_words(s.requires)}" for s in document.sections
    ]
    for rule in document.elsewhere:
        who = f"{rule.line} members" if rule.line else ", ".join(sorted(rule.therapies or {"all orders"}))
        parts.append(f"\nElsewhere: {who}: {rule.document}. {rule.because}")
    parts += [_criterion(criterion, document) for criterion in document.criteria.values()]
    parts += _section("Not evaluated", [f"{letter}: {why}" for letter, why in document.not_evaluated.items()])
    parts += _section("Assumptions", [f"{a.id}: {a.text}" for a in document.assumptions.values()])
    parts += _section("Conflicts", [c.text for c in document.conflicts])
    if said := document.prior_authorization:
        parts += _section("Prior authorization", [f"{said.needed}: {said.text}"])
    parts += _section("Notices", [n.text for n in document.notices])
    return "\n".join(parts)


def describe_for(document: PolicyDocument, label: Label | None, therapy: str, on: date) -> str:
    """Return what judges one therapy on one day: its letters, and the sections of the product's label then in force."""
    section = document.section_for(therapy)
    version = label.on(on) if label else None
    parts = [f"{document.id}: {document.title}", f"{document.citation}. For {therapy} on {on}."]
    if section:
        parts.append(f"\nRequired:\n  {logic_in_words(section.requires)}")
    if label and version is None:
        parts.append(f"\nLabel: none in force; the first begins on {label.versions[0].first_day}.")
    if label and version:
        parts.append(f"\nLabel from {version.first_day}: {version.source}.")
        parts += [f"  boxed warning: {w.text} ({w.verified})" for w in version.boxed_warnings]
    for criterion in document.applicable(therapy):
        parts.append(_criterion(criterion, document))
        if criterion.from_label and label and version:
            parts += _label_section(version.sections[criterion.from_label], label)
    applying = [n.text for n in document.notices if n.therapies is None or therapy in n.therapies]
    parts += _section(
        "Conflicts", [c.text for c in document.conflicts if c.therapies is None or therapy in c.therapies]
    )
    if said := document.authorization_of(therapy):
        parts += _section("Prior authorization", [f"{said.needed}: {said.text}"])
    parts += _section("Notices, where they apply", applying)
    return "\n".join(parts)


def describe_difference(old: PolicyDocument, new: PolicyDocument, parts: tuple[Part, ...]) -> str:
    """Return what is different between two versions, in plain text."""
    if not parts:
        same = "They are the same." if old.revision == new.revision else "They mean the same; the files are not alike."
        return f"{old.id} from {old.effective_from} and {new.id} from {new.effective_from}: {same}"
    lines = [f"{_version(old)} to {_version(new)}"]
    group = ""
    for part in parts:
        if part.group != group:
            group = part.group
            lines.append(f"\n{group}")
        lines.append(f"  {part.kind}{': ' if part.name else ''}{part.name}")
        for change in part.changes:
            lines.append(f"    {change.what}")
            lines += [f"      - {change.before}"] if change.before else []
            lines += [f"      + {change.after}"] if change.after else []
    return "\n".join(lines)


def _version(document: PolicyDocument) -> str:
    return f"{document.id} from {document.effective_from} (revision {document.revision})"


def _label_section(section: LabelSection, label: Label) -> list[str]:
    if section.missing:
        return [f"    label: missing: {section.text}"]
    lines = [f"    label: {section.text}"]
    if section.rule is not None:
        lines += _checks(section.rule)
        lines += [f"    assumes: {label.assumptions[name].text}" for name in section.rule.assumes]
    return [*lines, f"    known from: {section.verified}"]


def _criterion(criterion: Criterion, document: PolicyDocument) -> str:
    lines = [f"\n{criterion.id}  {criterion.text}"]
    lines += _checks(criterion)
    if criterion.from_label:
        lines.append(f"    as the label of the ordered product says under: {criterion.from_label}")
    lines.append(f"    settled by: {criterion.settled_by}")
    if criterion.question:
        lines.append(f"    question: {document.questions[criterion.question].text}")
    lines += [f"    assumes: {document.assumptions[name].text}" for name in criterion.assumes]
    return "\n".join(lines)


def _checks(criterion: Criterion) -> list[str]:
    words = (
        ("met when", criterion.met_when),
        ("not met when", criterion.excluded_when),
        ("for a reviewer when", criterion.review_when),
    )
    lines = [f"    {word}: {check.describe()}" for word, check in words if check is not None]
    if criterion.looked_in:
        lines.append(f"    looked for in: {', '.join(sorted(criterion.looked_in))}")
    if criterion.silence:
        lines.append(f"    assumed absent when supplied without a finding: {', '.join(criterion.silence)}")
    return lines


def _section(heading: str, items: list[str]) -> list[str]:
    return [f"\n{heading}:", *(f"  - {item}" for item in items)] if items else []
