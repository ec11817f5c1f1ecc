"""Why a document governs an order, in sentences for people: coverage, payer, line of business, policy, day. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from cds_service.cards.plain import plain
from cds_service.policy.document import PolicyDocument
from cds_service.routing import UNNAMED, Elsewhere, Payers, Selection


def why(selection: Selection, payers: Payers, day: datetime.date) -> list[str]:
    """Return the steps from the member's coverage to the document, in order; ``day`` is the service date."""
    return list(_steps(selection, payers, day))


def _steps(selection: Selection, payers: Payers, day: datetime.date) -> Iterator[str]:
    payer = selection.payer
    reference = not isinstance(selection, Elsewhere) and selection.basis == "reference"
    if reference:
        yield "It is not known that this policy governs: it is shown for reference."
    elif payer is not None:
        yield f"{_coverage(selection)} names {selection.brand or payer.label}{_line(selection)}."
    elif not isinstance(selection, Elsewhere) or selection.because != UNNAMED:
        yield f"{_coverage(selection)} names a payer that this library does not know."
    if isinstance(selection, Elsewhere):
        yield selection.because
        return
    document, owner = selection.document, payers.by_id[selection.document.payer]
    if payer is not None and payer.id != owner.id and not reference:
        yield f"{payer.label} itself has no policy for this therapy here; {owner.label}, to which it belongs, has."
    yield f"{owner.label} judges this therapy by {document.id}{_version(document)} on {day}."


def _coverage(selection: Selection) -> str:
    return " and ".join(plain(reference) for reference in selection.coverages) or "The coverage"


def _line(selection: Selection) -> str:
    return f", line of business {selection.line}" if selection.line else "; the line of business is not stated"


def _version(document: PolicyDocument) -> str:
    return f", whose version from {document.effective_from} is in force"
